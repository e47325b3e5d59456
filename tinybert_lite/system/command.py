"""The machine: device and precision (each with its reason), threads, seeds, versions, and how errors are said."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tinybert_lite.system import processes
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError, what_failed


def command(main):
    """Turn a `main(argv)` into a command: a UserError becomes one line and exit code 2, Ctrl-C exit code 130, a reader of the
    output that has enough, as `| head`, exit code 141."""

    @functools.wraps(main)
    def wrapped(argv=None) -> int:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")  # a console that cannot show a letter shows ?
        try:
            return main(sys.argv[1:] if argv is None else list(argv)) or 0
        except UserError as error:
            remark(f"error: {error}")
            return 2
        except BrokenPipeError:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # or Python would complain once more at its end
            return 128 + 13  # as a shell says of SIGPIPE
        except OSError as error:
            remark(f"error: {what_failed(error)}")
            return 2
        except KeyboardInterrupt:
            remark("stopped; the same command goes on from the last saved step")
            return 130
        finally:
            processes.leave()

    return wrapped


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Ctrl-C, or a notebook's "interrupt kernel", as a question to ask after each step; a second one stops at once."""
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
