"""The one list of tasks: GLUE's, its relatives, and how a task of one's own is described."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.system.errors import UserError

Column = tuple[str, int]


@dataclass(frozen=True)
class Task:
    """A column is named as in the header, `a|b` where files differ; the number is its place in a file without one (negative: from the end)."""

    name: str
    text_a: Column
    text_b: Column | None
    label: Column
    labels: tuple[
        str, ...
    ]  # in the order of the classifier's outputs; empty: a number (regression)
    metric: str  # the score that decides: accuracy | macro_f1 | matthews | f1_and_accuracy | pearson_and_spearman
    variants: int = 20  # N of the original augmentation
    mid_epochs: int = 20  # of stage 4 in the paper
    language: str = "en"
    header: bool = True
    dev_files: tuple[str, ...] = ("dev",)
    test_files: tuple[str, ...] = ("test",)
    other_files: tuple[
        tuple[str, str], ...
    ] = ()  # split and its published name, where it is not split.tsv
    skips_misfits: bool = False  # its published files hold rows with missing fields (QQP) or without a verdict (SNLI's label -)
    spellings: tuple[tuple[str, str], ...] = ()  # of a label in some file, and in `labels`
    only: tuple[str, str] | None = None  # a column, and what has to stand there where a file has it
    diagnostic: str = ""  # a test without training rows of its own, for this task's models
    own: bool = False  # a user's: training rows may lack a label
    offset: float = 0.0  # a regression is learnt as (label - offset) / scale
    scale: float = 1.0

    @property
    def is_regression(self) -> bool:
        return not self.labels

    @property
    def num_labels(self) -> int:
        return len(self.labels) or 1

    @property
    def columns(self) -> dict[str, Column]:
        """text_a, text_b (pairs only) and label."""
        named = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label}
        return {role: column for role, column in named.items() if column}

    def order_of(self, words: Sequence[str]) -> list[int] | None:
        """Where the labels stand among a classifier's words for its outputs; None where those are other words."""
        for spelt in (str, str.casefold):
            place = {spelt(word): number for number, word in enumerate(words)}
            if len(place) == len(words) and place.keys() == {spelt(label) for label in self.labels}:
                return [place[spelt(label)] for label in self.labels]
        return None


FOLDERS_OWN_TASK = "SST-2"  # other tasks use sub-folders of the stage folders
_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("contradiction", "entailment", "neutral")
_XNLI_LANGUAGES = "ar bg de el en es fr hi ru sw th tr ur vi zh".split()


def _xnli(language: str) -> Task:
    """Its dev and test files hold all languages, its training rows are MNLI's in translation."""
    return Task(
        f"XNLI-{language}",
        ("sentence1|premise", 0),
        ("sentence2|hypo", 1),
        ("gold_label|label", 2),
        _INFERENCE,
        "accuracy",
        10,
        10,
        language,
        other_files=(
            ("train", f"multinli.train.{language}.tsv"),
            ("dev", "xnli.dev.tsv"),
            ("test", "xnli.test.tsv"),
        ),
        skips_misfits=True,
        spellings=(("contradictory", "contradiction"),),
        only=("language", language),
    )


TASKS = {
    task.name: task
    for task in (
        Task(FOLDERS_OWN_TASK, ("sentence", 0), None, ("label", 1), ("0", "1"), "accuracy"),
        Task(
            "CoLA",
            ("sentence", 3),
            None,
            ("label", 1),
            ("0", "1"),
            "matthews",
            30,
            50,
            header=False,
        ),
        Task(
            "MRPC",
            ("#1 String", 3),
            ("#2 String", 4),
            ("Quality", 0),
            ("0", "1"),
            "f1_and_accuracy",
            30,
        ),
        Task(
            "STS-B",
            ("sentence1", 7),
            ("sentence2", 8),
            ("score", -1),
            (),
            "pearson_and_spearman",
            30,
        ),
        Task(
            "QQP",
            ("question1", 3),
            ("question2", 4),
            ("is_duplicate", 5),
            ("0", "1"),
            "f1_and_accuracy",
            10,
            10,
            skips_misfits=True,
        ),
        Task(
            "MNLI",
            ("sentence1", 8),
            ("sentence2", 9),
            ("gold_label", -1),
            _INFERENCE,
            "accuracy",
            10,
            10,
            dev_files=("dev_matched", "dev_mismatched"),
            test_files=("test_matched", "test_mismatched"),
            diagnostic="AX",
        ),
        Task(
            "QNLI", ("question", 1), ("sentence", 2), ("label", -1), _ENTAILMENT, "accuracy", 20, 10
        ),
        Task("RTE", ("sentence1", 1), ("sentence2", 2), ("label", -1), _ENTAILMENT, "accuracy", 30),
        Task("WNLI", ("sentence1", 1), ("sentence2", 2), ("label", -1), ("0", "1"), "accuracy", 30),
        Task(
            "AX",
            ("sentence1|Premise", 1),
            ("sentence2|Hypothesis", 2),
            ("label|Label", -1),
            _INFERENCE,
            "matthews",
            dev_files=(),
            test_files=("diagnostic",),
            other_files=(("diagnostic", "diagnostic-full.tsv"),),
        ),
        Task(
            "SNLI",
            ("sentence1", 7),
            ("sentence2", 8),
            ("gold_label", -1),
            _INFERENCE,
            "accuracy",
            10,
            10,
            other_files=tuple(
                (split, f"snli_1.0_{split}.txt") for split in ("train", "dev", "test")
            ),
            skips_misfits=True,
        ),
        *map(_xnli, _XNLI_LANGUAGES),
        Task(
            "ChnSentiCorp",
            ("text_a", 1),
            None,
            ("label", 0),
            ("0", "1"),
            "accuracy",
            20,
            language="zh",
        ),
    )
}


def find_task(name: str, folder: Path | None = None) -> Task:
    """Any case is accepted (`sst-2`). Else the task that `folder`/task.json describes. Raises UserError with the nearest name."""
    by_lower = {
        **{task.lower(): task for task in TASKS},
        "mnli-mm": "MNLI",
    }  # the original's name for its second dev set
    if name.lower() in by_lower:
        return TASKS[by_lower[name.lower()]]
    if folder and (folder / OWN).is_file():
        found = own_task(folder / OWN)
        if found.name.lower() != name.lower():
            raise UserError(
                f"{folder / OWN} describes the task {found.name!r}, not {name!r}; name that one, or mend the file"
            )
        return found
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    known = ", ".join(
        [task for task in TASKS if not task.startswith("XNLI")] + ["XNLI-zh and so on"]
    )
    raise UserError(
        f"no task is called {name!r}; the nearest is {by_lower[near[0]]} (there are {known}; "
        f"python -m tinybert_lite.own_data makes one of your own rows)"
    )


OWN = "task.json"  # beside the rows of a user's task
_NAME = re.compile(r"[\w-]+")
_METRICS = ("accuracy", "macro_f1", "pearson_and_spearman")


def own_task(path: Path) -> Task:
    """A user's task: rows with the columns `text_a`, `text_b` (a pair) and `label`. Raises UserError for a description that makes none.

    {"name": "topics", "pair": false, "labels": ["sports", "science"], "metric": "macro_f1", "language": "en"}; no labels: a regression,
    with the "offset" and "scale" of its numbers, so that they are learnt as numbers around 0 whatever their unit.
    """
    from tinybert_lite.system.files import read_json

    found = {
        "pair": False,
        "labels": [],
        "metric": "accuracy",
        "language": "en",
        "offset": 0.0,
        "scale": 1.0,
        **read_json(path),
    }
    name, labels, metric = found.get("name"), found["labels"], found["metric"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            f"{path}: the name {name!r} is not one of letters, digits, - and _; mend it"
        )
    if (
        not isinstance(labels, list)
        or len(set(map(str, labels))) != len(labels)
        or len(labels) == 1
    ):
        raise UserError(
            f"{path}: labels has to list at least two different words, or none for a regression; mend it"
        )
    if metric not in _METRICS or (metric == "pearson_and_spearman") != (not labels):
        raise UserError(
            f"{path}: the metric {metric!r} does not fit; use {'accuracy or macro_f1' if labels else 'pearson_and_spearman'}"
        )
    if (
        not all(
            isinstance(found[part], (int, float)) and abs(found[part]) < 3e38
            for part in ("offset", "scale")
        )
        or found["scale"] <= 0
    ):
        raise UserError(
            f"{path}: offset and scale have to be numbers, scale one above 0; mend them"
        )
    columns = ("text_a", "text_b", "label") if found["pair"] else ("text_a", "label")
    places = {column: (column, place) for place, column in enumerate(columns)}
    return Task(
        name,
        places["text_a"],
        places.get("text_b"),
        places["label"],
        tuple(map(str, labels)),
        metric,
        language=str(found["language"]),
        own=True,
        offset=float(found["offset"]),
        scale=float(found["scale"]),
    )


def describe(task: Task) -> dict:
    """What `own_task` reads."""
    return {
        "name": task.name,
        "pair": task.text_b is not None,
        "labels": list(task.labels),
        "metric": task.metric,
        "language": task.language,
        **({} if task.labels else {"offset": task.offset, "scale": task.scale}),
    }


def need_two_classes(labels: Iterable[float], task: Task, path: Path) -> None:
    """Raise UserError where all rows of a classification have one label: nothing can be learnt from them, or measured on them."""
    found = {int(label) for label in labels} if task.labels else ()
    if len(found) == 1:
        raise UserError(
            f"{path}: every row that is read has the label {task.labels[found.pop()]!r}; add rows of another label"
        )
