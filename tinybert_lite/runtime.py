"""The machine: device and precision (each with its reason), threads, seeds, versions, and how errors are said."""

from __future__ import annotations

import errno
import functools
import os
import platform
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from tinybert_lite import processes


class UserError(Exception):
    """A mistake that the user can mend: one sentence with what, where and the cure. Commands exit with code 2."""


def say(text: str) -> None:
    if processes.is_main():
        print(text, flush=True)


def remark(text: str) -> None:
    """A remark that must not mix with what a command prints for machines."""
    if processes.is_main():
        print(text, file=sys.stderr, flush=True)


def command(main):
    """Turn a `main(argv)` into a command: a UserError becomes one line and exit code 2, Ctrl-C exit code 130, a reader of the
    output that has enough, as `| head`, exit code 141."""

    @functools.wraps(main)
    def wrapped(argv=None) -> int:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a console that cannot show a letter shows ?
        try:
            return main(sys.argv[1:] if argv is None else list(argv)) or 0
        except UserError as error:
            remark(f"error: {error}")
            return 2
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain once more at its end
            return 128 + 13  # as a shell says of SIGPIPE
        except OSError as error:
            remark(f"error: {what_failed(error)}")
            return 2
        except KeyboardInterrupt:
            remark("stopped; the same command goes on from the last saved step")
            return 130
        finally:
            processes.leave()

    return wrapped


def what_failed(error: OSError) -> str:
    """A file system's refusal as one sentence."""
    place = error.filename2 or error.filename or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}: the disk is full; make room and run the same command again, which goes on from the last saved state"
    if error.errno == errno.EROFS:
        return f"{place}: the file system is read-only; name an output folder that can be written"
    return f"{place}: {error.strerror or error}; mend the path or the permissions"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, or a notebook's "interrupt kernel", as a question to ask after each step; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[bool] = []

    def note(number, frame) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def need_one_process(cure: str) -> None:
    """Raise UserError under torchrun, for what is not done by several processes."""
    if processes.count() > 1:
        raise UserError(f"this command runs in one process, and {processes.count()} were started: {cure}")


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
    has = {"float32": True, "bf16": name == "cpu" or name == "cuda" and torch.cuda.is_bf16_supported(), "fp16": name == "cuda"}
    if precision == "auto":
        bf16_in_hardware = name == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if bf16_in_hardware else "fp16" if name == "cuda" else "float32"
    if not has[precision]:
        raise UserError(f"--precision {precision}: {name} does not train in {precision}; use float32")
    how = {"float32": "float32", "bf16": "bf16 with losses in float32", "fp16": "fp16 with losses in float32, scaled"}[precision]
    return Device(name, "no" if precision == "float32" else precision, f"{why}, {how}")


PRECISIONS = ("auto", "float32", "bf16", "fp16")


def _choose_name(wanted: str) -> tuple[str, str]:
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "cuda" and not has_cuda:
        raise UserError("--device cuda: this PyTorch sees no CUDA device; install a CUDA build of torch or use --device cpu")
    if wanted == "mps" and not has_mps:
        raise UserError("--device mps: this PyTorch sees no Apple GPU; use --device cpu")
    if wanted in ("cpu", "mps"):
        return wanted, "asked for"
    if has_cuda:
        return "cuda", torch.cuda.get_device_name(0)
    if has_mps:
        ratio = _seconds_a_step("cpu") / _seconds_a_step("mps")
        return ("mps", f"Apple GPU, measured {ratio:.1f} x the CPU's speed") if ratio > 1 else (
            "cpu", f"the Apple GPU was measured at {ratio:.1f} x the CPU's speed")
    if shutil.which("nvidia-smi") and torch.version.cuda is None:
        return "cpu", ("there is an NVIDIA card, but this torch was built without CUDA: reinstall torch with a CUDA build to use it")
    return "cpu", "no GPU found"


def _seconds_a_step(device: str) -> float:
    """Median time of one small transformer-like step (32 x 64 tokens, width 256), forward and backward."""
    import torch

    x = torch.randn(32 * 64, 256, device=device)
    net = torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 256)).to(device)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        net(x).square().mean().backward()
        float(net[0].bias.grad.sum())  # waits for the device
        times.append(time.perf_counter() - start)
    return sorted(times)[3]


def set_threads(threads: int) -> int:
    """Use so many CPU threads (0: what PyTorch chose). Results are bit-identical only for one thread count."""
    import torch

    if threads > 0:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def seed_everything(seed: int) -> None:
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "accelerate", "numpy", "tinybert-lite"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def in_parallel(function, arguments, workers: int):
    """`function(*args)` for each of `arguments`, by several processes; results come as they are done, in order."""
    import warnings

    from joblib import Parallel, delayed

    warnings.filterwarnings("ignore", "[0-9]+ tasks which were still being processed", UserWarning)  # after Ctrl-C
    return Parallel(workers, batch_size=1, return_as="generator")(delayed(function)(*args) for args in arguments)


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical CPUs"


def progress(iterable, what: str, total: int | None = None, tell: Callable[[str], None] = say):
    """A tqdm bar in a terminal; elsewhere a plain line now and then (told with `say`, or `remark`), which leaves nothing behind in a saved notebook."""
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty() and processes.is_main()
    bar = tqdm(iterable, desc=what, total=total, leave=False, disable=not in_terminal)
    return bar if in_terminal or iterable is None else _with_lines(iterable, what, total, tell)


def _with_lines(iterable, what: str, total: int | None, tell: Callable[[str], None], seconds: float = 10):
    said = time.perf_counter()
    for number, item in enumerate(iterable, 1):
        yield item
        if time.perf_counter() - said > seconds:
            said = time.perf_counter()
            tell(f"{what}: {number}{f' of {total}' if total else ''}")
