"""A full or read-only disk: one sentence, no half file under a final name, and the run resumes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.fault_harness import SETTINGS, STAGES, outcome, reads
from tinybert_lite.system.command import command
from tinybert_lite.system.files import write_atomically


def mount(*options: str) -> bool:
    return (
        shutil.which("mount") is not None
        and subprocess.run(["mount", *options], capture_output=True).returncode == 0
    )


@pytest.fixture(scope="module")
def may_mount(tmp_path_factory):
    place = tmp_path_factory.mktemp("mount")
    if sys.platform != "linux" or not mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)):
        pytest.skip("mounting a file system is not allowed here")
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def disk(tmp_path, may_mount):
    """A function that gives the file system at its folder a size or other options."""
    place = tmp_path / "disk"
    place.mkdir()
    assert mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place))
    yield lambda options: mount("-o", f"remount,{options}", str(place)) and place
    subprocess.run(["umount", place], check=True)


def run(name: str, root: Path, folder: Path, capsys) -> tuple[int, str]:
    """Exit code of the stage as a command, and what it said in the end."""
    capsys.readouterr()
    code = command(lambda argv: STAGES[name].execute(reads(name, root), folder, SETTINGS) and 0)([])
    said = capsys.readouterr().err.splitlines()
    assert not any("Traceback" in line for line in said)
    return code, said[-1] if said else ""


def assert_all_whole(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix == ".bin":
            torch.load(path, weights_only=True)
        elif path.name.endswith(".json") and not path.name.startswith("epoch_"):
            json.loads(path.read_text(encoding="utf-8"))
        elif path.name.startswith("epoch_") and path.suffix == ".json":
            assert path.read_bytes().endswith(b"\n")
        assert path.name != "aug.tsv"


@pytest.mark.parametrize("name", STAGES)
def test_a_full_disk_is_one_sentence_and_the_run_resumes_when_there_is_room(
    name, root, disk, tmp_path, capsys
):
    assert run(name, root, tmp_path / "whole", capsys)[0] == 0
    needed = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    failures = 0
    for share in (0.3, 0.7, 0.95):
        folder = disk(f"size={max(2, int(needed * share) // 4096) * 4096}") / f"{share}"
        code, said = run(name, root, folder, capsys)
        if code:
            failures += 1
            assert (
                code == 2
                and said.startswith("error: ")
                and "the disk is full; free some space" in said
            ), said
            assert_all_whole(folder)
        disk("size=64m")
        assert run(name, root, folder, capsys)[0] == 0
        assert outcome(folder) == outcome(tmp_path / "whole")
        shutil.rmtree(folder)
    assert failures


@pytest.mark.parametrize("name", STAGES)
def test_a_read_only_disk_is_one_sentence(name, root, disk, tmp_path, capsys):
    place = disk("size=64m")
    (place / "kept").mkdir()
    (place / "kept/pytorch_model.bin").write_text("a user's", encoding="utf-8")
    disk("ro")
    for folder in (place / "new", place / "kept"):
        code, said = run(name, root, folder, capsys)
        assert (
            code == 2
            and said.startswith(f"error: {folder}")
            and "read-only; name an output folder that can be written" in said
        ), said
    assert [path.name for path in place.rglob("*")] == ["kept", "pytorch_model.bin"]


def test_what_cannot_be_written_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "file.json").write_text("old", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(OSError):
            write_atomically(tmp_path / "file.json", b"new")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"]
