"""Read rows of token ids from TFRecord files, as BERT's scripts and their ports write them.

Every record has the int64 features input_ids, input_mask and segment_ids, padded to one length
(create_pretraining_data.py). A task's rows (run_classifier.py) also have label_ids (int64; for a
regression also float) and may have is_real_example, 0 for a padding row that only fills a batch.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.corpora import natural
from tinybert_lite.data.record_schema import check_record, read_schema, schema_file
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.data.tasks import LARGEST_NUMBER, Task
from tinybert_lite.data.tfrecord import FLOATS, INTEGERS, Record, read_records
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError, listed

IDS, MASK, SEGMENTS = "input_ids", "input_mask", "segment_ids"
LABEL, REAL, NEXT = "label_ids", "is_real_example", "next_sentence_labels"
AGAIN = "make the file again"
UNCHECKED = "of the vocabulary only the size and the id of [CLS] can be checked"


@dataclass(frozen=True)
class IdRow:
    """A record's token ids without padding."""

    record: Record
    ids: list[int]
    first: int  # tokens of segment A
    length: int  # tokens with padding


def id_rows(path: Path, tokenizer, padding: list[str] | None = None) -> Iterator[IdRow]:
    """Yield a file's rows one at a time.

    The names of padding rows (is_real_example 0) are appended to `padding`. Raises UserError with
    the record for a damaged file; a missing feature; a size that differs from schema.json or from
    the first record; a mask that is not ones and then zeros; segments that are not zeros and then
    ones; an id outside the vocabulary; a row that does not begin with [CLS]; and a padding row if
    `padding` is None.
    """
    columns, schema, length = read_schema(path.parent), schema_file(path.parent), 0
    size, cls = len(tokenizer), tokenizer.cls_token_id
    for record in read_records(path):
        where = record.where
        check_record(record, columns, schema)
        ids, mask, segments = map(record.integers, (IDS, MASK, SEGMENTS))
        length = length or len(ids)
        if not len(ids) == len(mask) == len(segments) == length:
            raise UserError(
                f"{where}: has {len(ids)} {IDS}, {len(mask)} {MASK} and {len(segments)} "
                f"{SEGMENTS}, but the first record has {length} of each, and all records of a file "
                f"need the same; {AGAIN}"
            )
        if REAL in record.features and record.integers(REAL) == [0]:
            if padding is None:
                raise UserError(
                    f"{where}: is a padding row ({REAL} 0), which sequences do not have; name a "
                    "file of sequences, not of a task's rows"
                )
            padding.append(where)
            continue
        tokens = mask.count(1)
        if not tokens or mask != [1] * tokens + [0] * (length - tokens):
            raise UserError(
                f"{where}: {MASK} must be ones for the tokens, then zeros for the padding; {AGAIN}"
            )
        ids, segments = ids[:tokens], segments[:tokens]
        first = segments.count(0)
        if segments != [0] * first + [1] * (tokens - first):
            raise UserError(
                f"{where}: {SEGMENTS} must be zeros for text A, then ones for text B; {AGAIN}"
            )
        if wrong := [i for i in ids if not 0 <= i < size]:
            raise UserError(
                f"{where}: the id {wrong[0]} is not below {size}, the size of the model's "
                "vocabulary; use the model whose vocabulary made the file"
            )
        if ids[0] != cls:
            raise UserError(
                f"{where}: the first id is {ids[0]}, but [CLS] is {cls} in the model's "
                "vocabulary; use the model whose vocabulary made the file"
            )
        yield IdRow(record, ids, first, length)


def tfrecord_files(place: Path) -> list[Path]:
    """Return a folder's TFRecord files in natural order (`part_2` before `part_10`).

    `place` may also be a single TFRecord file.
    """
    found = place.iterdir() if place.is_dir() else [place]
    return sorted((path for path in found if path.is_file() and holds_ids(path)), key=natural)


def id_examples(
    path: Path, task: Task, tokenizer, max_length: int, max_rows: int = 0, labelled: bool = True
) -> Examples:
    """Read a task's rows with class numbers or regression targets, NaN if not `labelled`.

    Raises UserError for invalid rows (see `id_rows`), a row of more than `max_length` tokens, a
    label that the task does not have, and a file without rows.
    """
    most, labels, padding = min(max_length, tokenizer.model_max_length), array("f"), []

    def blocks():
        for row in islice(id_rows(path, tokenizer, padding), max_rows or None):
            if len(row.ids) > most:
                raise UserError(
                    f"{row.record.where}: has {len(row.ids)} tokens, more than the limit of "
                    f"{most}, and rows of ids cannot be cut; raise max_seq_length (at most the "
                    "number of the model's positions), or make the file with a shorter length"
                )
            labels.append(_target(row.record, task) if labelled else float("nan"))
            yield [row.ids], [row.first]

    examples = Examples.joined(blocks()).with_labels(np.asarray(labels))
    if not len(examples):
        raise UserError(f"{path} holds only padding rows ({REAL} 0); add rows with {REAL} 1")
    skipped = f", {len(padding)} padding rows skipped" if padding else ""
    say(f"{path.name}: {len(examples)} rows of ids{skipped}; {UNCHECKED}")
    return examples


def _target(record: Record, task: Task) -> float:
    """Return the class number, or for a regression (label - offset) / scale."""
    if LABEL not in record.features and NEXT in record.features:
        raise UserError(
            f"{record.where}: is a sequence for general_distill, without {LABEL}; name a file of "
            f"{task.name}'s rows"
        )
    found = record.values(LABEL, INTEGERS, *[FLOATS] * task.is_regression)
    if len(found) != 1:
        raise UserError(
            f"{record.where}: has {len(found)} values in {LABEL}, but {task.name} needs 1; {AGAIN}"
        )
    label = found[0]
    if task.is_regression:
        if not abs(label) < LARGEST_NUMBER:
            raise UserError(
                f"{record.where}: the label {label} is not a finite number; fix the row in the "
                "original table and make the file again"
            )
        return (label - task.offset) / task.scale
    if not 0 <= label < len(task.labels):
        known = listed([f"{number} {word}" for number, word in enumerate(task.labels)])
        raise UserError(
            f"{record.where}: the label {label} is not one of {task.name}'s labels ({known}); make "
            "the file with these numbers"
        )
    return label
