"""Measure how fast a CPU computes matrix products, by each way we have; remember the results."""

import os
import platform
import statistics
import time
from contextlib import suppress
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json

ROWS, REPEATS = 1024, 7  # tokens in a product, and how often it is timed
PACKED = " packed"  # a way's name if oneDNN computes with packed weights


def rates(width: int) -> dict[str, float]:
    """Return the GFLOP/s of products in models of this width: "float32", "bf16", and both packed.

    The product is that of a feed-forward layer, (1024, width) times (width, 4 width); the ways take
    turns, medians of 7. A way that this PyTorch does not have is left out. The results are stored
    in the user's cache folder, for this processor, version of PyTorch and number of threads.
    """
    import torch

    key = f"{_processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {width}"
    path = _cache() / "products.json"
    try:
        known = read_json(path)
    except UserError:
        known = {}
    found = known.get(key)
    if not isinstance(found, dict) or not {"float32", "bf16"} <= found.keys():
        known[key] = _measured(width)
        with suppress(OSError, UserError):  # in a folder that cannot be written to
            write_json(path, known)
    return known[key]


def pack(weight, rows: int = ROWS):
    """Return a (out, in) float32 or bf16 weight in oneDNN's layout, for products of `rows` rows.

    The tensor can only be used by `packed_linear`; other numbers of rows are allowed.
    """
    import torch

    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def packed_operator():
    """Return the operator of `packed_linear`, None if this PyTorch does not have it."""
    import torch

    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def packed_linear(x, weight, bias=None):
    """Return x Wᵀ + b, (…, out), for x (…, in) in the weight's precision and a packed weight W.

    Equal to PyTorch's linear up to rounding in float32, and to the bit in bf16 on a CPU that
    computes it. The operator is the one that torch.compile uses for frozen models.
    """
    return packed_operator()(x, weight, bias, "none", [], "")


def _measured(width: int) -> dict[str, float]:
    import torch

    ways = {}
    for name, kind in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        x, weight = torch.ones(ROWS, width, dtype=kind), torch.ones(4 * width, width, dtype=kind)
        ways[name] = torch.nn.functional.linear, x, weight
        with suppress(AttributeError, RuntimeError, TypeError):  # a PyTorch without oneDNN
            packed = pack(weight)
            packed_linear(x, packed)
            ways[name + PACKED] = packed_linear, x, packed
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            for name, (product, *factors) in ways.items():
                started = time.perf_counter()
                product(*factors)
                seconds[name].append(time.perf_counter() - started)
    work = 2 * ROWS * width * 4 * width / 1e9
    return {name: round(work / statistics.median(times[1:]), 1) for name, times in seconds.items()}


def _processor() -> str:
    """Name the processor, with its instruction sets where Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.processor()} {platform.machine()}"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    instructions = sorted({word for line in lines for word in line.split() if "bf16" in word})
    return " ".join([*names, platform.machine(), *instructions])


def _cache() -> Path:
    """Return the folder for what is remembered about this machine."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinybert_lite"
