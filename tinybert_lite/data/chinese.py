"""Split Chinese text, which has no spaces between words, into words; join words to a text."""

from collections.abc import Iterable
from itertools import accumulate

from tinybert_lite.system.optional import optional


def segment(text: str) -> list[str]:
    """Split a text into words; joining them gives the text again.

    Punctuation marks and spaces are separate words. Raises UserError if the package rjieba is
    missing.
    """
    found = optional("rjieba", "rjieba", "chinese", "the words of Chinese text are found")
    return found.cut(text)


def word_starts(text: str) -> set[int]:
    """Return the indices of the characters that begin a word."""
    return set(accumulate(map(len, segment(text)), initial=0))


def joined(words: Iterable[str]) -> str:
    """Join words to a text, with a space only between two non-Chinese words (`word`, `4s`)."""
    text = ""
    for word in words:
        text += f" {word}" if text and _needs_space(text[-1]) and _needs_space(word[0]) else word
    return text


def _needs_space(character: str) -> bool:
    return character.isalnum() and character < "\u2e80"  # East Asian characters begin there
