"""Estimate what a run needs: seconds for each stage, memory, and disk space.

Seconds are counted work divided by measured rates. A row's multiply-adds and bytes are
counted in one pass at the mean length and taken as proportional to the number of tokens.
"""

import hashlib
import time
from dataclasses import dataclass

import psutil
import torch

from tinybert_lite.pipeline.rate import Rate, measure
from tinybert_lite.pipeline.run_computations import Computations
from tinybert_lite.pipeline.work import Passes, Work
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system import processes

BYTES_PER_PARAMETER = 4  # float32
TENSORS_PER_STATE = 3  # a saved state: the weights and the optimizer's two moments
COPIES_WHILE_SAVING = 3  # copies of a state in memory while it is written
BYTES_PER_LOADED_TOKEN = 12  # of rows that are kept in memory
REPORT_PICTURES_SECONDS = (
    5.0  # to draw the report's pictures; most of it is the import of matplotlib
)


@dataclass(frozen=True)
class Estimate:
    """What a run needs.

    seconds: by stage, and for the report · memory: bytes at the peak, with Python itself · disk:
    bytes that stay, and the saved states of one stage.
    """

    seconds: dict[str, float]
    memory: int
    disk: int


@dataclass(frozen=True)
class Measurement:
    """What was counted and measured of a computation, on rows of `length` tokens."""

    length: int
    max_length: int  # tokens for which the models have positions
    multiply_adds: int  # of one row
    bytes_per_row: int
    parameters: int
    teacher_parameters: int  # of the teacher of a training step, else 0
    trains: bool
    rate: Rate


class Estimator:
    """Count and measure each computation of a run once; only one is in memory at a time."""

    def __init__(self, computations: Computations):
        self.computations = computations
        self._measured: dict[str, Measurement] = {}

    def measured(self, passes: Passes) -> Measurement:
        """Count and measure the computation of these passes, if that was not done before."""
        name = passes.computation
        if name not in self._measured:
            one = self.computations.make(name)
            length = min(passes.length, one.max_length)
            each = one.multiply_adds(length)
            self._measured[name] = Measurement(
                length,
                one.max_length,
                each,
                one.bytes_per_row(length),
                one.parameters,
                one.teacher_parameters,
                one.trains,
                measure(one, length, passes.batch_size, each),
            )
        return self._measured[name]

    def multiply_adds(self, passes: Passes) -> float:
        """Return the multiply-adds of all rows of these passes; longer rows are cut."""
        found = self.measured(passes)
        share = min(passes.length, found.max_length) / found.length
        return passes.rows * found.multiply_adds * share

    def seconds(self, work: Work) -> float:
        """Return the seconds of a stage's passes, updates, texts and saved models.

        Several processes share the passes; the rate was measured by one of them.
        """
        total = 0.0
        for passes in work.passes:
            rate = self.measured(passes).rate
            batches = passes.updates or passes.rows / passes.batch_size
            total += self.multiply_adds(passes) / rate.multiply_adds_per_second
            total += batches * rate.seconds_per_batch
        total = work.text_seconds + total / processes.count()
        written = work.models_written + TENSORS_PER_STATE * work.states_written
        return total + written * BYTES_PER_PARAMETER * self.trained(work) / _bytes_per_second()

    def memory(self, work: Work, settings: Settings, name: str) -> float:
        """Return the bytes of memory that a stage needs, in addition to Python and its packages."""
        parts = getattr(getattr(settings, name, None), "gradient_accumulation_steps", 1)
        most = 0.0
        for passes in work.passes:
            found = self.measured(passes)
            rows = min(passes.rows, passes.batch_size / (parts if found.trains else 1))
            longest = min(passes.max_length, found.max_length)
            batch = rows * found.bytes_per_row * longest / found.length
            copies = 2 + 2 * found.trains  # gradients and two moments beside the weights
            if work.states_written and found.trains:
                copies += TENSORS_PER_STATE * COPIES_WHILE_SAVING
            models = BYTES_PER_PARAMETER * (copies * found.parameters + found.teacher_parameters)
            most = max(most, models + batch + BYTES_PER_LOADED_TOKEN * passes.rows * passes.length)
        return most

    def disk(self, work: Work, settings: Settings, name: str) -> tuple[float, float]:
        """Return the bytes that a stage leaves on the disk, and those of its saved states."""
        options, model = getattr(settings, name, None), BYTES_PER_PARAMETER * self.trained(work)
        states = min(work.states_written, getattr(options, "keep_last", 0))
        return work.text_bytes + work.models_kept * model, states * TENSORS_PER_STATE * model

    def trained(self, work: Work) -> int:
        """Return the number of parameters of the model that a stage trains; 0 without training."""
        found = map(self.measured, work.passes)
        return max((one.parameters for one in found if one.trains), default=0)


def estimate(works: dict[str, Work], computations: Computations, settings: Settings) -> Estimate:
    """Estimate what the stages of `works` need. The state of the random numbers is unchanged."""
    on_device = computations.device().name == "cuda"
    own = 0 if on_device else psutil.Process().memory_info().rss
    with torch.random.fork_rng():
        found = Estimator(computations)
        seconds = {name: found.seconds(work) for name, work in works.items()}
        memory = [found.memory(work, settings, name) for name, work in works.items()]
        disk = [found.disk(work, settings, name) for name, work in works.items()]
    if "report" in seconds:
        seconds["report"] += REPORT_PICTURES_SECONDS
    kept, states = sum(part[0] for part in disk), max((part[1] for part in disk), default=0)
    return Estimate(seconds, round(own + max(memory, default=0)), round(kept + states))


def free_memory(device: str) -> int:
    """Return the bytes of memory that a run can still use, on a CUDA device those of the device."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def _bytes_per_second() -> float:
    """Return the bytes per second of saving: three times the time of SHA-256, which is timed."""
    block = bytes(1 << 22)
    started = time.perf_counter()
    hashlib.sha256(block)
    return len(block) / 3 / (time.perf_counter() - started)
