"""Check whether this computer is ready for the course, and say how to fix each problem.

python -m tinybert_lite.doctor

The module itself imports only the standard library. Each check imports the packages that it needs,
since they may be missing.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinybert_lite import WAIT_POLICY
from tinybert_lite.system.device import choose_device

COURSE = Path(__file__).resolve().parents[2]
PYPROJECT = COURSE / "pyproject.toml"
INSTALL = f"run `python -m pip install -e .` in {COURSE}"
PACKAGES = ("torch", "transformers", "accelerate", "jupyterlab", "ipywidgets")
DISK, MEMORY = 3e9, 2e9  # free bytes that the classroom profile needs
NOTEBOOKS_KERNEL = "python3"  # the kernel named in the saved notebooks


@dataclass(frozen=True)
class Finding:
    """The result of a check. said: what was found · cure: how to fix it, used if it is not ok."""

    name: str
    ok: bool
    said: str
    cure: str

    def __str__(self) -> str:
        if self.ok:
            return f"[ok] {self.name}: {self.said}"
        return f"[!!] {self.name}: {self.said}; {self.cure}"


@dataclass(frozen=True)
class Check:
    """One check: `look(root)` returns (ok, what was found); an exception counts as not ok.

    root: the workspace, None for the default one.
    """

    name: str
    look: Callable[[str | Path | None], tuple[bool, str]]
    cure: str

    def __call__(self, root: str | Path | None = None) -> Finding:
        try:
            return Finding(self.name, *self.look(root), self.cure)
        except Exception as error:
            said = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            cure = INSTALL if isinstance(error, ImportError) else self.cure
            return Finding(self.name, False, said, cure)


def python_in_range(root) -> tuple[bool, str]:
    """Compare with pyproject.toml, read by a regular expression: old Pythons cannot read TOML."""
    now, text = platform.python_version(), PYPROJECT.read_text(encoding="utf-8")
    lowest, above = re.search(r'requires-python = ">=([\d.]+),<([\d.]+)"', text).groups()
    low, this, high = (
        [int(part) for part in version.split(".")[:2]] for version in (lowest, now, above)
    )
    return low <= this < high, f"{now}, wanted at least {lowest} and below {above}"


def package_in_range(name: str, root) -> tuple[bool, str]:
    """Compare a package's version with pyproject.toml."""
    import tomllib
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    needed = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = next(found.specifier for found in map(Requirement, needed) if found.name == name)
    try:
        now = version(name)
    except PackageNotFoundError:
        return False, f"not installed, wanted {wanted}"
    return wanted.contains(now, prereleases=True), f"{now}, wanted {wanted}"


def device(root) -> tuple[bool, str]:
    return True, str(choose_device())


def disk(root) -> tuple[bool, str]:
    free = shutil.disk_usage(_standing(root)).free
    return free >= DISK, f"{free / 1e9:.1f} GB free, wanted {DISK / 1e9:.0f}"


def memory(root) -> tuple[bool, str]:
    import psutil

    free = psutil.virtual_memory().available
    return free >= MEMORY, f"{free / 1e9:.1f} GB free, wanted {MEMORY / 1e9:.0f}"


def threads(root) -> tuple[bool, str]:
    """Report the number of threads, and what to set where people share a machine."""
    import torch

    said = f"{torch.get_num_threads()} on {os.cpu_count()} logical CPUs"
    if WAIT_POLICY.upper() == "PASSIVE":
        return True, f"{said}, which wait passively in notebooks too"
    return True, (
        f"{said}; on a machine that several people or notebooks share, start Jupyter with "
        "OMP_WAIT_POLICY=PASSIVE and OMP_NUM_THREADS=N, N cores per person"
    )


def kernel(root) -> tuple[bool, str]:
    from jupyter_client.kernelspec import KernelSpecManager

    found = KernelSpecManager().get_all_specs().items()
    ours = [name for name, kernel in found if _is_this_python(kernel["spec"]["argv"][0])]
    if NOTEBOOKS_KERNEL in ours:
        return True, f"{NOTEBOOKS_KERNEL} runs this Python"
    if ours:
        return True, f"choose {ours[0]} in the notebook's kernel menu"
    return False, f"no kernel runs {sys.executable}"


def _is_this_python(program: str) -> bool:
    """Whether a kernel's program is the Python of this process.

    The name `python` without a folder means the Python that runs Jupyter. Otherwise folders are
    compared, since the python of a virtual environment is a link.
    """
    here, there = (Path(path).parent.resolve() for path in (sys.executable, program))
    return program in ("python", "python3") or here == there


def chinese_letters(root) -> tuple[bool, str]:
    from tinybert_lite.plots.fonts import chinese_font

    found = chinese_font()
    return found is not None, found or "no installed font has Chinese characters"


def _standing(root) -> Path:
    """Return the workspace, or the nearest folder above it that exists."""
    place = _workspace(root).root
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _workspace(root):
    from tinybert_lite.pipeline.workspace import Workspace

    return Workspace.find(root)


def writable(root) -> tuple[bool, str]:
    place = _standing(root)
    with tempfile.TemporaryFile(dir=place):
        return True, f"{place} is writable"


def data(root) -> tuple[bool, str]:
    from tinybert_lite.data.split_files import has_rows

    workspace = _workspace(root)
    for path in (*workspace.task_files.values(), workspace.corpus, workspace.vectors):
        if not has_rows(path):
            return False, f"{path} is missing"
    return True, f"{workspace.data_dir} and {workspace.corpus.parent}"


def teacher(root) -> tuple[bool, str]:
    folder = _workspace(root).teacher
    if folder.weights_file:
        return True, str(folder)
    return False, f"{folder} has no weights"


PLACES = (
    Check(
        "workspace", writable, "name a folder of your own with --workspace or TINYBERT_WORKSPACE"
    ),
    Check(
        "data",
        data,
        f"run `git restore SST-2 1_pre_data` in {COURSE}, or download the course again",
    ),
    Check(
        "teacher",
        teacher,
        f"run `git restore teacher_model` in {COURSE}, or put a BERT into teacher_model/ "
        "(`python -m tinybert_lite.download bert-base-uncased`)",
    ),
)
CHECKS = (
    Check(
        "Python",
        python_in_range,
        "create the virtual environment again with a Python in that range",
    ),
    *(Check(name, partial(package_in_range, name), INSTALL) for name in PACKAGES),
    Check("device", device, INSTALL),
    Check("disk", disk, "free some space, or name a folder on another disk with --workspace"),
    Check("memory", memory, "close other programs and other notebooks' kernels"),
    Check("threads", threads, INSTALL),
    Check(
        "kernel",
        kernel,
        f"run `{Path(sys.executable).name} -m ipykernel install --user --name tinybert-lite` "
        "and choose tinybert-lite in the notebook",
    ),
    Check(
        "Chinese font",
        chinese_letters,
        "install one, such as Noto Sans CJK, and delete matplotlib's font cache; "
        "until then Chinese labels are drawn as boxes",
    ),
    *PLACES,
)
