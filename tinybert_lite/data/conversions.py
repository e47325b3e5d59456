"""Sequences and task rows as TFRecord files, and sequences back: what `python -m tinybert_lite.convert_rows` does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.epochs import count_sequences, epoch_files, json_line, json_sequences
from tinybert_lite.data.id_rows import (
    IDS,
    LABEL,
    MASK,
    REAL,
    SCHEMA,
    SEGMENTS,
    IdRow,
    id_rows,
    record_files,
)
from tinybert_lite.data.tables import stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tfrecord import FLOATS, count_records, write_records
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.system.growing import GrowingFile

GOOGLES = {"dev": "eval", "test": "predict"}  # names of run_classifier.py
PLACES, LABELS, WEIGHTS, NEXT = (
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
    "next_sentence_labels",
)
Features = dict[str, list]


def epochs_to_records(
    source: Path, output: Path, tokenizer, max_length: int, most_masked: int
) -> None:
    """Every `epoch_i.json` as `epoch_i.tfrecord`, padded to its metrics' length, else to `max_length`; with at most so many masked places."""
    files = epoch_files(source)
    if record_files(source) == files:
        raise UserError(
            f"{source} holds TFRecord files already; name a folder of epoch_i.json, or --to epochs"
        )
    targets = _free([output / f"{path.stem}.tfrecord" for path in files])
    for epoch, (path, target) in enumerate(zip(files, targets)):
        metrics = path.with_name(f"{path.stem}_metrics.json")
        length = (
            read_json(metrics).get("max_seq_len", max_length) if metrics.is_file() else max_length
        )
        if type(length) is not int or not 0 < length <= 1 << 16:
            raise UserError(
                f"{metrics}: max_seq_len is {short(length)}, not a whole number above 0; mend it"
            )
        lines = progress(
            _sequences(path, tokenizer, length, most_masked),
            path.name,
            count_sequences(source, epoch),
        )
        say(f"{target}: {write_records(target, lines)} sequences")


def _sequences(path: Path, tokenizer, length: int, most_masked: int) -> Iterator[Features]:
    vocab = tokenizer.get_vocab()
    for number, (ids, segments, found) in enumerate(json_sequences(path, vocab), 1):
        where = f"{path}, line {number}"
        try:
            places, labels = (
                list(found[PLACES]),
                [vocab[piece] for piece in found["masked_lm_labels"]],
            )
            if len(places) != len(labels) or not all(
                type(place) is int and 0 <= place < len(ids) for place in places
            ):
                raise ValueError
            if not set(segments) <= {0, 1}:
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{where}: its segments, masked places or their labels are none of this vocabulary's; run pregenerate_training_data again"
            ) from None
        if len(ids) > length or len(places) > most_masked:
            raise UserError(
                f"{where}: has {len(ids)} tokens and {len(places)} masked places, more than {length} and {most_masked}; "
                f"name more with --max_seq_length or --max_predictions_per_seq"
            )
        yield {
            **_padded(ids, segments, length),
            PLACES: _filled(places, most_masked),
            LABELS: _filled(labels, most_masked),
            WEIGHTS: _filled([1.0] * len(places), most_masked, 0.0),
            NEXT: [int(bool(found.get("is_random_next")))],
        }


def records_to_epochs(source: Path, output: Path, tokenizer) -> None:
    """Every TFRecord file, in the order of the names, as `epoch_i.json` with its metrics."""
    files = record_files(source)
    if not files:
        raise UserError(
            f"{source} holds no .tfrecord or .tf_record; name a folder of such files, or one"
        )
    stems = [output / f"epoch_{number}" for number in range(len(files))]
    _free([stem.with_name(stem.name + end) for stem in stems for end in (".json", "_metrics.json")])
    pieces = sorted(vocab := tokenizer.get_vocab(), key=vocab.get)
    for path, stem in zip(files, stems):
        rows, count, length = (
            iter(progress(id_rows(path, tokenizer), path.name, count_records(path))),
            0,
            0,
        )
        with GrowingFile(stem.with_suffix(".json")) as file:
            while block := list(islice(rows, 1000)):
                file.add(b"".join(_line(row, pieces) for row in block))
                count, length = count + len(block), block[0].length
        write_json(
            stem.with_name(f"{stem.name}_metrics.json"),
            {"num_training_examples": count, "max_seq_len": length},
        )
        say(f"{stem}.json: {count} sequences of {path.name}")


def _line(row: IdRow, pieces: list[str]) -> bytes:
    """A record as a line of `epoch_i.json`; without masked_lm_* (as general distillation needs none) nothing counts as masked."""
    masked = []
    if PLACES in row.features:
        places, labels, weights = (
            row.values(PLACES),
            row.values(LABELS),
            row.values(WEIGHTS, (FLOATS,)),
        )
        if not len(places) == len(labels) == len(weights):
            raise UserError(
                f"{row}: has {len(places)} {PLACES}, {len(labels)} {LABELS} and {len(weights)} {WEIGHTS}; make the file again"
            )
        masked = [
            (place, label) for place, label, weight in zip(places, labels, weights) if weight > 0
        ]
        if not all(
            0 <= place < len(row.ids) and 0 <= label < len(pieces) for place, label in masked
        ):
            raise UserError(
                f"{row}: a masked place lies beyond its {len(row.ids)} tokens, or its id beyond the vocabulary of {len(pieces)}; make the file again"
            )
    is_random = row.values(NEXT) == [1] if NEXT in row.features else False
    segments = [0] * row.first + [1] * (len(row.ids) - row.first)
    return json_line(
        [pieces[i] for i in row.ids],
        segments,
        is_random,
        [place for place, _ in masked],
        [pieces[label] for _, label in masked],
    )


def tables_to_records(workspace, output: Path, tokenizer, max_length: int) -> None:
    """A task's files as `train`, `eval` and `predict.tf_record` with `schema.json`; a label is its number in the task's order."""
    task = workspace.task
    splits = [
        split
        for split in ("train", *task.dev_files, *task.test_files)
        if workspace.data_file(split).is_file()
    ]
    if not splits:
        raise UserError(
            f"{workspace.data_file('train')} is missing: name the folder of {task.name}'s files"
        )
    *targets, schema = _free(
        [*(output / f"{GOOGLES.get(split, split)}.tf_record" for split in splits), output / SCHEMA]
    )
    for split, target in zip(splits, targets):
        path = workspace.data_file(split)
        examples = encode_table(
            stream_table(path, task, labelled=split not in task.test_files),
            task,
            tokenizer,
            max_length,
        )
        rows = progress(
            _task_rows(examples, task, path, max_length, split in task.test_files),
            path.name,
            len(examples),
        )
        say(f"{target}: {write_records(target, rows)} rows of {path.name}")
    kinds = {name: "int64" for name in (IDS, MASK, SEGMENTS, LABEL, REAL)} | (
        {LABEL: "float32"} if task.is_regression else {}
    )
    write_json(
        schema,
        {
            "datasetType": "TF",
            "columns": {
                name: {
                    "type": kind,
                    "rank": 1,
                    "shape": [1 if name in (LABEL, REAL) else max_length],
                }
                for name, kind in kinds.items()
            },
        },
    )


def _task_rows(
    examples: Examples, task: Task, path: Path, length: int, is_test: bool
) -> Iterator[Features]:
    for row, label in enumerate(examples.labels.tolist()):
        if math.isnan(label) and not is_test:
            raise UserError(
                f"{path}: row {row + 1} has no label, for which TFRecord rows have no sign; label or remove it"
            )
        label = (
            0.0
            if math.isnan(label)
            else label * task.scale + task.offset
            if task.is_regression
            else int(label)
        )
        ids, first = (
            examples.ids[examples.starts[row] : examples.starts[row + 1]].tolist(),
            int(examples.first[row]),
        )
        yield {
            **_padded(ids, [0] * first + [1] * (len(ids) - first), length),
            LABEL: [label if task.is_regression else int(label)],
            REAL: [1],
        }


def _padded(ids: list[int], segments: list[int], length: int) -> Features:
    return {
        IDS: _filled(ids, length),
        MASK: _filled([1] * len(ids), length),
        SEGMENTS: _filled(segments, length),
    }


def _filled(values: list, length: int, filling=0) -> list:
    return values + [filling] * (length - len(values))


def _free(targets: Iterable[Path]) -> list[Path]:
    targets = list(targets)
    if taken := next((path for path in targets if path.exists()), None):
        raise UserError(
            f"{taken} is there already, and is not overwritten: name another --output_dir"
        )
    for path in targets[:1]:
        path.parent.mkdir(parents=True, exist_ok=True)
    return targets
