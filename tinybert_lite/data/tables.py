"""Read a task's rows: GLUE's TSV files, without quoting, and the other kinds of files."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.left_out import note
from tinybert_lite.data.row_files import at
from tinybert_lite.data.sheets import IDS, Sheet, is_tabs, open_sheet
from tinybert_lite.data.tasks import LARGEST_NUMBER, Task
from tinybert_lite.system.errors import UserError, listed

# In place of a gold label: no agreement (SNLI: -, in some copies -1), or a test file (-1)
NO_AGREEMENT, NO_GOLD_LABEL = "-", "-1"
UNLABELLED = (NO_AGREEMENT, NO_GOLD_LABEL, "-1.0")  # of published test files
TFRECORD_SUFFIXES = (".tf_record", ".tfrecord")  # TensorFlow's files: rows of token ids


@dataclass(frozen=True)
class Row:
    """A row of a task's file."""

    text_a: str
    text_b: str | None
    label: str | None  # None in a test file, and in a user's row without a label
    fields: tuple[str, ...]  # all fields of the line, to copy it
    line: int  # its number in the file


@dataclass(frozen=True)
class Table:
    """A task's file with its checked rows."""

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
    return re.sub(r"-\d+-of-\d+$", "", path.name).endswith(TFRECORD_SUFFIXES)


def read_table(path: Path, task: Task, labelled: bool | None = True) -> Table:
    """Read a task's file of any kind that `open_row_file` can open; .tsv and .txt by GLUE's rules.

    labelled: True, each row needs a label; False, labels are not read; None, a row has the label
    that is given, if any: none is given by an empty cell, `-` or -1, as in published test files.
    Columns are found by their names, in any order. Raises UserError with file and line for a
    missing or empty file, a missing or duplicate column, a row with missing or surplus fields (some
    tasks: left out and counted), an empty text, an unknown label, or a duplicate id.
    """
    table = stream_table(path, task, labelled)
    rows = list(table.rows)
    _check_ids(table, rows)
    return replace(table, rows=rows)


def stream_table(path: Path, task: Task, labelled: bool | None = True) -> Table:
    """Read a table as `read_table` does, but row by row and only once, which needs little memory.

    Duplicate ids are allowed, since augmented rows repeat theirs.
    """
    if holds_ids(path):
        raise UserError(
            f"{path} holds token ids, but texts are needed here; put the .tsv file with these rows "
            "into the folder"
        )
    sheet = open_sheet(path, task, labelled)
    table = Table(path, sheet.header, (), sheet.places)
    return replace(table, rows=_rows(table, sheet, task, labelled))


def _rows(table: Table, sheet: Sheet, task: Task, labelled: bool | None) -> Iterator[Row]:
    """Yield the checked rows; appends the numbers of those left out to `table.skipped`."""
    places, most, found = sheet.places, sheet.most, False
    width = max(places.values()) + 1
    optional = task.own or labelled is None
    filled = [role for role in places if not (optional and role == "label")]
    last = task.label_is_last and places.get("label") == most - 1
    only = None
    if task.only and table.header and task.only[0] in table.header:
        only = table.header.index(task.only[0])
    try:
        for number, cells in sheet.lines:
            if only is not None and len(cells) > only and cells[only] != task.only[1]:
                continue
            now = {**places, "label": len(cells) - 1} if last and len(cells) > most else places
            room = len(cells) <= most or task.label_is_last
            fits = width <= len(cells) and room and all(cells[now[role]].strip() for role in filled)
            if task.skips_misfits and not (fits and _agreed(cells, now, task, most, labelled)):
                table.skipped.append(number)
            elif fits:
                found = True
                yield _row(table.path, task, number, tuple(cells), now, labelled)
            else:
                raise _misfit(sheet, task, number, cells, labelled)
    finally:
        note(table.path, table.skipped)
    if not found:
        of = f" whose {task.only[0]} is {task.only[1]}" if only is not None else ""
        raise UserError(f"{table.path} holds no rows{of}; add at least one")


def _agreed(
    cells: list[str], places: dict[str, int], task: Task, most: int, labelled: bool | None
) -> bool:
    """Whether the row has a gold label; with surplus fields it must be one of the task's."""
    label = cells[places["label"]].strip() if labelled else ""
    return label not in (NO_AGREEMENT, NO_GOLD_LABEL) and (
        len(cells) <= most or not labelled or label in task.labels
    )


def _misfit(
    sheet: Sheet, task: Task, number: int, cells: list[str], labelled: bool | None
) -> UserError:
    where, width = at(sheet.path, number), max(sheet.places.values()) + 1
    if len(cells) > sheet.most:
        return UserError(
            f"{where}: has {len(cells)} fields, but line 1 has {sheet.most}; remove the surplus tab"
        )
    if is_tabs(sheet.path):
        return UserError(
            f"{where}: has {len(cells)} fields, but {task.name} needs {width} tab-separated "
            f"fields with a text{' and a label' if labelled else ''}; fix or remove the row"
        )
    lacks = [sheet.header[place] for place in sheet.places.values() if not cells[place].strip()]
    return UserError(f"{where}: the column {lacks[0]!r} is empty; fix or remove the row")


def _check_ids(table: Table, rows: list[Row]) -> None:
    for place, column in enumerate(table.header or ()):
        if column not in IDS:
            continue
        seen = set()
        for row in rows:
            cell = row.fields[place] if place < len(row.fields) else None
            if cell is not None and cell in seen:
                raise UserError(
                    f"{at(table.path, row.line)}: the {column} {short(cell)} is a duplicate; "
                    f"give each row its own {column}"
                )
            seen.add(cell)


def _row(
    path: Path,
    task: Task,
    number: int,
    cells: tuple[str, ...],
    places: dict[str, int],
    labelled: bool | None,
) -> Row:
    found, where = {role: cells[place] for role, place in places.items()}, at(path, number)
    label = found.get("label", "").strip() or None
    label = dict(task.spellings).get(label, label)
    if labelled is None and label in UNLABELLED and not (task.own and label in task.labels):
        label = None
    if label is not None and task.is_regression and number_of(label) is None:
        raise UserError(f"{where}: the label {short(label)} is not a number; fix the row")
    if label is not None and task.labels and label not in task.labels:
        known = listed(task.labels, 20, " or ")
        raise UserError(f"{where}: unknown label {short(label)}; use {known}")
    return Row(found["text_a"], found.get("text_b"), label, cells, number)


def number_of(label: str) -> float | None:
    """Return a regression's label; None for a word, NaN, or a number too large for 32 bits."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if abs(number) < LARGEST_NUMBER else None
