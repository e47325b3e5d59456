"""Tokenizers from a model folder, the words of a text, and rows as token ids."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.chinese import segment
from tinybert_lite.data.tables import Table, label_ids
from tinybert_lite.data.tasks import Task
from tinybert_lite.models.tokenizers import is_lower_case


def words(tokenizer, text: str, language: str = "en") -> list[str]:
    """The words BERT's basic tokenizer finds: cleaned, lower-cased for an uncased model, punctuation apart.

    In Chinese ("zh") the segmenter's, cleaned alike, but without the blanks that BERT puts around characters.
    """
    if language == "zh":
        from tokenizers.normalizers import BertNormalizer

        cleaned = BertNormalizer(
            handle_chinese_chars=False, lowercase=is_lower_case(tokenizer)
        ).normalize_str(text)
        return [word for word in segment(cleaned) if not word.isspace()]
    backend = tokenizer.backend_tokenizer
    return [
        word
        for word, _ in backend.pre_tokenizer.pre_tokenize_str(
            backend.normalizer.normalize_str(text)
        )
    ]


def encode(
    texts_a: list[str],
    texts_b: list[str] | None,
    tokenizer,
    max_length: int,
    labels=None,
    block: int = 10_000,
) -> Examples:
    """`[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`, cut to `max_length` from the longer side, as BERT's own scripts do."""
    parts = (slice(start, start + block) for start in range(0, len(texts_a), block))
    examples = _encoded(
        ((texts_a[part], texts_b and texts_b[part]) for part in parts), tokenizer, max_length
    )
    return (
        examples if labels is None else examples.with_labels(np.asarray(labels, dtype=np.float32))
    )


def _encoded(
    blocks: Iterable[tuple[list[str], list[str] | None]], tokenizer, max_length: int
) -> Examples:
    max_length = min(
        max_length, tokenizer.model_max_length
    )  # no more than the model has positions for

    def ids():
        for texts_a, texts_b in blocks:
            found = tokenizer(
                texts_a,
                texts_b,
                truncation="longest_first",
                max_length=max_length,
                return_attention_mask=False,
            )
            yield found["input_ids"], [types.count(0) for types in found["token_type_ids"]]

    return Examples.joined(ids())


def encode_table(
    table: Table, task: Task, tokenizer, max_length: int, max_rows: int = 0
) -> Examples:
    """A task's rows with their label numbers (NaN where a row has none); of a streamed table a block at a time."""
    rows, labels = islice(table.rows, max_rows or None), []

    def blocks():
        while block := list(islice(rows, 10_000)):
            labels.extend(label_ids(block, task))
            yield (
                [row.text_a for row in block],
                [row.text_b for row in block] if task.text_b else None,
            )

    return _encoded(blocks(), tokenizer, max_length).with_labels(
        np.asarray(labels, dtype=np.float32)
    )
