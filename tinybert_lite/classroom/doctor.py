"""Is this computer ready for the course? A line for each question, with its cure where something is wrong.

python -m tinybert_lite.doctor
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinybert_lite.system.device import choose_device

# Whatever else is imported is imported inside a check, for it may be what is missing.
COURSE = Path(__file__).resolve().parents[2]
PYPROJECT = COURSE / "pyproject.toml"
INSTALL = f"run `python -m pip install -e .` in {COURSE}"
PACKAGES = ("torch", "transformers", "accelerate", "jupyterlab", "ipywidgets")
DISK, MEMORY = 3e9, 2e9  # bytes that the classroom profile wants free
NOTEBOOKS_KERNEL = "python3"  # the one that the saved notebooks ask for


@dataclass(frozen=True)
class Finding:
    name: str
    ok: bool
    said: str
    cure: str

    def __str__(self) -> str:
        return (
            f"[ok] {self.name}: {self.said}"
            if self.ok
            else f"[!!] {self.name}: {self.said}; {self.cure}"
        )


@dataclass(frozen=True)
class Check:
    """`look(root)` returns whether all is well and what was seen; raising counts as not well."""

    name: str
    look: Callable[[str | Path | None], tuple[bool, str]]
    cure: str

    def __call__(self, root: str | Path | None = None) -> Finding:
        try:
            return Finding(self.name, *self.look(root), self.cure)
        except Exception as error:
            said = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            return Finding(
                self.name, False, said, INSTALL if isinstance(error, ImportError) else self.cure
            )


def python_in_range(root) -> tuple[bool, str]:
    """By hand, for a Python that is too old cannot read TOML."""
    now = platform.python_version()
    lowest, above = re.search(
        r'requires-python = ">=([\d.]+),<([\d.]+)"', PYPROJECT.read_text(encoding="utf-8")
    ).groups()
    older, newer = ([int(part) for part in version.split(".")[:2]] for version in (lowest, above))
    return older <= [
        int(part) for part in now.split(".")[:2]
    ] < newer, f"{now}, wanted at least {lowest} and below {above}"


def package_in_range(name: str, root) -> tuple[bool, str]:
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


def kernel(root) -> tuple[bool, str]:
    from jupyter_client.kernelspec import KernelSpecManager

    ours = [
        name
        for name, found in KernelSpecManager().get_all_specs().items()
        if _is_this_python(found["spec"]["argv"][0])
    ]
    if NOTEBOOKS_KERNEL in ours:
        return True, f"{NOTEBOOKS_KERNEL} runs this Python"
    return (
        bool(ours),
        f"choose {ours[0]} in the notebook's kernel menu"
        if ours
        else f"no kernel runs {sys.executable}",
    )


def _is_this_python(program: str) -> bool:
    """A bare `python` is what Jupyter itself runs in. Folders are compared, as a virtual environment's python is a link."""
    return (
        program in ("python", "python3")
        or Path(program).parent.resolve() == Path(sys.executable).parent.resolve()
    )


def chinese_letters(root) -> tuple[bool, str]:
    from tinybert_lite.plots.fonts import chinese_font

    found = chinese_font()
    return found is not None, found or "no installed font has Chinese letters"


def _standing(root) -> Path:
    """The workspace, or the nearest folder above it that is there already."""
    from tinybert_lite.pipeline.workspace import Workspace

    place = Workspace.find(root).root
    return next(folder for folder in (place, *place.parents) if folder.exists())


def writable(root) -> tuple[bool, str]:
    with tempfile.TemporaryFile(dir=_standing(root)):
        return True, f"{_standing(root)} can be written"


def data(root) -> tuple[bool, str]:
    from tinybert_lite.pipeline.workspace import Workspace

    workspace = Workspace.find(root)
    lost = [
        path
        for path in (*workspace.task_files.values(), workspace.corpus, workspace.vectors)
        if not path.is_file()
    ]
    return (
        not lost,
        f"{lost[0]} is missing" if lost else f"{workspace.data_dir} and {workspace.corpus.parent}",
    )


def teacher(root) -> tuple[bool, str]:
    from tinybert_lite.pipeline.workspace import Workspace

    folder = Workspace.find(root).teacher
    found = folder.weights_file is not None
    return found, f"{folder}" if found else f"{folder} holds no weights"


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
        f"run `git restore teacher_model` in {COURSE}, or put a BERT into teacher_model/ (`python -m tinybert_lite.download bert-base-uncased`)",
    ),
)
CHECKS = (
    Check(
        "Python", python_in_range, "make the virtual environment again with a Python in that range"
    ),
    *(Check(name, partial(package_in_range, name), INSTALL) for name in PACKAGES),
    Check("device", device, INSTALL),
    Check("disk", disk, "make room, or name a folder on another disk with --workspace"),
    Check("memory", memory, "close other programs and other notebooks' kernels"),
    Check(
        "kernel",
        kernel,
        f"run `{Path(sys.executable).name} -m ipykernel install --user --name tinybert-lite` and choose tinybert-lite in the notebook",
    ),
    Check(
        "Chinese font",
        chinese_letters,
        "install one, such as Noto Sans CJK, and delete matplotlib's font cache; until then Chinese labels show boxes",
    ),
    *PLACES,
)
