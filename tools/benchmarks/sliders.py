"""Measure the time from a slider's new value to the finished PNG, in the kernel.

    python tools/benchmarks/sliders.py

It uses the shipped teacher, a random student, and sentences of 20 and 40 pieces, and prints the
median and the maximum of ten moves.
"""

from __future__ import annotations

import argparse
import os

os.environ["MPLBACKEND"] = "Agg"

import statistics
import time
from pathlib import Path

import numpy as np
import torch

from tinybert_lite.classroom import widgets
from tinybert_lite.data.tokens import encode
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.stages.data_augmentation import Augmenter

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "The harbour fills with water twice a day, and the boats float."


def explorers(args: argparse.Namespace) -> dict[str, widgets.Explorer]:
    teacher = load_with_tokenizer(args.teacher, masked_lm=True)
    student, _ = load_model(args.student, from_scratch=True, like=teacher.model.config)
    mapping = layer_mapping("uniform", student.layers, teacher.model.layers)

    def attention(text: str) -> tuple[str, widgets.Explorer]:
        batch = encode([text], None, teacher.tokenizer, 128).batch([0])
        tokens = teacher.tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
        return f"attention, {len(tokens)} pieces", widgets.attention_explorer(
            student, teacher.model, batch, tokens, mapping
        )

    labels = np.random.default_rng(0).integers(0, 2, 800)
    logits = [np.random.default_rng(seed).normal(labels[:, None] * [-2, 2], 2) for seed in (1, 2)]
    augmenter = Augmenter(
        teacher.model,
        teacher.tokenizer,
        WordVectors.read(args.vectors),
        profile("classroom").data_augmentation,
    )
    return dict([attention(args.text), attention(f"{args.text} {args.text}")]) | {
        f"margins, {len(labels)} rows": widgets.margins_explorer(*logits, labels),
        "mapping, 12 teacher layers": widgets.mapping_explorer(),
        "masking, 30 pieces": widgets.masking_viewer(
            ["[CLS]", *(2 * teacher.tokenizer.tokenize(SENTENCE))[:28], "[SEP]"]
        ),
        "augmentation, 3 sentences": widgets.augmentation_viewer(
            augmenter,
            [
                "The story meanders, but the actors give a wonderful performance.",
                "A dull, plodding film.",
                "One of the most touching comedies of the year.",
            ],
        ),
    }


def choices(control) -> list:
    if hasattr(control, "options"):
        return list(control.options)
    if isinstance(control.value, bool):
        return [False, True]
    return np.unique(np.linspace(control.min, control.max, 4).astype(type(control.value))).tolist()


def milliseconds(explorer: widgets.Explorer, control, moves: int) -> list[float]:
    values, times = [value for value in choices(control) if value != control.value], []
    values.append(control.value)
    seen = set()
    for move in range(moves + 1):  # the first is a warm-up
        started = time.perf_counter()
        control.value = values[move % len(values)]
        times.append(1000 * (time.perf_counter() - started))
        seen.add(bytes(explorer.picture.value))
    assert len(seen) > 1, f"{control.description}: the picture does not change"
    return times[1:]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moves", type=int, default=10, help="moves of each control")
    parser.add_argument("--teacher", type=Path, default=ROOT / "teacher_model/classroom")
    parser.add_argument("--student", type=Path, default=ROOT / "student_model/classroom")
    parser.add_argument("--vectors", type=Path, default=ROOT / "1_pre_data/glove.classroom.txt")
    parser.add_argument(
        "--text", default=SENTENCE, help="a sentence; it is also used twice, as a text of two"
    )
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    print("| picture | control | median, ms | slowest, ms |\n|---|---|---|---|")
    for name, explorer in explorers(args).items():
        for control, widget in explorer.controls.items():
            times = milliseconds(explorer, widget, args.moves)
            print(
                f"| {name} | {control.replace('_', ' ')} | {statistics.median(times):.0f} | "
                f"{max(times):.0f} |"
            )


if __name__ == "__main__":
    main()
