"""Estimate how long general distillation on Wikipedia takes on machines of several sizes.

    python tools/benchmarks/scale.py

Nothing is measured here. Rates were measured by `speed.py`, `corpora.py` and `clusters.py` (the
defaults are those in docs/); every other number is an assumption with a flag. One step of general
distillation takes 2 operations for each multiply-add of the teacher's forward pass and 6 for each
of the student's and its projections (docs/speed.md).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from measure import base, operations, tiny

from tinybert_lite.system.console import duration

MACHINES = {  # name: (CPU cores, accelerators)
    "laptop, 2 cores": (2, 0),
    "server, 64 cores": (64, 0),
    "one GPU, 16 cores": (16, 1),
    "8 GPUs, 64 cores": (64, 8),
    "4 nodes of 8 GPUs": (256, 32),
}


def table(args: argparse.Namespace) -> str:
    tokens = args.words * args.pieces_per_word
    with torch.device("meta"):  # without weights: only the sizes are used
        models = base(30522), tiny(30522, projection="per_layer", teacher_width=768)
    sequence = operations(*models, np.array([args.length]))
    total = args.epochs * tokens * args.places_per_token / args.length * sequence
    lines = [
        f"{args.words / 1e6:,.0f} million words, {args.pieces_per_word:.2f} word pieces per word: "
        f"{tokens / 1e6:,.0f} million tokens, {args.epochs} epochs; "
        f"{sequence / 1e9:.1f} GFLOP per sequence of {args.length} tokens, "
        f"{total:.2g} FLOP in total",
        "",
        "| machine | stage 2, all epochs | stage 3 | disk, each epoch's sequences |",
        "|---|---|---|---|",
    ]
    read, write = args.main_seconds
    limit = tokens / 1e6 * (read + args.epochs * write)
    for name, (cores, gpus) in MACHINES.items():
        rate = args.stage2_tokens_per_second * (1 + (cores - 1) * args.core_share)
        if gpus:
            speed = (
                gpus
                * args.gpu_teraflops
                * 1e12
                * args.gpu_share
                * (args.many_share if gpus > 1 else 1)
            )
        else:
            speed = (
                cores
                / 2
                * args.ceiling_gflops
                * 1e9
                * args.ceiling_share
                * (args.many_share if cores > 2 else 1)
            )
        lines.append(
            f"| {name} | {duration(max(limit, args.epochs * tokens / rate))} | "
            f"{duration(total / speed)} | "
            f"{tokens * args.bytes_per_token / 1e9:.3g} GB |"
        )
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = found.add_argument
    add(
        "--words",
        type=float,
        default=2.5e9,
        help="words of the corpus; default: English Wikipedia (Devlin et al. 2019)",
    )
    add(
        "--pieces_per_word",
        type=float,
        default=1.3,
        help="assumed; the Brown corpus, in which punctuation marks count as words, has 1.13",
    )
    add(
        "--places_per_token",
        type=float,
        default=1.32,
        help="positions per token, from padding and random next sentences; measured: the Brown "
        "corpus gives 13,528 sequences of 128 positions",
    )
    add("--epochs", type=int, default=3, help="number of epochs; default: the paper's")
    add("--length", type=int, default=128, help="tokens per sequence; default: the paper's")
    add(
        "--stage2_tokens_per_second",
        type=float,
        default=340_000,
        help="measured: corpora.py, one worker, 1.59 MB per second of Brown at 4.68 "
        "bytes per word piece",
    )
    add(
        "--core_share",
        type=float,
        default=0.5,
        help="share of one core's rate that each further worker adds (two workers: measured, 1.37 "
        "to 1.54 times one; more: assumed)",
    )
    add(
        "--main_seconds",
        type=float,
        nargs=2,
        default=(0.2, 0.08),
        help="measured: clusters.py, CPU seconds of the main process per million tokens, to read a "
        "corpus and to write an epoch; stage 2 takes at least this long on any number of cores",
    )
    add(
        "--bytes_per_token",
        type=float,
        default=17.5,
        help="measured: bytes of an epoch_i.json of the Brown corpus per word piece",
    )
    add("--ceiling_gflops", type=float, default=146, help="measured: speed.py, of two cores")
    add("--ceiling_share", type=float, default=0.87, help="measured: speed.py")
    add(
        "--gpu_teraflops",
        type=float,
        default=989,
        help="assumed: the maker's figure for one H100 in bf16",
    )
    add(
        "--gpu_share",
        type=float,
        default=0.15,
        help="assumed: share of the maximum that is reached with small matrices and stored "
        "attention scores",
    )
    add(
        "--many_share",
        type=float,
        default=0.9,
        help="assumed: speed of several devices, or many cores, as a share of the sum of their "
        "speeds",
    )
    return found


if __name__ == "__main__":
    print(table(parser().parse_args()))
