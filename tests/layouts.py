"""The layouts in which every task's files are published, and small made-up rows in them."""

from __future__ import annotations

import json
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
    "LCQMC": ("text_a text_b label", "A B 1", "text_a text_b label"),
}

# CLUE's files are JSON Lines. For each task: a row of train.json, a row of test.json.
CLUE = {
    "TNEWS": (
        {"label": "108", "label_desc": "news_edu", "sentence": "A", "keywords": "x,y"},
        {"id": 0, "sentence": "A", "keywords": "x"},
    ),
    "AFQMC": (
        {"sentence1": "A", "sentence2": "B", "label": "0"},
        {"id": 0, "sentence1": "A", "sentence2": "B"},
    ),
    "IFLYTEK": ({"label": "110", "label_des": "x", "sentence": "A"}, {"id": 0, "sentence": "A"}),
    "CMNLI": (
        {"sentence1": "A", "sentence2": "B", "label": "neutral"},
        {"id": 0, "sentence1": "A", "sentence2": "B"},
    ),
    "OCNLI": (
        {
            "level": "medium",
            "sentence1": "A",
            "sentence2": "B",
            "label": "neutral",
            "label0": "neutral",
            "label1": None,
            "genre": "lit",
            "prem_id": "lit_1",
            "id": 3,
        },
        {"level": "easy", "sentence1": "A", "sentence2": "B", "genre": "lit", "id": 0},
    ),
    "CSL": (
        {"id": 1, "abst": "B", "keyword": ["A", "x"], "label": "0"},
        {"id": 0, "abst": "B", "keyword": ["A", "x"]},
    ),
    "CLUEWSC": (
        {
            "target": {"span2_index": 2, "span1_index": 0, "span1_text": "甲", "span2_text": "它"},
            "idx": 0,
            "label": "false",
            "text": "甲把它A",
        },
        {
            "target": {"span2_index": 2, "span1_index": 0, "span1_text": "甲", "span2_text": "它"},
            "id": 0,
            "text": "甲把它A",
        },
    ),
}


def split(line):
    return line and line.split("|" if "|" in line else " ")


ADJECTIVES = {"good": ("great", "fine", "warm", "funny"), "bad": ("dull", "bad", "sad", "cold")}


def made_up(task: str, number: int, label: str) -> tuple[str, str]:
    """Two texts of the small vocabulary that go with a label, so that something can be learnt."""
    kind = (
        "good"
        if label in ("1", "entailment", "true")
        or label.replace(".", "").isdigit()
        and float(label) > 2.5
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

    if name in CLUE:
        return write_clue_folder(folder, name, train, dev, test)
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


def write_clue_folder(folder: Path, name: str, train: int, dev: int, test: int) -> Path:
    """A task's JSON Lines in `folder`, in CLUE's layout: labels in turn, and matching texts."""
    task, names = TASKS[name], dict(TASKS[name].other_files)
    folder.mkdir(parents=True, exist_ok=True)

    def filled(value, texts):
        """The row with the texts in the places of A and B."""
        if isinstance(value, dict):
            return {key: filled(each, texts) for key, each in value.items()}
        if isinstance(value, list):
            return [filled(each, texts) for each in value]
        if isinstance(value, str):
            return value.replace("A", texts[0]).replace("B", texts[1])
        return value

    for start, (split, count) in enumerate((("train", train), ("dev", dev), ("test", test))):
        lines = []
        for number in range(100 * start, 100 * start + count):
            label = task.labels[number % len(task.labels)]
            row = filled(CLUE[name][split == "test"], made_up(name, number, label))
            row |= {"label": label} if split != "test" else {}
            row |= {"id": number - 100 * start} if "id" in row else {}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        path = folder / names.get(split, f"{split}.json")
        path.write_text("".join(lines), encoding="utf-8")
    return folder
