"""Tokenizers from a model folder, the words of a text, and rows as token ids."""

from __future__ import annotations

from pathlib import Path
from reprlib import repr as short

from tinybert_lite.method.masking import SPECIAL_TOKENS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json
from tinybert_lite.system.lines import lines_of

VOCABULARY_NAMES = ("vocab.txt", "vocab_21128.txt")


def find_vocabulary(*folders: Path) -> Path | None:
    """The first vocabulary file in these folders, in their order."""
    return next(
        (
            folder / name
            for folder in folders
            for name in VOCABULARY_NAMES
            if (folder / name).is_file()
        ),
        None,
    )


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
        raise UserError(
            f"{vocabulary}, line {line}: the piece {short(pieces[line - 1])} stands there twice; use the model's own vocabulary file"
        )
    if "" in vocab:
        raise UserError(
            f"{vocabulary}, line {vocab[''] + 1}: is empty, and each line holds one word piece; use the model's own vocabulary file"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise UserError(
            f"{vocabulary} lacks {', '.join(missing)}; use the vocabulary file that came with the model"
        )
    if lower_case is None:
        lower_case = _recorded_case(vocabulary.parent / "tokenizer_config.json")
    if lower_case is None:
        # Words alone: the Chinese vocabulary, lower-case otherwise, holds <S>. Not isupper(): signs such as ℝ have no lower case.
        lower_case = all(
            piece == piece.lower() for piece in pieces if piece.removeprefix("##").isalpha()
        )
    return BertTokenizer(vocab=vocab, do_lower_case=lower_case)


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
    write_atomically(
        folder / "vocab.txt", "".join(f"{piece}\n" for piece, _ in pieces).encode("utf-8")
    )
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": is_lower_case(tokenizer)},
    )


def is_lower_case(tokenizer) -> bool:
    return bool(tokenizer.backend_tokenizer.normalizer.lowercase)


def check_vocabulary(tokenizer, vocab_size: int, vocabulary: Path, config: Path) -> None:
    """Raise UserError where a vocabulary has more pieces than the model has embeddings, or far fewer.

    A model may be padded up to a multiple of 64 or so; anything else belongs to another model.
    """
    pieces = len(tokenizer)
    if pieces > vocab_size or vocab_size - pieces >= 128:
        raise UserError(
            f"{vocabulary} holds {pieces} pieces but {config} says vocab_size {vocab_size}: "
            f"they belong to different models; put the vocabulary of this model there"
        )


TOKENIZER_FILES = (
    "vocab.*",
    "tokenizer*.json",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
)  # of any architecture
