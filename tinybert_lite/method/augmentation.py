"""Data augmentation (paper, Algorithm 1): candidates for the words of a text, and variants drawn from them.

A word that is one word piece is masked, and its candidates are the masked LM's best guesses. A word of
several pieces takes its nearest neighbours among word vectors. In each of N variants every word that
has candidates is replaced with probability p by one of them, drawn uniformly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

Place = tuple[int, int]  # number of a text, number of a word in it
Candidates = dict[int, list[str]]  # number of a word in its text -> the words that may replace it


def find_candidates(
    texts: Sequence[list[str]],
    eligible: Callable[[list[str]], list[int]],
    single_pieces: Collection[str],
    by_masked_lm: Callable[[list[Place]], list[list[str]]],
    by_vectors: Callable[[list[Place]], list[list[str]]],
) -> list[Candidates]:
    """The candidates of every eligible word of every text (a text is its words).

    Words among `single_pieces` are looked up by the masked LM, all others by word vectors; both get
    the places of all texts at once. Words without a candidate are left out.
    """
    found: list[Candidates] = [{} for _ in texts]
    masked: list[Place] = []
    others: list[Place] = []
    for t, text in enumerate(texts):
        for place in eligible(text):
            (masked if text[place] in single_pieces else others).append((t, place))
    for places, ask in ((masked, by_masked_lm), (others, by_vectors)):
        for (t, place), options in zip(places, ask(places)):
            found[t][place] = options
    return [{place: words for place, words in sorted(text.items()) if words} for text in found]


def draw_variants(
    words: list[str],
    candidates: Candidates,
    rng: random.Random,
    count: int,
    probability: float,
    join: Callable[[list[str]], str] = " ".join,
) -> list[str]:
    """At most `count` (the paper's N_a) different new texts; the original is not among them.

    probability: of replacing each word that has candidates (the paper's p_t).
    """
    found: dict[str, None] = {}
    for _ in range(count):
        new = [
            rng.choice(candidates[i]) if i in candidates and rng.random() < probability else word
            for i, word in enumerate(words)
        ]
        found[join(new)] = None
    found.pop(join(words), None)
    return list(found)


def is_word(text: str) -> bool:
    """Whether it is made of letters alone; only such words are replaced."""
    return text.isalpha()
