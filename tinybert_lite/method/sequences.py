"""Training sequences for general distillation, cut from a corpus as BERT's own are."""

import random
from collections.abc import Iterator
from itertools import chain


def sequences(
    corpus, document: int, settings, rng: random.Random, special: int | None = None
) -> Iterator[tuple[list[int], list[int], bool]]:
    """Cut one document into (A, B, is_random_next), token ids without special tokens.

    corpus: `document(i)` is a range of sentence numbers, `sentence(n)` its token ids, `documents`
    where each document's numbers start, `document_of(n)` a sentence's document.
    settings: `max_seq_len`, `short_seq_prob`, and `one_seq` for sequences without B. special: the
    number of special tokens in a sequence; None for BERT's [CLS] A [SEP] or [CLS] A [SEP] B [SEP].

    Sentences are collected up to a target length; A is a random number of them, B the rest or, with
    probability 0.5, text of another document. The original code and BERT's own draw whether the
    target is short once per document; ours draws once per sequence.
    """
    special = (2 if settings.one_seq else 3) if special is None else special
    budget = settings.max_seq_len - special
    numbers = list(corpus.document(document))
    chunk: list[list[int]] = []
    target, i = target_length(budget, settings.short_seq_prob, rng), 0
    while i < len(numbers):
        chunk.append(corpus.sentence(numbers[i]))
        if i == len(numbers) - 1 or sum(map(len, chunk)) >= target:
            if settings.one_seq:
                yield *truncated(list(chain(*chunk)), [], budget, rng), False
            else:
                split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                first, second = list(chain(*chunk[:split])), list(chain(*chunk[split:]))
                is_random = len(chunk) == 1 or rng.random() < 0.5
                if is_random:
                    second = from_another_document(corpus, document, target - len(first), rng)
                    i -= len(chunk) - split  # the unused sentences are used again
                yield *truncated(first, second, budget, rng), is_random
            chunk, target = [], target_length(budget, settings.short_seq_prob, rng)
        i += 1


def target_length(budget: int, short_seq_prob: float, rng: random.Random) -> int:
    """Return `budget`, or with probability `short_seq_prob` a random number from 2 to `budget`."""
    return rng.randint(2, budget) if rng.random() < short_seq_prob else budget


def from_another_document(corpus, document: int, wanted: int, rng: random.Random) -> list[int]:
    """Return about `wanted` tokens of a random document, chosen by its number of sentences."""
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
    """Remove tokens from the longer of the two, at a random end, until both fit the budget."""
    cut_front, lengths = [0, 0], [len(first), len(second)]
    while sum(lengths) > budget:
        longer = 0 if lengths[0] > lengths[1] else 1
        lengths[longer] -= 1
        cut_front[longer] += rng.random() < 0.5
    return tuple(
        side[cut : cut + length] for side, cut, length in zip((first, second), cut_front, lengths)
    )
