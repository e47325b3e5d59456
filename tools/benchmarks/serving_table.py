"""Make tables and pictures from the measurements of `serving.py`.

A speed-up is the ratio of medians of a round; its spread is that over rounds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from serving_models import DYNAMIC, INT8, ONNX, PYTORCH, SIMULATED, STOCK

from tinybert_lite.exports.serving import MODELS
from tinybert_lite.system.console import say

WAYS = (STOCK, PYTORCH, DYNAMIC, SIMULATED, ONNX, INT8)
PAPER = {
    "parameters": 7.5,
    "time": 9.4,
}  # Jiao et al. 2020, TinyBERT4 against BERT-base; time on one NVIDIA K80
ENOUGH = 20  # calls for a 95th percentile
Rounds = list[list[float]]  # milliseconds of each call, by round


# Numbers ------------------------------------------------------------------------------------------


def median(rounds: Rounds) -> float:
    return float(np.median(np.concatenate(rounds)))


def percentile_95(rounds: Rounds) -> float | None:
    """Return the 95th percentile, None for fewer than ENOUGH calls."""
    every = np.concatenate(rounds)
    return float(np.quantile(every, 0.95)) if len(every) >= ENOUGH else None


def speed_up(slow: Rounds, fast: Rounds) -> tuple[float, float, float]:
    """Return the speed-up: median, 10th and 90th percentile over rounds.

    In each round it is the ratio of the medians.
    """
    middle, low, high = np.quantile(
        [np.median(a) / np.median(b) for a, b in zip(slow, fast, strict=True)], (0.5, 0.1, 0.9)
    ).tolist()
    return middle, low, high


def base_of(milliseconds: dict[str, dict[str, Rounds]]) -> Rounds:
    """Return the times to compare with: the large model in float32 PyTorch.

    It is our class or Hugging Face's, whichever is faster.
    """
    large = next(iter(milliseconds.values()))
    return min((large[way] for way in (PYTORCH, STOCK) if way in large), key=median)


def find(pair: dict, batch: int, length: int) -> dict[str, dict[str, Rounds]]:
    return next(
        cell["milliseconds"]
        for cell in pair["cells"]
        if (cell["batch"], cell["length"]) == (batch, length)
    )


def settings(pair: dict) -> tuple[list[int], list[int]]:
    """Return batch sizes and lengths, smallest first."""
    return sorted({cell["batch"] for cell in pair["cells"]}), sorted(
        {cell["length"] for cell in pair["cells"]}
    )


def less(pair: dict, of) -> float:
    """Return how many times as much of something the large model has as the small one."""
    large, small = pair["models"].values()
    return of(large) / of(small)


def parameters(model: dict) -> int:
    return sum(model["parameters"].values())


def smaller(model: dict) -> float:
    """Return the size of the float32 ONNX file divided by that of the 8-bit one."""
    return model["bytes"][MODELS["onnx"]] / model["bytes"][MODELS["int8"]]


# Tables -------------------------------------------------------------------------------------------


def table(*rows: list) -> list[str]:
    return [
        "| " + " | ".join(map(str, row)) + " |"
        for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])
    ] + [""]


def times(found: tuple[float, float, float]) -> str:
    """Return a speed-up as text, such as `12.3 x (12.1 – 12.6)`."""
    return f"{found[0]:.1f} x ({found[1]:.1f} – {found[2]:.1f})"


def head(results: dict) -> list[str]:
    """Return the lines on the machine and on how to read the tables."""
    cut_off = (
        "cut large sums off; our weights are scaled so that no sum is that large"
        if results["saturates"]
        else "do not cut large sums off"
    )
    packages = ", ".join(
        f"{name} {results['versions'][name]}"
        for name in ("python", "torch", "onnxruntime", "transformers", "tokenizers")
    )
    where = (
        f"{results['processor']}, {results['machine']}; int8 instructions: **{results['int8']}** "
        f"(its kernels {cut_off}). Threads of PyTorch and of ONNX Runtime: "
        f"{results['threads']}. {packages}. Load before the start: {results['load_before']}."
    )
    how = (
        f"{results['rounds']} rounds; in each round all models of a setting take turns. Over all "
        f"rounds a model runs for {results['seconds']:g} seconds or {ENOUGH} calls of one row, "
        "or for one call per round where a call takes longer. "
        "`12.3 x (12.1 – 12.6)`: the ratio of the medians within a round; its median over the "
        "rounds, and in brackets the 10th and the 90th percentile. "
        f"95 %: the 95th percentile, given for {ENOUGH} calls or more. No padding."
    )
    busy = (
        "**The machine was busy at the start**: calls shorter than a time slice are rarely "
        "interrupted, so their times look too good."
    )
    return [
        where,
        "",
        how,
        "",
        *([busy, ""] if (results["load_before"] or 0) > 0.5 * results["threads"] else []),
    ]


def headlines(pair: dict) -> list[str]:
    large, small = pair["models"]
    batches, lengths = settings(pair)
    at = find(pair, batches[0], lengths[-1])
    texts, where = pair["end_to_end"]["milliseconds"], f"batch {batches[0]}, {lengths[-1]} tokens"
    many = f"multiply-adds, {lengths[-1]} tokens"

    def compared(found: dict[str, dict[str, Rounds]], way: str) -> list[str]:
        bases = (base_of(found), found[large][ONNX])
        return [times(speed_up(base, found[small][way])) for base in bases]

    rows = [
        ["", "over PyTorch float32", "over ONNX Runtime float32", "the paper"],
        ["parameters", *[f"{less(pair, parameters):.1f} x"] * 2, f"{PAPER['parameters']} x"],
        [
            many,
            *[f"{less(pair, lambda one: one['multiply_adds'][str(lengths[-1])]):.1f} x"] * 2,
            "",
        ],
        [f"float32 in PyTorch, {where}", *compared(at, PYTORCH), f"{PAPER['time']} x (one K80)"],
        *([f"{way}, {where}", *compared(at, way), ""] for way in (ONNX, INT8)),
        *(
            [f"from text to label, {way}", *compared(texts, way), ""]
            for way in (PYTORCH, ONNX, INT8)
        ),
    ]
    return [
        f"## {small} against {large}",
        "",
        f"How many times as much {large} needs as {small}. The times of {large} are those of "
        "float32 in PyTorch (our class or Hugging Face's, whichever was faster), and of float32 in "
        "ONNX Runtime:",
        "",
        *table(*rows),
    ]


def sizes(pair: dict) -> list[str]:
    _, lengths = settings(pair)
    rows = [
        [
            "",
            "parameters, M",
            "embeddings",
            "encoder",
            "classifier",
            "safetensors, MB",
            "ONNX float32",
            "ONNX int8",
            "smaller",
            *(f"multiply-adds, M, {length} tokens" for length in lengths),
        ]
    ]
    for name, model in pair["models"].items():
        files = model["bytes"]
        rows.append(
            [
                name,
                f"{parameters(model) / 1e6:.2f}",
                *(f"{count / 1e6:.2f}" for count in model["parameters"].values()),
                *(
                    f"{files[file] / 1e6:.1f}"
                    for file in ("model.safetensors", MODELS["onnx"], MODELS["int8"])
                ),
                f"{smaller(model):.2f} x",
                *(f"{model['multiply_adds'][str(length)] / 1e6:,.0f}" for length in lengths),
            ]
        )
    return table(*rows)


def speeds(pair: dict) -> list[str]:
    batches, lengths = settings(pair)
    rows = [
        [
            "tokens",
            "model",
            "runs on",
            *(
                head
                for batch in batches
                for head in (f"batch {batch}: ms", "95 %", "rows/s", "speed-up")
            ),
        ]
    ]
    for length in lengths:
        by_batch = {batch: find(pair, batch, length) for batch in batches}
        for name in pair["models"]:
            for way in WAYS:
                if any(way in found[name] for found in by_batch.values()):
                    rows.append(
                        [
                            length,
                            name,
                            way,
                            *(
                                text
                                for batch, found in by_batch.items()
                                for text in speed(found, name, way, batch)
                            ),
                        ]
                    )
    return table(*rows)


def speed(found: dict[str, dict[str, Rounds]], name: str, way: str, rows: int) -> list[str]:
    if way not in found[name]:
        return [""] * 4
    own = found[name][way]
    late = percentile_95(own)
    return [
        f"{median(own):.2f}",
        "" if late is None else f"{late:.2f}",
        f"{1000 * rows / median(own):,.0f}",
        "1" if own is base_of(found) else times(speed_up(base_of(found), own)),
    ]


def int8_against_float32(pairs: list[dict]) -> list[str]:
    rows = [
        [
            "ONNX Runtime, int8 against float32",
            *(
                f"batch {batch}, {length} tokens"
                for batch in settings(pairs[0])[0]
                for length in settings(pairs[0])[1]
            ),
        ]
    ]
    for pair in pairs:
        rows += [
            [
                name,
                *(
                    times(
                        speed_up(cell["milliseconds"][name][ONNX], cell["milliseconds"][name][INT8])
                    )
                    for cell in pair["cells"]
                ),
            ]
            for name in pair["models"]
        ]
    return table(*rows)


def where_the_time_goes(pairs: list[dict]) -> list[str]:
    profiles = [found for pair in pairs for found in pair["profiles"]]
    kinds = list(dict.fromkeys(kind for found in profiles for way in MODELS for kind in found[way]))
    kinds.sort(
        key=lambda kind: (
            -sum(found["int8"].get(kind, 0) / sum(found["int8"].values()) for found in profiles)
        )
    )
    rows = [
        ["milliseconds, float32 → int8", "tokens", *kinds, "all", "not in Linear layers, of int8"]
    ]
    for found in profiles:
        before, after = found["onnx"], found["int8"]
        rows.append(
            [
                found["model"],
                found["length"],
                *(f"{before.get(kind, 0):.2f} → {after.get(kind, 0):.2f}" for kind in kinds),
                f"{sum(before.values()):.2f} → {sum(after.values()):.2f}",
                f"{100 - 100 * after['Linear layers'] / sum(after.values()):.0f} %",
            ]
        )
    return table(*rows)


def texts(pair: dict) -> list[str]:
    found = pair["end_to_end"]
    rows = [["", "", "ms", "95 %", "texts/s", "speed-up"]]
    for name, by_way in found["milliseconds"].items():
        for way in (way for way in (*WAYS, "alone") if way in by_way):
            rows.append(
                [name, way, *speed(found["milliseconds"], name, way, 1)]
                if way in WAYS
                else [name, way, *speed(found["milliseconds"], name, way, 1)[:3], ""]
            )
    return [
        f"One text at a time, never the same text twice, {found['tokens']:.0f} tokens on average:",
        "",
        *table(*rows),
    ]


def scores(pair: dict) -> list[str]:
    rows = [
        [
            f"dev {pair['metric'].replace('_', ' ')}, {pair['dev_rows']:,} rows of "
            f"{pair['dev_tokens']:.0f} tokens on average",
            PYTORCH,
            ONNX,
            INT8,
        ]
    ]
    return table(
        *rows,
        *(
            [name, *(f"{100 * model['dev'][way]:.2f}" for way in (PYTORCH, ONNX, INT8))]
            for name, model in pair["models"].items()
        ),
    )


def tables(results: dict) -> str:
    first = results["pairs"][0]
    lines = [
        "# Serving, measured",
        "",
        *head(results),
        *headlines(first),
        "## From text to label",
        "",
        *texts(first),
    ]
    for pair in results["pairs"]:
        lines += [
            f"## {pair['title']}",
            "",
            *sizes(pair),
            *(scores(pair) if "metric" in pair else []),
            *speeds(pair),
        ]
    lines += [
        "## What 8 bits save",
        "",
        *int8_against_float32(results["pairs"]),
        *where_the_time_goes(results["pairs"]),
        "Measured by ONNX Runtime's profiler, one row at a time: the sum of the medians of all "
        "operators, without the time between operators.",
        "",
    ]
    return "\n".join(lines)


# Pictures -----------------------------------------------------------------------------------------


def points(pair: dict) -> tuple[list[dict], int]:
    """Return the points of `plots.accuracy_and_cost`, and the length of their times.

    It is the measured length nearest to the mean of the dev rows.
    """
    batches, lengths = settings(pair)
    length = min(lengths, key=lambda one: abs(one - pair["dev_tokens"]))
    found = find(pair, batches[0], length)
    return [
        {
            "model": role,
            "way": way,
            "score": model["dev"][way],
            "milliseconds": median(found[name][way]),
            "int8": way == INT8,
            "bytes": model["bytes"][
                {PYTORCH: "model.safetensors", ONNX: MODELS["onnx"], INT8: MODELS["int8"]}[way]
            ],
        }
        for role, (name, model) in zip(("teacher", "student"), pair["models"].items())
        for way in (PYTORCH, ONNX, INT8)
    ], length


def lines_by_length(pair: dict) -> dict[tuple[str, str], dict[int, tuple[float, float, float]]]:
    """Return speed-ups at the smallest batch size: (model, way) → length → speed-up."""
    batches, lengths = settings(pair)
    found = {length: find(pair, batches[0], length) for length in lengths}
    return {
        (role, way): {
            length: speed_up(base_of(cell), cell[name][way]) for length, cell in found.items()
        }
        for role, name in zip(("teacher", "student"), pair["models"])
        for way in (PYTORCH, ONNX, INT8)
    }


def write(results: dict, output: Path | None, picture: Path | None) -> None:
    text = tables(results)
    say(text)
    if output:
        output.write_text(text, encoding="utf-8")
    if picture:
        import matplotlib

        matplotlib.use("Agg", force=False)
        from tinybert_lite import plots

        large, small = results["pairs"][0]["models"]
        drawn = {
            picture.with_stem(f"{picture.stem}_lengths"): plots.speed_ups(
                lines_by_length(results["pairs"][0]), large, small
            )
        }
        if scored := next((pair for pair in results["pairs"] if "metric" in pair), None):
            shown, length = points(scored)
            drawn[picture] = plots.accuracy_and_cost(
                shown,
                f"dev {scored['metric'].replace('_', ' ')}",
                f"milliseconds, one row of {length} tokens",
            )
        for path, figure in drawn.items():
            figure.savefig(path, dpi=110)
        plots.close(drawn.values())
