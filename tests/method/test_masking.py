"""Masking for the masked LM: how many, where, and what stands there then."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.makers import SPECIAL, VOCABULARY
from tinybert_lite.method.masking import mask_tokens, random_pieces

RANDOM = ["random1", "random2", "random3"]  # none of them in the texts below
piece = st.sampled_from(["the", "film", "##s", "##ing", "a", "[UNK]"])
sentences = st.tuples(st.lists(piece, min_size=1, max_size=20), st.lists(piece, max_size=20)).map(
    lambda pair: ["[CLS]", *pair[0], "[SEP]", *(pair[1] and [*pair[1], "[SEP]"])]
)
masking = {
    "tokens": sentences,
    "probability": st.floats(0.01, 1),
    "most": st.integers(1, 20),
    "seed": st.integers(0, 999),
}


def words_of(tokens):
    """Lists of places: a piece with ## belongs to the one before it, unless that is special."""
    words = []
    for i, token in enumerate(tokens):
        if token.startswith("##") and tokens[i - 1] not in ("[CLS]", "[SEP]"):
            words[-1].append(i)
        elif token not in ("[CLS]", "[SEP]"):
            words.append([i])
    return words


def wanted(tokens, probability, most):
    return min(most, max(1, round(len(tokens) * probability)))


@given(**masking, whole=st.booleans())
def test_what_is_masked_is_told_and_the_rest_stays(tokens, probability, most, seed, whole):
    before = list(tokens)
    masked, positions, labels = mask_tokens(
        tokens, random.Random(seed), probability, most, whole, RANDOM
    )
    assert (
        tokens == before
        and len(masked) == len(tokens)
        and positions == sorted(set(positions))
        and len(labels) == len(positions)
    )
    for i, token in enumerate(tokens):
        if i in positions:
            assert (
                token not in ("[CLS]", "[SEP]")
                and masked[i] in ("[MASK]", token, *RANDOM)
                and labels[positions.index(i)] == token
            )
        else:
            assert masked[i] == token


@given(**masking)
def test_as_many_places_as_the_formula_says(tokens, probability, most, seed):
    _, positions, _ = mask_tokens(tokens, random.Random(seed), probability, most, False, RANDOM)
    assert len(positions) == min(
        wanted(tokens, probability, most),
        len(tokens) - tokens.count("[CLS]") - tokens.count("[SEP]"),
    )


@given(**masking)
def test_whole_words_are_never_split_and_only_those_that_would_overflow_are_left_out(
    tokens, probability, most, seed
):
    _, positions, _ = mask_tokens(tokens, random.Random(seed), probability, most, True, RANDOM)
    words, room = words_of(tokens), wanted(tokens, probability, most) - len(positions)
    assert room >= 0
    for word in words:
        inside = [i in positions for i in word]
        assert all(inside) or not any(inside) and len(word) > room


@given(sentences, st.booleans())
def test_probability_0_masks_nothing_and_draws_nothing(tokens, whole):
    rng = random.Random(1)
    state = rng.getstate()
    assert (
        mask_tokens(tokens, rng, 0.0, 20, whole, RANDOM)
        == (tokens, [], [])
        == mask_tokens(tokens, rng, 0.5, 0, whole, RANDOM)
    )
    assert rng.getstate() == state


def test_a_short_text_has_one_place_masked():
    assert (
        len(
            mask_tokens(
                ["[CLS]", "the", "film", "[SEP]"], random.Random(1), 0.01, 20, False, RANDOM
            )[1]
        )
        == 1
    )


def test_80_10_10():
    """20 000 places with a fixed seed; 0.01 is more than three standard deviations (0.0028 for the
    80 %).
    """
    rng, kinds = random.Random(7), {"[MASK]": 0, "the": 0, "random": 0}
    for _ in range(1000):
        masked, positions, _ = mask_tokens(
            ["[CLS]", *["the"] * 40, "[SEP]"], rng, 1.0, 20, False, RANDOM
        )
        for i in positions:
            kinds["random" if masked[i] in RANDOM else masked[i]] += 1
    assert sum(kinds.values()) == 20_000
    for kind, share in (("[MASK]", 0.8), ("the", 0.1), ("random", 0.1)):
        assert abs(kinds[kind] / 20_000 - share) < 0.01


def test_every_place_is_as_likely_as_another():
    rng, counts = random.Random(3), [0] * 12
    for _ in range(5000):
        for i in mask_tokens(["[CLS]", *["the"] * 10, "[SEP]"], rng, 0.2, 20, False, RANDOM)[1]:
            counts[i] += 1
    assert counts[0] == counts[11] == 0 and sum(counts) == 10_000
    assert all(
        abs(count - 1000) < 120 for count in counts[1:11]
    )  # four standard deviations of 28 (binomial 5000, 0.2)


def test_random_pieces_are_all_but_special_and_unused_ones(tokenizer):
    assert random_pieces(tokenizer.convert_ids_to_tokens(range(len(tokenizer)))) == [
        piece for piece in VOCABULARY if piece not in (*SPECIAL, "[unused1]", "[unused2]")
    ]


def test_the_same_seed_masks_alike():
    tokens = ["[CLS]", *["the", "film", "##s"] * 9, "[SEP]"]
    found = [mask_tokens(tokens, random.Random(seed), 0.3, 20, True, RANDOM) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
