"""Read the rows of a file of any kind, as cells by column.

The file is one of a user's own task, of a task of the list, or of rows to predict.
"""

import csv
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.json_lines import UNWRITABLE, json_objects
from tinybert_lite.data.saved_datasets import PARQUET, dataset_rows, is_dataset, is_dataset_dict
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError, listed
from tinybert_lite.system.lines import LONGEST_LINE_BYTES, PACKED, lines_of

DELIMITERS = (",", ";", "\t")  # possible ones of a CSV file, the preferred first
TABS, JSON = (".tsv", ".txt"), (".json", ".jsonl", ".ndjson")
KINDS = (*TABS, ".csv", *JSON, PARQUET)
# A column name that looks like a text: four words, an end mark, or eight Chinese characters.
TEXT_LIKE = re.compile(r"(\S+\s+){3}\S|[.!?。！？]$|[\u4e00-\u9fff]{8}")
# A row that does not fit the columns: is an error, has no cells, loses its surplus cells.
REFUSED, EMPTY, CUT = "refused", "empty", "cut"
Cells = dict[str, object]  # column -> value; a row that does not fit the columns has none
Row = tuple[int, Cells]


@dataclass(frozen=True)
class RowFile:
    """The rows of a file, read once; in a file without lines a row is named by its number."""

    path: Path
    columns: list[str]  # of the header, or of the first row
    rows: Iterator[Row]
    names: dict[str, list[str]] = field(default_factory=dict)  # column -> labels by their number


def numbered(path: Path, number: int) -> str:
    """Return `line 7`, or `row 7` for a file without lines."""
    return f"{_unit(path)} {number}"


@lru_cache(maxsize=16)  # it is asked per row, and may be a question to a file server
def _unit(path: Path) -> str:
    return "row" if kind_of(path) == PARQUET else "line"


def at(path: Path, number: int) -> str:
    """Return `FILE, line 7`, or `FILE, row 7` for a file without lines."""
    return f"{path}, {numbered(path, number)}"


def kind_of(path: Path) -> str:
    """Return the suffix of a file, without that of packing; PARQUET for a saved dataset."""
    if path.is_dir() and is_dataset(path):
        return PARQUET
    return (path.with_suffix("") if path.suffix in PACKED else path).suffix.lower()


def open_row_file(path: Path, wanted: Iterable[str] = (), misfits: str = REFUSED) -> RowFile:
    """Open a file of rows of any kind in KINDS, or the folder of a saved dataset.

    A .tsv or .txt has no quoting, as in GLUE; text files may be packed as .xz, .gz or .bz2.

    wanted: columns, which help to find a CSV's delimiter. If they are numbers, from 1, and not in
    line 1, the file has no header. A row that does not fit the columns raises an error if `misfits`
    are REFUSED; else it has no cells if they are EMPTY, or loses its surplus cells if they are CUT.
    Rows of empty cells are skipped if misfits are REFUSED, else they have no cells. Raises
    UserError with file and line for another kind of file, a missing or duplicate column, and
    damaged rows.
    """
    wanted, kind = [*wanted], kind_of(path)
    if is_dataset_dict(path):
        raise UserError(
            f"{path} is a saved dataset of several parts; name one of the folders in it, such as "
            f"{path / 'train'}"
        )
    if kind == PARQUET:
        columns, rows, names = dataset_rows(path)
        return RowFile(path, columns, rows, names)
    if path.is_dir() or kind not in KINDS:
        raise UserError(
            f"{path}: its name does not end in {', '.join(KINDS)}; save the rows as one of these "
            "(a spreadsheet: as CSV in UTF-8)"
        )
    if kind in JSON:
        found = json_objects(path, wanted[0] if wanted else "text")
        first = next(found, None)
        return RowFile(path, [*first[1]] if first else [], chain([first] if first else (), found))
    lines = _csv_rows(path, wanted) if kind == ".csv" else tab_rows(path, wanted)
    return _under_header(path, wanted, lines, misfits)


def tab_rows(path: Path, wanted: Iterable[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """Yield rows without quoting; at the end print a remark if all quotes look like a CSV's."""
    quoted = other = 0
    whole = [*wanted] == ["1"] and "\t" not in next(lines_of(path), "")  # a text per line
    for number, line in enumerate(lines_of(path), 1):
        cells = [line] if whole else line.split("\t")
        yield number, cells
        for cell in cells if '"' in line else ():
            if _csv_quoted(cell):
                quoted = quoted or number
            elif '"' in cell:
                other = number
    if quoted and not other:
        remark(
            f"{path}, line {quoted}: looks quoted like a CSV, but the quotes are read as "
            "characters; if they are not part of the text, let the file's name end in .csv"
        )


def _csv_quoted(cell: str) -> bool:
    inner = cell[1:-1].replace('""', "")
    return len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner


def _csv_rows(path: Path, wanted: list[str]) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(LONGEST_LINE_BYTES)
    lines = (part for line in lines_of(path) for part in line.split("\r"))
    first = next(lines, "")
    reader = csv.reader(
        (line + "\n" for line in chain([first], lines)),
        delimiter=_delimiter(first, wanted),
        strict=True,
    )
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {number}: the row that begins in this line has damaged quoting, or "
                f"a cell of more than {LONGEST_LINE_BYTES:,} characters ({error}); write a quote "
                "inside a quoted cell twice"
            ) from None


def _delimiter(header: str, wanted: list[str]) -> str:
    """Return the delimiter that gives most of the wanted columns, else the most columns."""

    def columns(delimiter: str) -> tuple[int, int]:
        found = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
        return len({*wanted} & {*found}), len(found)

    return max(DELIMITERS, key=columns)


def _under_header(
    path: Path, wanted: list[str], rows: Iterator[tuple[int, list[str]]], misfits: str
) -> RowFile:
    """Return rows as cells by column; row 1 names the columns, unless `wanted` are numbers."""
    number, first = next(rows, (1, []))
    header = [cell.strip() for cell in first]
    if not any(header):
        raise UserError(f"{path} is empty or begins with an empty line: name the columns in line 1")
    by_number = bool(wanted) and all(map(str.isdecimal, wanted)) and not {*wanted} <= {*header}
    if by_number:
        header = [str(place) for place in range(1, len(header) + 1)]
        rows = chain([(number, first)], rows)
    for name in wanted:
        if name not in header:
            raise UserError(
                f"{path}, line 1: {no_column(name, header)}"
                + (
                    ""
                    if by_number
                    else "; without a header, name columns by number, such as --text 1"
                )
            )
        if header.count(name) > 1:
            raise UserError(f"{path}, line 1: two columns are called {short(name)}; rename one")
    return RowFile(path, header, _fitted(path, header, rows, misfits, by_number))


def _fitted(
    path: Path,
    header: list[str],
    rows: Iterator[tuple[int, list[str]]],
    misfits: str,
    by_number: bool,
) -> Iterator[Row]:
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            if misfits != REFUSED:
                yield number, {}
        elif len(cells) == len(header) or misfits == CUT and len(cells) > len(header):
            yield number, dict(zip(header, cells))
        elif misfits != REFUSED:
            yield number, {}
        else:
            of = f"line 1 {'has' if by_number else 'names'} {len(header)} columns"
            quotes = any(cell.startswith('"') for cell in cells) and kind_of(path) in TABS
            raise UserError(
                f"{path}, line {number}: the row has {len(cells)} cells, but {of}; fix the row"
                + (", or let the name end in .csv if cells are quoted" if quotes else "")
            )


def no_column(name: str, columns: Iterable[str]) -> str:
    """Return `no column is called …`, with the nearest name and the names that there are."""
    by_lower = {column.lower(): column for column in columns if column}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.4)
    nearest = f"the nearest is {short(by_lower[near[0]])}; " if near else ""
    known = listed([f"{column!r}" for column in by_lower.values()], 20)
    return f"no column is called {name!r}; {nearest}use one of {known}"


def ask_about_header(path: Path, names: Iterable[str | None], also: Iterable[str] = ()) -> None:
    """Print a remark if a column name looks like a row of data, or is in `also`."""
    found = [*also, *(name for name in names if name and TEXT_LIKE.search(name))]
    if found and kind_of(path) in (*TABS, ".csv"):
        remark(
            f"{path}, line 1: {short(found[0])} was read as the name of a column but looks like a "
            "row; if the file has no header, name columns by number, such as --text 1"
        )


def as_text(value: object, column: str) -> str:
    """Return a cell as text: true, 3 and 3.0 become true, 3 and 3; null and NaN become "".

    White space becomes one space. column: the beginning of the message of the UserError that is
    raised for a value of another type, or for one that UTF-8 cannot hold.
    """
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
