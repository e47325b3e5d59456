"""Measure time and size of a large model and its student: float32, int8, PyTorch, ONNX Runtime.

    python tools/benchmarks/serving.py --workspace DIR --vocabulary vocab.txt \\
        --results serving.json --output docs/serving_table.md --picture docs/serving.png
    python tools/benchmarks/serving.py --summary serving.json --output docs/serving_table.md \\
        --picture docs/serving.png

The models are BERT-base and TinyBERT4 in their real sizes with random weights, which take as long
as trained ones; with --workspace also its teacher and student, with their dev scores. All compared
models take turns in each round, so that other load on the machine affects all of them.
`serving_table.py` makes the tables and pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from serving_models import (
    DYNAMIC,
    INT8,
    ONNX,
    PYTORCH,
    SIMULATED,
    STOCK,
    Batch,
    Logits,
    Pair,
    of_a_workspace,
    of_real_sizes,
    random_batch,
    ways,
    write_files,
)
from serving_table import ENOUGH, write

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.exports.onnx_runtime import int8_instructions, need_onnxruntime, saturates
from tinybert_lite.exports.serving import MODELS
from tinybert_lite.models.cost import multiply_adds, parameters_by_block
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.system.machine import machine, set_threads, versions

VOCABULARY = 30_522  # BERT's
MOST_CALLS, MOST_SECONDS = (
    100,
    60,
)  # largest calls of a model per round; seconds of all models per setting
KINDS = {  # ONNX Runtime's operators, some of which it fuses
    "Linear layers": (
        "Gemm",
        "FusedGemm",
        "QGemm",
        "MatMulInteger",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "QLinearMatMul",
    ),
    "products in attention": ("MatMul", "FusedMatMul"),
    "Softmax": ("Softmax",),
    "activation": ("Gelu", "BiasGelu", "FastGelu", "Tanh", "Relu"),
    "LayerNorm": ("LayerNormalization", "SkipLayerNormalization"),
    "rounding": ("QuantizeLinear", "DequantizeLinear"),
    "moving and adding": ("Transpose", "Reshape", "Add", "Gather", "Slice", "Concat"),
}


# Time ---------------------------------------------------------------------------------------------


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds of a call."""
    started = time.perf_counter()
    call()
    return round(1000 * (time.perf_counter() - started), 4)


@torch.inference_mode()
def compete(
    calls: dict[tuple[str, str], Callable[[], object]], seconds: float, rounds: int, fewest: int = 1
) -> dict[str, dict[str, list[list[float]]]]:
    """Time the calls, given by (model, way); return milliseconds by model, way and round.

    In each round every model is called for seconds / rounds and at least `fewest` times, or once
    if a call takes longer than `seconds`. After MOST_SECONDS three rounds are enough.
    """
    turns, found = {}, defaultdict(dict)
    for who, call in calls.items():
        took = timed(call)
        took = (
            timed(call) if took < 1000 * seconds else took
        )  # the first call also allocates memory
        turns[who] = (
            1
            if took > 1000 * seconds
            else max(fewest, min(MOST_CALLS, round(1000 * seconds / rounds / max(took, 1e-3))))
        )
        found[who[0]][who[1]] = []
    spent = 0.0
    for number in range(rounds):
        if number >= 3 and spent > 1000 * MOST_SECONDS:
            break
        for who, call in calls.items():
            if turns[who] > 1:
                # the model before it leaves its data in the caches, and threads that wait for work
                call()
            found[who[0]][who[1]].append([timed(call) for _ in range(turns[who])])
            spent += sum(found[who[0]][who[1]][-1])
    return dict(found)


def cell(rows: int, length: int, runs: dict[str, dict[str, Logits]], vocab_size: int, args) -> dict:
    """Time all models on a batch of (rows, length).

    With one row also PyTorch's own int8, and at the longest length the simulation of 8 bits.
    """
    batch, large = random_batch(rows, length, vocab_size), next(iter(runs))
    left_out = {
        *(() if rows == 1 else (DYNAMIC,)),
        *(() if rows == 1 and length == max(args.lengths) else (SIMULATED,)),
    }
    calls = {
        (name, way): lambda run=run: run(batch)
        for name, found in runs.items()
        for way, run in found.items()
        if way not in left_out and (way != STOCK or name == large)
    }
    return {
        "batch": rows,
        "length": length,
        "milliseconds": compete(
            calls, args.seconds, args.rounds, -(-ENOUGH // args.rounds) if rows == 1 else 1
        ),
    }


def end_to_end(runs: dict[str, dict[str, Logits]], tokenizer, args) -> dict:
    """Time the way from a text to its label: fast tokenizer, model, largest logit.

    Each call has another text.
    """
    length, fast = max(args.lengths), tokenizer.backend_tokenizer
    fast.enable_truncation(length)
    whole = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha())
    texts = [" ".join(words) for words in np.random.default_rng(0).choice(whole, (50, length - 2))]

    def ids(text: str) -> Batch:
        found = fast.encode(text)
        return {
            "input_ids": torch.tensor([found.ids]),
            "attention_mask": torch.tensor([found.attention_mask]),
            "token_type_ids": torch.tensor([found.type_ids]),
        }

    def answering(run: Logits) -> Callable[[], object]:
        turn = iter(range(10**9))
        return lambda: int(run(ids(texts[next(turn) % len(texts)])).argmax())

    large, small = runs
    calls = {
        **{(large, way): answering(runs[large][way]) for way in (PYTORCH, STOCK, ONNX)},
        **{(small, way): answering(runs[small][way]) for way in (PYTORCH, ONNX, INT8)},
        ("tokenizer", "alone"): answering(lambda batch: batch["input_ids"].numpy()),
    }
    tokens = [len(fast.encode(text).ids) for text in texts]
    return {
        "batch": 1,
        "length": length,
        "tokens": float(np.mean(tokens)),
        "milliseconds": compete(calls, args.seconds, args.rounds, -(-ENOUGH // args.rounds)),
    }


def profile(path: Path, batch: Batch, threads: int, runs: int = 30) -> dict[str, float]:
    """Return the milliseconds of a run by kind of operator, from ONNX Runtime's profiler.

    They are sums of the medians of each operator.
    """
    runtime = need_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = (
        threads,
        3,
        True,
    )
    options.profile_file_prefix = str(path.with_suffix(""))
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for _ in range(runs):
        session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes, found, kind_of = (
        defaultdict(list),
        Counter(),
        {name: kind for kind, names in KINDS.items() for name in names},
    )
    for event in events:
        if event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["name"]].append(event["dur"] / 1000)
    for (operator, _), took in nodes.items():
        found[kind_of.get(operator, "the rest")] += float(np.median(took))
    return dict(found)


# All of it ----------------------------------------------------------------------------------------


def logits_of(run: Logits, examples) -> np.ndarray:
    """Return logits (n, K), in the order of the examples."""
    parts = [(rows, run(batch)) for rows, batch in in_order(examples, 32)]
    found = np.empty((len(examples), parts[0][1].shape[1]), np.float32)
    for rows, values in parts:
        found[rows] = values
    return found


@torch.inference_mode()
def dev_scores(pair: Pair, runs: dict[str, Logits]) -> dict[str, float]:
    """Return the primary dev metric by way."""
    every = {
        way: pair.dev.scores_of(lambda part, run=run: logits_of(run, pair.dev.parts[part]))
        for way, run in runs.items()
        if way in (PYTORCH, ONNX, INT8)
    }
    return {way: next(iter(scores.values())) for way, scores in every.items()}


@torch.inference_mode()
def furthest(runs: dict[str, Logits], batch: Batch) -> float:
    """Return the largest difference of logits between the float32 ways, which should agree."""
    found = [runs[way](batch) for way in (PYTORCH, ONNX, STOCK) if way in runs]
    return float(np.ptp(found, axis=0).max())


def measured(pair: Pair, args, tokenizer=None) -> dict:
    """Return the results of a pair. tokenizer: with it, the time from text to label is measured."""
    found, runs, vocab_size = (
        {"title": pair.title, "models": {}, "cells": []},
        {},
        next(iter(pair.models.values())).config.vocab_size,
    )
    with tempfile.TemporaryDirectory() as place:
        for name, model in pair.models.items():
            folder = Path(place) / name
            files = write_files(model, pair.eight_bits[name], folder)
            runs[name] = ways(model, pair.eight_bits[name], folder, args.threads)
            found["models"][name] = {
                "parameters": parameters_by_block(model),
                "bytes": files,
                "multiply_adds": {
                    str(length): multiply_adds(model, length) for length in args.lengths
                },
                "float32_apart": furthest(
                    runs[name], random_batch(2, max(args.lengths), vocab_size)
                ),
                **({"dev": dev_scores(pair, runs[name])} if pair.dev else {}),
            }
        for rows in args.batches:
            for length in args.lengths:
                say(f"{pair.title}: batch {rows}, {length} tokens")
                found["cells"].append(cell(rows, length, runs, vocab_size, args))
        if tokenizer:
            say("from text to label")
            found["end_to_end"] = end_to_end(runs, tokenizer, args)
        del runs  # ends the threads of its sessions
        found["profiles"] = [
            {
                "model": name,
                "length": length,
                **{
                    kind: profile(
                        Path(place) / name / file, random_batch(1, length, vocab_size), args.threads
                    )
                    for kind, file in MODELS.items()
                },
            }
            for name in pair.models
            for length in (min(args.lengths), max(args.lengths))
        ]
    if pair.dev:
        found |= {
            "metric": pair.dev.task.metric,
            "dev_rows": len(pair.dev.first),
            "dev_tokens": float(pair.dev.first.lengths.mean()),
        }
    return found


def circumstances(args) -> dict:
    cpuinfo = Path("/proc/cpuinfo")
    name = (
        re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
        if cpuinfo.is_file()
        else None
    )
    packages = {package: version(package) for package in ("onnxruntime", "onnx", "tokenizers")}
    return {
        "machine": machine(),
        "processor": name[1] if name else platform.processor(),
        "int8": int8_instructions(),
        "saturates": saturates(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "threads": args.threads,
        "seconds": args.seconds,
        "rounds": args.rounds,
        "versions": {**versions(), **packages},
    }


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--workspace", type=Path, help="also measure the teacher and student of this workspace")
    add("--task", default=FOLDERS_OWN_TASK)
    add("--data_dir", help="folder of the task's files, if not in the workspace")
    add("--task_teacher", help="the fine-tuned teacher, if not in the workspace")
    add(
        "--vocabulary",
        type=Path,
        default=Workspace.find().vocabulary,
        help="tokenizer of the texts",
    )
    add("--lengths", type=int, nargs="+", default=[16, 64, 128])
    add("--batches", type=int, nargs="+", default=[1, 32])
    add("--threads", type=int, default=2, help="threads of PyTorch and of ONNX Runtime")
    add("--seconds", type=float, default=1.5, help="seconds per model and setting, over all rounds")
    add("--rounds", type=int, default=5)
    add("--quick", action="store_true", help="use very small models, for tests")
    add(
        "--summary",
        type=Path,
        help="results file to make tables and pictures from, without measuring",
    )
    add("--results", type=Path, help="file to write all measurements to")
    add("--output", type=Path, help="file to write the tables to")
    add(
        "--picture",
        type=Path,
        help="file for the picture of accuracy and cost; …_lengths beside it: speed-ups by length",
    )
    return parser.parse_args(argv)


@command
def main(argv: list[str]) -> None:
    args = parsed(argv)
    if args.summary:
        results = read_json(args.summary)
    else:
        set_threads(args.threads)
        results, tokenizer, longest = (
            circumstances(args),
            load_tokenizer(args.vocabulary),
            max(args.lengths),
        )
        others = (
            [
                of_a_workspace(
                    Workspace.find(
                        args.workspace,
                        args.task,
                        data_dir=args.data_dir,
                        task_teacher=args.task_teacher,
                    ),
                    longest,
                )
            ]
            if args.workspace
            else []
        )
        first = of_real_sizes(
            max(VOCABULARY * (not args.quick), len(tokenizer)), longest, args.quick
        )
        results["pairs"] = [
            measured(first, args, tokenizer),
            *(measured(pair, args) for pair in others),
        ]
        if args.results:
            write_json(args.results, results)
    write(results, args.output, args.picture)


if __name__ == "__main__":
    raise SystemExit(main())
