"""Read a task's rows from GLUE's TSV files: no quoting, columns found by the header."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.tasks import LARGEST, Task
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of

NO_AGREEMENT = "-"  # SNLI's label of a row on which the annotators did not agree
RECORDS = (".tf_record", ".tfrecord")  # TensorFlow's files: rows of token ids


@dataclass(frozen=True)
class Row:
    text_a: str
    text_b: str | None
    label: str | None  # None in a test file, and in a user's row without a label
    fields: tuple[str, ...]  # all fields of the line, to copy it
    line: int  # its number in the file


@dataclass(frozen=True)
class Table:
    path: Path
    header: tuple[str, ...] | None
    rows: Iterable[Row]  # a list, or an iterator that reads the file once
    places: dict[str, int]  # text_a, text_b, label -> index of the column
    # numbers of skipped lines, for tasks that allow it: too few or too many fields, or
    # annotators who did not agree
    skipped: list[int] = field(default_factory=list)


def label_ids(rows: Iterable[Row], task: Task) -> list[float]:
    """Return class numbers, or for a regression (label - offset) / scale; NaN for no label."""
    place = {label: float(i) for i, label in enumerate(task.labels)}

    def target(label: str | None) -> float:
        if label is None:
            return float("nan")
        return place[label] if place else (float(label) - task.offset) / task.scale

    return [target(row.label) for row in rows]


def holds_ids(path: Path) -> bool:
    """Whether the name is one of a TFRecord file, or of a part (`.tfrecord-00000-of-00010`)."""
    return re.sub(r"-\d+-of-\d+$", "", path.name).endswith(RECORDS)


def has_labels(table: Table, task: Task) -> bool:
    """Whether a test file has the label column; most test files have none."""
    return not {*task.label.split("|")}.isdisjoint(table.header or ())


def read_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """Read a GLUE file; `labelled=False` reads a test file.

    Columns are found by the header's names, in any order. Raises UserError with file and line for a
    missing or empty file, a missing or duplicate column, a row with missing or surplus fields (some
    tasks: skipped and counted), an empty text, an unknown label, or a duplicate id.
    """
    table = stream_table(path, task, labelled)
    rows = list(table.rows)
    _check_ids(table, rows)
    return replace(table, rows=rows)


def stream_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """Like `read_table`, but the rows are read one at a time, once: little memory for any file.

    Duplicate ids are allowed, since augmented rows repeat theirs.
    """
    if holds_ids(path):
        raise UserError(
            f"{path} holds token ids, but texts are needed here; put the .tsv file with these rows "
            "into the folder"
        )
    lines = enumerate(lines_of(path), 1)
    first = next(lines, (1, ""))[1]
    header = tuple(first.split("\t")) if not (task.places and labelled) else None
    if not first.strip() and not any(line.strip() for _, line in lines):
        raise UserError(f"{path} is empty: it needs one row per line, columns separated by tabs")
    most = first.count("\t") + 1
    places = _places(path, task, header, most, labelled)
    if header is None:
        lines = chain([(1, first)], lines)
    table = Table(path, header, (), places)
    return replace(table, rows=_rows(table, task, lines, most, labelled))


def _rows(
    table: Table, task: Task, lines: Iterable[tuple[int, str]], most: int, labelled: bool
) -> Iterator[Row]:
    """Yield the checked rows of (number, line); appends skipped lines to `table.skipped`.

    most: the number of fields allowed in a line.
    """
    places, found = table.places, False
    width = max(places.values()) + 1
    filled = [place for role, place in places.items() if not (task.own and role == "label")]
    only = None
    if task.only and table.header and task.only[0] in table.header:
        only = table.header.index(task.only[0])
    for number, line in lines:
        cells = tuple(line.split("\t"))
        where = f"{table.path}, line {number}"
        if only is not None and len(cells) > only and cells[only] != task.only[1]:
            continue
        fits = width <= len(cells) <= most and all(cells[i].strip() for i in filled)
        if fits and not (
            task.skips_misfits and labelled and cells[places["label"]].strip() == NO_AGREEMENT
        ):
            found = True
            yield _row(where, task, number, cells, places)
        elif task.skips_misfits:
            table.skipped.append(number)
        elif len(cells) > most:
            raise UserError(
                f"{where}: has {len(cells)} fields, but line 1 has {most}; remove the surplus tab"
            )
        else:
            raise UserError(
                f"{where}: has {len(cells)} fields, but {task.name} needs {width} tab-separated "
                f"fields with a text{' and a label' if labelled else ''}; fix or remove the row"
            )
    if not found:
        of = f" whose {task.only[0]} is {task.only[1]}" if only is not None else ""
        raise UserError(f"{table.path} holds a header but no rows{of}: add at least one")


def _places(
    path: Path, task: Task, header: tuple[str, ...] | None, width: int, labelled: bool
) -> dict[str, int]:
    """Return each role's column index, in a file whose first line has `width` fields."""
    if header is None:
        places = dict(task.places)
        if width <= max(places.values()):
            raise UserError(
                f"{path}, line 1: has {width} tab-separated fields, but {task.name} has more; use "
                f"a file of {task.name}"
            )
        return places
    wanted = {role: names for role, names in task.columns.items() if labelled or role != "label"}
    places = {}
    for role, names in wanted.items():
        name = next((name for name in names.split("|") if name in header), names)
        if header.count(name) != 1:
            raise UserError(
                f"{path}, line 1: {'two columns' if name in header else 'no column'} {name!r} in "
                f"the header {short(header)}; name each of {task.name}'s columns "
                f"{', '.join(map(repr, wanted.values()))} once"
            )
        places[role] = header.index(name)
    return places


def _check_ids(table: Table, rows: list[Row]) -> None:
    for place, column in enumerate(table.header or ()):
        if column not in ("index", "id"):
            continue
        seen = set()
        for row in rows:
            cell = row.fields[place] if place < len(row.fields) else None
            if cell is not None and cell in seen:
                raise UserError(
                    f"{table.path}, line {row.line}: the {column} {short(cell)} is a duplicate; "
                    f"give each row its own {column}"
                )
            seen.add(cell)


def _row(
    where: str, task: Task, number: int, cells: tuple[str, ...], places: dict[str, int]
) -> Row:
    found = {role: cells[place] for role, place in places.items()}
    label = found.get("label", "").strip() or None
    label = dict(task.spellings).get(label, label)
    if label is not None and task.is_regression and number_of(label) is None:
        raise UserError(f"{where}: the label {short(label)} is not a number; fix the row")
    if label is not None and task.labels and label not in task.labels:
        raise UserError(f"{where}: unknown label {short(label)}; use {' or '.join(task.labels)}")
    return Row(found["text_a"], found.get("text_b"), label, cells, number)


def number_of(label: str) -> float | None:
    """Return a regression's label; None for a word, NaN, or a number too large for 32 bits."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if abs(number) < LARGEST else None
