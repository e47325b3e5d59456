"""Read a user's rows from TSV, CSV or JSON Lines files, by the names of their columns."""

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.json_lines import UNWRITABLE, json_objects
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of

DELIMITERS = (",", ";", "\t")  # possible ones of a CSV file, the preferred first
Cells = dict[str, object]  # column -> value


@dataclass(frozen=True)
class OwnRow:
    """A row of a user's file."""

    text_a: str
    text_b: str | None
    label: str | None  # None: the row has no label
    line: int  # the first line of the row
    path: Path

    @property
    def texts(self) -> tuple[str, str | None]:
        return self.text_a, self.text_b

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


def read_own_rows(
    path: Path, text_a: str, text_b: str | None = None, label: str | None = None
) -> Iterator[OwnRow]:
    """Yield the rows of a .tsv or .txt (no quoting, like GLUE), .csv, .jsonl or .ndjson file.

    The file may be packed as .xz. text_a, text_b and label name columns. White space in a cell
    becomes one space, and rows of empty cells are skipped. Raises UserError with file and line for
    another kind of file, a missing column (with the nearest name) or a duplicate one, a row with
    more or fewer cells than the header, damaged quoting or JSON, and a row without a text.
    """
    wanted = [name for name in (text_a, text_b, label) if name is not None]
    labelled, cells = label is None, {}
    for line, cells in _numbered_cells(path, wanted):
        labelled = labelled or label in cells
        found = {}
        for name in wanted:
            if name not in cells and name != label:
                raise UserError(f"{path}, line {line}: {_no_column(name, cells)}")
            found[name] = _word(cells.get(name), f"{path}, line {line}: the column {name!r} holds")
            if not found[name] and name != label:
                raise UserError(
                    f"{path}, line {line}: the column {name!r} holds no text; write a text or "
                    "remove the row"
                )
        yield OwnRow(found[text_a], found.get(text_b), found.get(label) or None, line, path)
    if not cells:
        raise UserError(f"{path} holds no rows; add at least one")
    if not labelled:
        raise UserError(f"{path}: {_no_column(label, cells)}")


def columns_of(path: Path, *known: str) -> list[str]:
    """Return a file's columns; `known` names some of them, which helps to find the delimiter."""
    return list(next(_numbered_cells(path, [*known]), (1, {}))[1])


def _numbered_cells(path: Path, wanted: list[str]) -> Iterator[tuple[int, Cells]]:
    """Yield each row's line number and its cells by column, from a file of any kind."""
    kind = (path.with_suffix("") if path.suffix == ".xz" else path).suffix.lower()
    if kind in (".jsonl", ".ndjson"):
        return json_objects(path, wanted[0] if wanted else "text")
    if kind == ".csv":
        return _under_header(path, wanted, _csv_rows(path, wanted))
    if kind in (".tsv", ".txt"):
        lines = enumerate(lines_of(path), 1)
        return _under_header(path, wanted, ((number, line.split("\t")) for number, line in lines))
    raise UserError(
        f"{path}: its name does not end in .csv, .tsv or .jsonl; save the rows as one of these (a "
        "spreadsheet: as CSV in UTF-8)"
    )


def _csv_rows(path: Path, wanted: list[str]) -> Iterator[tuple[int, list[str]]]:
    delimiter = _delimiter(next(iter(lines_of(path)), ""), wanted)
    reader = csv.reader((line + "\n" for line in lines_of(path)), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {number}: the row that begins in this line has damaged quoting "
                f"({error}); write a quote inside a quoted cell twice"
            ) from None


def _delimiter(header: str, wanted: list[str]) -> str:
    """Return the delimiter that gives most of the wanted columns, else the most columns."""

    def columns(delimiter: str) -> tuple[int, int]:
        found = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
        return len({*wanted} & {*found}), len(found)

    return max(DELIMITERS, key=columns)


def _under_header(
    path: Path, wanted: list[str], rows: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, Cells]]:
    """Yield rows as cells by column; the first row names the columns."""
    header = [cell.strip() for cell in next(rows, (1, []))[1]]
    if not any(header):
        raise UserError(f"{path} is empty or begins with an empty line: name the columns in line 1")
    for name in wanted:
        if name not in header:
            raise UserError(f"{path}, line 1: {_no_column(name, header)}")
        if header.count(name) > 1:
            raise UserError(f"{path}, line 1: two columns are called {name!r}; rename one")
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {number}: the row has {len(cells)} cells, but line 1 names "
                f"{len(header)} columns; fix the row"
            )
        yield number, dict(zip(header, cells))


def _no_column(name: str, columns: Iterable[str]) -> str:
    by_lower = {column.lower(): column for column in columns if column}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.4)
    nearest = f"the nearest is {by_lower[near[0]]!r}; " if near else ""
    known = ", ".join(map(repr, [*by_lower.values()][:20]))
    return f"no column is called {name!r}; {nearest}use one of {known}"


def _word(value: object, column: str) -> str:
    """Return a cell as text: JSON's true, 3 and 3.0 become true, 3 and 3; null and NaN are ""."""
    if value is None or value != value:
        value = ""
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, (int, float)):
        value = str(value).lower()
    if not isinstance(value, str):
        raise UserError(f"{column} {short(value)}, which is not a text; write a text")
    if UNWRITABLE.search(value):
        raise UserError(
            f"{column} {short(value)} with an escape sequence that is not a character; remove it"
        )
    return " ".join(value.split())
