"""Read the rows of a file to predict; a row without a text is kept, with None as its texts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tinybert_lite.data.clue import with_texts
from tinybert_lite.data.row_files import (
    CUT,
    EMPTY,
    TABS,
    RowFile,
    as_text,
    ask_about_header,
    at,
    kind_of,
    no_column,
    numbered,
    open_row_file,
)
from tinybert_lite.data.tasks import Task
from tinybert_lite.system.console import counted, remark
from tinybert_lite.system.errors import UserError, listed

Texts = tuple[str, str | None]


@dataclass(frozen=True)
class RowToPredict:
    """A row: its texts, or None where one is missing, and its other columns."""

    texts: Texts | None
    line: int = 0
    others: dict[str, str] = field(default_factory=dict)


def read_rows_to_predict(
    path: Path, task: Task, text: str | None = None, text_b: str | None = None
) -> tuple[Iterator[RowToPredict], list[str]]:
    """Return a file's rows, and the names of the columns that are not texts.

    The file is of any kind; its texts are in the columns `text` and `text_b`, else in the task's.
    A .txt file without the task's columns and without tabs holds one text per line. Of a task such
    as XNLI-de the rows of its language are read. Raises UserError with file and line if a column is
    missing, or a row is damaged.
    """
    columns = [text, text_b] if text_b else [text]
    misfits = CUT if task.label_is_last and not text else EMPTY
    if not text:
        columns = _task_columns(path, task)
    found = open_row_file(path, columns, misfits)
    for name in columns:
        if name not in found.columns:
            raise UserError(f"{path}: {no_column(name, found.columns)}")
    ask_about_header(path, columns)
    others = [name for name in found.columns if name not in columns]
    return _rows(found, task, columns, others, composed=not text), others


def _task_columns(path: Path, task: Task) -> list[str]:
    """Return the names of the task's columns of texts; their numbers if there is no header."""
    header, tabs = open_row_file(path).columns, kind_of(path) in TABS
    wanted = {role: names for role, names in task.columns.items() if role != "label"}
    found = [next((n for n in names.split("|") if n in header), None) for names in wanted.values()]
    if None not in found:
        return found
    places = [place for role, place in task.places if role in wanted]
    if tabs and places and max(places) < len(header):
        return [str(place + 1) for place in places]
    if kind_of(path) == ".txt" and len(header) == 1 and not task.text_b:
        remark(
            f"{path}: every line is a text to predict; if line 1 is a header, name its column with "
            "--text"
        )
        return ["1"]
    missing = [*wanted.values()][found.index(None)].replace("|", " or ")
    number = "; without a header, name columns by number, such as --text 1" if tabs else ""
    second = ", and that of the second texts with --text_b" if task.text_b else ""
    raise UserError(
        f"{path} has no column {missing!r}, as {task.name}'s rows have: name its column of texts "
        f"with --text{second}{number}"
    )


def _rows(
    found: RowFile, task: Task, columns: list[str], others: list[str], composed: bool
) -> Iterator[RowToPredict]:
    empty: list[int] = []
    unknown: set[str] = set()  # columns that the first of a file's JSON objects does not have
    number = 0
    for number, cells in found.rows:
        where = at(found.path, number)
        if task.only and cells.get(task.only[0], task.only[1]) != task.only[1]:
            continue
        if composed and cells:
            cells = with_texts(task.name, cells, where)
        texts = [
            as_text(cells.get(name), f"{where}: the column {name!r} holds") for name in columns
        ]
        unknown |= cells.keys() - {*found.columns}
        if not all(texts):
            empty.append(number)
        yield RowToPredict(
            (texts[0], texts[1] if len(texts) > 1 else None) if all(texts) else None,
            number,
            {name: _shown(cells.get(name)) for name in others},
        )
    if not number:
        raise UserError(f"{found.path} holds no rows; add at least one")
    if unknown:
        remark(
            f"{found.path}: columns that the first row does not have are not written to --output: "
            f"{listed(sorted(unknown))}"
        )
    if empty:
        remark(
            f"{found.path}: {counted(len(empty), 'row')} got an empty prediction, because a text "
            f"is missing or the cells do not fit the columns; the first is "
            f"{numbered(found.path, empty[0])}"
        )


def _shown(value: object) -> str:
    """Return a cell of another column as one line of text."""
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return " ".join(str("" if value is None else value).split())
