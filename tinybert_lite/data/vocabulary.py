"""Learn a WordPiece vocabulary from lines of text."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from tinybert_lite.method.masking import SPECIAL_TOKENS
from tinybert_lite.system.files import write_atomically


def build_vocabulary(text: Iterator[str], size: int, path: Path, language: str = "en") -> None:
    """Write an uncased vocabulary of at most `size` pieces; the same text gives the same bytes."""
    learner = BertWordPieceTokenizer(lowercase=True)
    lines = (learner.normalizer.normalize_str(line) for line in text)
    if language == "zh":
        pieces = character_pieces(lines, size, learner.pre_tokenizer)
    else:
        pieces = learnt_pieces(list(lines), size, learner)
    write_atomically(path, "".join(f"{piece}\n" for piece in pieces).encode("utf-8"))


def learnt_pieces(lines: list[str], size: int, learner: BertWordPieceTokenizer) -> list[str]:
    """Return the 200 most frequent letters, and the pieces that WordPiece joins from them."""
    seen = Counter()
    for line in lines:
        seen.update(line)
    letters = sorted(letter for letter, _ in seen.most_common(200) if not letter.isspace())
    # Without this list the trainer numbers ##a, ##b, … differently in each run.
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
    """Return every character seen at least twice, then longer words seen at least ten times.

    BERT makes each Chinese character a separate word, so the longer words are of other scripts.
    """
    characters, words = Counter(), Counter()
    for line in lines:
        for word, _ in pre_tokenizer.pre_tokenize_str(line):
            characters.update([word[0], *(f"##{character}" for character in word[1:])])
            words[word] += len(word) > 1 and word.isalpha()
    frequent = [piece for piece, times in characters.most_common() if times >= 2]
    frequent += [piece for piece, times in words.most_common() if times >= 10]
    return [*SPECIAL_TOKENS, *frequent][:size]
