"""The doctor: every question answered, every failure with its cure in the same line."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest

from tests.makers.commands import call
from tinybert_lite import plots
from tinybert_lite.classroom import doctor
from tinybert_lite.system import device

NAMES = [check.name for check in doctor.CHECKS]


def look(name: str) -> doctor.Finding:
    return next(check for check in doctor.CHECKS if check.name == name)()


@pytest.fixture
def healthy(monkeypatch):
    """Only what the test breaks is broken, whatever this machine lacks."""
    monkeypatch.setattr(
        doctor,
        "CHECKS",
        tuple(
            doctor.Check(check.name, lambda root: (True, "fine"), check.cure)
            for check in doctor.CHECKS
        ),
    )
    return monkeypatch


def test_all_well_is_exit_code_0_and_a_line_for_each_question(healthy):
    ran = call("doctor")
    assert (ran.code, ran.out.splitlines()) == (0, [f"[ok] {name}: fine" for name in NAMES])


def test_one_thing_wrong_is_exit_code_1_and_one_line_with_its_cure(healthy):
    broken = doctor.Check("disk", lambda root: (False, "0.1 GB free"), "make room")
    healthy.setattr(doctor, "CHECKS", (*doctor.CHECKS, broken))
    ran = call("doctor")
    assert ran.code == 1 and ran.out.splitlines()[-1] == "[!!] disk: 0.1 GB free; make room"


def test_json_says_the_same(healthy):
    ran = call("doctor --json")
    found = json.loads(ran.out)
    assert ran.code == 0 and found["ok"] and [item["name"] for item in found["findings"]] == NAMES


@pytest.mark.parametrize(
    "error, line",
    [
        (
            OSError("DLL load failed\nwhile importing torch."),
            "[!!] disk: DLL load failed; make room",
        ),
        (ValueError(), "[!!] disk: ValueError; make room"),
        (
            ModuleNotFoundError("No module named 'numpy'"),
            f"[!!] disk: No module named 'numpy'; {doctor.INSTALL}",
        ),
    ],
    ids=["two lines", "no words", "a package is missing"],
)
def test_a_check_that_fails_itself_is_a_finding_of_one_line(error, line):
    def explode(root):
        raise error

    assert str(doctor.Check("disk", explode, "make room")()) == line


def test_without_a_single_package_it_still_answers_every_question():
    """As in a new virtual environment: -S leaves out what is installed."""
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "tinybert_lite.doctor"],
        cwd=doctor.COURSE,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    lines = ran.stdout.splitlines()
    assert (ran.returncode, ran.stderr) == (1, "") and [
        line[5:].split(":")[0] for line in lines
    ] == NAMES
    assert lines[0].startswith("[ok] Python") and all(
        line.startswith("[!!] ") and doctor.INSTALL in line for line in lines[1:]
    )


def python_too_old(patch):
    patch.setattr(platform, "python_version", lambda: "3.9.2")


def version_is(text):
    def break_it(patch):
        patch.setattr(importlib.metadata, "version", lambda name: text)

    return break_it


def not_installed(patch):
    def lost(name):
        raise importlib.metadata.PackageNotFoundError(name)

    patch.setattr(importlib.metadata, "version", lost)


def torch_broken(patch):
    def lost(*_):
        raise OSError("libtorch.so: cannot open shared object file")

    patch.setattr(doctor, "choose_device", lost)


def disk_full(patch):
    patch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1e8))


def memory_short(patch):
    import psutil

    patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5e8))


def kernel_elsewhere(patch):
    patch.setattr(doctor, "_is_this_python", lambda program: False)


def no_chinese_font(patch):
    patch.setattr(plots, "chinese_font", lambda: None)


def read_only(patch):
    def refused(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    patch.setattr(tempfile, "TemporaryFile", refused)


@pytest.mark.parametrize(
    "name, break_it, said, cure",
    [
        (
            "Python",
            python_too_old,
            "3.9.2, wanted at least 3.11 and below 3.14",
            "create the virtual environment again",
        ),
        ("torch", version_is("2.1.0"), "2.1.0, wanted", "pip install -e ."),
        ("transformers", version_is("4.57.0"), "4.57.0, wanted", "pip install -e ."),
        ("ipywidgets", not_installed, "not installed, wanted >=8.1", "pip install -e ."),
        ("device", torch_broken, "libtorch.so", "pip install -e ."),
        ("disk", disk_full, "0.1 GB free, wanted 3", "free some space"),
        ("memory", memory_short, "0.5 GB free, wanted 2", "close other programs"),
        (
            "kernel",
            kernel_elsewhere,
            f"no kernel runs {sys.executable}",
            "ipykernel install --user",
        ),
        ("Chinese font", no_chinese_font, "no installed font", "Noto Sans CJK"),
        ("workspace", read_only, "Permission denied", "--workspace"),
    ],
    ids=lambda value: value if isinstance(value, str) and value in NAMES else "",
)
def test_what_is_wrong_is_named_with_its_cure(name, break_it, said, cure, monkeypatch):
    if name not in ("Chinese font", "memory", "disk"):  # which this machine may lack
        assert look(name).ok, look(name)
    break_it(monkeypatch)
    line = str(look(name))
    assert line.startswith(f"[!!] {name}: ") and said in line and cure in line and "\n" not in line


def test_a_lost_data_file_and_a_lost_teacher_are_named(workspace):
    assert look("data").ok and look("teacher").ok
    (workspace / "SST-2/dev.tsv").unlink()
    (workspace / "teacher_model/pytorch_model.bin").unlink()
    assert "dev.tsv is missing; run `git restore" in str(look("data"))
    assert "no weights" in str(look("teacher")) and "teacher_model/" in str(look("teacher"))


def test_an_nvidia_card_without_cuda_says_so(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(device.shutil, "which", lambda program: f"/usr/bin/{program}")
    assert "reinstall torch with a CUDA build" in str(look("device"))


def test_nothing_is_left_behind_in_the_workspace(workspace):
    before = sorted(workspace.rglob("*"))
    call("doctor --json")
    assert sorted(workspace.rglob("*")) == before
