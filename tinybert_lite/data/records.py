"""A user's rows from TSV, CSV or JSON Lines, by the names of their columns."""

from __future__ import annotations

import csv
import difflib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.tables import Record
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import LONGEST, lines_of

DELIMITERS = (",", ";", "\t")  # of a CSV, in the order of preference
Cells = dict[str, object]  # by column


def read_records(
    path: Path, text_a: str, text_b: str | None = None, label: str | None = None
) -> Iterator[Record]:
    """The rows of `.tsv` or `.txt` (no quoting, as GLUE), `.csv`, `.jsonl` or `.ndjson`, each also as `.xz`, as they are asked for.

    Texts and labels are names of columns; any white space in a cell becomes one blank. A row of nothing but empty cells is
    left out. Raises UserError with file and line for another kind of file, a column that is not there (with the nearest) or
    there twice, a row that does not fit the header, damaged quoting or JSON, and a row without a text.
    """
    wanted = [name for name in (text_a, text_b, label) if name is not None]
    labelled, cells = label is None, {}
    for line, cells in _reader(path)(path, wanted):
        where, labelled = f"{path}, line {line}", labelled or label in cells
        for name in wanted:
            if name not in cells and name != label:
                raise UserError(f"{where}: {_no_column(name, cells)}")
        found = {name: _word(cells.get(name), where, name) for name in wanted}
        for name in wanted:
            if not found[name] and name != label:
                raise UserError(
                    f"{where}: the column {name!r} holds no text; write one or remove the row"
                )
        yield Record(
            found[text_a],
            found[text_b] if text_b else None,
            found[label] or None if label else None,
            line,
            path,
        )
    if not cells:
        raise UserError(f"{path} holds no rows; add at least one")
    if not labelled:
        raise UserError(f"{path}: {_no_column(label, cells)}")


def has_column(path: Path, name: str, *others: str) -> bool:
    """Whether the first row has it; `others` are columns that are known to be there."""
    return name in next(_reader(path)(path, [*others]), (1, {}))[1]


def _reader(path: Path):
    kind = path.with_suffix("") if path.suffix == ".xz" else path
    found = {
        ".tsv": _tsv,
        ".txt": _tsv,
        ".csv": _csv,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
    }.get(kind.suffix.lower())
    if found is None:
        raise UserError(
            f"{path}: its name does not end in .csv, .tsv or .jsonl; save the rows as one of these (a spreadsheet: as CSV in UTF-8)"
        )
    return found


def _tsv(path: Path, wanted: list[str]) -> Iterator[tuple[int, Cells]]:
    return _under_header(
        path, wanted, ((number, line.split("\t")) for number, line in enumerate(lines_of(path), 1))
    )


def _csv(path: Path, wanted: list[str]) -> Iterator[tuple[int, Cells]]:
    return _under_header(path, wanted, _csv_rows(path, wanted))


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
                f"{path}, line {number}: the row that begins there has damaged quoting ({error}); a quote inside a quoted "
                f"cell is written twice"
            ) from None


def _delimiter(header: str, wanted: list[str]) -> str:
    """The one that makes the wanted columns, or else the most columns."""

    def columns(delimiter: str) -> list[str]:
        return [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]

    return max(
        DELIMITERS,
        key=lambda delimiter: (len({*wanted} & {*columns(delimiter)}), len(columns(delimiter))),
    )


def _under_header(
    path: Path, wanted: list[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, Cells]]:
    """Rows of cells by the names in the first one."""
    rows = iter(rows)
    header = [cell.strip() for cell in next(rows, (1, []))[1]]
    if not any(header):
        raise UserError(
            f"{path} is empty or begins with an empty line: line 1 has to name the columns"
        )
    for name in wanted:
        if header.count(name) != 1:
            raise UserError(
                f"{path}, line 1: "
                + (
                    f"two columns are called {name!r}; rename one"
                    if name in header
                    else _no_column(name, header)
                )
            )
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise UserError(
                f"{path}, line {number}: has {len(cells)} cells, but line 1 names {len(header)} columns; mend the row"
            )
        yield number, dict(zip(header, cells))


def _json_lines(path: Path, wanted: list[str]) -> Iterator[tuple[int, Cells]]:
    return json_objects(path, wanted[0] if wanted else "text")


def json_objects(path: Path, example: str, longest: int = LONGEST) -> Iterator[tuple[int, dict]]:
    """A JSON Lines file's objects with the numbers of their lines, empty ones left out. Raises UserError, which shows an `example` of a key."""
    for number, line in enumerate(lines_of(path, longest=longest), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}, line {number}: is not JSON ({error}); JSON Lines hold one object a line"
            ) from None
        if not isinstance(cells, dict):
            raise UserError(
                f'{path}, line {number}: holds {short(line)}, not one object such as {{"{example}": "…"}}; JSON Lines hold one a line'
            )
        yield number, cells


def _no_column(name: str, columns: Iterable[str]) -> str:
    by_lower = {column.lower(): column for column in columns if column}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.4)
    hint = f"the nearest is {by_lower[near[0]]!r}, and " if near else ""
    return f"no column is called {name!r}; {hint}there are {', '.join(repr(column) for column in list(by_lower.values())[:20])}"


def has_no_letters(text: str) -> bool:
    """Whether a text that JSON spelt holds codes that no file of text can hold: NUL, or half a surrogate pair."""
    return (
        "\0" in text
        or not text.isascii()
        and any("\ud800" <= letter <= "\udfff" for letter in text)
    )


def _word(value: object, where: str, name: str) -> str:
    """A cell as text: JSON's true, 3 and 3.0 become true, 3 and 3; null and NaN become nothing."""
    if isinstance(value, float):
        value = "" if math.isnan(value) else int(value) if value.is_integer() else value
    if value is None or isinstance(value, (bool, int, float)):
        value = "" if value is None else str(value).lower()
    if not isinstance(value, str):
        raise UserError(f"{where}: the column {name!r} holds {short(value)}, not a text; write one")
    if has_no_letters(value):
        raise UserError(
            f"{where}: the column {name!r} holds {short(value)} with a code that is no letter; take it out"
        )
    return " ".join(value.split())
