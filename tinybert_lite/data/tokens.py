"""Split texts into words, and encode texts as rows of token ids."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import islice

import numpy as np
from tokenizers.normalizers import BertNormalizer

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.chinese import joined, segment
from tinybert_lite.data.tables import Table, label_ids
from tinybert_lite.data.tasks import Task
from tinybert_lite.models.tokenizers import NEEDED, is_wordpiece, lower_cases

# Words, white space and other characters: joining them gives the text again.
TEXT_PARTS = re.compile(r"\w+|\s+|[^\w\s]")
LEADING_SPACE = ("Ġ", "▁")  # how byte-level BPE and SentencePiece write a space


def words(tokenizer, text: str, language: str = "en") -> list[str]:
    """Return the words of BERT's basic tokenizer: cleaned, lower-cased for an uncased vocabulary.

    Punctuation marks are separate words. In Chinese ("zh") the words are those of the segmenter,
    cleaned in the same way, but without the spaces that BERT puts around characters. For tokenizers
    that keep spaces (byte-level BPE, SentencePiece) each run of white space is an element too.
    `joiner` joins the elements to a text.
    """
    found: list[str] = []
    for number, part in enumerate(_added(tokenizer).split(text)):
        found += [part] if number % 2 else _words(tokenizer, part, language)
    return found


@lru_cache(maxsize=4)
def _added(tokenizer) -> re.Pattern:
    """Match the tokens added to a tokenizer, which are words of their own; not [CLS] and others."""
    usual = {getattr(tokenizer, name) for name in NEEDED}
    added = sorted({*tokenizer.get_added_vocab()} - usual, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, added))})" if added else "(?!)()")


def _words(tokenizer, text: str, language: str) -> list[str]:
    lower = lower_cases(tokenizer)
    if language == "zh":
        cleaner = BertNormalizer(handle_chinese_chars=False, lowercase=bool(lower))
        return [word for word in segment(cleaner.normalize_str(text)) if not word.isspace()]
    if lower is None:
        return TEXT_PARTS.findall(text)
    backend = tokenizer.backend_tokenizer
    cleaned = backend.normalizer.normalize_str(text)
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(cleaned)]


def joiner(tokenizer, language: str = "en") -> Callable[[Iterable[str]], str]:
    """Return the function that joins `words` to a text."""
    if language == "zh":
        return joined
    return "".join if lower_cases(tokenizer) is None else " ".join


def whole_words(tokenizer, language: str = "en") -> dict[int, str]:
    """Return the pieces that are complete words, without special tokens: id -> word.

    In a WordPiece vocabulary these are the pieces without ##; elsewhere those with a leading space,
    and in Chinese also those without.
    """
    special, ids = set(tokenizer.all_special_tokens), tokenizer.get_vocab()
    pieces = [piece for piece in sorted(ids, key=ids.get) if piece not in special]
    if is_wordpiece(tokenizer):
        return {ids[piece]: piece for piece in pieces if not piece.startswith("##")}
    decode = tokenizer.backend_tokenizer.decoder.decode
    return {
        ids[piece]: decode([piece]).strip()
        for piece in pieces
        if piece.startswith(LEADING_SPACE) or language == "zh"
    }


def encode(
    texts_a: list[str], texts_b: list[str] | None, tokenizer, max_length: int, block: int = 10_000
) -> Examples:
    """Encode n texts or pairs as `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`; return n rows.

    Other families have their own special tokens. Rows are cut to `max_length` tokens, the longer
    text first, as in BERT's own scripts.
    """
    parts = (slice(start, start + block) for start in range(0, len(texts_a), block))
    blocks = ((texts_a[part], texts_b and texts_b[part]) for part in parts)
    return _encoded(blocks, tokenizer, max_length)


def _encoded(
    blocks: Iterable[tuple[list[str], list[str] | None]], tokenizer, max_length: int
) -> Examples:
    most = min(max_length, tokenizer.model_max_length)  # number of the model's positions

    def ids():
        for texts in blocks:
            found = tokenizer(
                *texts,
                truncation="longest_first",
                max_length=most,
                return_attention_mask=False,
                return_token_type_ids=True,
            )
            yield found["input_ids"], [types.count(0) for types in found["token_type_ids"]]

    return Examples.joined(ids())


def encode_table(
    table: Table, task: Task, tokenizer, max_length: int, max_rows: int = 0
) -> Examples:
    """Encode a task's rows (all, or the first `max_rows`) with class numbers or regression targets.

    The label is NaN if a row has none. A streamed table is read block by block.
    """
    rows, labels = islice(table.rows, max_rows or None), []

    def blocks():
        while block := list(islice(rows, 10_000)):
            labels.extend(label_ids(block, task))
            texts_b = [row.text_b for row in block] if task.text_b else None
            yield [row.text_a for row in block], texts_b

    examples = _encoded(blocks(), tokenizer, max_length)
    return examples.with_labels(np.float32(labels))
