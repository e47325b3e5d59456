"""A task's rows from GLUE's quoting-free TSV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.tasks import Task
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of

LARGEST = 3.4e38  # a score must fit 32 bits
NO_VERDICT = "-"  # SNLI's label where its annotators did not agree
RECORDS = (".tf_record", ".tfrecord")  # TensorFlow's files: rows as token ids


@dataclass(frozen=True)
class Row:
    text_a: str
    text_b: str | None
    label: str | None  # None in a test file, and where a user's row has none
    fields: tuple[str, ...]  # the whole line, for writing it again
    line: int  # its number in the file


@dataclass(frozen=True)
class Record:
    """A row of a user's own file."""

    text_a: str
    text_b: str | None
    label: str | None  # None: the row has none
    line: int  # where it begins
    path: Path

    @property
    def texts(self) -> tuple[str, str | None]:
        return self.text_a, self.text_b

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass(frozen=True)
class Table:
    path: Path
    header: tuple[str, ...] | None
    rows: Iterable[Row]  # a list, or once through the file
    places: dict[str, int]  # text_a, text_b, label -> column
    skipped: list[int] = field(
        default_factory=list
    )  # lines with missing or surplus fields or no verdict, where the task allows them


def label_ids(rows: Iterable[Row], task: Task) -> list[float]:
    """Class numbers, or for a regression the numbers on the scale they are learnt on; NaN where there is no label."""
    place = {label: float(i) for i, label in enumerate(task.labels)}
    number = (
        place.__getitem__
        if task.labels
        else lambda label: (float(label) - task.offset) / task.scale
    )
    return [float("nan") if row.label is None else number(row.label) for row in rows]


def holds_ids(path: Path) -> bool:
    """Whether its name is that of a TFRecord file, or of a part of one (`.tfrecord-00000-of-00010`): rows of token ids, no texts."""
    return re.sub(r"-\d+-of-\d+$", "", path.name).endswith(RECORDS)


def has_labels(table: Table, task: Task) -> bool:
    """Whether a test file has the label column, which most have not."""
    return any(name in (table.header or ()) for name in task.label[0].split("|"))


def read_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """Read a GLUE file. Columns go by the header's names, in any order; `labelled=False` reads a test file.

    Raises UserError naming file and line for a missing file, an empty one, a column that is not there or there twice,
    a row with missing or surplus fields (some tasks: skipped and counted), an empty text, an unknown label, or an id that comes twice.
    """
    table = stream_table(path, task, labelled)
    rows = list(table.rows)
    _check_ids(table, rows)
    return replace(table, rows=rows)


def stream_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """As `read_table`, with rows that are read as they are asked for, once: a file of any length in little memory.

    Ids may come twice, as in augmented rows.
    """
    if holds_ids(path):
        raise UserError(
            f"{path} holds token ids, not texts, which are needed here; put the .tsv that it was made from into the folder"
        )
    lines = lines_of(path)
    first = next(lines, "")
    header = tuple(first.split("\t")) if task.header or not labelled else None
    if not first.strip() and not any(line.strip() for line in lines):
        raise UserError(f"{path} is empty: it needs one row a line, columns separated by tabs")
    most = len(first.split("\t"))
    places, width = _places(path, task, header, most, labelled)
    filled = [place for role, place in places.items() if not (task.own and role == "label")]
    only = (
        (header.index(task.only[0]), task.only[1])
        if task.only and header and task.only[0] in header
        else None
    )
    skipped: list[int] = []

    def rows() -> Iterator[Row]:
        number = found = 0
        for number, line in enumerate(
            lines if header else chain([first], lines), start=2 if header else 1
        ):
            cells = tuple(line.split("\t"))
            if only and len(cells) > only[0] and cells[only[0]] != only[1]:
                continue
            if width <= len(cells) <= most and all(cells[i].strip() for i in filled):
                if task.skips_misfits and labelled and cells[places["label"]].strip() == NO_VERDICT:
                    skipped.append(number)
                else:
                    found += 1
                    yield _row(path, task, number, cells, places)
            elif task.skips_misfits:
                skipped.append(number)
            elif len(cells) > most:
                raise UserError(
                    f"{path}, line {number}: has {len(cells)} fields, but line 1 has {most}; take the tab out of the text"
                )
            else:
                need = (
                    f"{width} tab-separated fields with a text{' and a label' if labelled else ''}"
                )
                raise UserError(
                    f"{path}, line {number}: has {len(cells)} fields, but {task.name} needs {need}; mend or remove the row"
                )
        if not found:
            of = f" whose {task.only[0]} is {task.only[1]}" if only else ""
            raise UserError(f"{path} holds a header but no rows{of}: add at least one")

    return Table(path, header, rows(), places, skipped)


def _places(
    path: Path, task: Task, header, width: int, labelled: bool
) -> tuple[dict[str, int], int]:
    wanted = {role: column for role, column in task.columns.items() if labelled or role != "label"}
    if header is None:
        places = {role: number % width for role, (_, number) in wanted.items()}
        if max(places.values()) >= width or width <= max(number for _, number in wanted.values()):
            raise UserError(
                f"{path}, line 1: {width} tab-separated fields, but {task.name} has more; is it a {task.name} file?"
            )
        return places, max(places.values()) + 1
    places = {}
    for role, (names, _) in wanted.items():
        name = next((name for name in names.split("|") if name in header), names)
        if header.count(name) != 1:
            raise UserError(
                f"{path}, line 1: {'two columns' if name in header else 'no column'} {name!r} in the header {short(header)}; "
                f"{task.name} needs the columns {', '.join(repr(n) for n, _ in wanted.values())}"
            )
        places[role] = header.index(name)
    return places, max(places.values()) + 1


def _check_ids(table: Table, rows: list[Row]) -> None:
    for column in [name for name in table.header or () if name in ("index", "id")]:
        place, seen = table.header.index(column), set()
        for row in rows:
            cell = row.fields[place] if place < len(row.fields) else None
            if cell is not None and cell in seen:
                raise UserError(
                    f"{table.path}, line {row.line}: the {column} {short(cell)} stands there twice; give each row its own"
                )
            seen.add(cell)


def _row(path: Path, task: Task, number: int, cells, places) -> Row:
    label = cells[places["label"]].strip() or None if "label" in places else None
    label = dict(task.spellings).get(label, label)
    if label is not None and task.is_regression:
        try:
            if not abs(float(label)) < LARGEST:
                raise ValueError
        except ValueError:
            raise UserError(
                f"{path}, line {number}: the label {short(label)} is not a number; mend the row"
            ) from None
    elif label is not None and label not in task.labels:
        raise UserError(
            f"{path}, line {number}: unknown label {short(label)}; {task.name} has {', '.join(task.labels)}"
        )
    text_b = cells[places["text_b"]] if "text_b" in places else None
    return Row(cells[places["text_a"]], text_b, label, cells, number)
