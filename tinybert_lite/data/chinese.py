"""Chinese text: words without blanks between them, and words joined to a text again."""

from collections.abc import Iterable
from itertools import accumulate

from tinybert_lite.system.optional import optional


def segment(text: str) -> list[str]:
    """A text's words, which joined give the text; punctuation and blanks are words of their own.

    Raises UserError without the package rjieba.
    """
    found = optional("rjieba", "rjieba", "chinese", "words of Chinese text are found")
    return found.cut(text)


def word_starts(text: str) -> set[int]:
    """The indices of the characters that begin a word."""
    return set(accumulate(map(len, segment(text)), initial=0))


def joined(words: Iterable[str]) -> str:
    """Words as a text, with blanks only between two words of other scripts (`word`, `4s`)."""
    text = ""
    for word in words:
        text += f" {word}" if text and _needs_blanks(text[-1]) and _needs_blanks(word[0]) else word
    return text


def _needs_blanks(character: str) -> bool:
    return character.isalnum() and character < "\u2e80"  # where East Asian characters begin
