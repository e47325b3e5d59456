"""The shipped Chinese data keep the promises of their READMEs."""

import math
import re
from collections import Counter, defaultdict

import pytest

from tinybert_lite.data.corpus import read_documents
from tinybert_lite.pipeline.workspace import SHIPPED

SIZES = {"train": 640, "dev": 160, "test": 160}
FILES = {split: SHIPPED / f"ChnSentiCorp/{split}.tsv" for split in SIZES}
SPLITS = {
    split: [line.split("\t") for line in path.read_text("utf-8").splitlines()[1:]]
    for split, path in FILES.items()
}
REVIEWS = [text for rows in SPLITS.values() for _, text in rows]
CORPUS = SHIPPED / "1_pre_data/zh/documents.txt"


def bare(text: str) -> str:
    return "".join(re.findall(r"\w", text))


def runs(text: str, length: int) -> set[str]:
    """All runs of `length` characters, punctuation left out."""
    letters = bare(text)
    return {letters[i : i + length] for i in range(len(letters) - length + 1)}


@pytest.mark.parametrize("split", SIZES)
def test_the_layout_is_plain(split):
    raw = FILES[split].read_bytes()
    assert (
        raw.startswith(b"label\ttext_a\n")
        and raw.endswith(b"\n")
        and b"\r" not in raw
        and b'"' not in raw
    )
    assert {len(row) for row in SPLITS[split]} == {2}


@pytest.mark.parametrize("split, rows", SIZES.items())
def test_rows_are_as_many_as_promised_and_balanced(split, rows):
    assert Counter(label for label, _ in SPLITS[split]) == {"0": rows // 2, "1": rows // 2}


def test_a_review_is_a_sentence_or_two_in_chinese():
    for text in REVIEWS:
        assert 10 <= len(text) <= 60 and re.fullmatch(
            r"[\u4e00-\u9fff，。！？、：《》]+[。！？]", text
        ), text


def test_dev_and_test_share_no_near_duplicate_with_train():
    """Neither eight characters in a row, nor more than a fifth of all runs of four."""
    train = [(runs(text, 8), runs(text, 4), text) for _, text in SPLITS["train"]]
    for split in ("dev", "test"):
        for _, text in SPLITS[split]:
            eights, fours = runs(text, 8), runs(text, 4)
            for other_eights, other_fours, other in train:
                assert not eights & other_eights, (text, other)
                assert len(fours & other_fours) <= len(fours | other_fours) / 5, (text, other)


def test_no_two_sentences_of_reviews_and_corpus_share_twelve_characters():
    owners = defaultdict(list)
    sentences = REVIEWS + [sentence for document in read_documents(CORPUS) for sentence in document]
    for sentence in sentences:
        for run in runs(sentence, 12):
            owners[run].append(sentence)
    assert not [pair for pair in owners.values() if len(pair) > 1]
    assert len({bare(sentence) for sentence in sentences}) == len(sentences)


def test_the_labels_can_be_learnt_from_characters():
    """Naive Bayes over single characters and pairs: well above chance, short of perfect."""
    counts = {"0": Counter(), "1": Counter()}
    for label, text in SPLITS["train"]:
        counts[label].update(runs(text, 1) | runs(text, 2))

    def odds(text: str) -> float:
        return sum(
            math.log((counts["1"][run] + 1) / (counts["0"][run] + 1))
            for run in runs(text, 1) | runs(text, 2)
        )

    right = [
        (odds(text) > 0) == (label == "1")
        for split in ("dev", "test")
        for label, text in SPLITS[split]
    ]
    assert 0.75 < sum(right) / len(right) < 0.95, sum(right) / len(right)


def test_the_corpus_holds_its_documents():
    documents = list(read_documents(CORPUS))
    raw = CORPUS.read_bytes()
    assert len(documents) == 122 and all(6 <= len(document) <= 12 for document in documents)
    assert (
        sum(map(len, documents)) == 1144
        and b"\r" not in raw
        and b"\n\n\n" not in raw
        and raw.endswith("。\n".encode())
    )
