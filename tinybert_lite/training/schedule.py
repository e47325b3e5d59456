"""The one training loop: teacher growing and fine-tuning, general and task distillation all hand it an objective."""

from __future__ import annotations


def schedule(settings, step: int, total: int) -> float:
    """The learning rate's factor at a step: constant, or linear warm-up and then decay: linear to 0, or polynomial to `end_learning_rate`.

    Unlike Google's optimization.py the polynomial begins where the warm-up ends, not at step 0.
    """
    if settings.schedule == "constant":
        return 1.0
    warmup = settings.warmup_proportion * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = max(0.0, (total - step) / max(1.0, total - warmup))
    if settings.schedule == "linear":
        return left
    end = settings.end_learning_rate / settings.learning_rate
    return end + (1 - end) * left**settings.power
