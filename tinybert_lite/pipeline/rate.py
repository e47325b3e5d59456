"""How fast this machine is at a computation: measured with the run's own shapes."""

import time
from dataclasses import dataclass
from statistics import median

import torch

from tinybert_lite.pipeline.computation import Computation
from tinybert_lite.stages.settings import Training
from tinybert_lite.training.optimizer import make_optimizer

MOST = 6e9  # multiply-adds of a batch that is timed: about a tenth of a second on two CPU cores
SECONDS, CALLS = 0.15, 7  # a measurement ends after so much time, or so many calls


@dataclass(frozen=True)
class Rate:
    """A computation's speed. multiply_adds: per second · update: seconds of the optimizer's."""

    multiply_adds: float
    update: float = 0.0


def measure(computation: Computation, length: int, batch_size: int, each: int) -> Rate:
    """Time a computation on rows of `length` tokens.

    A batch has `batch_size` rows or, if that is more than `MOST`, fewer. each: the multiply-adds of
    one row.
    """
    rows = max(1, min(batch_size, int(MOST / max(1, each))))
    batch = computation.batch(rows, length)
    seconds = _median_seconds(lambda: computation.run(batch))
    update = _median_seconds(_update(computation)) if computation.trains else 0.0
    computation.model.zero_grad()
    return Rate(rows * each / seconds, update)


def _update(computation: Computation):
    """A function that does what the training loop does after the gradients."""
    model = computation.model
    optimizer = make_optimizer(model, Training(), torch.device(computation.device.name))

    def update():
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()

    return update


def _median_seconds(call) -> float:
    call()  # a warm-up
    times: list[float] = []
    while len(times) < CALLS and sum(times) < SECONDS:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)
