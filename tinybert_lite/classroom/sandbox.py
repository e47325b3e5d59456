"""Run a submission in a process of its own, with limits.

The limits protect from endless loops, from filling the memory or the disk, and from reading this
process's environment. They are not a security boundary: the code may read what this user may read,
and use the network (docs/instructors.md).
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Variables of the environment that are passed on; none of them may hold a secret.
KEPT = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "VIRTUAL_ENV")
MOST_OUTPUT = 100_000  # characters


@dataclass(frozen=True)
class Finished:
    """The result of a process that has ended or was killed."""

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
    """Run `command` in `folder` for at most `seconds`.

    Memory and the size of files are limited on POSIX, not on Windows.
    """
    cpu_seconds = int(seconds + 1) * (os.cpu_count() or 1)
    limits = map(str, (cpu_seconds, megabytes, file_megabytes))
    prefix = [sys.executable, "-I", __file__, *limits] if os.name == "posix" else []
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+b") as output:
        environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP"), home),
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
        out_of_time = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            out_of_time = True
        finally:
            _end(process)
        output.seek(max(0, output.seek(0, 2) - 4 * MOST_OUTPUT))
        text = output.read().decode("utf-8", "replace")[-MOST_OUTPUT:]
        return Finished(process.returncode, text, out_of_time)


def _end(process: subprocess.Popen) -> None:
    """Kill the process, and on POSIX also the processes that it started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def _limited(seconds: str, megabytes: str, file_megabytes: str, *command: str) -> None:
    """Set the limits in the child process, then run the command in its place."""
    import resource

    for kind, most in (
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_AS, int(megabytes) << 20),
        (resource.RLIMIT_FSIZE, int(file_megabytes) << 20),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS does not allow a memory limit
            resource.setrlimit(kind, (most, most))
    os.execvp(command[0], command)


if __name__ == "__main__":
    _limited(*sys.argv[1:])
