"""`ablation.json`, `ablation.md` and `ablation.png`: what each variant scores, and how far that is from the full method."""

from __future__ import annotations

import statistics
from pathlib import Path

from tinybert_lite.pipeline.variants import FULL, VARIANTS, Variant
from tinybert_lite.system.console import grid, say
from tinybert_lite.system.files import write_atomically, write_json

SUMMARY = "ablation"
SPLITS = ("dev", "test")


def differences(runs: list[dict], variants: list[Variant]) -> list[dict]:
    """A row a variant, in points (100 times the deciding score): by split the scores of its seeds, and those less the full method's of the same seed."""
    rows = []
    for variant in variants:
        row = {
            "name": variant.name,
            "title": variant.title,
            "paper": variant.paper,
            "paper_difference": None
            if variant.paper is None
            else round(variant.paper - VARIANTS[FULL].paper, 1),
        }
        for split in SPLITS:
            own, full = points(runs, variant.name, split), points(runs, FULL, split)
            row[split] = own
            row[f"{split}_difference"] = {
                seed: own[seed] - full[seed] for seed in own if seed in full
            }
        rows.append(row)
    return rows


def points(runs: list[dict], name: str, split: str) -> dict[int, float]:
    """A variant's scores by seed."""
    return {
        run["seed"]: 100 * run[split][run["metric"]]
        for run in runs
        if run["variant"] == name and run[split]
    }


def mean_and_sd(values, sign: str = "") -> str:
    values = [*values]
    if not values:
        return "–"
    return f"{statistics.mean(values):{sign}.2f}" + (
        f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    )


def cells(rows: list[dict], runs: list[dict]) -> list[tuple[str, ...]]:
    """The table as text: mean ± standard deviation over seeds."""
    splits = [split for split in SPLITS if any(row[split] for row in rows)]
    found = [
        (
            "",
            *(head for split in splits for head in (split, "− full")),
            "paper",
            "− full",
            "seconds",
        )
    ]
    for row in rows:
        ours = [
            text
            for split in splits
            for text in (
                mean_and_sd(row[split].values()),
                ""
                if row["name"] == FULL
                else mean_and_sd(row[f"{split}_difference"].values(), "+"),
            )
        ]
        paper = (
            ["–", "–"]
            if row["paper"] is None
            else [
                f"{row['paper']:.1f}",
                "" if row["name"] == FULL else f"{row['paper_difference']:+.1f}",
            ]
        )
        seconds = [run["seconds"] for run in runs if run["variant"] == row["name"]]
        found.append(
            (row["title"], *ours, *paper, f"{statistics.mean(seconds):.0f}" if seconds else "–")
        )
    return found


def write_table(
    folder: Path, runs: list[dict], failed: dict[str, str], variants: list[Variant]
) -> None:
    """All three files into `folder`, and the table on the terminal."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from tinybert_lite import plots

    rows = differences(runs, variants)
    table, first = cells(rows, runs), runs[0]
    seeds = sorted({run["seed"] for run in runs})
    say("\n" + grid(table))
    folder.mkdir(parents=True, exist_ok=True)
    figure = plots.ablation(rows, f"{first['task']}, dev {first['metric'].replace('_', ' ')}")
    figure.savefig(folder / f"{SUMMARY}.png", dpi=110)
    plots.close([figure])
    dev = first["dev_rows"]
    lines = [
        f"# {first['task']}: what each part of the method is worth",
        "",
        f"Ours: 100 × {first['metric'].replace('_', ' ')} on {dev} dev rows, mean ± standard deviation over "
        f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}; one dev row is {100 / dev:.2f} points. Differences are to the full method of the same seed.",
        "Paper: TinyBERT4, mean dev score of MNLI-m, MNLI-mm, MRPC and CoLA. Seconds: of the stages that a row does not share with the full method.",
        "",
        "| " + " | ".join(table[0]) + " |",
        "|" + "---|" * len(table[0]),
        *("| " + " | ".join(row) + " |" for row in table[1:]),
        "",
    ]
    lines += [f"- {name} failed: {reason}" for name, reason in failed.items()] + [""] * bool(failed)
    lines += [
        f"Profile {first['profile']}. {first['machine']}, {first['device']}, {first['threads']} threads, precision {first['precision']}. "
        + ", ".join(f"{k} {v}" for k, v in first["versions"].items())
        + ".",
        "",
        f"![differences to the full method, the paper's and ours]({SUMMARY}.png)",
        "",
    ]
    write_atomically(folder / f"{SUMMARY}.md", "\n".join(lines).encode("utf-8"))
    write_json(
        folder / f"{SUMMARY}.json",
        {
            "task": first["task"],
            "metric": first["metric"],
            "profile": first["profile"],
            "seeds": seeds,
            "table": rows,
            "runs": runs,
            "failed": failed,
        },
    )
    say(f"  ablation: {folder / f'{SUMMARY}.md'}")
