"""Checks of the exercises on stage 1, data augmentation."""

from __future__ import annotations

import random

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    beside,
    check,
    chips,
    described,
    expect,
    number,
    panels,
)

STOP = {"the", "a", "of", "is", "and", "it"}
SENTENCES = (
    ("The", "2nd", "part", "of", "it", "is", "warm", ",", "clever", "and", "80s", "!"),
    ("A", "joke", "is", "3d", ";", "The", "plot", "of", "1999", "drags"),
)
PLACES = ([2, 6, 8], [1, 6, 9])  # by hand


@check
def eligible_words(yours, seed: int = 0) -> None:
    """yours(words, stop words) -> the places of words that may be replaced."""
    words, wanted = list(SENTENCES[seed % 2]), PLACES[seed % 2]

    def draw(found):
        places = None if found is None else {place for place in found if isinstance(place, int)}
        return chips(
            {"sentence": words, "expected": words, "yours": words},
            {"expected": set(wanted), "yours": places},
        )

    found = attempt(yours, words, STOP, like=wanted, draw=draw)
    expect(
        all(isinstance(place, int) for place in found),
        f"places are wanted, not words: {wanted}, yours are {found}",
    )
    for place in found:
        expect(
            place < len(words),
            f"places count from 0: the sentence has {len(words)} words, yours names {place}",
        )
        word = words[place]
        expect(
            any(letter.isalpha() for letter in word),
            f"a mark or a number is no word: place {place} is {word!r}",
        )
        expect(word.isalpha(), f"a word has letters only: place {place} is {word!r}")
        expect(word not in STOP, f"a stop word stays: place {place} is {word!r}")
        expect(
            word.lower() not in STOP,
            f"a stop word stays with a capital letter too: place {place} is {word!r}",
        )
    expect(
        found == wanted,
        f"every other word may be replaced, in order: expected {wanted}, yours are {found}",
    )


@check
def candidates(yours, seed: int = 0) -> None:
    """yours(scores, pieces, word, M) -> the M best pieces that may stand for `word`, best first."""
    pieces = [
        "[MASK]",
        "film",
        "##s",
        "movie",
        ".",
        "picture",
        "story",
        "##ly",
        "play",
        "[unused1]",
        "show",
        "plot",
    ]
    scores = torch.randn(len(pieces), generator=torch.Generator().manual_seed(seed))
    scores[[0, 2, 4]] += 4  # what may not come is what a careless answer would take first
    scores[1] = scores.max() + 1
    M, word = 4, "film"
    wanted = slow_candidates(scores.tolist(), pieces, word, M)

    def draw(found):
        figure, (ax,) = panels(1, 7, 2.8)
        chosen = [
            [
                float(score) if piece in (answer or ()) else float("nan")
                for piece, score in zip(pieces, scores)
            ]
            for answer in (wanted, found)
        ]
        beside(ax, pieces, chosen[0], None if found is None else chosen[1])
        ax.set(title=f"for {word!r}: the pieces chosen, M = {M}", ylabel="score")
        ax.plot(range(len(pieces)), scores, "_", color="black", ms=14)
        return figure

    found = attempt(yours, scores, pieces, word, M, like=wanted, draw=draw)
    expect(
        all(isinstance(piece, str) for piece in found),
        f"the pieces themselves are wanted: {wanted}, yours are {found}",
    )
    expect(
        word not in found, f"a word is no candidate for itself: {word!r} is among yours, {found}"
    )
    for piece in found:
        expect(
            not piece.startswith("##"),
            f"a piece with ## is the end of a word, not a word: {piece!r}",
        )
        expect(piece.isalpha(), f"special tokens and marks are no words: {piece!r}")
    expect(
        len(found) == M,
        f"what may not come takes nobody's place: {M} candidates are left for {word!r}, yours are {len(found)}, {found}",
    )
    expect(
        set(found) == set(wanted), f"the best ones are taken: expected {wanted}, yours are {found}"
    )
    expect(found == wanted, f"the best comes first: expected {wanted}, yours are {found}")
    few = yours(torch.tensor([1.0, 2.0, 3.0]), ["film", "movie", "##s"], "film", 4)
    expect(
        few == ["movie"],
        f"there may be fewer than M: of film, movie and ##s only movie is left, yours are {few}",
    )


def slow_candidates(scores: list[float], pieces: list[str], word: str, M: int) -> list[str]:
    left, found = dict(zip(pieces, scores)), []
    while left and len(found) < M:
        best = next(piece for piece in left if all(left[piece] >= other for other in left.values()))
        del left[best]
        if best.isalpha() and best != word:
            found.append(best)
    return found


@check
def variants(yours, seed: int = 0) -> None:
    """yours(words, candidates, p, N, rng) -> at most N different new sentences, as lists of words."""
    words = [f"w{i}" for i in range(300)]
    options = {i: [f"x{i}", f"y{i}"] for i in range(300)}
    chances = [0.0, 0.25, 0.5, 1.0]

    def shares(sentence, candidates):
        made = [yours(list(sentence), candidates, p, 1, random.Random(seed)) for p in chances]
        expect(
            all(isinstance(answer, list) for answer in made),
            f"a list of variants is wanted: yours is {described(made[0])}",
        )
        return [share_replaced(sentence, answer) for answer in made]

    def draw(found):
        figure, (ax,) = panels(1, 5, 2.8)
        beside(ax, [f"p = {p}" for p in chances], chances, found)
        ax.set(title="share of words replaced")
        return figure

    found = attempt(shares, words, options, like=chances, draw=draw)
    short, few = ["a", "warm", "film"], {1: ["kind", "cosy"], 2: ["play"]}
    came_in = list(short)
    yours(came_in, few, 1.0, 1, random.Random(seed))
    expect(came_in == short, f"the sentence that came in stays as it is: {short} became {came_in}")
    made = yours(short, few, 0.5, 200, random.Random(seed))
    expect(short not in made, f"the original is no variant: {short} is among yours")
    expect(
        len({tuple(v) for v in made}) == len(made),
        f"each variant comes once: {len(made)} are yours, {len({tuple(v) for v in made})} of them different",
    )
    expect(
        all(len(v) == 3 and v[0] == "a" for v in made),
        f"a word without candidates stays: 'a' in {made[:3]}",
    )
    seen = {v[1] for v in made}
    expect(
        {"kind", "cosy"} <= seen,
        f"every candidate has its chance: of kind and cosy 200 variants of yours hold {sorted(seen)}",
    )
    alone = [v for v in made if (v[1] == "warm") != (v[2] == "film")]
    expect(
        alone,
        f"words are drawn one by one: of {len(made)} variants none replaces just one of two words",
    )
    for chance, share in zip(chances, found):
        expect(
            abs(share - chance) < 0.15,
            f"a word is replaced with probability p: p = {chance} replaced {number(share)} of 300 words",
        )
    last = yours(words, options, 0.25, 8, random.Random(seed))
    share = share_replaced(words, last[-1:])
    expect(
        abs(share - 0.25) < 0.15,
        f"each variant starts from the original: p = 0.25, and the eighth has {number(share)} of its words replaced",
    )
    expect(len(last) == 8, f"N variants are made: expected 8, yours are {len(last)}")
    expect(
        len(made) == 5,
        f"all variants turn up: (warm, kind, cosy) × (film, play) without the original are 5, and 200 draws gave yours {len(made)}",
    )


def share_replaced(words: list[str], made: list[list[str]]) -> float:
    return sum(a != b for a, b in zip(words, made[0])) / len(words) if made else 0.0
