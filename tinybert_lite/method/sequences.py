"""Sequences for general distillation, cut from a corpus and masked: what the worker processes of stage 2 do."""

from __future__ import annotations

import random
from collections.abc import Iterator


def sequences(
    corpus, document: int, settings, rng: random.Random
) -> Iterator[tuple[list[int], list[int], bool]]:
    """Cut a document into (A, B, is_random_next), as token ids; B is empty with `one_seq`.

    Unlike the original and BERT's own script, a short target length is drawn once a sequence, not once a document.
    """
    budget = settings.max_seq_len - (2 if settings.one_seq else 3)
    numbers = list(corpus.document(document))
    chunk: list[list[int]] = []
    target, i = target_length(budget, settings.short_seq_prob, rng), 0
    while i < len(numbers):
        chunk.append(corpus.sentence(numbers[i]))
        if i == len(numbers) - 1 or sum(map(len, chunk)) >= target:
            if settings.one_seq:
                yield truncated([t for s in chunk for t in s], [], budget, rng) + (False,)
            else:
                split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                first = [t for s in chunk[:split] for t in s]
                is_random = len(chunk) == 1 or rng.random() < 0.5
                if is_random:
                    second = from_another_document(corpus, document, target - len(first), rng)
                    i -= len(chunk) - split  # the unused sentences go back
                else:
                    second = [t for s in chunk[split:] for t in s]
                yield truncated(first, second, budget, rng) + (is_random,)
            chunk, target = [], target_length(budget, settings.short_seq_prob, rng)
        i += 1


def target_length(budget: int, short_seq_prob: float, rng: random.Random) -> int:
    return rng.randint(2, budget) if rng.random() < short_seq_prob else budget


def from_another_document(corpus, document: int, wanted: int, rng: random.Random) -> list[int]:
    """Sentences of a document drawn in proportion to its sentence count, from a random one on, up to `wanted` tokens."""
    own, total = corpus.document(document), int(corpus.documents[-1])
    drawn = rng.randrange(total - len(own))
    other = corpus.document(corpus.document_of(drawn if drawn < own.start else drawn + len(own)))
    tokens: list[int] = []
    for number in range(rng.choice(other), other.stop):
        tokens += corpus.sentence(number)
        if len(tokens) >= wanted:
            break
    return tokens


def truncated(
    first: list[int], second: list[int], budget: int, rng: random.Random
) -> tuple[list[int], list[int]]:
    """Pop from the longer side, at a random end, until both fit."""
    cut_front, lengths = [0, 0], [len(first), len(second)]
    while sum(lengths) > budget:
        longer = 0 if lengths[0] > lengths[1] else 1
        lengths[longer] -= 1
        cut_front[longer] += rng.random() < 0.5
    return tuple(
        side[cut : cut + length] for side, cut, length in zip((first, second), cut_front, lengths)
    )
