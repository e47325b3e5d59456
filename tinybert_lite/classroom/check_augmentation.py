"""Checks of the exercises on stage 1, data augmentation."""

import random

import torch

from tinybert_lite.classroom.checking import attempt, bars, check, chips, described, expect, number

STOP = {"the", "a", "of", "is", "and", "it"}
SENTENCES = (
    ("The", "2nd", "part", "of", "it", "is", "warm", ",", "clever", "and", "80s", "!"),
    ("A", "joke", "is", "3d", ";", "The", "plot", "of", "1999", "drags"),
)
PLACES = ([2, 6, 8], [1, 6, 9])  # by hand
PIECES = "[MASK] film ##s movie . picture story ##ly play [unused1] show plot".split()


@check
def eligible_words(yours, seed: int = 0) -> None:
    """yours(words, stop words) -> the places of the words that may be replaced."""
    words, wanted = list(SENTENCES[seed % 2]), PLACES[seed % 2]

    def draw(found):
        return chips("sentence", words, expected=(words, wanted), yours=found and (words, found))

    found = attempt(yours, words, STOP, like=wanted, draw=draw)
    expect(
        all(isinstance(place, int) for place in found),
        f"places are wanted, not words: expected {wanted}, yours are {found}",
    )
    for place in found:
        expect(
            place < len(words),
            f"places count from 0: the sentence has {len(words)} words, yours names {place}",
        )
        word, where = words[place], f"place {place} is {words[place]!r}"
        expect(
            any(letter.isalpha() for letter in word),
            f"a punctuation mark or a number is not a word: {where}",
        )
        expect(word.isalpha(), f"a word has letters only: {where}")
        expect(word not in STOP, f"a stop word is not replaced: {where}")
        expect(
            word.lower() not in STOP,
            f"a stop word with a capital letter is not replaced either: {where}",
        )
    expect(
        found == wanted,
        f"every other word may be replaced, in order: expected {wanted}, yours are {found}",
    )


@check
def candidates(yours, seed: int = 0) -> None:
    """yours(scores, pieces, word, M) -> the M best pieces that may replace `word`, best first."""
    scores = torch.randn(len(PIECES))
    scores[[0, 2, 4]] += (
        4  # excluded pieces have the highest scores, so an answer that forgets them fails
    )
    scores[1] = scores.max() + 1
    M, word = 4, "film"
    wanted = slow_candidates(scores.tolist(), PIECES, word, M)

    def draw(found):
        chosen = [
            [
                score if piece in answer else torch.nan
                for piece, score in zip(PIECES, scores.tolist())
            ]
            for answer in (wanted, found or ())
        ]
        figure = bars(*chosen, PIECES, title=f"scores of pieces chosen for {word!r}", width=7)
        figure.axes[0].plot(range(len(PIECES)), scores, "_", color="black", ms=14)
        return figure

    found = attempt(yours, scores, PIECES, word, M, like=wanted, draw=draw)
    expect(
        all(isinstance(piece, str) for piece in found),
        f"the pieces themselves are wanted: expected {wanted}, yours are {found}",
    )
    expect(word not in found, f"a word is not a candidate for itself: {word!r} is in {found}")
    for piece in found:
        expect(
            not piece.startswith("##"),
            f"a piece with ## is the end of a word, not a whole word: {piece!r}",
        )
        expect(piece.isalpha(), f"special tokens and punctuation are not words: {piece!r}")
    expect(
        len(found) == M,
        f"excluded pieces do not use up places: {M} candidates are left for {word!r}, "
        f"yours are {len(found)}, {found}",
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
    """Find the same candidates by taking the best remaining piece, one after the other."""
    left, found = dict(zip(pieces, scores)), []
    while left and len(found) < M:
        best = max(left, key=left.get)
        del left[best]
        if best.isalpha() and best != word:
            found.append(best)
    return found


@check
def variants(yours, seed: int = 0) -> None:
    """yours(words, candidates, p, N, rng) -> up to N different new sentences (lists of words)."""
    words = [f"w{i}" for i in range(300)]
    options = {i: [f"x{i}", f"y{i}"] for i in range(300)}
    chances = [0.0, 0.25, 0.5, 1.0]

    def call(sentence, candidates, p: float, N: int):
        return yours(sentence, candidates, p, N, random.Random(seed))

    def shares(sentence, candidates):
        made = [call(list(sentence), candidates, p, 1) for p in chances]
        expect(
            all(isinstance(answer, list) for answer in made),
            f"a list of variants is wanted: yours is {described(made[0])}",
        )
        return [share_replaced(sentence, answer) for answer in made]

    names = [f"p = {p}" for p in chances]
    found = attempt(
        shares, words, options, like=chances, names=names, title="share of words replaced"
    )
    short, few = ["a", "warm", "film"], {1: ["kind", "cosy"], 2: ["play"]}
    given = list(short)
    call(given, few, 1.0, 1)
    expect(given == short, f"the input sentence is not modified: {short} became {given}")
    made = call(short, few, 0.5, 200)
    expect(short not in made, f"the original is not a variant: {short} is among yours")
    different = {tuple(variant) for variant in made}
    expect(
        len(different) == len(made),
        f"each variant is returned once: of your {len(made)} only {len(different)} are different",
    )
    expect(
        all(len(v) == 3 and v[0] == "a" for v in made),
        f"a word without candidates is not replaced: 'a' in {made[:3]}",
    )
    seen = {v[1] for v in made}
    expect(
        {"kind", "cosy"} <= seen,
        f"every candidate can be drawn: instead of kind and cosy, 200 variants have {sorted(seen)}",
    )
    expect(
        any((v[1] == "warm") != (v[2] == "film") for v in made),
        f"each word is drawn on its own: no variant of {len(made)} replaces just one of two words",
    )
    for chance, share in zip(chances, found):
        expect(
            abs(share - chance) < 0.15,
            f"a word is replaced with probability p: p = {chance} replaced a share of "
            f"{number(share)} of 300 words",
        )
    last = call(words, options, 0.25, 8)
    share = share_replaced(words, last[-1:])
    expect(
        abs(share - 0.25) < 0.15,
        "each variant starts from the original: at p = 0.25 the eighth variant has a share of "
        f"{number(share)} of its words replaced",
    )
    expect(len(last) == 8, f"N variants are made: expected 8, yours are {len(last)}")
    expect(
        len(made) == 5,
        "all variants are found: (warm, kind, cosy) × (film, play) without the original are 5; "
        f"200 draws gave yours {len(made)}",
    )


def share_replaced(words: list[str], made: list[list[str]]) -> float:
    return sum(a != b for a, b in zip(words, made[0])) / len(words) if made else 0.0
