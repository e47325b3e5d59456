"""Count the rows that are left out of a file, for a remark, the manifests and the report."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from tinybert_lite.data.row_files import numbered
from tinybert_lite.system.console import counted, remark

_FOUND: dict[Path, dict[str, int | str]] = {}  # of the files that this process has read


def note(path: Path, numbers: list[int]) -> None:
    """Record how many rows of a file are left out and where the first is; print a remark once."""
    known, place = _FOUND.get(path.resolve(), {"rows": 0}), path.resolve()
    if len(numbers) > known["rows"]:
        _FOUND[place] = {"rows": len(numbers), "first": numbered(path, numbers[0])}
        remark(
            f"{path}: {counted(len(numbers), 'row')} left out, because a field is missing or "
            f'surplus or the label is "-" (no agreement); the first is {_FOUND[place]["first"]}'
        )


def left_out(paths: Iterable[PathLike]) -> dict[str, dict[str, int | str]]:
    """Return the counts of files with rows left out: {file: {"rows": 3, "first": "line 7"}}."""
    return {str(path): found for path in paths if (found := _FOUND.get(Path(path).resolve()))}
