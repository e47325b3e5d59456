"""Read, check and write the tokenizer of a model folder."""

import json
import tempfile
from pathlib import Path
from reprlib import repr as short

from transformers import AutoTokenizer, BertTokenizer

from tinybert_lite.system.console import counted, remark_once
from tinybert_lite.system.errors import UserError, one_line
from tinybert_lite.system.files import read_json, write_atomically
from tinybert_lite.system.lines import lines_of

VOCABULARY_NAMES = ("vocab.txt", "vocab_21128.txt")
TOKENIZER_FILES = (  # of any family
    "vocab.*",
    "vocab_21128.txt",
    "tokenizer*.json",
    "merges.txt",
    "*.model",
    "special_tokens_map.json",
    "added_tokens.json",
)
WORDPIECE = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer")
# For transformers' from_pretrained
LOCAL_WITHOUT_CODE = {"local_files_only": True, "trust_remote_code": False}
NEEDED = {  # special tokens that every stage needs -> BERT's names for them
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
# A folder with one of these files, or other settings than BERT_SETTINGS, is read by AutoTokenizer.
OTHER_TOKENIZER_FILES = ("tokenizer.json", "added_tokens.json", "special_tokens_map.json")
BERT_SETTINGS = {"do_lower_case", "strip_accents", "tokenize_chinese_chars", *NEEDED}
NOT_SAVED = ("is_local", "local_files_only", "name_or_path", "backend")  # facts of this machine


def find_vocabulary(*folders: Path) -> Path | None:
    """Return the first vocab.txt in these folders, in their order, or None."""
    places = (folder / name for folder in folders for name in VOCABULARY_NAMES)
    return next(filter(Path.is_file, places), None)


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of the tokenizer in a model folder, of any family."""
    found = {file for pattern in TOKENIZER_FILES for file in folder.glob(pattern)}
    return sorted(filter(Path.is_file, found))


def has_pieces(folder: Path) -> bool:
    """Whether a folder holds a vocabulary of any kind, and not only the tokenizer's settings."""
    settings = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    return any(file.name not in settings for file in tokenizer_files(folder))


def load_tokenizer(place: Path, lower_case: bool | None = None):
    """Load the fast tokenizer of a model folder with AutoTokenizer, or of a vocab.txt.

    lower_case: the flag's value, for a folder that does not state one. Raises UserError for a
    folder whose tokenizer cannot be read, for missing special tokens, and if flag and folder
    contradict each other.
    """
    place = Path(place)
    if not place.exists():
        raise UserError(f"{place} is missing: put the model's tokenizer there")
    config = (place if place.is_dir() else place.parent) / "tokenizer_config.json"
    settings = _settings(config)
    vocabulary = place if place.is_file() else find_vocabulary(place)
    kind = str(settings.get("tokenizer_class", WORDPIECE[0])).removesuffix("Fast")
    others = any((place / name).is_file() for name in OTHER_TOKENIZER_FILES)
    plain = not others and settings.keys() <= {"tokenizer_class", *BERT_SETTINGS}
    if place.is_file() or vocabulary and kind in WORDPIECE and plain:
        tokenizer = _from_vocabulary(vocabulary, lower_case, settings)
    else:
        tokenizer = _from_folder(place, kind)
    if lost := [name for name in NEEDED if getattr(tokenizer, name) is None]:
        raise UserError(
            f"{place}: the tokenizer does not define {', '.join(lost)}, which every stage needs; "
            f"add the token to tokenizer_config.json"
        )
    _check_case(tokenizer, place, lower_case, settings.get("do_lower_case"))
    # A tokenizer.json may hold the padding and the truncation of its last use.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def _settings(path: Path) -> dict:
    settings = read_json(path) if path.is_file() else {}
    if settings.get("do_lower_case") not in (None, True, False):
        raise UserError(
            f"{path}: do_lower_case is {short(settings['do_lower_case'])}, not true or false; "
            f"fix it"
        )
    return settings


def _from_vocabulary(path: Path, lower_case: bool | None, settings: dict):
    """Make BERT's tokenizer of a vocab.txt; a piece's id is the number of its last line."""
    pieces = list(lines_of(path))
    vocab = {piece: i for i, piece in enumerate(pieces) if piece}
    if len(vocab) < len(pieces):
        again = [i for i, piece in enumerate(pieces) if not piece or vocab[piece] != i]
        remark_once(
            f"{path} has {counted(len(again), 'blank or duplicate line')}, the first is line "
            f"{again[0] + 1}; the id of a piece is the number of its last line, as in BERT"
        )
    if lower_case is None or settings.get("do_lower_case") is not None:
        lower_case = settings.get("do_lower_case")
    if lower_case is None:
        # Pieces of letters only: the lower-case Chinese vocabulary holds <S>. isupper() would be
        # wrong, since signs such as ℝ are upper-case and have no lower case.
        lower_case = not _has_capitals(pieces)
    names = ("strip_accents", "tokenize_chinese_chars", *NEEDED)
    given = {name: _content(settings[name]) for name in names if settings.get(name) is not None}
    lost = [given.get(name, usual) for name, usual in NEEDED.items()]
    if lost := [token for token in lost if token not in vocab]:
        raise UserError(
            f"{path} lacks {', '.join(lost)}; use the vocabulary file that came with the model"
        )
    return BertTokenizer(vocab=vocab, do_lower_case=lower_case, **given)


def _content(value):
    """Return the text of a special token, which may be in a dictionary under "content"."""
    return value.get("content") if isinstance(value, dict) else value


def _has_capitals(pieces) -> bool:
    letters = (piece.removeprefix("##") for piece in pieces)
    return any(piece != piece.lower() for piece in letters if piece.isalpha())


def _from_folder(folder: Path, kind: str):
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL_WITHOUT_CODE)
    except Exception as error:  # transformers raises errors of many kinds
        raise UserError(
            f"{folder}: its tokenizer ({kind}) cannot be read here ({type(error).__name__}: "
            f"{one_line(error)}); save it with save_pretrained as a fast "
            f"tokenizer (tokenizer.json)"
        ) from None
    if not has_pieces(folder):
        raise UserError(
            f"{folder / 'vocab.txt'} is missing: put the model's vocab.txt or tokenizer.json there"
        )
    if not tokenizer.is_fast:
        raise UserError(
            f"{folder}: {kind} is not a fast tokenizer; put the model's tokenizer.json there, as "
            f"save_pretrained writes it"
        )
    return tokenizer


def _check_case(tokenizer, place: Path, flag: bool | None, stated: bool | None) -> None:
    """Compare the case of BERT's tokenizer with the flag and with the vocabulary."""
    lower = lower_cases(tokenizer)
    if lower is None:
        return
    if flag is not None and flag != lower:
        raise UserError(
            f"--do_lower_case {str(flag).lower()} contradicts {place}, whose tokenizer "
            f"{'lower-cases' if lower else 'keeps capital letters'}; leave out the flag, or fix "
            f"do_lower_case in its tokenizer_config.json"
        )
    if stated is not None and lower == _has_capitals(tokenizer.get_vocab()):
        remark_once(
            f"{place}: do_lower_case in tokenizer_config.json is {str(lower).lower()}, but the "
            f"vocabulary has {'pieces with' if lower else 'no piece with'} capital letters; check "
            f"which of them is right"
        )


def lower_cases(tokenizer) -> bool | None:
    """Whether a tokenizer lower-cases the text; None if it is not BERT's."""
    return getattr(tokenizer.backend_tokenizer.normalizer, "lowercase", None)


def is_wordpiece(tokenizer) -> bool:
    """Whether pieces inside a word are marked with ##, as BERT's are."""
    return type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"


def tokenizer_difference(one, other) -> str:
    """Return "" if two tokenizers split texts in the same way, else what differs."""
    if one.get_vocab() != other.get_vocab():
        return "vocabularies"
    first, second = (json.loads(each.backend_tokenizer.to_str()) for each in (one, other))
    for part, what in (("normalizer", "case and accents"), ("pre_tokenizer", "splitting words")):
        if first[part] != second[part]:
            return f"rules for {what}"
    # The merges of a BPE and the scores of a Unigram model decide how a word is split.
    if any(first["model"].get(name) != second["model"].get(name) for name in ("merges", "vocab")):
        return "merges or scores of pieces"
    return ""


def save_tokenizer(tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json; for BERT's tokenizer also vocab.txt."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save_pretrained(place)
        files = {path.name: path.read_bytes() for path in Path(place).iterdir()}
    name = "tokenizer_config.json"
    settings = {
        key: value for key, value in json.loads(files[name]).items() if key not in NOT_SAVED
    }
    files[name] = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()
    if is_wordpiece(tokenizer):
        lines = [""] * (max(vocab := {i: piece for piece, i in tokenizer.get_vocab().items()}) + 1)
        for i, piece in vocab.items():
            lines[i] = piece
        files["vocab.txt"] = "".join(f"{line}\n" for line in lines).encode()
    for name, content in files.items():
        write_atomically(folder / name, content)


def check_pieces(tokenizer, vocab_size: int, place: Path, config: Path) -> None:
    """Compare the number of pieces with the model's embeddings.

    More embeddings than pieces are accepted with a remark: some models pad their embeddings, but a
    line of the vocabulary may also be missing. Raises UserError for fewer embeddings than pieces,
    or more than twice as many.
    """
    pieces = max(tokenizer.get_vocab().values()) + 1
    if pieces > vocab_size or 2 * pieces < vocab_size:
        raise UserError(
            f"{place} holds {pieces} pieces but {config} has vocab_size {vocab_size}, "
            f"so they belong to different models; use the tokenizer files of this model"
        )
    if pieces < vocab_size:
        remark_once(
            f"{place} holds {pieces} pieces and {config} has vocab_size {vocab_size}; this is "
            f"right if the model pads its embeddings, and wrong if a line of the vocabulary is "
            f"missing"
        )
