"""Masking for the masked LM, as in BERT (Devlin et al. 2019)."""

import random
from collections.abc import Collection

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Marks a piece inside a word if the piece has no ## of its own: in Chinese, and in vocabularies of
# other kinds. Text holds no NUL.
INNER = "##\0"


def mask_tokens(
    tokens: list[str],
    rng: random.Random,
    probability: float,
    most: int,
    whole_words: bool,
    random_pieces: list[str],
    fixed: Collection[str] = ("[CLS]", "[SEP]"),
    mask: str = "[MASK]",
) -> tuple[list[str], list[int], list[str]]:
    """Return the masked tokens, the chosen positions in order, and the original tokens there.

    min(most, max(1, round(len · probability))) positions are chosen, never a token of `fixed`; of
    these 80 % become `mask`, 10 % keep their token, and 10 % become one of `random_pieces`. With
    `whole_words` all pieces of a word are chosen together, and a word is skipped if it has more
    pieces than can still be chosen; a piece that begins with ## continues a word.
    The original code masks one token at probability 0 (ours: none), and draws random pieces from
    the whole vocabulary (ours: from `random_pieces()`).
    """
    if probability <= 0 or most <= 0:
        return list(tokens), [], []
    words: list[list[int]] = []
    for i, token in enumerate(tokens):
        if token in fixed:
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
            masked[i] = mask
        elif draw >= 0.9:
            masked[i] = rng.choice(random_pieces)
    return masked, positions, [tokens[i] for i in positions]


def random_pieces(pieces: list[str], special: Collection[str] = SPECIAL_TOKENS) -> list[str]:
    """Return the pieces that may replace a masked token: not special, unused or `INNER` ones."""
    special = {*special}
    return [
        piece
        for piece in pieces
        if piece and piece not in special and not piece.startswith(("[unused", INNER))
    ]


def with_inner(pieces: list[str]) -> list[str]:
    """Return 2 V pieces: the vocabulary's V, then the same V marked as inside a word."""
    return pieces + [INNER + piece for piece in pieces]


def without_inner(tokens: list[str]) -> list[str]:
    """Return tokens without the mark `INNER`, as in the vocabulary."""
    return [token.removeprefix(INNER) for token in tokens]
