"""What other systems do differently, simulated: held files, consoles, signals, line ends."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinybert_lite.system import files
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import replace_file, write_atomically

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tinybert_lite"


def held(times: int):
    """`os.replace` as on Windows while another program has the target open."""
    tries, replace = [], os.replace

    def refused(source, target):
        tries.append(target)
        if len(tries) <= times:
            error = PermissionError(
                13, "The process cannot access the file because it is being used by another process"
            )
            error.winerror = 32
            raise error
        return replace(source, target)

    return refused


@pytest.fixture
def waits(monkeypatch):
    found = []
    monkeypatch.setattr(files.time, "sleep", found.append)
    return found


def test_a_file_that_is_held_open_for_a_moment_is_replaced_all_the_same(
    tmp_path, monkeypatch, waits
):
    (tmp_path / "a.json").write_text("old", encoding="utf-8")
    monkeypatch.setattr(files.os, "replace", held(3))
    write_atomically(tmp_path / "a.json", b"new")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == [
        "new"
    ] and waits == [0.1, 0.2, 0.4]


def test_a_file_that_stays_held_is_named_with_the_cure_and_left_as_it_was(
    tmp_path, monkeypatch, waits
):
    (tmp_path / "a.json").write_text("old", encoding="utf-8")
    monkeypatch.setattr(files.os, "replace", held(99))
    with pytest.raises(
        UserError, match="a.json is held open by another program; close that program"
    ):
        write_atomically(tmp_path / "a.json", b"new")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["old"] and sum(
        waits
    ) < 2


def test_a_folder_without_permission_is_not_waited_for(tmp_path, monkeypatch, waits):
    def refused(source, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "replace", refused)
    with pytest.raises(PermissionError):
        replace_file(tmp_path / "a", tmp_path / "b")
    assert not waits


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk", "utf-8"])
def test_a_console_that_cannot_show_a_letter_shows_another(encoding):
    code = """
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
@command
def main(argv):
    say('→ 教师 · ½')
    raise UserError('学生 is missing')
raise SystemExit(main([]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)},
    )
    said, errors = ran.stdout.decode(encoding), ran.stderr.decode(encoding)
    assert (
        ran.returncode == 2
        and "is missing" in errors
        and "Traceback" not in errors
        and len(said.splitlines()) == 1
    )
    assert ("教师" in said) == (encoding in ("gbk", "utf-8"))


def test_ctrl_c_in_a_terminal_is_one_line_and_exit_code_130(capsys):
    @command
    def main(argv):
        say("working")
        signal.raise_signal(signal.SIGINT)

    assert main([]) == 130
    assert capsys.readouterr().err == (
        "stopped; run the same command again: it resumes an interrupted stage from its last saved "
        "state and starts other work from the beginning\n"
    )


SOURCES = [path for path in PACKAGE.rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_leans_on_one_system(path):
    """Text is opened with its encoding; nothing forks, kills or imports a POSIX-only module."""
    source = path.read_text(encoding="utf-8")
    for call in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]:
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        words = {keyword.arg for keyword in call.keywords}
        mode = next((ast.unparse(a) for a in call.args[1:2]), "'r'")
        if (
            name in ("read_text", "write_text")
            or name == "open"
            and isinstance(call.func, ast.Name)
            and "b" not in mode
        ):
            assert "encoding" in words, f"line {call.lineno}: {name} without an encoding"
    if path.name != "sandbox.py":
        assert not re.search(
            r"os\.fork|SIGKILL|import (resource|fcntl|pwd)|get_context\(\"fork", source
        )


def test_a_checkout_has_the_same_line_ends_everywhere():
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8")


def test_the_public_tests_cover_the_three_systems():
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert (
        all(system in workflow for system in ("ubuntu", "macos", "windows"))
        and "-m slow" in workflow
    )
