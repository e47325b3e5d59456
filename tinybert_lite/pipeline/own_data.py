"""A task of your own from a CSV, TSV or JSON Lines file: reads it, checks it, and writes what `run_all --task` runs on.

    python -m tinybert_lite.own_data reviews.csv --text title --label topic --name topics

Rows without a label are kept for distillation: there the teacher's answer is all that is learnt from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from statistics import fmean, pstdev

from tinybert_lite.data.records import has_column, read_records
from tinybert_lite.data.splits import contradictions, stratified_split, without_doubles
from tinybert_lite.data.tables import LARGEST, Record
from tinybert_lite.data.tasks import OWN, TASKS, own_task
from tinybert_lite.models.folder import PRE_DATA
from tinybert_lite.pipeline.folders import CLASSROOM, GROWN, STUDENT_MODEL, TEACHER_MODEL
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import write_atomically
from tinybert_lite.system.outputs import ASIDE, Outputs

MANY = 10  # different numbers as labels: more likely a scale than classes
BANDS = 5  # of a regression's numbers, from low to high
LANGUAGES, METRICS = ("en", "zh", "auto"), ("accuracy", "macro_f1")
SPLITS = ("train", "dev", "test")
_TAKEN = {
    *"all pictures undistilled docs dev tests tools notebooks tinybert_lite".split(),
    ASIDE,
    CLASSROOM,
    GROWN,
    PRE_DATA,
    STUDENT_MODEL,
    TEACHER_MODEL,
    *(task.language for task in TASKS.values()),
}


@dataclass(frozen=True)
class OwnData:
    """What was understood of a user's files. `description` is task.json."""

    description: dict
    splits: dict[str, list[Record]]
    doubles: int  # rows left out since they stand there twice, or in dev or test too

    @property
    def is_regression(self) -> bool:
        return not self.description["labels"]


def understand(
    path: Path,
    text: str,
    label: str,
    text_b: str | None = None,
    *,
    name: str | None = None,
    dev: Path | None = None,
    test: Path | None = None,
    unlabelled: Path | None = None,
    dev_share: float = 0.1,
    regression: bool = False,
    metric: str | None = None,
    language: str = "auto",
    seed: int = 42,
) -> OwnData:
    """Read and check; text, text_b and label are columns. Raises UserError with file and line for what makes no task."""
    name = _checked_name(name or re.sub(r"[^\w-]+", "-", path.name.split(".")[0]))
    if not 0 < dev_share < 1:
        raise UserError(f"--dev_share {dev_share:g} makes no sense: use a share such as 0.1")
    if regression and metric:
        raise UserError(
            f"--metric {metric} is for classes, and --regression is measured by correlation; use one of the two"
        )
    raw = list(read_records(path, text, text_b, label))
    more = list(read_records(unlabelled, text, text_b)) if unlabelled else []
    given = {
        "dev": dev and _labelled(list(read_records(dev, text, text_b, label))),
        "test": test and _test_rows(test, text, text_b, label),
    }
    elsewhere = {row.texts for part in given.values() for row in part or ()}
    rows = [row for row in without_doubles([*raw, *more]) if row.texts not in elsewhere]
    with_label = [row for row in rows if row.label is not None]
    if not with_label:
        raise UserError(
            f"{path}: no row{' but those of dev or test' if elsewhere else ''} has a label in the column {label!r}; add some"
        )
    labels = [] if regression else _labels(with_label, path, label, dev is None)
    for part in (with_label, *given.values()):
        _check(part or (), labels)
    _name_contradictions(with_label)
    drawn: list[Record] = []
    if dev is None:
        drawn = given["dev"] = _drawn(with_label, path, regression, dev_share, seed)
        chosen = set(drawn)
        rows, with_label = (
            [row for row in part if row not in chosen] for part in (rows, with_label)
        )
    _need_different_labels(with_label, regression)
    if len(given["dev"]) > 1:
        _need_different_labels(given["dev"], regression)
    description = {
        "name": name,
        "pair": text_b is not None,
        "labels": labels,
        "metric": "pearson_and_spearman" if regression else metric or METRICS[0],
        "language": _language(with_label) if language == "auto" else language,
    }
    if regression:  # training is on (label - offset) / scale, near 0 whatever the unit
        numbers = [float(row.label) for row in with_label]
        description |= {"offset": fmean(numbers), "scale": pstdev(numbers)}
    splits = {"train": rows, **{split: part for split, part in given.items() if part}}
    return OwnData(description, splits, len(raw) + len(more) - len(rows) - len(drawn))


def _checked_name(name: str) -> str:
    if name.lower() in {task.lower() for task in TASKS} | _TAKEN or re.match(r"\d_", name):
        raise UserError(
            f"--name {name} is taken by the course itself; name your task something else"
        )
    if not re.fullmatch(r"[\w-]+", name):
        raise UserError(f"--name {name!r} is not one of letters, digits, - and _; choose another")
    return name


def _labelled(rows: list[Record]) -> list[Record]:
    for row in rows:
        if row.label is None:
            raise UserError(
                f"{row}: has no label, and rows to measure on need one; add it or remove the row"
            )
    return rows


def _test_rows(path: Path, text: str, text_b: str | None, label: str) -> list[Record]:
    """Test rows all have a label, or none has."""
    columns = [column for column in (text, text_b) if column]
    rows = list(
        read_records(path, text, text_b, label if has_column(path, label, *columns) else None)
    )
    return _labelled(rows) if any(row.label is not None for row in rows) else rows


def _number(word: str) -> float | None:
    """None for a word that is no number of 32 bits."""
    try:
        return found if abs(found := float(word)) < LARGEST else None
    except ValueError:
        return None


def _labels(rows: list[Record], path: Path, column: str, to_split: bool) -> list[str]:
    """The labels' words in order, as numbers where all are. Raises UserError where they cannot be split or learnt."""
    counts = Counter(row.label for row in rows)
    found = sorted(counts)
    if None not in map(_number, found):
        found.sort(key=float)
        if len(found) > MANY:
            remark(
                f"{path}: the column {column!r} holds {len(found)} different numbers; if they measure something, add --regression"
            )
    single = [row for row in rows if counts[row.label] == 1] if to_split and len(counts) > 1 else []
    if single:
        others = f" (and {len(single) - 1} more labels do)" if len(single) > 1 else ""
        raise UserError(
            f"{single[0]}: the label {short(single[0].label)} stands in this row alone{others}, and one row cannot both teach and "
            f"measure; mend a typo, add rows, or check that {column!r} is the column of the labels"
        )
    return found


def _check(rows, labels: list[str]) -> None:
    """Every label is a class of the training rows, or a number."""
    for row in rows:
        if row.label is None:
            continue
        if not labels and _number(row.label) is None:
            raise UserError(
                f"{row}: the label {short(row.label)} is not a number, as --regression needs; mend the row or leave out --regression"
            )
        if labels and row.label not in labels:
            raise UserError(
                f"{row}: the label {short(row.label)} is not among those to learn from, {', '.join(labels[:20])}; mend the row"
            )


def _need_different_labels(rows: list[Record], regression: bool) -> None:
    if len({float(row.label) if regression else row.label for row in rows}) < 2:
        raise UserError(
            f"{rows[0].path}: every row has the label {rows[0].label!r}, so there is nothing to tell apart; add rows of another label"
        )


def _name_contradictions(rows: list[Record]) -> None:
    found = contradictions(rows)
    if found:
        first, second = found[0][:2]
        remark(
            f"{len(found)} text{'s have' if len(found) > 1 else ' has'} more than one label, such as {short(first.text_a)}: {first.label!r} in line "
            f"{first.line}, {second.label!r} in line {second.line} of {second.path}; such rows stay in train.tsv, as they are"
        )


def _drawn(
    rows: list[Record], path: Path, regression: bool, share: float, seed: int
) -> list[Record]:
    """Rows to measure on, of every label; of numbers from every band between low and high."""
    strata: list = [row.label for row in rows]
    if regression:
        bands = max(1, min(BANDS, round(share * len(rows))))
        for rank, place in enumerate(
            sorted(range(len(rows)), key=lambda place: float(rows[place].label))
        ):
            strata[place] = rank * bands // len(rows)
    found = stratified_split(rows, strata, share, seed)
    if not found:
        raise UserError(
            f"{path}: no row can be drawn to measure on, for each has another label elsewhere or is the only one; add rows or name --dev"
        )
    return found


def _language(rows: list[Record]) -> str:
    """zh where more than every third letter is a Chinese character."""
    letters = [letter for row in rows[:1000] for letter in row.text_a if letter.isalpha()]
    return (
        "zh"
        if 3 * sum("\u4e00" <= letter <= "\u9fff" for letter in letters) > len(letters)
        else "en"
    )


def write(data: OwnData, root: Path) -> Path:
    """task.json and the rows, into `root`/NAME. What lies there and differs is moved aside first."""
    folder = root / data.description["name"]
    contents = {OWN: json.dumps(data.description, indent=2, ensure_ascii=False) + "\n"}
    for split, rows in data.splits.items():
        labelled = any(row.label is not None for row in rows)
        header = ["text_a", *["text_b"] * data.description["pair"], *["label"] * labelled]
        cells = (
            [*(text for text in row.texts if text), *[row.label or ""] * labelled] for row in rows
        )
        contents[f"{split}.tsv"] = "".join("\t".join(line) + "\n" for line in (header, *cells))
    names = (OWN, *(f"{split}.tsv" for split in SPLITS))
    old = [
        folder / file
        for file in names
        if (folder / file).is_file()
        and (folder / file).read_bytes() != contents.get(file, "").encode("utf-8")
    ]
    Outputs(folder, names).set_aside(old, "yours")
    for file, content in contents.items():
        write_atomically(folder / file, content.encode("utf-8"))
    own_task(folder / OWN)
    return folder


def describe_rows(data: OwnData) -> str:
    """What was understood, for people."""
    train = data.splits["train"]
    labelled = [row for row in train if row.label is not None]
    sizes = ", ".join(f"{split} {len(rows)}" for split, rows in data.splits.items())
    without = (
        f" ({len(train) - len(labelled)} of train without a label, for distillation alone)"
        if len(labelled) < len(train)
        else ""
    )
    lines = [f"rows      {sizes}{without}"]
    if data.doubles:
        lines.append(
            f"doubles   {data.doubles} left out of train, for they stand there, in dev or in test already"
        )
    if data.is_regression:
        numbers = [float(row.label) for row in labelled]
        lines.append(
            f"labels    numbers from {min(numbers):g} to {max(numbers):g}, mean {fmean(numbers):.4g}, standard deviation {pstdev(numbers):.4g}"
        )
    else:
        counts = Counter(
            row.label
            for split in ("train", "dev")
            for row in data.splits[split]
            if row.label is not None
        )
        lines.append(
            "labels    "
            + ", ".join(f"{label} {counts[label]}" for label in data.description["labels"])
            + " (train and dev)"
        )
        if (
            max(counts.values()) > 3 * min(counts.values())
            and data.description["metric"] == METRICS[0]
        ):
            lines.append(
                f"metric    accuracy; the labels are uneven, and --metric {METRICS[1]} would count each one alike"
            )
    chinese = data.description["language"] == "zh"
    lengths = [
        sum(len(text) if chinese else len(text.split()) for text in row.texts if text)
        for row in train
    ]
    lines.append(
        f"length    {fmean(lengths):.1f} {'characters' if chinese else 'words'} on average, {max(lengths)} at most"
    )
    lines += [
        f"example   {' | '.join(short_text(text) for text in row.texts if text)} → {row.label}"
        for row in labelled[:3]
    ]
    return "\n".join(lines)


def short_text(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 2].rstrip() + " …"


def make(root: Path, *args, **kwargs) -> Path:
    """Read, check, write and tell; see `understand`. Returns the task's folder in the workspace `root`."""
    data = understand(*args, **kwargs)
    folder = write(data, root)
    say(f"task {data.description['name']}, in {folder}\n" + describe_rows(data))
    return folder
