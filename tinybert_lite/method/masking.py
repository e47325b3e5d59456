"""Masking for the masked LM, as BERT does it (Devlin et al. 2019): [MASK], the same, or random."""

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
    """Return the masked tokens, the masked positions in order, and the tokens that stood there.

    min(most, max(1, round(len · probability))) positions are chosen, never [CLS] or [SEP]; of these
    80 % become [MASK], 10 % stay, and 10 % become one of `random_pieces`. With `whole_words` the ##
    pieces join their word, and a word that would exceed the number is skipped.
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
        i = int(rng.random() * len(words))  # a shuffle that ends as soon as enough is chosen
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
    """The word pieces that may replace a masked token: no special, unused or `INNER` ones."""
    return [
        piece
        for piece in pieces
        if piece not in SPECIAL_TOKENS and not piece.startswith(("[unused", INNER))
    ]


def with_inner(pieces: list[str]) -> list[str]:
    """A vocabulary of V word pieces, followed by each of them as it stands inside a word: 2V."""
    return pieces + [INNER + piece for piece in pieces]


def without_inner(tokens: list[str]) -> list[str]:
    """The tokens as the vocabulary has them."""
    return [token.removeprefix(INNER) for token in tokens]
