"""Tokenizers from a model folder, the words of a text, and rows as token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tinybert_lite.method.masking import SPECIAL_TOKENS
from tinybert_lite.system.files import write_atomically


def build_vocabulary(text: Iterator[str], size: int, path: Path, language: str = "en") -> None:
    """Learn an uncased WordPiece vocabulary from lines of text; the same text gives the same bytes."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=True)
    lines = (learner.normalizer.normalize_str(line) for line in text)
    pieces = (
        character_pieces(lines, size, learner.pre_tokenizer)
        if language == "zh"
        else learnt_pieces(list(lines), size, learner)
    )
    write_atomically(path, "".join(f"{piece}\n" for piece in pieces).encode("utf-8"))


def learnt_pieces(lines: list[str], size: int, learner) -> list[str]:
    """At most 200 letters, and what WordPiece joins of them."""
    seen = Counter()
    for line in lines:
        seen.update(line)
    letters = sorted(letter for letter, _ in seen.most_common(200) if not letter.isspace())
    # The trainer would number the inner letters (##a, ##b, …) in the order of a hash, another one in each run.
    learner.train_from_iterator(
        lines,
        vocab_size=size,
        min_frequency=2,
        limit_alphabet=200,
        show_progress=False,
        special_tokens=[*SPECIAL_TOKENS, *(f"##{letter}" for letter in letters)],
    )
    return sorted(vocabulary := learner.get_vocab(), key=vocabulary.get)


def character_pieces(lines: Iterable[str], size: int, pre_tokenizer) -> list[str]:
    """Every character seen at least twice, then words of several (Latin ones: BERT parts Chinese characters) seen ten times."""
    characters, words = Counter(), Counter()
    for line in lines:
        for word, _ in pre_tokenizer.pre_tokenize_str(line):
            characters.update([word[0], *(f"##{character}" for character in word[1:])])
            words[word] += len(word) > 1 and word.isalpha()
    frequent = [
        piece
        for seen, least in ((characters, 2), (words, 10))
        for piece, times in seen.most_common()
        if times >= least
    ]
    return [*SPECIAL_TOKENS, *frequent][:size]
