"""Rows of token ids from TFRecord files, as BERT's scripts and their ports write them.

Every record has the int64 features input_ids, input_mask and segment_ids, padded to one length
(create_pretraining_data.py). A task's rows (run_classifier.py) also have label_ids (int64; of a
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
from tinybert_lite.data.tasks import LARGEST, Task
from tinybert_lite.data.tfrecord import FLOATS, INTEGERS, Record, read_records
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError

IDS, MASK, SEGMENTS = "input_ids", "input_mask", "segment_ids"
LABEL, REAL, NEXT = "label_ids", "is_real_example", "next_sentence_labels"
AGAIN = "make the file again"
UNCHECKED = "only the vocabulary's size and its [CLS] can be checked, not its other pieces"


@dataclass(frozen=True)
class IdRow:
    """A record without its padding."""

    record: Record
    ids: list[int]
    first: int  # tokens of segment A
    length: int  # with padding


def id_rows(path: Path, tokenizer, padding: list[str] | None = None) -> Iterator[IdRow]:
    """A file's rows, read one at a time.

    The names of padding rows (is_real_example 0) go to `padding`; without such a list they are
    refused. Raises UserError with the record for a damaged file, missing features, sizes other than
    schema.json's or the first record's, a mask or segments with other values than ones and zeros in
    order, ids outside the vocabulary, and a row that does not begin with its [CLS].
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
                f"{SEGMENTS}, but every record of a file needs as many of each as the first, "
                f"{length}; {AGAIN}"
            )
        if REAL in record.features and record.integers(REAL) == [0]:
            if padding is None:
                raise UserError(
                    f"{where}: is a padding row ({REAL} 0), which only rows with labels may be; "
                    "name a file of sequences"
                )
            padding.append(where)
            continue
        tokens = mask.count(1)
        if not tokens or mask != [1] * tokens + [0] * (length - tokens):
            raise UserError(
                f"{where}: its {MASK} is not ones for the tokens, then zeros for the padding; "
                f"{AGAIN}"
            )
        ids, segments = ids[:tokens], segments[:tokens]
        first = segments.count(0)
        if segments != [0] * first + [1] * (tokens - first):
            raise UserError(
                f"{where}: its {SEGMENTS} are not zeros for text A, then ones for text B; {AGAIN}"
            )
        if wrong := [i for i in ids if not 0 <= i < size]:
            raise UserError(
                f"{where}: the id {wrong[0]} is not below {size}, the size of the model's "
                "vocabulary; use the model whose vocabulary made the file"
            )
        if ids[0] != cls:
            raise UserError(
                f"{where}: begins with the id {ids[0]}, but [CLS] is {cls} in the model's "
                "vocabulary; use the model whose vocabulary made the file"
            )
        yield IdRow(record, ids, first, length)


def record_files(place: Path) -> list[Path]:
    """A TFRecord file itself, or those of a folder in natural order (`part_2` before `part_10`)."""
    found = place.iterdir() if place.is_dir() else [place]
    return sorted((path for path in found if path.is_file() and holds_ids(path)), key=natural)


def id_examples(
    path: Path, task: Task, tokenizer, max_length: int, max_rows: int = 0, labelled: bool = True
) -> Examples:
    """A task's rows with class numbers or regression targets; NaN for all if not `labelled`.

    Raises UserError for what `id_rows` refuses, a row of more than `max_length` tokens, and a label
    that the task does not have.
    """
    most, labels, padding = min(max_length, tokenizer.model_max_length), array("f"), []

    def blocks():
        for row in islice(id_rows(path, tokenizer, padding), max_rows or None):
            if len(row.ids) > most:
                raise UserError(
                    f"{row.record.where}: has {len(row.ids)} tokens, more than the {most} that "
                    "are read, and ids are not cut; raise max_seq_length (not above the model's "
                    "positions), or make the file with a shorter length"
                )
            labels.append(_target(row.record, task) if labelled else float("nan"))
            yield [row.ids], [row.first]

    examples = Examples.joined(blocks()).with_labels(np.asarray(labels))
    if not len(examples):
        raise UserError(f"{path} holds only padding rows ({REAL} 0); add rows")
    skipped = f", {len(padding)} padding rows skipped" if padding else ""
    say(f"{path.name}: {len(examples)} rows of ids{skipped}; {UNCHECKED}")
    return examples


def _target(record: Record, task: Task) -> float:
    """The class number, or a regression's (label - offset) / scale."""
    if LABEL not in record.features and NEXT in record.features:
        raise UserError(
            f"{record.where}: is a sequence for general_distill, without {LABEL}; name a file of "
            f"{task.name}'s rows"
        )
    found = record.values(LABEL, INTEGERS, *[FLOATS] * task.is_regression)
    if len(found) != 1:
        raise UserError(
            f"{record.where}: has {len(found)} {LABEL}, but {task.name} needs 1; {AGAIN}"
        )
    label = found[0]
    if task.is_regression:
        if not abs(label) < LARGEST:
            raise UserError(
                f"{record.where}: the label {label} is not a finite number; fix the row that it "
                "was made from"
            )
        return (label - task.offset) / task.scale
    if not 0 <= label < len(task.labels):
        known = ", ".join(f"{number} {word}" for number, word in enumerate(task.labels))
        raise UserError(
            f"{record.where}: the label {label} is not one of {task.name}'s ({known}); make the "
            "file with these numbers"
        )
    return label
