"""Chinese text: its words, which no blanks show, and words as a text again."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from tinybert_lite.system.errors import UserError


def segment(text: str) -> list[str]:
    """The words of a text, which joined are the text: punctuation and blanks stand alone. Raises UserError without rjieba."""
    try:
        import rjieba
    except ImportError:
        raise UserError(
            'the words of Chinese text are found by the package rjieba, which is missing: python -m pip install -e ".[chinese]"'
        ) from None
    return rjieba.cut(text)


def word_starts(text: str) -> set[int]:
    """The places of the characters that words start with."""
    return set(accumulate(map(len, segment(text)), initial=0))


def joined(words: Iterable[str]) -> str:
    """Words as a text: blanks stand only between two words of other scripts (`word`, `4s`)."""
    text = ""
    for word in words:
        text += f" {word}" if text and _needs_blanks(text[-1]) and _needs_blanks(word[0]) else word
    return text


def _needs_blanks(character: str) -> bool:
    return character.isalnum() and character < "\u2e80"  # where East Asian characters begin
