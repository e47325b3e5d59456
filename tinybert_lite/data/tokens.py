"""Tokenizers from a model folder, the words of a text, and rows as token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from reprlib import repr as short

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.chinese import segment
from tinybert_lite.data.lines import lines_of
from tinybert_lite.data.masking import SPECIAL_TOKENS
from tinybert_lite.data.tables import Table, label_ids
from tinybert_lite.data.tasks import Task
from tinybert_lite.engine.files import read_json, write_atomically, write_json
from tinybert_lite.runtime import UserError

VOCABULARY_NAMES = ("vocab.txt", "vocab_21128.txt")


def find_vocabulary(*folders: Path) -> Path | None:
    """The first vocabulary file in these folders, in their order."""
    return next((folder / name for folder in folders for name in VOCABULARY_NAMES if (folder / name).is_file()), None)


def load_tokenizer(vocabulary: Path, lower_case: bool | None = None):
    """A fast BERT WordPiece tokenizer from a vocabulary file.

    Case comes from `lower_case`, else from a `tokenizer_config.json` beside the file, else from the vocabulary itself:
    one that holds capital letters is cased. Raises UserError for duplicate pieces or missing special tokens.
    """
    from transformers import BertTokenizer

    pieces = list(lines_of(vocabulary))
    vocab = {piece: i for i, piece in enumerate(pieces)}
    if len(vocab) < len(pieces):
        seen: set[str] = set()
        line = next(i for i, piece in enumerate(pieces, 1) if piece in seen or seen.add(piece))
        raise UserError(f"{vocabulary}, line {line}: the piece {short(pieces[line - 1])} stands there twice; use the model's own vocabulary file")
    if "" in vocab:
        raise UserError(f"{vocabulary}, line {vocab[''] + 1}: is empty, and each line holds one word piece; use the model's own vocabulary file")
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise UserError(f"{vocabulary} lacks {', '.join(missing)}; use the vocabulary file that came with the model")
    if lower_case is None:
        lower_case = _recorded_case(vocabulary.parent / "tokenizer_config.json")
    if lower_case is None:
        # Words alone: the Chinese vocabulary, lower-case otherwise, holds <S>. Not isupper(): signs such as ℝ have no lower case.
        lower_case = all(piece == piece.lower() for piece in pieces if piece.removeprefix("##").isalpha())
    return BertTokenizer(vocab=vocab, do_lower_case=lower_case)


def build_vocabulary(text: Iterator[str], size: int, path: Path, language: str = "en") -> None:
    """Learn an uncased WordPiece vocabulary from lines of text; the same text gives the same bytes."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=True)
    lines = (learner.normalizer.normalize_str(line) for line in text)
    pieces = character_pieces(lines, size, learner.pre_tokenizer) if language == "zh" else learnt_pieces(list(lines), size, learner)
    write_atomically(path, "".join(f"{piece}\n" for piece in pieces).encode("utf-8"))


def learnt_pieces(lines: list[str], size: int, learner) -> list[str]:
    """At most 200 letters, and what WordPiece joins of them."""
    seen = Counter()
    for line in lines:
        seen.update(line)
    letters = sorted(letter for letter, _ in seen.most_common(200) if not letter.isspace())
    # The trainer would number the inner letters (##a, ##b, …) in the order of a hash, another one in each run.
    learner.train_from_iterator(lines, vocab_size=size, min_frequency=2, limit_alphabet=200, show_progress=False,
                                special_tokens=[*SPECIAL_TOKENS, *(f"##{letter}" for letter in letters)])
    return sorted(vocabulary := learner.get_vocab(), key=vocabulary.get)


def character_pieces(lines: Iterable[str], size: int, pre_tokenizer) -> list[str]:
    """Every character seen at least twice, then words of several (Latin ones: BERT parts Chinese characters) seen ten times."""
    characters, words = Counter(), Counter()
    for line in lines:
        for word, _ in pre_tokenizer.pre_tokenize_str(line):
            characters.update([word[0], *(f"##{character}" for character in word[1:])])
            words[word] += len(word) > 1 and word.isalpha()
    frequent = [piece for seen, least in ((characters, 2), (words, 10)) for piece, times in seen.most_common() if times >= least]
    return [*SPECIAL_TOKENS, *frequent][:size]


def _recorded_case(config: Path) -> bool | None:
    if not config.is_file():
        return None
    found = read_json(config).get("do_lower_case")
    if found not in (None, True, False):
        raise UserError(f"{config}: do_lower_case is {short(found)}, not true or false; mend it")
    return found


def save_tokenizer(tokenizer, folder: Path) -> None:
    """Write `vocab.txt` and the case beside a model, where Hugging Face's AutoTokenizer finds them."""
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    write_atomically(folder / "vocab.txt", "".join(f"{piece}\n" for piece, _ in pieces).encode("utf-8"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": is_lower_case(tokenizer)})


def is_lower_case(tokenizer) -> bool:
    return bool(tokenizer.backend_tokenizer.normalizer.lowercase)


def check_vocabulary(tokenizer, vocab_size: int, vocabulary: Path, config: Path) -> None:
    """Raise UserError where a vocabulary has more pieces than the model has embeddings, or far fewer.

    A model may be padded up to a multiple of 64 or so; anything else belongs to another model.
    """
    pieces = len(tokenizer)
    if pieces > vocab_size or vocab_size - pieces >= 128:
        raise UserError(f"{vocabulary} holds {pieces} pieces but {config} says vocab_size {vocab_size}: "
                        f"they belong to different models; put the vocabulary of this model there")


def words(tokenizer, text: str, language: str = "en") -> list[str]:
    """The words BERT's basic tokenizer finds: cleaned, lower-cased for an uncased model, punctuation apart.

    In Chinese ("zh") the segmenter's, cleaned alike, but without the blanks that BERT puts around characters.
    """
    backend = tokenizer.backend_tokenizer
    if language == "zh":
        cleaned = ("".join(backend.normalizer.normalize_str(word).split()) for word in segment(text))
        return [word for word in cleaned if word]
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text))]


def encode(texts_a: list[str], texts_b: list[str] | None, tokenizer, max_length: int, labels=None, block: int = 10_000) -> Examples:
    """`[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, cut to `max_length` from the longer side, as BERT's own scripts do."""
    parts = (slice(start, start + block) for start in range(0, len(texts_a), block))
    examples = _encoded(((texts_a[part], texts_b and texts_b[part]) for part in parts), tokenizer, max_length)
    return examples if labels is None else examples.with_labels(np.asarray(labels, dtype=np.float32))


def _encoded(blocks: Iterable[tuple[list[str], list[str] | None]], tokenizer, max_length: int) -> Examples:
    max_length = min(max_length, tokenizer.model_max_length)  # no more than the model has positions for

    def ids():
        for texts_a, texts_b in blocks:
            found = tokenizer(texts_a, texts_b, truncation="longest_first", max_length=max_length, return_attention_mask=False)
            yield found["input_ids"], [types.count(0) for types in found["token_type_ids"]]

    return Examples.joined(ids())


def encode_table(table: Table, task: Task, tokenizer, max_length: int, max_rows: int = 0) -> Examples:
    """A task's rows with their label numbers (NaN where a row has none); of a streamed table a block at a time."""
    rows, labels = islice(table.rows, max_rows or None), []

    def blocks():
        while block := list(islice(rows, 10_000)):
            labels.extend(label_ids(block, task))
            yield [row.text_a for row in block], [row.text_b for row in block] if task.text_b else None

    return _encoded(blocks(), tokenizer, max_length).with_labels(np.asarray(labels, dtype=np.float32))
