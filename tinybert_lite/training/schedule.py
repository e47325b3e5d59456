"""The steps of each epoch, and the schedule of the learning rate over all steps."""

import math
from collections.abc import Callable
from itertools import accumulate


def epoch_bounds(settings, steps: Callable[[int], int]) -> list[int]:
    """Return the number of optimizer steps before each epoch and, last, of the complete run.

    `steps(epoch)` is the number of steps in a full epoch. If `num_train_epochs` is not an integer,
    the last epoch is cut to its fraction.
    """
    epochs, most = settings.num_train_epochs, settings.max_steps or math.inf
    lengths = (math.ceil(steps(n) * min(1, epochs - n)) for n in range(math.ceil(epochs)))
    return [min(most, bound) for bound in accumulate(lengths, initial=0)]


def schedule(settings, step: int, total: int) -> float:
    """Return the factor of the learning rate at `step` (from 0) of `total` steps.

    The factor is 1 (constant), or has a linear warm-up and then a decay: linear to 0, or polynomial
    to `end_learning_rate`.
    Unlike in Google's optimization.py the polynomial begins where the warm-up ends, not at step 0.
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
