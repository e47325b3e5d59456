"""Parts of `gpu_check.py`: variants of the step of stage 3, and how often steps wait for a GPU."""

from __future__ import annotations

import statistics
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from gpu_stages import WARM_UP, Row, pieces, tried
from measure import Peak, base, tiny
from speed import random_rows, train

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.masked_lm import Masked
from tinybert_lite.method.objectives import Intermediate, Labels, MaskedLm, Prediction
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.system.device import Device
from tinybert_lite.training.loop import Loop

# Variants of the stage-3 step ---------------------------------------------------------------------


class Unpinned(Loop):
    """The loop with batches in ordinary memory."""

    _pins = False


class ScoresEverywhere(Intermediate):
    """Compute the scores of all teacher layers, and so use PyTorch's fast attention in none."""

    def __call__(self, student, batch, sizes=None):
        top = max(self.mapping)
        with torch.inference_mode():
            teaching = self.teacher(batch, scores=range(1, top + 1), last_layer=top)
        learning = student(batch, scores=range(1, len(self.mapping)))
        return self.terms(learning, teaching, batch["attention_mask"], sizes)


def compiled(student, teacher) -> Intermediate:
    # Only the CPU miniature needs another backend: there a C++ compiler takes minutes.
    on_cpu = next(teacher.parameters()).device.type == "cpu"
    teacher.compile(dynamic=True, backend="eager" if on_cpu else "inductor")
    return Intermediate(student, teacher)


def variants(args, device: Device) -> Iterator[Row]:
    """Yield the rate of a stage-3 step at `args.batch_size` for each variant."""
    size, vocab_size = args.batch_size, pieces(args)
    examples = random_rows(
        np.full((args.steps + WARM_UP + 1) * size, args.length),
        len(load_tokenizer(args.vocabulary)),
    )
    first = []

    def step(objective_of, kind: type[Loop] = Loop) -> Row:
        teacher = base(vocab_size, args.quick).to(device.name)
        width = teacher.config.hidden_size
        student = tiny(vocab_size, args.quick, projection="per_layer", teacher_width=width)
        with Peak(device.name) as peak:
            times = train(
                student,
                objective_of(student, teacher),
                Batches(examples, size, 0),
                device,
                kind,
                train_batch_size=size,
                num_train_epochs=1,
            )
        rate = size * args.length / statistics.median(times[WARM_UP:])
        first.append(rate)
        return {
            "tokens/s": f"{rate:,.0f}",
            "against the first": f"{rate / first[0]:.2f}",
            "first step": f"{times[0]:.2f} s",
            "peak memory": f"{peak.bytes / 1e9:.2f} GB",
        }

    def without_scores(student, teacher) -> Intermediate:
        return Intermediate(student, teacher, weights={"attention": 0})

    for what, *how in (
        ("as it is", Intermediate),
        ("batches in ordinary memory, not pinned", Intermediate, Unpinned),
        ("scores attention in all teacher layers", ScoresEverywhere),
        ("fast attention in all layers: no attention losses", without_scores),
        ("teacher compiled, first step with compilation", compiled),
        ("as it is, again", Intermediate),
    ):
        yield tried({f"step of {size} rows": what}, lambda how=how: step(*how))


# Waits --------------------------------------------------------------------------------------------

WAIT = "called a synchronizing CUDA operation"


@contextmanager
def waits_told(device: str) -> Iterator[list[warnings.WarningMessage]]:
    """Yield a list to which PyTorch adds a warning whenever a GPU is waited for."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield caught
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")


class Counting:
    """An objective that notes at the start of each step how many warnings there were before."""

    def __init__(self, objective, caught: list[warnings.WarningMessage]):
        self.objective, self.sizes, self.caught = objective, objective.sizes, caught
        self.teacher, self.before = getattr(objective, "teacher", None), []

    def __call__(self, *args):
        self.before.append(len(self.caught))
        return self.objective(*args)


def waits_of(student, objective, examples, size: int, device: Device) -> tuple[int, float, Counter]:
    """Train an epoch; return its counted steps, the waits per step, and the places of the waits.

    The first step and the last one, which ends with the run, are not counted.
    """
    with waits_told(device.name) as caught:
        counting = Counting(objective, caught)
        train(
            student,
            counting,
            Batches(examples, size, 0),
            device,
            train_batch_size=size,
            num_train_epochs=1,
        )
    steps = len(counting.before) - 2
    within = caught[counting.before[1] : counting.before[-1]]
    places = Counter(
        f"{'/'.join(Path(each.filename).parts[-2:])}:{each.lineno}"
        for each in within
        if WAIT in str(each.message)
    )
    return steps, places.total() / steps, places


def waits(args, device: Device) -> Iterator[Row]:
    """Yield for each kind of step how often it waits for the device, and where."""
    tokenizer, vocab_size = load_tokenizer(args.vocabulary), pieces(args)
    size, full = (4, 16) if args.quick else (32, 64)
    padded = random_rows(np.arange(8 * size) % (full // 2) + full // 2, len(tokenizer))
    same = random_rows(np.full(8 * size, full), len(tokenizer))
    labels = (np.arange(8 * size) % 2).astype(np.float32)
    targets = np.stack([labels, -labels], axis=1)

    def distilling(examples):
        teacher = base(vocab_size, args.quick)
        width = teacher.config.hidden_size
        student = tiny(vocab_size, args.quick, projection="per_layer", teacher_width=width)
        return student, Intermediate(student, teacher), examples

    def classifier():
        return tiny(vocab_size, args.quick, num_labels=2)

    def pretraining():
        masked = Masked(same, tokenizer, 0.15, 0)
        return tiny(vocab_size, args.quick, masked_lm=True), MaskedLm(), masked

    for what, made in {
        "3, rows of the same length": lambda: distilling(same),
        "4, padded rows": lambda: distilling(padded),
        "5, stored soft targets": lambda: (
            classifier(),
            Prediction(),
            replace(padded, soft_targets=targets),
        ),
        "5, with gold labels": lambda: (
            classifier(),
            Prediction(hard_labels=0.5),
            replace(padded, soft_targets=targets, labels=labels),
        ),
        "fine-tuning": lambda: (classifier(), Labels(), replace(padded, labels=labels)),
        "masked LM": pretraining,
    }.items():

        def counted(made=made) -> Row:
            steps, each, places = waits_of(*made(), size, device)
            where = ", ".join(f"{place} ({count})" for place, count in places.most_common())
            return {"steps": str(steps), "waits per step": f"{each:.2f}", "where": where}

        yield tried({"step": what}, counted)
