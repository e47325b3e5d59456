"""Read a user's rows from files of any kind, by the names of their columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.row_files import (
    RowFile,
    as_text,
    ask_about_header,
    at,
    no_column,
    open_row_file,
)
from tinybert_lite.system.errors import UserError


@dataclass(frozen=True)
class OwnRow:
    """A row of a user's file."""

    text_a: str
    text_b: str | None
    label: str | None  # None: the row has no label
    line: int  # the first line of the row, or its number in a file without lines
    path: Path

    @property
    def texts(self) -> tuple[str, str | None]:
        return self.text_a, self.text_b

    def __str__(self) -> str:
        return at(self.path, self.line)


def read_own_rows(
    path: Path, text_a: str, text_b: str | None = None, label: str | None = None
) -> Iterator[OwnRow]:
    """Yield the rows of a file that `open_row_file` can open.

    text_a, text_b and label name columns, or number those of a file without a header. White space
    in a cell becomes one space, and rows of empty cells are skipped. Raises UserError with file and
    line as `open_row_file`, for a missing column (with the nearest name) and a row without a text.
    """
    wanted = [name for name in (text_a, text_b, label) if name is not None]
    found, labels, cells = open_row_file(path, wanted), set(), {}
    labelled = label is None or label in found.columns
    for line, cells in found.rows:
        labelled, values = labelled or label in cells, {}
        for name in wanted:
            if name not in cells and name != label:
                raise UserError(f"{at(path, line)}: {no_column(name, cells)}")
            column = f"{at(path, line)}: the column {name!r} holds"
            values[name] = as_text(_named(found, name, cells.get(name)), column)
            if not values[name] and name != label:
                raise UserError(f"{column} no text; write a text or remove the row")
        labels.add(values.get(label))
        yield OwnRow(values[text_a], values.get(text_b), values.get(label) or None, line, path)
    if not cells:
        raise UserError(f"{path} holds no rows; add at least one")
    if not labelled:
        raise UserError(f"{path}: {no_column(label, cells)}")
    ask_about_header(path, wanted, also=[label] if label in labels else ())


def columns_of(path: Path, *known: str) -> list[str]:
    """Return a file's columns; `known` names some of them, which helps to find the delimiter."""
    return open_row_file(path, known).columns


def class_names(path: Path, label: str) -> list[str]:
    """Return the names of a ClassLabel column in their order; [] for other columns and files."""
    return open_row_file(path, [label]).names.get(label, [])


def _named(found: RowFile, column: str, value: object) -> object:
    """Return the name of a ClassLabel's number, None for a negative one: no label."""
    if column not in found.names or not isinstance(value, int):
        return value
    names = found.names[column]
    return names[value] if 0 <= value < len(names) else None
