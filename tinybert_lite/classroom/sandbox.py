"""Somebody else's code in a process of its own, with limits: what runs a submission.

It guards from endless loops, from eating all memory or disk, and from reading this process's environment. It is no wall:
the code may read what this user may read and use the network (docs/instructors.md).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

KEPT = (
    "PATH",
    "SYSTEMROOT",
    "LANG",
    "LC_ALL",
    "VIRTUAL_ENV",
)  # of the environment; nothing that may hold a secret
MOST_OUTPUT = 100_000  # characters


@dataclass(frozen=True)
class Finished:
    code: int  # the exit status; negative for a signal
    output: str  # both streams, the last MOST_OUTPUT characters
    out_of_time: bool


def run_limited(
    command: list[str],
    folder: Path,
    seconds: float = 60,
    megabytes: int = 4096,
    file_megabytes: int = 100,
) -> Finished:
    """Run `command` in `folder` for so many seconds at most; memory and the size of a file are limited where the system can (not on Windows)."""
    limits = [
        str(Path(__file__)),
        str(int(seconds + 1) * (os.cpu_count() or 1)),
        str(megabytes),
        str(file_megabytes),
    ]
    prefix = [sys.executable, "-I", *limits] if os.name == "posix" else []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+b") as output:
        environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            "HOME": home,
            "USERPROFILE": home,
            "TMPDIR": home,
            "TEMP": home,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [*prefix, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=os.name == "posix",
        )
        try:
            process.wait(seconds)
            out_of_time = False
        except subprocess.TimeoutExpired:
            out_of_time = True
        finally:
            _end(process)
        output.seek(max(0, output.seek(0, 2) - 4 * MOST_OUTPUT))
        return Finished(
            process.returncode, output.read().decode("utf-8", "replace")[-MOST_OUTPUT:], out_of_time
        )


def _end(process: subprocess.Popen) -> None:
    """The process, and on POSIX whatever it started."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    elif process.poll() is None:
        process.kill()
    process.wait()


def _limited(seconds: str, megabytes: str, file_megabytes: str, *command: str) -> None:
    """In the child: set the limits, then become the command."""
    import resource

    for kind, most in (
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_AS, int(megabytes) << 20),
        (resource.RLIMIT_FSIZE, int(file_megabytes) << 20),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS refuses a limit of memory
            pass
    os.execvp(command[0], command)


if __name__ == "__main__":
    _limited(*sys.argv[1:])
