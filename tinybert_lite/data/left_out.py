"""Rows that are left out of a file: said on the screen, kept for the manifests and the report."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from tinybert_lite.data.row_files import numbered
from tinybert_lite.system.console import remark

_FOUND: dict[Path, dict[str, int | str]] = {}  # of the files that this process has read


def note(path: Path, numbers: list[int]) -> None:
    """Remember the numbers of the rows left out; say how many when they are found first."""
    known, place = _FOUND.get(path.resolve(), {"rows": 0}), path.resolve()
    if len(numbers) > known["rows"]:
        _FOUND[place] = {"rows": len(numbers), "first": numbered(path, numbers[0])}
        remark(
            f"{path}: {len(numbers):,} rows are left out, the first in {_FOUND[place]['first']}: a "
            "field is missing or surplus, or the annotators did not agree on a label"
        )


def left_out(paths: Iterable[PathLike]) -> dict[str, dict[str, int | str]]:
    """Return the counts of the files with such rows: {file: {"rows": 3, "first": "line 7"}}."""
    return {str(path): found for path in paths if (found := _FOUND.get(Path(path).resolve()))}
