"""The machine: device and precision (each with its reason), threads, seeds, versions, and how errors are said."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

from tinybert_lite.system.errors import UserError


@dataclass(frozen=True)
class Device:
    """Where and how precisely to compute. `precision` is "no" (float32), "bf16" or "fp16", as Accelerate names them."""

    name: str
    precision: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def choose_device(wanted: str = "auto", precision: str = "auto") -> Device:
    """Pick `auto | cpu | cuda | mps` and `auto | float32 | bf16 | fp16`, and say why. Raises UserError for what is not there.

    auto is bf16 on a GPU that has it, fp16 with dynamic loss scaling on one that only imitates it, float32 elsewhere.
    """
    import torch

    if wanted not in ("auto", "cpu", "cuda", "mps"):
        raise UserError(f"--device {wanted} is unknown: use auto, cpu, cuda or mps")
    if precision not in PRECISIONS:
        raise UserError(f"--precision {precision} is unknown: use {', '.join(PRECISIONS)}")
    name, why = _choose_name(wanted)
    has = {
        "float32": True,
        "bf16": name == "cpu" or name == "cuda" and torch.cuda.is_bf16_supported(),
        "fp16": name == "cuda",
    }
    if precision == "auto":
        bf16_in_hardware = name == "cuda" and torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        precision = "bf16" if bf16_in_hardware else "fp16" if name == "cuda" else "float32"
    if not has[precision]:
        raise UserError(
            f"--precision {precision}: {name} does not train in {precision}; use float32"
        )
    how = {
        "float32": "float32",
        "bf16": "bf16 with losses in float32",
        "fp16": "fp16 with losses in float32, scaled",
    }[precision]
    return Device(name, "no" if precision == "float32" else precision, f"{why}, {how}")


PRECISIONS = ("auto", "float32", "bf16", "fp16")


def _choose_name(wanted: str) -> tuple[str, str]:
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "cuda" and not has_cuda:
        raise UserError(
            "--device cuda: this PyTorch sees no CUDA device; install a CUDA build of torch or use --device cpu"
        )
    if wanted == "mps" and not has_mps:
        raise UserError("--device mps: this PyTorch sees no Apple GPU; use --device cpu")
    if wanted in ("cpu", "mps"):
        return wanted, "asked for"
    if has_cuda:
        return "cuda", torch.cuda.get_device_name(0)
    if has_mps:
        ratio = _seconds_a_step("cpu") / _seconds_a_step("mps")
        return (
            ("mps", f"Apple GPU, measured {ratio:.1f} x the CPU's speed")
            if ratio > 1
            else ("cpu", f"the Apple GPU was measured at {ratio:.1f} x the CPU's speed")
        )
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        return "cpu", (
            "there is an NVIDIA card, but this torch was built without CUDA: reinstall torch with a CUDA build to use it"
        )
    return "cpu", "no GPU found"


def _seconds_a_step(device: str) -> float:
    """Median time of one small transformer-like step (32 x 64 tokens, width 256), forward and backward."""
    import torch

    x = torch.randn(32 * 64, 256, device=device)
    net = torch.nn.Sequential(
        torch.nn.Linear(256, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 256)
    ).to(device)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        net(x).square().mean().backward()
        float(net[0].bias.grad.sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return sorted(times)[3]
