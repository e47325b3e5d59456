"""Masking for the masked LM, as BERT does it: 80 % [MASK], 10 % kept, 10 % a random piece."""

from __future__ import annotations

import random

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
INNER = "##\0"  # before a piece inside a Chinese word, which no ## of its own joins to it; text holds no NUL


def mask_tokens(
    tokens: list[str],
    rng: random.Random,
    probability: float,
    most: int,
    whole_words: bool,
    random_pieces: list[str],
) -> tuple[list[str], list[int], list[str]]:
    """Masked tokens, the masked positions in order, and what stood there.

    Masks min(most, max(1, round(len · probability))) places; none at all with probability 0 (the original still masks
    one). With `whole_words`, ## pieces join their word, and a word that would overflow is skipped. Random pieces are
    drawn from `random_pieces`, which holds no special or unused ones (ours; the original draws from all).
    """
    if probability <= 0 or most <= 0:
        return list(tokens), [], []
    words: list[list[int]] = []
    for i, token in enumerate(tokens):
        if token in ("[CLS]", "[SEP]"):
            continue
        if whole_words and token.startswith("##") and words and words[-1][-1] == i - 1:
            words[-1].append(i)
        else:
            words.append([i])
    wanted = min(most, max(1, round(len(tokens) * probability)))
    chosen: list[int] = []
    while words and len(chosen) < wanted:
        i = int(rng.random() * len(words))  # a shuffle that goes no further than it is needed
        words[i], words[-1] = words[-1], words[i]
        word = words.pop()
        if len(chosen) + len(word) <= wanted:
            chosen += word
    masked = list(tokens)
    for i in sorted(chosen):
        draw = rng.random()
        if draw < 0.8:
            masked[i] = "[MASK]"
        elif draw >= 0.9:
            masked[i] = rng.choice(random_pieces)
    positions = sorted(chosen)
    return masked, positions, [tokens[i] for i in positions]


def random_pieces(pieces: list[str]) -> list[str]:
    """What a masked place may become by chance: every piece of a vocabulary but special, unused and inner ones."""
    return [
        piece
        for piece in pieces
        if piece not in SPECIAL_TOKENS and not piece.startswith(("[unused", INNER))
    ]


def with_inner(pieces: list[str]) -> list[str]:
    """A vocabulary's V pieces, and after them the same as they stand inside Chinese words: 2V."""
    return pieces + [INNER + piece for piece in pieces]


def without_inner(tokens: list[str]) -> list[str]:
    """Tokens as the vocabulary has them."""
    return [token.removeprefix(INNER) for token in tokens]
