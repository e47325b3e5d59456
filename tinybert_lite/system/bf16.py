"""Measure whether a CPU computes in bf16 faster than in float32; remember it for this machine."""

import os
import platform
import statistics
import time
from contextlib import suppress
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json

ROWS, REPEATS = 1024, 7  # tokens in a product, and how often it is timed


def gain(width: int) -> float:
    """Return how many times as fast as float32 bf16 is, in products of models of this width.

    The product is that of a feed-forward layer, (1024, width) times (width, 4 width), in turns,
    medians of 7. The result is stored in the user's cache folder, for this processor, version of
    PyTorch and number of threads.
    """
    import torch

    key = f"{_processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {width}"
    path = _cache() / "bf16.json"
    try:
        known = read_json(path)
    except UserError:
        known = {}
    if not isinstance(known.get(key), float):
        known[key] = round(_measured(width), 2)
        with suppress(OSError, UserError):  # in a folder that cannot be written to
            write_json(path, known)
    return known[key]


def _measured(width: int) -> float:
    import torch

    x, weight = torch.ones(ROWS, width), torch.ones(4 * width, width)
    kinds = (torch.float32, torch.bfloat16)
    pairs = [(x.to(kind), weight.to(kind)) for kind in kinds]
    seconds: list[list[float]] = [[], []]
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            for pair, times in zip(pairs, seconds):
                started = time.perf_counter()
                torch.nn.functional.linear(*pair)
                times.append(time.perf_counter() - started)
    float32, bf16 = (statistics.median(times[1:]) for times in seconds)
    return float32 / bf16


def _processor() -> str:
    """Name the processor, with its instruction sets where Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    instructions = sorted({word for line in lines for word in line.split() if "bf16" in word})
    return " ".join([*names, platform.machine(), *instructions])


def _cache() -> Path:
    """Return the folder for what is remembered about this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinybert_lite"
