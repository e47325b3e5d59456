"""What all commands share: errors in one line, exit codes, and Ctrl-C."""

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinybert_lite.system import processes
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError, what_failed

STOPPED = (
    "stopped; run the same command again: it resumes an interrupted stage from its last saved "
    "state and starts other work from the beginning"
)


def _need_text(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError:  # the shell passed other bytes
        raise UserError(
            f"the argument {argument.encode('utf-8', 'surrogateescape')!r} is not UTF-8 text; type "
            "it again, or rename the file"
        ) from None


def command(main):
    """Turn a `main(argv)` into a command that returns its exit code.

    Exit code 2 with one line for a UserError or an OSError, 130 for Ctrl-C, and 141 if the program
    that reads the output stops reading, as in `| head`.
    """

    @functools.wraps(main)
    def wrapped(argv=None) -> int:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # print ? for characters that it lacks
        try:
            argv = sys.argv[1:] if argv is None else list(argv)
            for argument in argv:
                _need_text(argument)
            return main(argv) or 0
        except BrokenPipeError:
            # Python flushes stdout once more when it ends, and would report the error again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + 13  # a shell's code for SIGPIPE
        except (UserError, OSError) as error:
            remark(f"error: {what_failed(error) if isinstance(error, OSError) else error}")
            if not processes.is_main():
                time.sleep(3)  # an error of all processes is printed and returned by the first
            return 2
        except KeyboardInterrupt as stop:
            remark(str(stop) or STOPPED)
            return 130
        finally:
            processes.leave()

    return wrapped


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C, or a notebook's "interrupt kernel", was pressed.

    A second Ctrl-C raises KeyboardInterrupt at once.
    """
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
