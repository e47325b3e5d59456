"""Open a task's file of any kind: its header, its rows as lists of cells, the task's columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.clue import with_texts
from tinybert_lite.data.row_files import (
    JSON,
    KINDS,
    TABS,
    as_text,
    at,
    kind_of,
    open_row_file,
    tab_rows,
)
from tinybert_lite.data.saved_datasets import PARQUET
from tinybert_lite.data.tasks import Task
from tinybert_lite.system.errors import UserError

IDS = ("index", "id")  # columns that name a row
Lines = Iterator[tuple[int, list[str]]]  # a row's number and cells


@dataclass(frozen=True)
class Sheet:
    """A file of rows, read once."""

    path: Path
    header: tuple[str, ...] | None
    lines: Lines
    places: dict[str, int]  # text_a, text_b, label -> index of the column
    most: int  # number of fields of the header, or of the first row


def open_sheet(path: Path, task: Task, labelled: bool | None) -> Sheet:
    """Open a .tsv or .txt by GLUE's rules, another kind of file by the task's columns.

    labelled: see `tables.read_table`. Raises UserError for a missing or empty file, and for a
    missing or duplicate column.
    """
    return (_by_tabs if is_tabs(path) else _by_columns)(path, task, labelled)


def is_tabs(path: Path) -> bool:
    """Whether a task's file is read by GLUE's rules: .tsv, .txt and files of unknown suffixes."""
    return not path.is_dir() and kind_of(path) not in {*KINDS} - {*TABS}


def _by_tabs(path: Path, task: Task, labelled: bool | None) -> Sheet:
    lines = tab_rows(path)
    first = next(lines, (1, [""]))[1]
    if not any(cell.strip() for cell in first) and not any(
        "".join(row).strip() for _, row in lines
    ):
        raise UserError(f"{path} is empty: it needs one row per line, columns separated by tabs")
    roles = {role for role in task.columns if labelled or role != "label"}
    fits = all({*task.columns[role].split("|")} & {*first} for role in roles)
    last = max([place for role, place in task.places if role in roles], default=0)
    header = None
    if fits or not task.places or not labelled and len(first) <= last:
        header = tuple(first)
    else:
        lines = chain([(1, first)], lines)
    places = _places(path, task, header, len(first), labelled)
    return Sheet(path, header, lines, places, len(first))


def _by_columns(path: Path, task: Task, labelled: bool | None) -> Sheet:
    """Open a file of another kind; only the task's columns and the ids are kept."""
    found = open_row_file(path)
    if not found.columns:
        raise UserError(f"{path} holds no rows; add at least one")
    places = _places(path, task, tuple(found.columns), len(found.columns), labelled)
    more = (*IDS[: 0 if labelled else None], *(task.only or ())[:1])  # ids serve submissions
    kept = [
        *places.values(),
        *(found.columns.index(name) for name in more if name in found.columns),
    ]
    header = tuple(found.columns[place] for place in sorted({*kept}))
    roles = {found.columns[place]: role for role, place in places.items()}

    def lines() -> Lines:
        for number, cells in found.rows:
            where = at(path, number)
            cells = with_texts(task.name, cells, where)
            values = [
                _label(cells.get(name), found.names.get(name), task)
                if roles.get(name) == "label"
                else cells.get(name)
                for name in header
            ]
            columns = (f"{where}: the column {name!r} holds" for name in header)
            yield number, [*map(as_text, values, columns)]

    there = {role: header.index(name) for name, role in roles.items()}
    return Sheet(path, header, lines(), there, len(header))


def _label(value: object, names: list[str] | None, task: Task) -> object:
    """Return a ClassLabel's number as the task writes it: as its name, else as the number."""
    if names is None or not isinstance(value, int):
        return value
    name = names[value] if 0 <= value < len(names) else None
    return name if value < 0 or name in (*task.labels, *dict(task.spellings)) else value


def _places(
    path: Path, task: Task, header: tuple[str, ...] | None, width: int, labelled: bool | None
) -> dict[str, int]:
    """Return each role's column index, in a file whose first line has `width` fields."""
    if header is None:
        optional = {"label"} if not labelled else set()
        places = {
            role: place
            for role, place in task.places
            if role not in optional or labelled is None and place < width
        }
        if width <= max(places.values()):
            raise UserError(
                f"{path}, line 1: has {width} tab-separated fields, but {task.name} has more; use "
                f"a file of {task.name}"
            )
        return places
    wanted = {role: names for role, names in task.columns.items() if labelled or role != "label"}
    if labelled is None and {*task.label.split("|")} & {*header}:
        wanted["label"] = task.label
    places = {}
    for role, names in wanted.items():
        name = next((name for name in names.split("|") if name in header), names)
        if header.count(name) != 1:
            known = ", ".join(repr(each).replace("|", " or ") for each in wanted.values())
            where, there = f"{path}, line 1", "in the header"
            if kind_of(path) in (*JSON, PARQUET):
                where, there = str(path), "among the columns"
            raise UserError(
                f"{where}: {'two columns' if name in header else 'no column'} "
                f"{name.replace('|', ' or ')!r} {there} {short(header)}; name each of "
                f"{task.name}'s columns {known} once, or make a task of your own rows with "
                f"python -m tinybert_lite.own_data"
            )
        places[role] = header.index(name)
    return places
