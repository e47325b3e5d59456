"""Measure the speed of a computation on this machine, with the models' and batches' real sizes."""

import time
from dataclasses import dataclass
from statistics import median

import torch

from tinybert_lite.pipeline.timed_computation import Computation
from tinybert_lite.stages.settings import Training
from tinybert_lite.training.optimizer import make_optimizer

MOST_MULTIPLY_ADDS = 2.4e10  # of a batch that is timed: half a second on two CPU cores
MEASURING_SECONDS, MEASURING_CALLS = 0.15, 7  # a measurement ends at either
# At least this share of a batch's time is counted per row, whatever the two timings give
LEAST_SHARE_OF_ROWS = 0.6


@dataclass(frozen=True)
class Rate:
    """A computation's speed."""

    multiply_adds_per_second: float
    seconds_per_batch: float = 0.0  # in addition to the rows, such as the optimizer's update


def measure(computation: Computation, length: int, batch_size: int, row_multiply_adds: int) -> Rate:
    """Time a computation on rows of `length` tokens.

    A batch of more than `MOST_MULTIPLY_ADDS` is not timed. Two smaller batches are, and the times
    per row and per batch are computed from them.
    """
    computation.prepare()
    rows = max(1, min(batch_size, int(MOST_MULTIPLY_ADDS / max(1, row_multiply_adds))))
    seconds = _seconds(computation, rows, length)
    per_row, per_batch = seconds / rows, 0.0
    if 4 <= rows < batch_size:
        fewer = rows // 4
        per_row = (seconds - _seconds(computation, fewer, length)) / (rows - fewer)
        per_row = min(max(per_row, LEAST_SHARE_OF_ROWS * seconds / rows), seconds / rows)
        per_batch = seconds - rows * per_row
    if computation.trains:
        per_batch += _median_seconds(_update(computation))
    computation.model.zero_grad()
    return Rate(row_multiply_adds / per_row, per_batch)


def _seconds(computation: Computation, rows: int, length: int) -> float:
    batch = computation.batch(rows, length)

    def call():
        computation.model.zero_grad()
        computation.run(batch)

    return _median_seconds(call)


def _update(computation: Computation):
    """Return a function that does what the training loop does after the backward pass."""
    model = computation.model
    optimizer = make_optimizer(model, Training(), torch.device(computation.device.name))

    def update():
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()

    return update


def _median_seconds(call) -> float:
    """Return the median over several calls, without the first, which allocates memory."""
    times: list[float] = []
    while len(times) < 2 or len(times) < MEASURING_CALLS and sum(times) < MEASURING_SECONDS:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times[1:])
