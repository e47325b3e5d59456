"""The layouts in which every task's files are published, and small made-up rows in them."""

from __future__ import annotations

from pathlib import Path

from tests.makers import write_tsv
from tinybert_lite.data.tasks import TASKS

# The published files' headers. For each task: header of train.tsv, one row (a, b and label stand
# where they belong), header of test.tsv.
MNLI_PARSES = "sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
PUBLISHED = {
    "SST-2": ("sentence label", "A 1", "index sentence"),
    "CoLA": (None, "gj04 1 * A", "index sentence"),
    "MRPC": (
        "Quality|#1 ID|#2 ID|#1 String|#2 String",
        "1 702 703 A B",
        "index|#1 ID|#2 ID|#1 String|#2 String",
    ),
    "STS-B": (
        "index genre filename year old_index source1 source2 sentence1 sentence2 score",
        "0 main MSRvid 2012 1 none none A B 3.250",
        "index genre filename year old_index source1 source2 sentence1 sentence2",
    ),
    "QQP": (
        "id qid1 qid2 question1 question2 is_duplicate",
        "7 8 9 A B 1",
        "id question1 question2",
    ),
    "MNLI": (
        f"index promptID pairID genre {MNLI_PARSES} sentence1 sentence2 label1 gold_label",
        "0 3 3n fiction w x y z A B wrong neutral",
        f"index promptID pairID genre {MNLI_PARSES} sentence1 sentence2",
    ),
    "QNLI": ("index question sentence label", "0 A B not_entailment", "index question sentence"),
    "RTE": ("index sentence1 sentence2 label", "0 A B not_entailment", "index sentence1 sentence2"),
    "WNLI": ("index sentence1 sentence2 label", "0 A B 1", "index sentence1 sentence2"),
    "AX": (
        "Lexical Logic Knowledge Domain Premise Hypothesis Label",
        "x y z w A B neutral",
        "index sentence1 sentence2",
    ),
    "SNLI": (
        f"index captionID pairID {MNLI_PARSES} sentence1 sentence2 label1 gold_label",
        "0 3 3n w x y z A B wrong neutral",
        f"index captionID pairID {MNLI_PARSES} sentence1 sentence2 label1 gold_label",
    ),
    "XNLI-zh": (
        "premise hypo label",
        "A B neutral",
        f"language gold_label {MNLI_PARSES} sentence1 sentence2 promptID pairID genre label1",
    ),
    "ChnSentiCorp": ("label text_a", "1 A", "label text_a"),
}


def split(line):
    return line and line.split("|" if "|" in line else " ")


ADJECTIVES = {"good": ("great", "fine", "warm", "funny"), "bad": ("dull", "bad", "sad", "cold")}


def made_up(task: str, number: int, label: str) -> tuple[str, str]:
    """Two texts of the small vocabulary that go with a label, so that something can be learnt."""
    kind = (
        "good"
        if label in ("1", "entailment") or label.replace(".", "").isdigit() and float(label) > 2.5
        else "bad"
    )
    word = ADJECTIVES[kind][number % 4]
    if TASKS[task].language == "zh":
        return (
            f"第{number}家店很{'好，房间干净' if kind == 'good' else '差，房间很脏'}",
            f"这里{'不错' if kind == 'good' else '失望'}",
        )
    return f"the film was {word} and the story {number} {word}", f"we saw a {word} movie"


def write_task_folder(
    folder: Path, name: str, train: int = 24, dev: int = 12, test: int = 4
) -> Path:
    """A task's files in `folder`, in the published layout: labels in turn, and matching texts."""
    task = TASKS[name]
    labels = task.labels or ("0.500", "1.800", "3.200", "4.900")

    def rows(header: list[str], start: int, count: int) -> list[list[str]]:
        found = []
        for number in range(start, start + count):
            label = labels[number % len(labels)]
            first, second = made_up(name, number, label)
            known = {
                "index": str(number - start),
                "id": str(number - start),
                "language": task.language,
            }
            for role, cell in (("text_a", first), ("text_b", second), ("label", label)):
                known |= dict.fromkeys(task.columns.get(role, "").split("|"), cell)
            found.append([known.get(column, "x") for column in header])
        return found

    header, _, test_header = PUBLISHED[name]
    columns = split(header) or ["source", "label", "mark", "sentence"]  # CoLA's four have no names
    for start, part in enumerate(("train", *task.dev_files)) if task.dev_files else ():
        write_tsv(
            folder / f"{part}.tsv",
            rows(columns, 100 * start, dev if start else train),
            split(header),
        )
    for start, part in enumerate(task.test_files, 3):
        write_tsv(
            folder / f"{part}.tsv", rows(split(test_header), 100 * start, test), split(test_header)
        )
    return folder
