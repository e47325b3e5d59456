"""What a run prints: lines, progress, tables."""

import sys
import time
from collections.abc import Callable
from functools import cache

from tinybert_lite.system import processes


def say(text: str) -> None:
    """Print a line to stdout, in the first process only."""
    if processes.is_main():
        print(text, flush=True)


def remark(text: str) -> None:
    """Print a line to stderr, in the first process only; stdout is for results."""
    if processes.is_main():
        print(text, file=sys.stderr, flush=True)


@cache
def remark_once(text: str) -> None:
    """Print a line to stderr, unless this process has printed it before."""
    remark(text)


def progress(iterable, what: str, total: int | None = None, tell: Callable[[str], None] = say):
    """Yield the items of `iterable` and show progress: a tqdm bar in a terminal, else lines.

    A line is printed with `tell` every ten seconds; a bar would leave broken output in a saved
    notebook. If `iterable` is None, the function returns a bar, which the caller updates.
    """
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty() and processes.is_main()
    how = {"desc": what, "total": total, "leave": False, "disable": not in_terminal}
    bar = tqdm(iterable, delay=0 if iterable is None else 1, **how)  # no bar for work of a second
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


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Format a time in the largest unit of which it has two, as `40 seconds` or `2.5 hours`.

    Less than a second is `1 second`."""
    for unit, size in (("years", 365 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return (
        f"{seconds / 60:.0f} minutes"
        if seconds >= 90
        else counted(max(1, round(seconds)), "second")
    )


def grid(rows: list[tuple[str, ...]]) -> str:
    """Format rows of equal length as a text table; a column is as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows
    )
