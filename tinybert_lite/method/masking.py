"""Masking for the masked LM, as in BERT (Devlin et al. 2019)."""

import random

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Marks a piece inside a Chinese word, whose pieces have no ## of their own. Text holds no NUL.
INNER = "##\0"


def mask_tokens(
    tokens: list[str],
    rng: random.Random,
    probability: float,
    most: int,
    whole_words: bool,
    random_pieces: list[str],
) -> tuple[list[str], list[int], list[str]]:
    """Return the masked tokens, the chosen positions in order, and the original tokens there.

    min(most, max(1, round(len · probability))) positions are chosen, never [CLS] or [SEP]; of these
    80 % become [MASK], 10 % keep their token, and 10 % become one of `random_pieces`. With
    `whole_words` all pieces of a word are chosen together, and a word is skipped if it has more
    pieces than can still be chosen.
    The original code masks one token at probability 0 (ours: none), and draws random pieces from
    the whole vocabulary (ours: from `random_pieces()`).
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
    positions: list[int] = []
    while words and len(positions) < wanted:
        i = int(rng.random() * len(words))  # a shuffle that ends when enough positions are chosen
        words[i], words[-1] = words[-1], words[i]
        word = words.pop()
        if len(positions) + len(word) <= wanted:
            positions += word
    positions.sort()
    masked = list(tokens)
    for i in positions:
        draw = rng.random()
        if draw < 0.8:
            masked[i] = "[MASK]"
        elif draw >= 0.9:
            masked[i] = rng.choice(random_pieces)
    return masked, positions, [tokens[i] for i in positions]


def random_pieces(pieces: list[str]) -> list[str]:
    """Return the word pieces that may replace a masked token: no special, unused, `INNER` ones."""
    return [
        piece
        for piece in pieces
        if piece not in SPECIAL_TOKENS and not piece.startswith(("[unused", INNER))
    ]


def with_inner(pieces: list[str]) -> list[str]:
    """Return 2 V pieces: the vocabulary's V, then the same V marked as inside a Chinese word."""
    return pieces + [INNER + piece for piece in pieces]


def without_inner(tokens: list[str]) -> list[str]:
    """Return tokens without the mark `INNER`, as in the vocabulary."""
    return [token.removeprefix(INNER) for token in tokens]
