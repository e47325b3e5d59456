"""Rows as token ids from TFRecord files, as BERT's create_pretraining_data.py and run_classifier.py and their ports write them.

Every record has the int64 features input_ids, input_mask and segment_ids, padded to one length; task rows have label_ids (int64, of a
regression also float) and may have is_real_example, 0 for a row that only fills a batch. A `schema.json` beside the file, as MindData
reads it, is held against each record.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import islice
from math import isfinite
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.id_rows import LABEL, REAL, UNCHECKED, IdRow, id_rows
from tinybert_lite.data.tables import LARGEST, Table, holds_ids, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tfrecord import FLOATS, INTEGERS
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError


def task_examples(
    path: Path,
    task: Task,
    tokenizer,
    max_length: int,
    max_rows: int = 0,
    labelled: bool = True,
    read: Callable[..., Table] = stream_table,
) -> Examples:
    """A task's rows with their label numbers, from texts (a table, by `read`) or ids, by the file's name.

    Raises UserError for what `read` refuses, what `id_rows` refuses, a row of ids beyond `max_length`, and another label than the task's.
    """
    if not holds_ids(path):
        return encode_table(read(path, task, labelled), task, tokenizer, max_length, max_rows)
    most, labels, padding = min(max_length, tokenizer.model_max_length), array("f"), []

    def blocks():
        for row in islice(id_rows(path, tokenizer, padding), max_rows or None):
            if len(row.ids) > most:
                raise UserError(
                    f"{row}: has {len(row.ids)} tokens, more than the {most} that are read, and ids are not cut; name a "
                    f"max_seq_length that holds them (the model's positions may be fewer), or make the file with a shorter one"
                )
            labels.append(_label(row, task) if labelled else float("nan"))
            yield [row.ids], [row.first]

    examples = Examples.joined(blocks()).with_labels(np.asarray(labels))
    if not len(examples):
        raise UserError(f"{path} holds padding rows alone ({REAL} 0); add rows")
    say(
        f"{path.name}: {len(examples)} rows of ids{f', {len(padding)} padding rows left out' if padding else ''}; {UNCHECKED}"
    )
    return examples


def _label(row: IdRow, task: Task) -> float:
    """The class number, or a regression's number as it is learnt."""
    if LABEL not in row.features and "next_sentence_labels" in row.features:
        raise UserError(
            f"{row}: is a sequence for general_distill, without {LABEL}; name a file of {task.name}'s rows"
        )
    values = row.values(LABEL, (INTEGERS, FLOATS) if task.is_regression else (INTEGERS,))
    if len(values) != 1:
        raise UserError(
            f"{row}: has {len(values)} {LABEL}, but {task.name} needs one; make the file again"
        )
    if task.is_regression:
        if not isfinite(values[0]) or abs(values[0]) >= LARGEST:
            raise UserError(
                f"{row}: the label {values[0]} is not a number to learn from; mend the row that it was made from"
            )
        return (values[0] - task.offset) / task.scale
    if not 0 <= values[0] < len(task.labels):
        known = ", ".join(f"{number} {label}" for number, label in enumerate(task.labels))
        raise UserError(
            f"{row}: the label {values[0]} is none of {task.name}'s ({known}); make the file with these numbers"
        )
    return values[0]
