"""The shipped data keep the promises of their READMEs."""

import re
from collections import defaultdict

import pytest

from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.pipeline.workspace import SHIPPED

SPLITS = {
    split: read_table(SHIPPED / f"SST-2/{split}.tsv", find_task("SST-2")).rows
    for split in ("train", "dev", "test")
}


def bare(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.mark.parametrize("split, rows", [("train", 1200), ("dev", 300), ("test", 300)])
def test_rows_are_as_many_as_promised_and_balanced(split, rows):
    assert (
        len(SPLITS[split]) == rows and sum(row.label == "1" for row in SPLITS[split]) == rows // 2
    )


def test_every_sentence_is_its_own():
    sentences = [" ".join(bare(row.text_a)) for rows in SPLITS.values() for row in rows]
    assert len(set(sentences)) == len(sentences)


def test_dev_and_test_share_no_near_duplicate_with_train():
    """Neither seven words in a row, nor more than half of all words."""
    runs, train = defaultdict(list), [bare(row.text_a) for row in SPLITS["train"]]
    for words in train:
        for i in range(len(words) - 6):
            runs[tuple(words[i : i + 7])].append(" ".join(words))
    for words in (bare(row.text_a) for split in ("dev", "test") for row in SPLITS[split]):
        assert not [
            runs[run] for i in range(len(words) - 6) if (run := tuple(words[i : i + 7])) in runs
        ]
        assert (
            max(len(set(words) & set(other)) / len(set(words) | set(other)) for other in train)
            <= 0.5
        ), words


def test_the_corpus_holds_its_documents():
    documents = list(read_documents(SHIPPED / "1_pre_data/documents.txt"))
    sentences = [sentence for document in documents for sentence in document]
    assert (
        len(documents) == 150 and len(sentences) >= 1600 and len(set(sentences)) == len(sentences)
    )


def test_the_vectors_know_words_and_neighbours():
    path = SHIPPED / "1_pre_data/glove.classroom.txt"
    vectors = WordVectors.read(path)
    assert vectors.matrix.shape == (16_000, 50) and path.stat().st_size < 8e6
    assert "tuesday" in vectors.neighbours(["monday"], 10)["monday"]
