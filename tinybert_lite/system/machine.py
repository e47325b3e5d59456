"""The machine: CPU threads, seeds, versions of packages."""

import os
import platform
import random
from importlib.metadata import PackageNotFoundError, version


def set_threads(threads: int) -> int:
    """Use this many CPU threads (0: PyTorch's choice) and return their number.

    Results are identical bit for bit only with the same number of threads.
    """
    import torch

    if threads > 0:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's random numbers."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "accelerate", "numpy", "tinybert-lite"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> str:
    """Describe the operating system, the processor type and the number of logical CPUs."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} logical CPUs"
