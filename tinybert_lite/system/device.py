"""The device and the precision to compute with, each with the reason it was chosen."""

import shutil
import statistics
import time
from dataclasses import dataclass

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.products import PACKED, rates

PRECISIONS = ("auto", "float32", "bf16", "fp16")
# On a CPU: narrower models gain little from bf16, since their products take a small part of a step
LEAST_WIDTH = 384
LEAST_GAIN = 1.5
LEAST_GAIN_OF_PACKING = 1.03  # of the frozen teacher's weights


@dataclass(frozen=True)
class Device:
    """A device by PyTorch's name and a precision by Accelerate's name, in which "no" is float32."""

    name: str
    precision: str
    reason: str
    packed: bool = False  # a frozen teacher's weights, for oneDNN

    @property
    def computes_in(self) -> str:
        """The precision, as `choose_device` takes it."""
        return "float32" if self.precision == "no" else self.precision

    @property
    def digits(self) -> str:
        """What the last digits of results depend on, besides the threads."""
        return self.computes_in + " packed" * (self.packed and self.precision == "no")

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def choose_device(wanted: str = "auto", precision: str = "auto", width: int = 0) -> Device:
    """Pick the device `auto | cpu | cuda | mps` and the precision `auto | float32 | bf16 | fp16`.

    width: of the widest model, 0 if unknown. auto is bf16 on a GPU that has it in hardware, and
    fp16 with dynamic loss scaling on other CUDA GPUs. On a CPU with a width of at least
    LEAST_WIDTH, products are measured: auto is bf16 if that is LEAST_GAIN times as fast as float32,
    else float32; a frozen teacher's weights are packed if that is faster. Raises UserError for an
    unknown name, and for a device or precision that this machine does not have.
    """
    import torch

    if wanted not in ("auto", "cpu", "cuda", "mps"):
        raise UserError(f"--device {wanted} is unknown: use auto, cpu, cuda or mps")
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision} is unknown: use {', '.join(PRECISIONS)}")
    name, why = _choose_name(wanted)
    cuda = name == "cuda"
    has = {
        "float32": True,
        "bf16": name == "cpu" or cuda and torch.cuda.is_bf16_supported(),
        "fp16": cuda,
    }
    measured, found = "", rates(width) if name == "cpu" and width >= LEAST_WIDTH else {}
    if precision == "auto" and found:
        gain = found["bf16"] / found["float32"]
        precision = "bf16" if gain >= LEAST_GAIN else "float32"
        measured = f", since bf16 was measured to be {gain:.1f} times as fast at width {width}"
    elif precision == "auto":
        in_hardware = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if in_hardware else "fp16" if cuda else "float32"
    if not has[precision]:
        raise UserError(
            f"--precision {precision}: {name} does not train in {precision}; use float32"
        )
    how = {
        "float32": "float32",
        "bf16": "bf16 with losses in float32",
        "fp16": "fp16 with losses in float32, scaled",
    }[precision]
    packed = found.get(f"{precision}{PACKED}", 0) > LEAST_GAIN_OF_PACKING * found.get(precision, 1)
    if packed and precision == "float32":
        measured += ", the teacher's products by oneDNN"
    accelerates = "no" if precision == "float32" else precision
    return Device(name, accelerates, f"{why}, {how}{measured}", packed)


def _choose_name(wanted: str) -> tuple[str, str]:
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "cuda" and not has_cuda:
        raise UserError(
            "--device cuda: this PyTorch sees no CUDA device; "
            "install a CUDA build of torch or use --device cpu"
        )
    if wanted == "mps" and not has_mps:
        raise UserError("--device mps: this PyTorch sees no Apple GPU; use --device cpu")
    if wanted in ("cpu", "mps"):
        return wanted, "asked for"
    if has_cuda:
        return "cuda", torch.cuda.get_device_name(0)
    if has_mps:
        ratio = _seconds_per_step("cpu") / _seconds_per_step("mps")
        if ratio > 1:
            return "mps", f"Apple GPU, measured at {ratio:.1f} times the CPU's speed"
        return "cpu", f"the Apple GPU was measured at {ratio:.1f} times the CPU's speed"
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        return "cpu", (
            "there is an NVIDIA card, but this torch was built without CUDA: "
            "reinstall torch with a CUDA build to use it"
        )
    return "cpu", "no GPU found"


def _seconds_per_step(device: str) -> float:
    """Median seconds of a small feed-forward step, (2048, 256), forward and backward."""
    import torch
    from torch import nn

    x = torch.randn(32 * 64, 256, device=device)
    net = nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256)).to(device)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        net(x).square().mean().backward()
        float(net[0].bias.grad.sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return statistics.median(times)
