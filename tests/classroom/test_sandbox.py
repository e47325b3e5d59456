"""A submission in a process with limits."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tinybert_lite.classroom.sandbox import run_limited

posix = pytest.mark.skipif(os.name != "posix", reason="limits of memory and files are POSIX's")


def run(code: str, folder, **limits):
    return run_limited([sys.executable, "-c", code], folder, **limits)


def test_what_ends_in_time_gives_its_status_and_both_streams(tmp_path):
    found = run(
        "import sys; print('π out'); print('err', file=sys.stderr); open('here', 'w'); sys.exit(3)",
        tmp_path,
    )
    assert (
        found.code == 3
        and not found.out_of_time
        and {"π out", "err"} <= set(found.output.splitlines())
    )
    assert (tmp_path / "here").is_file()


def test_an_endless_loop_is_ended_with_all_that_it_started(tmp_path):
    child = 'import time; time.sleep(4); open("alive", "w")'
    started = (
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "while True: pass"
    )
    found = run(started, tmp_path, seconds=2)
    assert found.out_of_time and found.code != 0
    if os.name == "posix":
        time.sleep(4)
        assert not (tmp_path / "alive").exists()


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no limit of memory")
def test_memory_is_limited(tmp_path):
    found = run("x = bytearray(600 << 20); print('got it')", tmp_path, megabytes=500)
    assert found.code != 0 and "MemoryError" in found.output and "got it" not in found.output


@posix
def test_files_are_limited(tmp_path):
    found = run("open('big', 'wb').write(b'0' * (3 << 20))", tmp_path, file_megabytes=2)
    assert found.code != 0 and (tmp_path / "big").stat().st_size <= 2 << 20


def test_the_environment_is_not_handed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    found = run("import os; print(sorted(os.environ)); print(os.path.expanduser('~'))", tmp_path)
    assert (
        "TOKEN" not in found.output and os.path.expanduser("~") not in found.output.splitlines()[-1]
    )


def test_long_output_is_cut_to_its_end(tmp_path):
    found = run("print('a' * 500_000 + 'end')", tmp_path)
    assert len(found.output) <= 100_000 and found.output.rstrip().endswith("end")
