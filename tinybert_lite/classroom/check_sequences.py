"""Checks of the exercises on stage 2, pregenerated training sequences."""

import random

from tinybert_lite.classroom.checking import attempt, bars, check, chips, described, expect, number

TOKENS = (
    ["[CLS]", "the", "har", "##bour", "fills", "[SEP]", "twice", "un", "##der", "##stood", "[SEP]"],
    ["[CLS]", "a", "film", "[SEP]", "play", "##ful", "##ly", "told", "[SEP]"],
)
WORDS = ([[1], [2, 3], [4], [6], [7, 8, 9]], [[1], [2], [4, 5, 6], [7]])  # by hand


@check
def whole_words(yours, seed: int = 0) -> None:
    """yours(tokens) -> the places of each word's pieces, without [CLS] and [SEP]."""
    tokens, wanted = TOKENS[seed % 2], WORDS[seed % 2]

    def joined(groups):
        groups = [group for group in groups or () if isinstance(group, list)]
        words = ["+".join(tokens[i] for i in group if 0 <= i < len(tokens)) for group in groups]
        return words, range(len(words))

    def draw(found):
        return chips("tokens", tokens, expected=joined(wanted), yours=found and joined(found))

    found = attempt(yours, tokens, like=wanted, draw=draw)
    expect(
        all(isinstance(group, list) for group in found),
        "each word is a list of places, a word of a single piece too: "
        f"expected {wanted}, yours are {found}",
    )
    places = sorted(place for group in found for place in group)
    special = [i for i, token in enumerate(tokens) if token in ("[CLS]", "[SEP]")]
    count = len(tokens) - len(special)
    expect(
        count <= len(places),
        f"the last word counts too: {count} places are in words, yours hold {len(places)}",
    )
    expect(
        places != list(range(len(places))),
        f"places count from [CLS] at 0: {tokens[1]!r} is at 1, and yours begin with {found[0]}",
    )
    inside = [place for place in special if place in places]
    expect(
        not inside, f"special tokens belong to no word: among yours are places {inside} of {tokens}"
    )
    for group in wanted:
        expect(
            group in found,
            f"a piece with ## joins the word before it: {[tokens[i] for i in group]} is one word, "
            f"{group}, yours are {found}",
        )
    expect(found == wanted, f"words are in order, each once: expected {wanted}, yours are {found}")


@check
def mask_tokens(yours, seed: int = 0) -> None:
    """yours(tokens, chosen, pieces, rng) -> (masked tokens, labels).

    Of the chosen places 80 % become [MASK], 10 % keep their token, 10 % get a random piece.
    """
    count = 6000
    tokens = [f"w{i}" for i in range(count)]
    chosen, pieces = list(range(0, count, 2)), ["x", "y", "z"]
    answer = []

    def shares(sequence, places, options, rng):
        given = yours(sequence, places, options, rng)
        expect(
            isinstance(given, tuple) and len(given) == 2,
            f"a tuple of two is wanted, masked tokens and labels: yours is {described(given)}",
        )
        answer.extend(given)
        expect(
            len(given[0]) == count, f"no token is lost: {count} came in, {len(given[0])} came out"
        )
        mask = sum(given[0][i] == "[MASK]" for i in chosen)
        kept = sum(given[0][i] == tokens[i] for i in chosen)
        return {
            "[MASK]": mask / len(chosen),
            "kept": kept / len(chosen),
            "random": 1 - (mask + kept) / len(chosen),
        }

    wanted = {"[MASK]": 0.8, "kept": 0.1, "random": 0.1}
    found = attempt(
        shares, tokens, chosen, pieces, random.Random(seed), like=wanted, title="share of 3000"
    )
    masked, labels = answer
    touched = [i for i in range(1, count, 2) if masked[i] != tokens[i]]
    expect(
        not touched,
        f"places that were not chosen are unchanged: place {touched[:1]} became "
        f"{[masked[i] for i in touched[:1]]}",
    )
    originals = [tokens[i] for i in chosen]
    expect(
        len(labels) == len(originals),
        f"one label per chosen place: expected {len(originals)}, yours are {len(labels)}",
    )
    wrong = [
        f"place {i} held {tokens[i]}, yours says {label}"
        for i, label in zip(chosen, labels)
        if label != tokens[i]
    ]
    expect(not wrong, f"labels are the original tokens: {wrong[:1]}")
    expect(
        found["kept"] > 0,
        "some places keep their token: none of 3000 did, so the model would never see the right "
        "word at a chosen place",
    )
    expect(
        abs(found["random"] - 0.1) < 0.04,
        f"one place in ten becomes a random piece: yours are {number(100 * found['random'])} %",
    )
    expect(
        abs(found["[MASK]"] - 0.8) < 0.04,
        f"eight places in ten become [MASK]: yours are {number(100 * found['[MASK]'])} %",
    )
    drawn = {masked[i] for i in chosen} - set(tokens) - {"[MASK]"}
    expect(
        drawn == set(pieces),
        f"each random piece is a new draw from all pieces: {pieces}, yours are {sorted(drawn)}",
    )


@check
def bucketed(yours, seed: int = 0) -> None:
    """yours(lengths, batch size, rng) -> batches of row numbers, in random order.

    Rows of similar length share a batch.
    """
    draws = random.Random(seed)
    lengths, size = [draws.randint(4, 60) for _ in range(42)], 8
    ordered = sorted(lengths)

    def padded(batch):
        return max((lengths[row] for row in batch if 0 <= row < len(lengths)), default=0)

    def draw(found):
        best = [max(ordered[i : i + size]) for i in range(0, len(ordered), size)]
        heights = found and sorted(map(padded, found))
        return bars(
            best,
            heights,
            inputs={"lengths": lengths},
            title="length a batch is padded to",
            width=4.2,
        )

    found = attempt(yours, lengths, size, random.Random(seed), like=[], draw=draw)
    rows = sorted(row for batch in found for row in batch)
    expect(rows != ordered, f"row numbers are wanted, not lengths: your first batch is {found[0]}")
    lost = set(range(len(lengths))).difference(rows)
    expect(
        not lost,
        f"the last, partial batch counts too: of 42 rows {len(lost)} are missing from yours",
    )
    expect(
        len(rows) == len(lengths), f"each row is used once: expected 42 rows, yours are {len(rows)}"
    )
    largest = max(map(len, found))
    expect(largest <= size, f"a batch holds at most {size} rows: yours holds {largest}")
    least = max(fewest_tokens(ordered, size), fewest_tokens(ordered[::-1], size))
    tokens = sum(len(batch) * padded(batch) for batch in found)
    expect(
        tokens <= least,
        f"rows of similar length share a batch: with padding {least} tokens are enough, "
        f"yours take {tokens}",
    )
    tall = [padded(batch) for batch in found]
    expect(
        tall not in (sorted(tall), sorted(tall, reverse=True)),
        f"batches are in random order: yours are padded to {tall}, so short sentences would all be "
        "at one end of each epoch",
    )
    others = [yours(list(lengths), size, random.Random(seed + turn)) for turn in range(1, 4)]
    expect(
        any(other != found for other in others),
        "each epoch has a new order: three other rngs gave the same batches in the same order",
    )


def fewest_tokens(ordered: list[int], size: int) -> int:
    """Count tokens with padding if consecutive lengths share a batch."""
    batches = [ordered[i : i + size] for i in range(0, len(ordered), size)]
    return sum(len(batch) * max(batch) for batch in batches)
