"""Make a task of a user's rows: find labels, remove duplicates, choose dev rows, check all rows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as short
from statistics import fmean, pstdev

from tinybert_lite.data.left_out import left_out, note
from tinybert_lite.data.own_files import OwnRow, class_names, columns_of, read_own_rows
from tinybert_lite.data.splits import contradictions, stratified_split, without_duplicates
from tinybert_lite.data.tables import NO_AGREEMENT, NO_GOLD_LABEL, number_of
from tinybert_lite.system.console import counted, remark
from tinybert_lite.system.errors import UserError, listed

MANY = 10  # labels with more different numbers than this probably measure something
BANDS = 5  # groups of labels, from low to high, into which a regression's rows are divided
LANGUAGES, METRICS = ("en", "zh", "auto"), ("accuracy", "macro_f1")


@dataclass(frozen=True)
class OwnData:
    """What was found in a user's files."""

    description: dict  # task.json without the task's name
    splits: dict[str, list[OwnRow]]  # train, dev and, if given, test
    duplicates: int  # rows removed from train, since they are in train, dev or test already
    left_out: int = 0  # rows of all files on which annotators did not agree
    dev_drawn: bool = False  # from the training rows


def understand(
    path: Path,
    text: str,
    label: str,
    text_b: str | None = None,
    *,
    dev: Path | None = None,
    test: Path | None = None,
    unlabelled: Path | None = None,
    dev_share: float = 0.1,
    regression: bool = False,
    metric: str | None = None,
    language: str = "auto",
    seed: int = 42,
) -> OwnData:
    """Read and check a user's rows; `text`, `text_b` and `label` name columns.

    Without a `dev` file, a random `dev_share` of the labelled rows becomes the dev set. Raises
    UserError with file and line for rows that cannot be trained or evaluated on.
    """
    if not 0 < dev_share < 1:
        raise UserError(f"--dev_share {dev_share:g} is not between 0 and 1; use e.g. 0.1")
    if regression and metric:
        raise UserError(
            f"--metric {metric} is for classes, but --regression is measured by correlation; omit "
            "one of the two flags"
        )
    raw = _labelled_as_marked(read_own_rows(path, text, text_b, label), regression)
    if unlabelled:
        raw += read_own_rows(unlabelled, text, text_b)
    given = _given(dev, test, (text, text_b, label), {row.label for row in raw}, regression)
    elsewhere = {row.texts for part in given.values() for row in part}
    train = [row for row in without_duplicates(raw) if row.texts not in elsewhere]
    duplicates = len(raw) - len(train)
    to_learn = _with_label(train)
    if not to_learn:
        raise UserError(
            f"{path}: no row{' except those of dev or test' if elsewhere else ''} has a label in "
            f"the column {label!r}; add labels"
        )
    order = class_names(path, label)
    labels = [] if regression else _classes(to_learn, label, order, to_split=not dev)
    for part in (to_learn, *given.values()):
        _check_labels(part, labels)
    _report_contradictions(to_learn)
    if not dev:
        given = {"dev": _drawn(to_learn, regression, dev_share, seed), **given}
        chosen = {*given["dev"]}
        train = [row for row in train if row not in chosen]
        to_learn = _with_label(train)
    for part in (to_learn, given["dev"] if len(given["dev"]) > 1 else ()):
        _need_different_labels(part, regression)
    description = {
        "pair": text_b is not None,
        "labels": labels,
        "metric": "pearson_and_spearman" if regression else metric or METRICS[0],
        "language": _language(to_learn) if language == "auto" else language,
    }
    if regression:  # the model learns (label - offset) / scale
        numbers = [float(row.label) for row in to_learn]
        description |= {"offset": fmean(numbers), "scale": pstdev(numbers)}
    splits = {"train": train, **{split: rows for split, rows in given.items() if rows}}
    lost = left_out(filter(None, (path, dev, test)))
    left = sum(found["rows"] for found in lost.values())
    return OwnData(description, splits, duplicates, left, dev_drawn=not dev)


def _given(
    dev: Path | None,
    test: Path | None,
    columns: tuple[str, str | None, str],  # text, text_b, label
    known: set[str | None],
    regression: bool,
) -> dict[str, list[OwnRow]]:
    """Read the dev and test files, if given; a test file may have no labels at all.

    known: the labels of the training rows."""
    given, (text, text_b, label) = {}, columns
    if dev:
        given["dev"] = _all_labelled(_labelled_as_marked(read_own_rows(dev, *columns), regression))
    if test:
        labelled = label in columns_of(test, *filter(None, (text, text_b)))
        found = read_own_rows(test, text, text_b, label if labelled else None)
        found = _labelled_as_marked(found, regression)
        if {row.label for row in found} == {NO_GOLD_LABEL} - known:
            remark(
                f"{test}: every label is {NO_GOLD_LABEL}, read as no label, so these rows are "
                "predicted but not scored"
            )
            found = [replace(row, label=None) for row in found]
        given["test"] = _all_labelled(found) if _with_label(found) else found
    return given


def _labelled_as_marked(rows: Iterable[OwnRow], regression: bool) -> list[OwnRow]:
    """Leave out rows with the label `-` (no agreement); -1 beside 0, 1, 2 … means no label.

    If all rows have `-`, none of them has a label; beside `+`, `-` is a class. Beside 0 and 1
    alone, -1 is a class, and in a regression it is a number.
    """
    rows = list(rows)
    signs = any(row.label == "+" for row in rows)
    open_rows = [row for row in rows if row.label == NO_AGREEMENT and not signs]
    if 0 < len(open_rows) < len(rows):
        note(rows[0].path, [row.line for row in open_rows])
        rows = [row for row in rows if row.label != NO_AGREEMENT]
    elif open_rows:
        rows = [replace(row, label=None) for row in rows]
    labels = {row.label for row in rows} - {None}
    if NO_GOLD_LABEL in labels and len(labels) > 2 and not regression:
        others = {str(number) for number in range(len(labels) - 1)}
        if labels - {NO_GOLD_LABEL} == others and len(others) > 2:
            open_rows = [row for row in rows if row.label == NO_GOLD_LABEL]
            remark(
                f"{open_rows[0]}: the label {NO_GOLD_LABEL} is read as no label, in "
                f"{counted(len(open_rows), 'row')}"
            )
            rows = [replace(row, label=None) if row.label == NO_GOLD_LABEL else row for row in rows]
        elif labels - {NO_GOLD_LABEL} == others:
            remark(
                f"{rows[0].path}: {NO_GOLD_LABEL} is read as a class beside 0 and 1; if it means "
                "that a row has no label, empty these cells"
            )
    return rows


def _with_label(rows: Iterable[OwnRow]) -> list[OwnRow]:
    return [row for row in rows if row.label is not None]


def _all_labelled(rows: Iterable[OwnRow]) -> list[OwnRow]:
    rows = list(rows)
    for row in rows:
        if row.label is None:
            raise UserError(
                f"{row}: has no label, but rows to evaluate on need one; add it or remove the row"
            )
    return rows


def _classes(rows: list[OwnRow], column: str, order: list[str], to_split: bool) -> list[str]:
    """Return the labels in the given order (names of a ClassLabel), else sorted.

    They are sorted as numbers if all are numbers.
    Prints a remark if there are many numbers, and with `to_split` if a label is in one row only.
    """
    counts = Counter(row.label for row in rows)
    found = [name for name in order if name in counts] or sorted(counts)
    if not order and None not in map(number_of, found):
        found.sort(key=float)
        if len(found) > MANY:
            remark(
                f"{rows[0].path}: the column {column!r} holds {len(found)} different numbers; if "
                "they measure something, add --regression"
            )
    single = [row for row in rows if counts[row.label] == 1] if to_split and len(counts) > 1 else ()
    if single:
        labels = listed([row.label for row in single])
        remark(
            f"{single[0]}: {len(single)} of {len(counts)} labels are in one row only ({labels}); "
            "these rows are in train, and dev has none of them: correct the labels, add rows, name "
            f"a file with --dev, or check that {column!r} is the column of the labels"
        )
    return found


def _check_labels(rows: list[OwnRow], labels: list[str]) -> None:
    """Raise UserError for a label that is not in `labels`; if they are empty, not a number."""
    for row in _with_label(rows):
        if labels and row.label not in labels:
            raise UserError(
                f"{row}: the label {short(row.label)} is not one of the training labels, "
                f"{listed(labels)}; fix the row"
            )
        if not labels and number_of(row.label) is None:
            raise UserError(
                f"{row}: the label {short(row.label)} is not a number, which --regression needs; "
                "fix the row or omit --regression"
            )


def _need_different_labels(rows: list[OwnRow], regression: bool) -> None:
    if rows and len({float(row.label) if regression else row.label for row in rows}) < 2:
        raise UserError(
            f"{rows[0].path}: every row has the label {short(rows[0].label)}, so there is "
            "nothing to learn; add rows of another label"
        )


def _report_contradictions(rows: list[OwnRow]) -> None:
    if found := contradictions(rows):
        first, second = found[0][:2]
        remark(
            f"{len(found)} text{'s have' if len(found) > 1 else ' has'} more than one label, such "
            f"as {short(first.text_a)}: {short(first.label)} in line {first.line}, "
            f"{short(second.label)} in line {second.line} of {second.path}; such rows are kept in "
            "train.tsv"
        )


def _drawn(rows: list[OwnRow], regression: bool, share: float, seed: int) -> list[OwnRow]:
    """Choose random rows for dev, some of every label, or of every band of a regression."""
    strata: list = [row.label for row in rows]
    if regression:
        bands = max(1, min(BANDS, round(share * len(rows))))
        order = sorted(range(len(rows)), key=lambda place: float(rows[place].label))
        for rank, place in enumerate(order):
            strata[place] = rank * bands // len(rows)
    found = stratified_split(rows, strata, share, seed)
    if not found:
        raise UserError(
            f"{rows[0].path}: no row can be used for dev, since each text has several labels or "
            "is the only one with its label; add rows or name a file with --dev"
        )
    return found


def _language(rows: list[OwnRow]) -> str:
    """Return "zh" if more than a third of the letters are Chinese characters, else "en"."""
    letters = [letter for row in rows[:1000] for letter in row.text_a if letter.isalpha()]
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in letters)
    return "zh" if 3 * chinese > len(letters) else "en"
