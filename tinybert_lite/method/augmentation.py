"""Data augmentation (section 3.2, Algorithm 1): candidates for words, and variants of a text.

A word that is one word piece is masked, and its candidates are the masked LM's K most probable
words. A word of several pieces takes its K nearest neighbours among word vectors. In each of N_a
variants, every word that has candidates is replaced with probability p_t by one of them.

In the original code the masked LM reads the masked text, followed by the text without a mask; it
does so with context="original" of `stages.data_augmentation`. By default it reads the first alone.
"""

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
    """Collect the candidates C of each eligible word of each text; a text is its words.

    eligible: a text -> the numbers of the words that may be replaced · by_masked_lm: finds the
    candidates of words among `single_pieces` · by_vectors: of all others. Both get the places in
    all texts in one call and return a list of words for each. Words without a candidate are left
    out. Algorithm 1 collects candidates for every variant, from a text whose earlier words may
    already be replaced; here, as in the original code, once per word from the unchanged text.
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
    """Draw `count` (N_a) variants of a text, replacing words with `probability` (p_t).

    Duplicates and the unchanged text are removed, as in the original code, so there may be fewer.
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
    """Whether a text has letters only; as in the original, only such words are replaced."""
    return text.isalpha()
