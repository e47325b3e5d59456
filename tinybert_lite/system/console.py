"""The machine: device and precision (each with its reason), threads, seeds, versions, and how errors are said."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tinybert_lite.system import processes


def say(text: str) -> None:
    if processes.is_main():
        print(text, flush=True)


def remark(text: str) -> None:
    """A remark that must not mix with what a command prints for machines."""
    if processes.is_main():
        print(text, file=sys.stderr, flush=True)


def progress(iterable, what: str, total: int | None = None, tell: Callable[[str], None] = say):
    """A tqdm bar in a terminal; elsewhere a plain line now and then (told with `say`, or `remark`), which leaves nothing behind in a saved notebook."""
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty() and processes.is_main()
    bar = tqdm(iterable, desc=what, total=total, leave=False, disable=not in_terminal)
    return bar if in_terminal or iterable is None else _with_lines(iterable, what, total, tell)


def _with_lines(
    iterable, what: str, total: int | None, tell: Callable[[str], None], seconds: float = 10
):
    said = time.perf_counter()
    for number, item in enumerate(iterable, 1):
        yield item
        if time.perf_counter() - said > seconds:
            said = time.perf_counter()
            tell(f"{what}: {number}{f' of {total}' if total else ''}")


def grid(rows: list[tuple[str, ...]]) -> str:
    """Cells under each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows
    )
