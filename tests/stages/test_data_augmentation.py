"""Stage 1: the properties of the paper's Algorithm 1, on a small random masked LM."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.makers import VOCABULARY, make_bert_folder, write_tsv
from tests.makers.workspaces import GLOVE_WORDS, HEADER, write_toy_vectors
from tinybert_lite.data.stop_words import STOP_WORDS
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.stages import data_augmentation
from tinybert_lite.stages.data_augmentation import Augmenter, augment_table
from tinybert_lite.stages.settings import Augmenting

SST2, MRPC = TASKS["SST-2"], TASKS["MRPC"]
TEXTS = [
    "the good film was long .",
    "a bad plot , and the actor was dull",
    'he said " good film " twice',
    "wonderful scene in the house",
    "the story of the river",
    "not very funny !",
]
SETTINGS = Augmenting(N=8, M=5, p=0.5, max_seq_length=32)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_bert_folder(tmp_path_factory.mktemp("augmentation") / "bert")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return WordVectors.read(write_toy_vectors(tmp_path_factory.mktemp("vectors") / "glove.txt"))


@pytest.fixture
def make_augmenter(model_folder, vectors):
    def make(**changes):
        loaded = load_with_tokenizer(model_folder, masked_lm=True)
        return Augmenter(loaded.model, loaded.tokenizer, vectors, replace(SETTINGS, **changes))

    return make


@pytest.fixture
def table(tmp_path):
    return read_table(
        write_tsv(
            tmp_path / "train.tsv", [(text, str(i % 2)) for i, text in enumerate(TEXTS)], HEADER
        ),
        SST2,
    )


def augmented(table, task, augmenter, seed=7) -> list[tuple[str, ...]]:
    return [
        tuple(line.split("\t"))
        for _, block in augment_table(table, task, augmenter, seed)
        for line in block
    ]


def groups(rows, originals) -> list[list[tuple[str, ...]]]:
    """The rows cut where an original stands."""
    starts = [rows.index(tuple(row.fields)) for row in originals] + [len(rows)]
    assert starts == sorted(starts) and starts[0] == 0, (
        "each original comes before its own variants, in the file's order"
    )
    return [rows[a:b] for a, b in zip(starts, starts[1:])]


def test_every_original_row_comes_once_and_first_with_at_most_n_variants(make_augmenter, table):
    rows = augmented(table, SST2, make_augmenter())
    for original, group in zip(table.rows, groups(rows, table.rows), strict=True):
        assert group.count(original.fields) == 1
        assert 1 < len(group) <= 1 + SETTINGS.N
        assert len(set(group)) == len(group), "no variant comes twice"
        assert {row[1] for row in group} == {original.label}, "the label stays"


def test_variants_differ_from_their_text_at_eligible_words_alone(make_augmenter, table):
    augmenter = make_augmenter()
    changed = set()
    for original, group in zip(table.rows, groups(augmented(table, SST2, augmenter), table.rows)):
        text = words(augmenter.tokenizer, original.text_a)
        for variant, _ in group[1:]:
            variant = variant.split(" ")
            assert len(variant) == len(text)
            changed |= {old for old, new in zip(text, variant) if old != new}
    assert {"good", "plot", "wonderful"} <= changed
    assert all(word.isalpha() and word not in STOP_WORDS["en"] for word in changed), changed


def test_stop_words_and_punctuation_are_not_eligible(make_augmenter):
    text = words(make_augmenter().tokenizer, "The film , and 3 of THE actors !")
    assert [text[place] for place in make_augmenter().eligible(text)] == ["film", "actors"]


def test_candidates_are_whole_words_other_than_the_word_itself(make_augmenter):
    augmenter = make_augmenter(M=len(VOCABULARY))
    texts = [words(augmenter.tokenizer, text) for text in TEXTS]
    found = augmenter.candidates(texts)
    assert any(found)
    for text, candidates in zip(texts, found):
        for place, options in candidates.items():
            assert options and text[place] not in options and len(set(options)) == len(options)
            assert all(word.isalpha() for word in options), (
                "no ## piece, special token, number or punctuation"
            )


def test_a_word_gets_at_most_m_candidates_the_models_best_first(make_augmenter):
    few, more = (make_augmenter(M=m).candidates([["good", "film"]])[0] for m in (3, 6))
    assert [len(options) for options in few.values()] == [3, 3]
    assert all(more[place][:3] == few[place] for place in few)


def test_a_word_of_several_pieces_takes_its_nearest_neighbours(make_augmenter, vectors):
    found = make_augmenter().candidates([["a", "wonderful", "film"]])[0]
    by_hand = sorted(
        (word for word in GLOVE_WORDS if word != "wonderful"),
        key=lambda word: (
            -float(vectors.matrix[vectors.place["wonderful"]] @ vectors.matrix[vectors.place[word]])
        ),
    )
    assert found[1] == by_hand[: SETTINGS.M]


def test_a_word_without_candidates_stays_as_it_is(make_augmenter):
    augmenter, text = make_augmenter(p=1.0), ["unheard", "film"]  # several pieces, and no vector
    found = augmenter.candidates([text])[0]
    assert set(found) == {1}
    assert {
        variant.split(" ")[0] for variant in augmenter.variants(text, found, random.Random(0))
    } == {"unheard"}
    assert augmenter.variants(["unheard"], {}, random.Random(0)) == []


@pytest.mark.parametrize("p, changes", [(0.0, 0), (1.0, 2)])
def test_p_is_the_chance_that_a_word_is_replaced(make_augmenter, p, changes):
    augmenter, text = make_augmenter(p=p), ["good", "and", "funny"]
    variants = augmenter.variants(text, augmenter.candidates([text])[0], random.Random(0))
    assert bool(variants) == bool(changes)
    assert all(
        sum(a != b for a, b in zip(text, variant.split(" "))) == changes for variant in variants
    )


def test_quotation_marks_survive_a_round_trip(make_augmenter, table, tmp_path):
    rows = augmented(table, SST2, make_augmenter())
    again = read_table(write_tsv(tmp_path / "aug.tsv", rows, HEADER), SST2)
    assert [row.fields for row in again.rows] == rows
    quoted = [text for text, _ in rows if '"' in text]
    assert len(quoted) > 1 and all(text.count('"') == 2 for text in quoted)


def test_a_pair_changes_one_side_at_a_time_and_keeps_every_column(make_augmenter, tmp_path):
    header = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
    row = ("1", "12", "34", 'the good " film', "The bad plot")
    table = read_table(write_tsv(tmp_path / "train.tsv", [row], header), MRPC)
    first, *variants = augmented(table, MRPC, make_augmenter())
    assert first == row
    sides = [(a != row[3], b != row[4]) for *others, a, b in variants if tuple(others) == row[:3]]
    assert len(sides) == len(variants) and set(sides) == {(True, False), (False, True)}
    assert max(sides.count((True, False)), sides.count((False, True))) <= SETTINGS.N


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(make_augmenter, table):
    first, again, other = (augmented(table, SST2, make_augmenter(), seed) for seed in (7, 7, 8))
    assert first == again != other


def test_neither_batch_size_nor_block_changes_a_row(make_augmenter, table, monkeypatch):
    usual = augmented(table, SST2, make_augmenter())
    assert augmented(table, SST2, make_augmenter(batch_size=1)) == usual
    monkeypatch.setattr(data_augmentation, "BLOCK", 2)
    in_blocks = augmented(table, SST2, make_augmenter(batch_size=3), 7)
    assert in_blocks == usual


@pytest.mark.parametrize("context, reads_the_word", [("single", False), ("original", True)])
def test_only_the_pair_form_lets_the_model_read_the_masked_word(
    make_augmenter, context, reads_the_word
):
    """Two texts that differ in the masked word alone look the same to the model, unless the whole
    text stands beside them.
    """
    augmenter = make_augmenter(context=context, M=len(VOCABULARY))
    ranked = [
        [word for word in found[1] if word not in ("film", "river")]
        for found in augmenter.candidates(
            [["the", word, "was", "long"] for word in ("film", "river")]
        )
    ]
    assert (ranked[0] != ranked[1]) == reads_the_word


def test_a_masked_place_that_was_cut_off_costs_only_its_own_candidates(make_augmenter):
    long = ["good", *["the"] * 40, "film"]
    found = make_augmenter(max_seq_length=16).candidates([long, ["good", "film"]])
    assert set(found[0]) == {0} and set(found[1]) == {0, 1}


def test_a_cased_model_keeps_capital_letters(tmp_path, vectors):
    cased = [*VOCABULARY, "Good", "Film", "River"]
    loaded = load_with_tokenizer(make_bert_folder(tmp_path / "cased", vocab=cased), masked_lm=True)
    augmenter = Augmenter(
        loaded.model, loaded.tokenizer, vectors, replace(SETTINGS, M=len(cased), p=0.0)
    )
    text = words(loaded.tokenizer, "The Good film")
    assert text == ["The", "Good", "film"]
    assert (
        "River" in augmenter.candidates([text])[0][2] and 0 not in augmenter.candidates([text])[0]
    )


def test_a_long_text_is_cut_before_its_words_are_masked(make_augmenter, monkeypatch):
    """As many masked texts as the model has places, none longer; and the same candidates."""
    sent = []

    def encoded(texts, others, tokenizer, length, **more):
        sent.append((len(texts), max(len(text) for text in [*texts, *(others or [])])))
        return encode(texts, others, tokenizer, length, **more)

    monkeypatch.setattr("tinybert_lite.stages.augmenter.encode", encoded)
    text = ("the film was good and the story sad . " * 600).split()
    for context in ("single", "original"):
        augmenter = make_augmenter(context=context, max_seq_length=24)
        (long,) = augmenter.candidates([text])
        (short,) = augmenter.candidates([text[:40]])
        assert long == {place: words for place, words in short.items()} and max(short) < 24
    assert all(count <= 24 and length < 24 * 8 for count, length in sent)


def test_blocks_of_long_texts_have_fewer_rows_and_the_lines_stay_the_same(
    table, make_augmenter, monkeypatch
):
    wanted = augmented(table, SST2, make_augmenter())
    monkeypatch.setattr(data_augmentation, "CHARACTERS", 60)
    parts = data_augmentation.parts_of(table)
    assert len(parts) > 1 and [i for part in parts for i in part] == [*range(len(table.rows))]
    assert augmented(table, SST2, make_augmenter()) == wanted
