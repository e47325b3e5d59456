"""The list of tasks (GLUE, SNLI, XNLI, CLUE, LCQMC), and the description of a user's own task."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json

LARGEST_NUMBER = 3.4e38  # a regression's label must fit 32 bits


@dataclass(frozen=True)
class Task:
    """A task: the columns of its files, its labels and metric, and settings that depend on it.

    A column is named as in the header: `a|b` if published files have different names for it.
    """

    name: str
    text_a: str
    text_b: str | None
    label: str
    labels: tuple[str, ...]  # in the order of the classifier's outputs; empty for a regression
    metric: str  # primary: accuracy, macro_f1, matthews, f1_and_accuracy or pearson_and_spearman
    variants: int = 20  # N of the original augmentation
    mid_epochs: int = 20  # of stage 4 in the paper
    language: str = "en"
    places: tuple[tuple[str, int], ...] = ()  # (role, index of its column) without a header
    dev_files: tuple[str, ...] = ("dev",)
    test_files: tuple[str, ...] = ("test",)
    # (split, published file name), if the name is not `split`.tsv
    other_files: tuple[tuple[str, str], ...] = ()
    # published files hold rows with missing fields (QQP) or without an agreed label (SNLI's -)
    skips_misfits: bool = False
    label_is_last: bool = False  # a row may have more fields than the header: before the label
    folders: tuple[str, ...] = ()  # published names of its folder, if they are not its own
    submission: str = ""  # name of its submission file in CLUE's form; without: GLUE's form
    spellings: tuple[tuple[str, str], ...] = ()  # (a label in a published file, the label it means)
    only: tuple[str, str] | None = None  # (column, the value a row must have to be read)
    diagnostic: str = ""  # name of a test set without training rows, for models of this task
    own: bool = False  # a user's task: training rows may lack a label
    offset: float = 0.0  # a regression's target is (label - offset) / scale
    scale: float = 1.0

    @property
    def is_regression(self) -> bool:
        return not self.labels

    @property
    def num_labels(self) -> int:
        return len(self.labels) or 1

    @property
    def columns(self) -> dict[str, str]:
        """text_a, text_b (pairs only) and label."""
        named = {"text_a": self.text_a, "text_b": self.text_b, "label": self.label}
        return {role: column for role, column in named.items() if column}

    def order_of(self, words: Sequence[str]) -> list[int] | None:
        """Return each label's index in a classifier's words; None if these are not the labels."""
        for spelt in (str, str.casefold):
            index = {spelt(word): i for i, word in enumerate(words)}
            if len(index) == len(words) and index.keys() == {*map(spelt, self.labels)}:
                return [index[spelt(label)] for label in self.labels]
        return None


FOLDERS_OWN_TASK = "SST-2"  # other tasks use sub-folders of the stage folders
OWN = "task.json"  # beside the rows of a user's task
_BINARY = ("0", "1")
_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("contradiction", "entailment", "neutral")


def _xnli(language: str) -> Task:
    """Return XNLI for a language: dev and test hold all languages, train is a translated MNLI."""
    files = {
        "train": f"multinli.train.{language}.tsv",
        "dev": "xnli.dev.tsv",
        "test": "xnli.test.tsv",
    }
    return Task(
        f"XNLI-{language}",
        "sentence1|premise",
        "sentence2|hypo|hypothesis",
        "gold_label|label",
        _INFERENCE,
        "accuracy",
        10,
        10,
        language,
        other_files=tuple(files.items()),
        skips_misfits=True,
        spellings=(("contradictory", "contradiction"),),
        only=("language", language),
    )


def _clue(name: str, text_a: str, text_b: str | None, labels: Iterable[str], **differences) -> Task:
    """Return a task of CLUE: train, dev and test.json in a folder such as `tnews_public`."""
    usual = {
        "language": "zh",
        "folders": (f"{name.lower()}_public",),
        "submission": f"{name.lower()}_predict.json",
    }
    label = "label|gold_label"
    return Task(name, text_a, text_b, label, tuple(labels), "accuracy", **{**usual, **differences})


# fmt: off
_TASKS = (
    # name, text_a, text_b, label, labels, metric, variants, mid_epochs
    Task(FOLDERS_OWN_TASK, "sentence", None, "label", _BINARY, "accuracy"),
    Task("CoLA", "sentence", None, "label", _BINARY, "matthews", 30, 50,
         places=(("text_a", 3), ("label", 1))),
    Task("MRPC", "#1 String|sentence1", "#2 String|sentence2", "Quality|label", _BINARY,
         "f1_and_accuracy", 30),
    Task("STS-B", "sentence1", "sentence2", "score|label", (), "pearson_and_spearman", 30),
    Task("QQP", "question1", "question2", "is_duplicate|label", _BINARY,
         "f1_and_accuracy", 10, 10, skips_misfits=True),
    Task("MNLI", "sentence1|premise", "sentence2|hypothesis", "gold_label|label", _INFERENCE,
         "accuracy", 10, 10, dev_files=("dev_matched", "dev_mismatched"),
         test_files=("test_matched", "test_mismatched"), diagnostic="AX"),
    Task("QNLI", "question", "sentence", "label", _ENTAILMENT, "accuracy", 20, 10),
    Task("RTE", "sentence1", "sentence2", "label", _ENTAILMENT, "accuracy", 30),
    Task("WNLI", "sentence1", "sentence2", "label", _BINARY, "accuracy", 30),
    Task("AX", "sentence1|Premise|premise", "sentence2|Hypothesis|hypothesis", "label|Label",
         _INFERENCE, "matthews", dev_files=(), test_files=("diagnostic",),
         other_files=(("diagnostic", "diagnostic-full.tsv"),)),
    Task("SNLI", "sentence1|premise", "sentence2|hypothesis", "gold_label|label", _INFERENCE,
         "accuracy", 10, 10, skips_misfits=True, label_is_last=True,
         other_files=tuple((split, f"snli_1.0_{split}.txt") for split in ("train", "dev", "test"))),
    *map(_xnli, "ar bg de el en es fr hi ru sw th tr ur vi zh".split()),
    Task("ChnSentiCorp", "text_a|sentence|text|review", None, "label", _BINARY, "accuracy",
         language="zh"),
    Task("LCQMC", "text_a|sentence1|query1", "text_b|sentence2|query2", "label", _BINARY,
         "accuracy", 10, 10, "zh", places=(("text_a", 0), ("text_b", 1), ("label", 2)),
         other_files=tuple((split, f"{split}.txt") for split in ("train", "dev", "test"))),
    # CLUE's
    _clue("TNEWS", "sentence", None, [str(n) for n in range(100, 117) if n not in (105, 111)]),
    _clue("AFQMC", "sentence1", "sentence2", _BINARY),
    _clue("IFLYTEK", "sentence", None, map(str, range(119))),
    _clue("CMNLI", "sentence1", "sentence2", _INFERENCE, skips_misfits=True,
          variants=10, mid_epochs=10),
    _clue("OCNLI", "sentence1", "sentence2", _INFERENCE, skips_misfits=True,
          other_files=(("train", "train.50k.json"),), submission="ocnli_50k_predict.json"),
    _clue("CSL", "keyword", "abst", _BINARY),
    _clue("CLUEWSC", "text", None, ("true", "false"), folders=("cluewsc2020_public", "cluewsc2020"),
          submission="cluewsc2020_predict.json"),
)
# fmt: on
TASKS = {task.name: task for task in _TASKS}


def find_task(name: str, folder: Path | None = None) -> Task:
    """Return the task of this name in any case (`sst-2`), else the one of `folder`/task.json.

    Raises UserError with the nearest name for an unknown one.
    """
    by_lower = {task.lower(): task for task in TASKS}
    by_lower["mnli-mm"] = "MNLI"  # the original's name for its second dev set
    if name.lower() in by_lower:
        return TASKS[by_lower[name.lower()]]
    if folder and (folder / OWN).is_file():
        found = own_task(folder / OWN)
        if found.name.lower() != name.lower():
            raise UserError(
                f"{folder / OWN} describes the task {found.name!r}, not {name!r}; use its name, or "
                "fix the file"
            )
        return found
    near = by_lower[difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)[0]]
    known = [task for task in TASKS if not task.startswith("XNLI")]
    raise UserError(
        f"no task is called {name!r}; the nearest is {near} (tasks: {', '.join(known)}, XNLI-zh "
        "and other languages; python -m tinybert_lite.own_data makes a task of your own rows)"
    )


def own_task(path: Path) -> Task:
    """Read a user's task from task.json; its rows have the columns text_a, text_b (pairs), label.

    {"name": "topics", "pair": false, "labels": ["sports", "science"], "metric": "macro_f1",
    "language": "en"}. Without labels it is a regression with targets (label - offset) / scale, from
    the numbers "offset" and "scale". Raises UserError for an invalid description.
    """
    found = {
        **{"pair": False, "labels": [], "metric": "accuracy", "language": "en"},
        **{"offset": 0.0, "scale": 1.0},
        **read_json(path),
    }
    name, labels, metric = found.get("name"), found["labels"], found["metric"]
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        raise UserError(
            f"{path}: the name {name!r} may contain only letters, digits, - and _; fix it"
        )
    if not isinstance(labels, list) or len(labels) == 1 or len({*map(str, labels)}) < len(labels):
        raise UserError(
            f"{path}: labels must list at least two different words, or none for a regression; "
            "fix it"
        )
    fitting = ("accuracy", "macro_f1") if labels else ("pearson_and_spearman",)
    if metric not in fitting:
        raise UserError(
            f"{path}: the metric {metric!r} does not fit the labels; use {' or '.join(fitting)}"
        )
    offset, scale = found["offset"], found["scale"]
    if (
        not all(isinstance(n, (int, float)) and abs(n) < LARGEST_NUMBER for n in (offset, scale))
        or scale <= 0
    ):
        raise UserError(f"{path}: offset and scale must be numbers, scale above 0; fix them")
    return Task(
        name,
        "text_a",
        "text_b" if found["pair"] else None,
        "label",
        tuple(map(str, labels)),
        metric,
        language=str(found["language"]),
        own=True,
        offset=float(offset),
        scale=float(scale),
    )


def need_two_classes(labels: Iterable[float], task: Task, path: Path) -> None:
    """Raise UserError if all rows of a classification have the same label."""
    found = {*map(int, labels)} if task.labels else ()
    if len(found) == 1:
        raise UserError(
            f"{path}: every row that is read has the label {task.labels[found.pop()]!r}; add rows "
            "of another label"
        )
