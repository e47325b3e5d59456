"""Read, check and write the tokenizer of a model folder: its vocabulary file and its case."""

from pathlib import Path
from reprlib import repr as short

from tinybert_lite.method.masking import SPECIAL_TOKENS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json
from tinybert_lite.system.lines import lines_of

VOCABULARY_NAMES = ("vocab.txt", "vocab_21128.txt")
TOKENIZER_FILES = (  # of any architecture
    "vocab.*",
    "tokenizer*.json",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
)


def find_vocabulary(*folders: Path) -> Path | None:
    """Return the first vocabulary file in these folders, in their order, or None."""
    places = (folder / name for folder in folders for name in VOCABULARY_NAMES)
    return next(filter(Path.is_file, places), None)


def load_tokenizer(vocabulary: Path, lower_case: bool | None = None):
    """Load a fast BERT WordPiece tokenizer from a vocabulary file.

    Whether text is lower-cased is `lower_case`, else what `tokenizer_config.json` beside the file
    says, else found from the vocabulary: one with capital letters is cased. Raises UserError for
    duplicate or empty entries and for missing special tokens.
    """
    from transformers import BertTokenizer

    pieces = list(lines_of(vocabulary))
    vocab = {piece: i for i, piece in enumerate(pieces)}
    if len(vocab) < len(pieces):
        piece = next(piece for i, piece in enumerate(pieces) if vocab[piece] != i)
        raise UserError(
            f"{vocabulary}, line {vocab[piece] + 1}: the piece {short(piece)} is a duplicate; "
            f"use the model's own vocabulary file"
        )
    if "" in vocab:
        raise UserError(
            f"{vocabulary}, line {vocab[''] + 1}: is empty, but each line needs one word piece; "
            f"use the model's own vocabulary file"
        )
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise UserError(
            f"{vocabulary} lacks {', '.join(missing)}; use the vocabulary file that came with the "
            f"model"
        )
    if lower_case is None:
        lower_case = _recorded_case(vocabulary.parent / "tokenizer_config.json")
    if lower_case is None:
        # Entries of letters only: the lower-case Chinese vocabulary holds <S>. isupper() would be
        # wrong, since signs such as ℝ are upper-case and have no lower case.
        lower_case = all(
            piece == piece.lower() for piece in pieces if piece.removeprefix("##").isalpha()
        )
    return BertTokenizer(vocab=vocab, do_lower_case=lower_case)


def _recorded_case(config: Path) -> bool | None:
    found = read_json(config).get("do_lower_case") if config.is_file() else None
    if found not in (None, True, False):
        raise UserError(f"{config}: do_lower_case is {short(found)}, not true or false; fix it")
    return found


def save_tokenizer(tokenizer, folder: Path) -> None:
    """Write `vocab.txt` and, for Hugging Face's AutoTokenizer, the case into a model folder."""
    vocab = tokenizer.get_vocab()
    pieces = sorted(vocab, key=vocab.get)
    write_atomically(folder / "vocab.txt", "".join(f"{piece}\n" for piece in pieces).encode())
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": is_lower_case(tokenizer)},
    )


def is_lower_case(tokenizer) -> bool:
    return bool(tokenizer.backend_tokenizer.normalizer.lowercase)


def check_vocabulary(tokenizer, vocab_size: int, vocabulary: Path, config: Path) -> None:
    """Raise UserError unless a vocabulary has as many pieces as the model has embeddings.

    Up to 127 more embeddings are accepted, since some models pad them to a multiple of 64 or 128.
    """
    if not 0 <= vocab_size - len(tokenizer) < 128:
        raise UserError(
            f"{vocabulary} holds {len(tokenizer)} pieces but {config} has vocab_size {vocab_size}, "
            f"so they belong to different models; use the vocabulary of this model"
        )
