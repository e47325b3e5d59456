"""Stage 2: sequences cut from a corpus, in the original's format."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from tests.makers import SPECIAL
from tests.makers.workspaces import write_toy_corpus
from tinybert_lite.data.corpus import TokenisedCorpus, read_documents
from tinybert_lite.data.epochs import count_sequences, read_epoch
from tinybert_lite.method.sequences import sequences
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import Pregenerating
from tinybert_lite.system.errors import UserError

SETTINGS = Pregenerating(epochs_to_generate=2, max_seq_len=40, masked_lm_prob=0.15)
UNMASKED = replace(SETTINGS, masked_lm_prob=0)


@pytest.fixture
def corpus(tmp_path):
    return write_toy_corpus(tmp_path / "corpus.txt", documents=10, sentences=8)


@pytest.fixture
def make(corpus, tiny_vocab, tmp_path):
    """Pregenerate and return the lines of every epoch."""

    def made(settings=SETTINGS, seed=1, folder="out", source=None):
        counts = pregenerate(
            source or corpus, tiny_vocab / "vocab.txt", tmp_path / folder, settings, seed
        )
        epochs = [
            [
                json.loads(line)
                for line in (tmp_path / folder / f"epoch_{epoch}.json")
                .read_text(encoding="utf-8")
                .splitlines()
            ]
            for epoch in range(settings.epochs_to_generate)
        ]
        assert [len(lines) for lines in epochs] == counts
        return epochs

    return made


@pytest.fixture
def tokenised(corpus, tokenizer, tmp_path):
    (tmp_path / "tokens").mkdir()
    return TokenisedCorpus.build(corpus, tokenizer, tmp_path / "tokens")


def all_sequences(tokenised, settings, seeds=range(10)):
    return [
        (document, *found)
        for seed in seeds
        for document in range(len(tokenised))
        for found in sequences(tokenised, document, settings, random.Random(seed))
    ]


def run_of(document_ids: list[list[int]], part: list[int]) -> bool:
    """Whether `part` stands in one of the documents, sentence after sentence, cut at its ends at
    most.
    """
    return any(
        document[i : i + len(part)] == part
        for document in document_ids
        for i in range(len(document))
    )


def test_a_line_has_the_originals_fields_and_shape(make):
    for line in (line for epoch in make() for line in epoch):
        assert list(line) == [
            "tokens",
            "segment_ids",
            "is_random_next",
            "masked_lm_positions",
            "masked_lm_labels",
        ]
        tokens, segments = line["tokens"], line["segment_ids"]
        assert (
            tokens[0] == "[CLS]"
            and tokens[-1] == "[SEP]"
            and tokens.count("[SEP]") == 2
            and tokens.count("[CLS]") == 1
        )
        assert segments == [0] * (tokens.index("[SEP]") + 1) + [1] * (
            len(tokens) - tokens.index("[SEP]") - 1
        )
        assert len(line["masked_lm_positions"]) == len(line["masked_lm_labels"])


def test_metrics_say_how_many_sequences_there_are(make, tmp_path):
    for epoch, lines in enumerate(make()):
        metrics = json.loads((tmp_path / f"out/epoch_{epoch}_metrics.json").read_text())
        assert metrics == {"num_training_examples": len(lines), "max_seq_len": SETTINGS.max_seq_len}


@pytest.mark.parametrize("one_seq, special", [(False, 3), (True, 2)])
def test_the_budget_is_kept_and_neither_segment_is_empty(tokenised, one_seq, special):
    found = all_sequences(tokenised, replace(SETTINGS, one_seq=one_seq))
    lengths = [len(a) + len(b) for _, a, b, _ in found]
    assert max(lengths) == SETTINGS.max_seq_len - special, "long sequences fill the budget"
    assert all(a and bool(b) != one_seq for _, a, b, _ in found)


def test_both_segments_are_really_text_of_the_corpus_and_a_random_one_is_from_another_document(
    tokenised,
):
    texts = [
        [t for sentence in tokenised.document(d) for t in tokenised.sentence(sentence)]
        for d in range(len(tokenised))
    ]
    found = all_sequences(tokenised, SETTINGS)
    for document, first, second, is_random in found:
        own, others = texts[document], texts[:document] + texts[document + 1 :]
        assert run_of([own], first)
        assert run_of(others if is_random else [own], second)
        if not is_random:
            # The cut falls between A's end and B's start, so the two still stand in this order.
            assert any(
                own[i : i + len(first)] == first and run_of([own[i + len(first) :]], second)
                for i in range(len(own))
            )
    share = sum(is_random for *_, is_random in found) / len(found)
    assert 0.4 < share < 0.75, "half of those with a choice, and all with a single sentence"


def test_no_sentence_of_a_document_is_lost(tokenised):
    """What a random next segment replaced goes back; with room for everything each sentence appears
    as A or true B.
    """
    roomy = replace(SETTINGS, max_seq_len=200, short_seq_prob=0.0)
    for document in range(len(tokenised)):
        wanted = [
            t for sentence in tokenised.document(document) for t in tokenised.sentence(sentence)
        ]
        for seed in range(10):
            seen = [
                t
                for a, b, is_random in sequences(tokenised, document, roomy, random.Random(seed))
                for t in a + ([] if is_random else b)
            ]
            assert seen == wanted


def test_short_sequences_appear_as_often_as_asked(tokenised):
    def mean_length(probability):
        lengths = [
            len(a) + len(b)
            for _, a, b, _ in all_sequences(
                tokenised, replace(SETTINGS, short_seq_prob=probability), range(5)
            )
        ]
        return sum(lengths) / len(lengths)

    assert mean_length(0.0) > mean_length(0.3) + 1 > mean_length(1.0) + 2


def test_masked_places_are_restored_by_their_labels(make):
    """Twins of the same seed are cut alike only without masking, so restore and look for the text
    in the corpus.
    """
    whole = [t for epoch in make(UNMASKED) for line in epoch for t in line["tokens"]]
    masked = restored = 0
    for line in (line for epoch in make() for line in epoch):
        assert 1 <= len(line["masked_lm_positions"]) <= max(1, round(len(line["tokens"]) * 0.15))
        assert line["masked_lm_positions"] == sorted(set(line["masked_lm_positions"]))
        for position, label in zip(line["masked_lm_positions"], line["masked_lm_labels"]):
            masked += line["tokens"][position] == "[MASK]"
            restored += 1
            assert label in whole and label not in SPECIAL
        assert line["tokens"].count("[MASK]") <= len(line["masked_lm_positions"])
    assert 0.65 < masked / restored < 0.95, "about four in five become [MASK]"


def test_probability_zero_masks_nothing_at_all(make):
    for line in (line for epoch in make(UNMASKED) for line in epoch):
        assert (line["masked_lm_positions"], line["masked_lm_labels"]) == ([], [])
        assert "[MASK]" not in line["tokens"]


def test_at_most_the_asked_number_of_predictions(make):
    lines = [
        line
        for epoch in make(replace(SETTINGS, masked_lm_prob=0.9, max_predictions_per_seq=3))
        for line in epoch
    ]
    assert {len(line["masked_lm_labels"]) for line in lines} == {3}


@pytest.mark.parametrize("whole_words", [True, False])
def test_the_pieces_of_a_word_are_masked_together_where_that_is_asked_for(
    tmp_path, make, whole_words
):
    corpus = tmp_path / "pieces.txt"
    corpus.write_text(
        "\n\n".join(["the walking house was running\nwe saw the dullest walking tree"] * 4),
        encoding="utf-8",
    )
    together = []
    for line in make(
        replace(SETTINGS, masked_lm_prob=0.4, do_whole_word_mask=whole_words), source=corpus
    )[0]:
        chosen, originals = (
            set(line["masked_lm_positions"]),
            dict(zip(line["masked_lm_positions"], line["masked_lm_labels"])),
        )
        tokens = [originals.get(i, token) for i, token in enumerate(line["tokens"])]
        together += [
            (i - 1 in chosen) == (i in chosen)
            for i, token in enumerate(tokens)
            if token.startswith("##")
        ]
    assert len(together) > 10 and all(together) == whole_words


def test_one_segment_a_sequence_holds_the_documents_text_once(make, corpus, tokenizer):
    roomy = replace(UNMASKED, one_seq=True, max_seq_len=400, short_seq_prob=0, epochs_to_generate=1)
    lines = make(roomy)[0]
    assert all(
        line["segment_ids"] == [0] * len(line["tokens"]) and line["is_random_next"] is False
        for line in lines
    )
    found = sorted(" ".join(line["tokens"][1:-1]) for line in lines)
    assert found == sorted(
        " ".join(tokenizer.tokenize(" ".join(document))) for document in read_documents(corpus)
    )


def test_the_same_seed_gives_the_same_bytes_and_epochs_differ(make, tmp_path):
    make(folder="one")
    make(folder="two")
    make(folder="other", seed=2)
    one, two, other = (
        [(tmp_path / folder / f"epoch_{epoch}.json").read_bytes() for epoch in range(2)]
        for folder in ("one", "two", "other")
    )
    assert one == two and one[0] != one[1] and one[0] != other[0]


def test_two_workers_write_the_same_bytes_as_one(make, tmp_path):
    make(folder="one")
    make(replace(SETTINGS, num_workers=2), folder="two")
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "one").iterdir()
    }, "no scratch is left"


@pytest.mark.parametrize(
    "text, problem",
    [
        (
            "one sentence .\nand another .\n",
            "corpus.txt, sentences 1 to 2: holds one document only",
        ),
        ("\n \n", "corpus.txt is empty"),
        ("", "corpus.txt is empty"),
    ],
)
def test_a_corpus_without_a_second_document_is_refused(corpus, make, tmp_path, text, problem):
    corpus.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=problem):
        make()
    assert not list((tmp_path / "out").glob("epoch_*"))


def test_an_epoch_is_read_back_as_it_was_written(make, tmp_path, tokenizer):
    for epoch, lines in enumerate(make()):
        examples = read_epoch(tmp_path / "out", epoch, tokenizer, SETTINGS.max_seq_len)
        assert len(examples) == len(lines)
        for row, line in enumerate(lines):
            batch = examples.batch([row])
            assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist()) == line["tokens"]
            assert batch["token_type_ids"][0].tolist() == line["segment_ids"]


def test_an_epoch_read_into_a_file_is_the_one_read_into_memory(make, tmp_path, tokenizer):
    make()
    memory, file = (
        read_epoch(tmp_path / "out", 1, tokenizer, 40, place) for place in (None, tmp_path / "ids")
    )
    assert all(
        (getattr(memory, name) == getattr(file, name)).all() for name in ("ids", "starts", "first")
    )
    assert (tmp_path / "ids").stat().st_size == 4 * len(memory.ids) and type(
        file.ids
    ).__name__ == "memmap"


def test_later_epochs_than_there_are_files_start_over_and_a_tenth_follows_the_ninth(
    tmp_path, tokenizer
):
    for epoch in range(11):
        line = {
            "tokens": ["[CLS]", *["film"] * (epoch + 1), "[SEP]"],
            "segment_ids": [0] * (epoch + 3),
            "is_random_next": False,
            "masked_lm_positions": [],
            "masked_lm_labels": [],
        }
        (tmp_path / f"epoch_{epoch}.json").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert [
        read_epoch(tmp_path, epoch, tokenizer, 64).lengths[0] for epoch in (0, 2, 9, 10, 11, 13)
    ] == [3, 5, 12, 13, 3, 5]


def test_a_file_of_the_original_project_is_read_and_cut_to_the_length_asked_for(
    tmp_path, tokenizer
):
    line = {
        "tokens": ["[CLS]", "the", "[MASK]", "[SEP]", "we", "saw", "[MASK]", "[SEP]"],
        "segment_ids": [0, 0, 0, 0, 1, 1, 1, 1],
        "is_random_next": True,
        "masked_lm_positions": [2, 6],
        "masked_lm_labels": ["film", "tree"],
    }
    (tmp_path / "epoch_0.json").write_text(json.dumps(line) + "\n", encoding="utf-8")
    batch = read_epoch(tmp_path, 0, tokenizer, 6).batch([0])
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1]]
    assert tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist()) == line["tokens"][:6]


@pytest.mark.parametrize(
    "damage, problem",
    [
        (lambda text: text[:-20], "line 2: is not a sequence as JSON"),
        (
            lambda text: text.replace("film", "Vodka"),
            "line 1: 'Vodka' is missing in the vocabulary",
        ),
        (
            lambda text: text.splitlines()[0] + "\n",
            "holds 1 sequences, but its metrics file says 2",
        ),
        (lambda text: "", "holds 0 sequences, but its metrics file says 2"),
        (
            lambda text: text.replace('["[CLS]", "film", "[SEP]"]', '"film"', 1),
            "line 1: is not a sequence as JSON",
        ),
        (
            lambda text: text.replace('["[CLS]", "film", "[SEP]"]', "[]", 1).replace(
                "[0, 0, 0]", "[]", 1
            ),
            "line 1: is not a sequence as JSON",
        ),
        (lambda text: text.replace("[0, 0, 0]", "[0, 0]", 1), "line 1: is not a sequence as JSON"),
        (lambda text: text + "[" * 100_000, "line 3: is not a sequence as JSON"),
        (
            lambda text: text.replace('"segment_ids"', '"segments"', 1),
            "line 1: 'segment_ids' is missing in the vocabulary or in the line",
        ),
    ],
)
def test_a_damaged_epoch_is_named_by_file_and_line(tmp_path, tokenizer, damage, problem):
    line = (
        json.dumps(
            {
                "tokens": ["[CLS]", "film", "[SEP]"],
                "segment_ids": [0, 0, 0],
                "is_random_next": False,
                "masked_lm_positions": [],
                "masked_lm_labels": [],
            }
        )
        + "\n"
    )
    (tmp_path / "epoch_0.json").write_text(damage(2 * line), encoding="utf-8")
    (tmp_path / "epoch_0_metrics.json").write_text(
        '{"num_training_examples": 2, "max_seq_len": 40}', encoding="utf-8"
    )
    with pytest.raises(UserError, match="epoch_0.json.*" + problem):
        read_epoch(tmp_path, 0, tokenizer, 40)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"num_training_examples": "2"}',
        '{"num_training_examples": true}',
        '{"num_training_examples": 0}',
    ],
)
def test_a_metrics_file_without_a_number_is_named(tmp_path, tokenizer, content):
    (tmp_path / "epoch_0.json").write_text("", encoding="utf-8")
    (tmp_path / "epoch_0_metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        UserError,
        match="epoch_0_metrics.json: num_training_examples is .*, not a whole number above 0",
    ):
        count_sequences(tmp_path, 0)
    (tmp_path / "epoch_0_metrics.json").unlink()
    with pytest.raises(UserError, match="epoch_0.json is empty"):
        count_sequences(tmp_path, 0)
