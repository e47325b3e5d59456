"""Checks of the exercises on stage 2, pregenerated training sequences."""

from __future__ import annotations

import random

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

TOKENS = (
    ["[CLS]", "the", "har", "##bour", "fills", "[SEP]", "twice", "un", "##der", "##stood", "[SEP]"],
    ["[CLS]", "a", "film", "[SEP]", "play", "##ful", "##ly", "told", "[SEP]"],
)
WORDS = ([[1], [2, 3], [4], [6], [7, 8, 9]], [[1], [2], [4, 5, 6], [7]])  # by hand


@check
def whole_words(yours, seed: int = 0) -> None:
    """yours(tokens) -> the places of each word's pieces; none of [CLS] and [SEP]."""
    tokens, wanted = TOKENS[seed % 2], WORDS[seed % 2]

    def joined(groups):
        return ["+".join(tokens[i] for i in group if 0 <= i < len(tokens)) for group in groups]

    def draw(found):
        grouped = (
            joined(found)
            if found is not None and all(isinstance(group, list) for group in found)
            else []
        )
        return chips(
            {"tokens": tokens, "expected": joined(wanted), "yours": grouped},
            {
                "expected": set(range(len(wanted))),
                "yours": None if found is None else set(range(len(grouped))),
            },
        )

    found = attempt(yours, tokens, like=wanted, draw=draw)
    expect(
        all(isinstance(group, list) for group in found),
        f"each word is a list of places, one of a single piece too: expected {wanted}, yours are {found}",
    )
    places = sorted(place for group in found for place in group)
    special = [i for i, token in enumerate(tokens) if token in ("[CLS]", "[SEP]")]
    expect(
        len(tokens) - len(special) <= len(places),
        f"the last word is a word too: {len(tokens) - len(special)} places are in words, yours hold {len(places)}",
    )
    expect(
        places != list(range(len(places))),
        f"places count with [CLS] at 0: {tokens[1]!r} stands at 1, and yours begin {found[0]}",
    )
    inside = [place for place in special if place in places]
    expect(
        not inside, f"special tokens belong to no word: among yours are places {inside} of {tokens}"
    )
    for group in wanted:
        expect(
            group in found,
            f"a piece with ## joins the word before it: {[tokens[i] for i in group]} is one word, {group}, yours are {found}",
        )
    expect(found == wanted, f"words come in order, each once: expected {wanted}, yours are {found}")


@check
def mask_tokens(yours, seed: int = 0) -> None:
    """yours(tokens, chosen, pieces, rng) -> (masked tokens, labels): 80 % [MASK], 10 % as it was, 10 % a random piece."""
    count = 6000
    tokens = [f"w{i}" for i in range(count)]
    chosen, pieces = list(range(0, count, 2)), ["x", "y", "z"]

    def fates(sequence, places, options, rng):
        answer = yours(sequence, places, options, rng)
        expect(
            isinstance(answer, tuple) and len(answer) == 2,
            f"a tuple of two is wanted, masked tokens and labels: yours is {described(answer)}",
        )
        masked, labels = answer
        expect(
            len(masked) == len(sequence),
            f"no token is lost: {len(sequence)} came in, {len(masked)} came out",
        )
        kinds = [
            "[MASK]" if masked[i] == "[MASK]" else "kept" if masked[i] == sequence[i] else "random"
            for i in places
        ]
        return (
            [kinds.count(kind) / len(places) for kind in ("[MASK]", "kept", "random")],
            masked,
            list(labels),
        )

    def draw(found):
        figure, (ax,) = panels(1, 5, 2.8)
        beside(
            ax,
            ["[MASK]", "kept", "random piece"],
            [0.8, 0.1, 0.1],
            None if found is None else found[0],
        )
        ax.set(title=f"what became of {len(chosen)} chosen places", ylabel="share")
        return figure

    shares, masked, labels = attempt(
        fates, tokens, chosen, pieces, random.Random(seed), like=(), draw=draw
    )
    touched = [i for i in range(1, count, 2) if masked[i] != tokens[i]]
    expect(
        not touched,
        f"a place that was not chosen stays: place {touched[:1]} became {[masked[i] for i in touched[:1]]}",
    )
    wanted = [tokens[i] for i in chosen]
    expect(
        len(labels) == len(wanted),
        f"a label for each chosen place: expected {len(wanted)}, yours are {len(labels)}",
    )
    wrong = [
        f"place {i} held {tokens[i]}, yours says {label}"
        for i, label in zip(chosen, labels)
        if label != tokens[i]
    ]
    expect(not wrong, f"labels are what stood there before: {wrong[:1]}")
    expect(
        shares[1] > 0,
        "some places keep their token: none of 3000 did, so the model would never meet the right word at a place that counts",
    )
    expect(
        abs(shares[2] - 0.1) < 0.04,
        f"one place in ten becomes a random piece: yours {number(100 * shares[2])} %",
    )
    expect(
        abs(shares[0] - 0.8) < 0.04,
        f"eight places in ten become [MASK]: yours {number(100 * shares[0])} %",
    )
    drawn = {masked[i] for i in chosen} - set(tokens) - {"[MASK]"}
    expect(
        drawn == set(pieces),
        f"random pieces are drawn anew each time, from all of {pieces}: yours are {sorted(drawn)}",
    )


@check
def bucketed(yours, seed: int = 0) -> None:
    """yours(lengths, batch size, rng) -> batches of row numbers: like lengths together, batches in random order."""
    draws = random.Random(seed)
    lengths, size = [draws.randint(4, 60) for _ in range(42)], 8
    least = fewest_tokens(lengths, size)

    def padded(batch):
        return max((lengths[row] for row in batch if 0 <= row < len(lengths)), default=0)

    def draw(found):
        figure, axes = panels(2, 4.2)
        axes[0].bar(range(len(lengths)), lengths, color="#8a8f98")
        axes[0].set(title="lengths that came in", xlabel="row", ylabel="tokens")
        best = sorted(lengths)
        best = [best[min(i + size, len(best)) - 1] for i in range(0, len(best), size)]
        tall = None if found is None else sorted(map(padded, found))
        count = max(len(best), len(tall or ()))
        beside(
            axes[1],
            [""] * count,
            best + [0] * (count - len(best)),
            None if tall is None else tall + [0] * (count - len(tall)),
        )
        axes[1].set_title("length a batch is padded to", fontsize=10)
        return figure

    found = attempt(yours, lengths, size, random.Random(seed), like=[], draw=draw)
    rows = sorted(row for batch in found for row in batch)
    expect(
        rows != sorted(lengths),
        f"row numbers are wanted, not lengths: your first batch is {found[0]}",
    )
    lost = sorted(set(range(len(lengths))) - set(rows))
    expect(
        not lost,
        f"the last, partial batch counts too: of 42 rows {len(lost)} are missing from yours",
    )
    expect(
        rows == list(range(len(lengths))),
        f"each row comes once: expected 42 rows, yours are {len(rows)}",
    )
    expect(
        max(map(len, found)) <= size,
        f"a batch holds {size} rows at most: yours {max(map(len, found))}",
    )
    tokens = sum(len(batch) * padded(batch) for batch in found)
    expect(
        tokens <= least,
        f"rows of like length share a batch: with padding {least} places are enough, yours take {tokens}",
    )
    tall = [padded(batch) for batch in found]
    expect(
        tall not in (sorted(tall), sorted(tall, reverse=True)),
        f"batches come in random order: yours are padded to {tall}, and training would see short sentences at one end of each epoch",
    )
    others = [yours(list(lengths), size, random.Random(seed + turn)) for turn in range(1, 4)]
    expect(
        any(other != found for other in others),
        "another epoch, another order: three other random streams gave the same batches, in the same order",
    )


def fewest_tokens(lengths: list[int], size: int) -> int:
    """Places that batches of like lengths take, whichever end the partial batch is at."""

    def taken(ordered):
        batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
        return sum(len(batch) * max(batch) for batch in batches)

    return max(taken(sorted(lengths)), taken(sorted(lengths, reverse=True)))
