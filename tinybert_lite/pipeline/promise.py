"""What a run will need: seconds for each stage, memory, and disk space.

Counted work over measured rates. A row's multiply-adds and bytes are counted in one pass at the
mean length and taken as proportional to the number of tokens.
"""

import hashlib
import time
from dataclasses import dataclass

import psutil
import torch

from tinybert_lite.pipeline.computations import Computations
from tinybert_lite.pipeline.rate import Rate, measure
from tinybert_lite.pipeline.work import Passes, Work
from tinybert_lite.stages.settings import Settings

FLOAT = 4  # bytes of a parameter
STATE = 3  # a saved state: the weights and the optimizer's two moments
COPIES = 3  # of a state in memory, while it is written
TOKEN = 12  # bytes of a token of the rows that are held in memory
PICTURES = 5.0  # seconds to draw the report's pictures, most of them to import matplotlib


@dataclass(frozen=True)
class Promise:
    """What a run needs. seconds: by stage, also of the report · memory, disk: bytes at most."""

    seconds: dict[str, float]
    memory: int
    disk: int


@dataclass(frozen=True)
class Known:
    """What was counted and measured of a computation, at rows of `length` tokens.

    most: tokens that the models have positions for · multiply_adds, bytes: of one row · parameters:
    of the model · beside: of the teacher of a training step."""

    length: int
    most: int
    multiply_adds: int
    bytes: int
    parameters: int
    beside: int
    trains: bool
    rate: Rate


class Promising:
    """Counts and measures each of a run's computations once; no more than one is in memory."""

    def __init__(self, computations: Computations):
        self.computations = computations
        self._known: dict[str, Known] = {}

    def known(self, passes: Passes) -> Known:
        """Count and measure the computation of these passes, if that was not done before."""
        name = passes.computation
        if name not in self._known:
            one = self.computations[name]
            length = min(passes.length, one.most)
            each = one.multiply_adds(length)
            self._known[name] = Known(
                length,
                one.most,
                each,
                one.bytes_per_row(length),
                one.parameters,
                one.beside,
                one.trains,
                measure(one, length, passes.batch_size, each),
            )
        return self._known[name]

    def multiply_adds(self, passes: Passes) -> float:
        """Return the multiply-adds of all rows of these passes; longer rows are cut."""
        known = self.known(passes)
        share = min(passes.length, known.most) / known.length
        return passes.rows * known.multiply_adds * share

    def seconds(self, work: Work) -> float:
        """Return the seconds of a stage's passes, updates, texts and saved models."""
        total = work.text_seconds
        for passes in work.passes:
            rate = self.known(passes).rate
            batches = passes.updates or passes.rows / passes.batch_size
            total += self.multiply_adds(passes) / rate.multiply_adds + batches * rate.batch
        written = FLOAT * self.trained(work) * (work.models + STATE * work.states)
        return total + written / _bytes_per_second()

    def memory(self, work: Work, settings: Settings, name: str) -> float:
        """Return the bytes that a stage needs at once, beside Python and its packages."""
        parts = getattr(getattr(settings, name, None), "gradient_accumulation_steps", 1)
        most = 0.0
        for passes in work.passes:
            known = self.known(passes)
            rows = min(passes.rows, passes.batch_size / (parts if known.trains else 1))
            batch = rows * known.bytes * min(passes.longest, known.most) / known.length
            copies = 2 + 2 * known.trains  # gradients and two moments beside the weights
            copies += STATE * COPIES * bool(work.states and known.trains)
            models = FLOAT * (copies * known.parameters + known.beside)
            most = max(most, models + batch + TOKEN * passes.rows * passes.length)
        return most

    def disk(self, work: Work, settings: Settings, name: str) -> tuple[float, float]:
        """Return the bytes that a stage leaves on the disk, and those of its saved states."""
        options, model = getattr(settings, name, None), FLOAT * self.trained(work)
        states = min(work.states, getattr(options, "keep_last", 0)) * STATE * model
        return work.text_bytes + work.kept * model, states

    def trained(self, work: Work) -> int:
        """Return the number of parameters of the model that a stage trains; 0 without training."""
        found = map(self.known, work.passes)
        return max((known.parameters for known in found if known.trains), default=0)


def promise(works: dict[str, Work], computations: Computations, settings: Settings) -> Promise:
    """Foresee what stages need, by name. Random numbers are left as they were."""
    on_device = computations.device.name == "cuda"
    own = 0 if on_device else psutil.Process().memory_info().rss
    with torch.random.fork_rng():
        found = Promising(computations)
        seconds = {name: found.seconds(work) for name, work in works.items()}
        memory = [found.memory(work, settings, name) for name, work in works.items()]
        disk = [found.disk(work, settings, name) for name, work in works.items()]
    if "report" in seconds:
        seconds["report"] += PICTURES
    kept, states = (sum(part[0] for part in disk), max((part[1] for part in disk), default=0))
    return Promise(seconds, round(own + max(memory, default=0)), round(kept + states))


def free_memory(device: str) -> int:
    """Return the bytes of memory that a run can still use, on a CUDA device those of the device."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def _bytes_per_second() -> float:
    """The speed of saving: each byte is copied, hashed and written, about three times a hash."""
    block = bytes(1 << 22)
    started = time.perf_counter()
    hashlib.sha256(block)
    return len(block) / 3 / (time.perf_counter() - started)
