"""The one list of tasks, and reading their rows from GLUE's quoting-free TSV."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.lines import lines_of
from tinybert_lite.runtime import UserError

LARGEST = 3.4e38  # a score must fit 32 bits


@dataclass(frozen=True)
class Task:
    """A column is named as in GLUE's header; the number is its place in a file without one (negative: from the end)."""

    name: str
    text_a: tuple[str, int]
    text_b: tuple[str, int] | None
    label: tuple[str, int]
    labels: tuple[str, ...]  # in the order of the classifier's outputs; empty: a number (regression)
    metric: str  # the score that decides: accuracy | matthews | f1_and_accuracy | pearson_and_spearman
    variants: int  # N of the original augmentation
    header: bool = True
    dev_files: tuple[str, ...] = ("dev",)
    test_files: tuple[str, ...] = ("test",)
    skips_misfits: bool = False  # QQP's real files hold rows with missing fields

    @property
    def is_regression(self) -> bool:
        return not self.labels

    @property
    def num_labels(self) -> int:
        return len(self.labels) or 1

    @property
    def columns(self) -> dict[str, tuple[str, int]]:
        """text_a, text_b (pairs only) and label."""
        named = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label}
        return {role: column for role, column in named.items() if column}


_ENTAILMENT = ("entailment", "not_entailment")
TASKS = {
    task.name: task
    for task in (
        Task("SST-2", ("sentence", 0), None, ("label", 1), ("0", "1"), "accuracy", 20),
        Task("CoLA", ("sentence", 3), None, ("label", 1), ("0", "1"), "matthews", 30, header=False),
        Task("MRPC", ("#1 String", 3), ("#2 String", 4), ("Quality", 0), ("0", "1"), "f1_and_accuracy", 30),
        Task("STS-B", ("sentence1", 7), ("sentence2", 8), ("score", -1), (), "pearson_and_spearman", 30),
        Task("QQP", ("question1", 3), ("question2", 4), ("is_duplicate", 5), ("0", "1"), "f1_and_accuracy", 10,
             skips_misfits=True),
        Task("MNLI", ("sentence1", 8), ("sentence2", 9), ("gold_label", -1),
             ("contradiction", "entailment", "neutral"), "accuracy", 10,
             dev_files=("dev_matched", "dev_mismatched"), test_files=("test_matched", "test_mismatched")),
        Task("QNLI", ("question", 1), ("sentence", 2), ("label", -1), _ENTAILMENT, "accuracy", 20),
        Task("RTE", ("sentence1", 1), ("sentence2", 2), ("label", -1), _ENTAILMENT, "accuracy", 30),
        Task("WNLI", ("sentence1", 1), ("sentence2", 2), ("label", -1), ("0", "1"), "accuracy", 30),
    )
}


def find_task(name: str) -> Task:
    """Any case is accepted (`sst-2`). Raises UserError with the nearest name."""
    by_lower = {task.lower(): task for task in TASKS}
    if name.lower() in by_lower:
        return TASKS[by_lower[name.lower()]]
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    raise UserError(f"no task is called {name!r}; the nearest is {by_lower[near[0]]} (there are {', '.join(TASKS)})")


@dataclass(frozen=True)
class Row:
    text_a: str
    text_b: str | None
    label: str | None  # None in a test file
    fields: tuple[str, ...]  # the whole line, for writing it again


@dataclass(frozen=True)
class Table:
    path: Path
    header: tuple[str, ...] | None
    rows: Iterable[Row]  # a list, or once through the file
    places: dict[str, int]  # text_a, text_b, label -> column
    skipped: list[int] = field(default_factory=list)  # lines with missing or surplus fields, where the task allows them


def need_two_classes(labels: Iterable[float], task: Task, path: Path) -> None:
    """Raise UserError where all rows of a classification have one label: nothing can be learnt from them, or measured on them."""
    found = {int(label) for label in labels} if task.labels else ()
    if len(found) == 1:
        raise UserError(f"{path}: every row that is read has the label {task.labels[found.pop()]!r}; add rows of another label")


def label_ids(rows: Iterable[Row], task: Task) -> list[float]:
    """Class numbers, or the numbers themselves for a regression; NaN where there is no label."""
    place = {label: float(i) for i, label in enumerate(task.labels)}
    number = float if task.is_regression else place.__getitem__
    return [float("nan") if row.label is None else number(row.label) for row in rows]


def read_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """Read a GLUE file. Columns go by the header's names, in any order; `labelled=False` reads a test file.

    Raises UserError naming file and line for a missing file, an empty one, a column that is not there or there twice,
    a row with missing or surplus fields (QQP: skipped and counted), an empty text, an unknown label, or an id that comes twice.
    """
    table = stream_table(path, task, labelled)
    rows = list(table.rows)
    _check_ids(table, rows)
    return replace(table, rows=rows)


def stream_table(path: Path, task: Task, labelled: bool = True) -> Table:
    """As `read_table`, with rows that are read as they are asked for, once: a file of any length in little memory.

    Ids may come twice, as in augmented rows.
    """
    lines = lines_of(path)
    first = next(lines, "")
    header = tuple(first.split("\t")) if task.header or not labelled else None
    if not first.strip() and not any(line.strip() for line in lines):
        raise UserError(f"{path} is empty: it needs one row a line, columns separated by tabs")
    most = len(first.split("\t"))
    places, width = _places(path, task, header, most, labelled)
    skipped: list[int] = []

    def rows() -> Iterator[Row]:
        number = 0
        for number, line in enumerate(lines if header else chain([first], lines), start=2 if header else 1):
            cells = tuple(line.split("\t"))
            if width <= len(cells) <= most and all(cells[i].strip() for i in places.values()):
                yield _row(path, task, number, cells, places)
            elif task.skips_misfits:
                skipped.append(number)
            elif len(cells) > most:
                raise UserError(f"{path}, line {number}: has {len(cells)} fields, but line 1 has {most}; take the tab out of the text")
            else:
                need = f"{width} tab-separated fields with a text{' and a label' if labelled else ''}"
                raise UserError(f"{path}, line {number}: has {len(cells)} fields, but {task.name} needs {need}; mend or remove the row")
        if number - bool(header) - len(skipped) < 1:
            raise UserError(f"{path} holds a header but no rows: add at least one")

    return Table(path, header, rows(), places, skipped)


def _places(path: Path, task: Task, header, width: int, labelled: bool) -> tuple[dict[str, int], int]:
    wanted = {role: column for role, column in task.columns.items() if labelled or role != "label"}
    if header is None:
        places = {role: number % width for role, (_, number) in wanted.items()}
        if max(places.values()) >= width or width <= max(number for _, number in wanted.values()):
            raise UserError(f"{path}, line 1: {width} tab-separated fields, but {task.name} has more; is it a {task.name} file?")
        return places, max(places.values()) + 1
    places = {}
    for role, (name, _) in wanted.items():
        if header.count(name) != 1:
            raise UserError(f"{path}, line 1: {'two columns' if name in header else 'no column'} {name!r} in the header {short(header)}; "
                            f"{task.name} needs the columns {', '.join(repr(n) for n, _ in wanted.values())}")
        places[role] = header.index(name)
    return places, max(places.values()) + 1


def _check_ids(table: Table, rows: list[Row]) -> None:
    skipped = set(table.skipped)
    for column in [name for name in table.header or () if name in ("index", "id")]:
        place, seen = table.header.index(column), set()
        for number, row in zip((n for n in count(2) if n not in skipped), rows):
            cell = row.fields[place] if place < len(row.fields) else None
            if cell is not None and cell in seen:
                raise UserError(f"{table.path}, line {number}: the {column} {short(cell)} stands there twice; give each row its own")
            seen.add(cell)


def _row(path: Path, task: Task, number: int, cells, places) -> Row:
    label = cells[places["label"]].strip() if "label" in places else None
    if label is not None and task.is_regression:
        try:
            if not abs(float(label)) < LARGEST:
                raise ValueError
        except ValueError:
            raise UserError(f"{path}, line {number}: the label {short(label)} is not a number; mend the row") from None
    elif label is not None and label not in task.labels:
        raise UserError(f"{path}, line {number}: unknown label {short(label)}; {task.name} has {', '.join(task.labels)}")
    text_b = cells[places["text_b"]] if "text_b" in places else None
    return Row(cells[places["text_a"]], text_b, label, cells)
