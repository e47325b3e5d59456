"""Convert sequences and task rows to TFRecord files, and sequences back, for `convert_rows`."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data import epochs, record_schema
from tinybert_lite.data.id_rows import (
    AGAIN,
    IDS,
    LABEL,
    MASK,
    NEXT,
    REAL,
    SEGMENTS,
    IdRow,
    id_rows,
    tfrecord_files,
)
from tinybert_lite.data.split_files import has_rows
from tinybert_lite.data.tables import stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tfrecord import FLOATS, count_records, write_records
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.system.growing import GrowingFile

GOOGLES = {"dev": "eval", "test": "predict"}  # names of run_classifier.py
POSITIONS, LABELS, WEIGHTS = "masked_lm_positions", "masked_lm_ids", "masked_lm_weights"
Features = dict[str, list]


def epochs_to_records(
    source: Path, output: Path, tokenizer, max_length: int, most_masked: int
) -> None:
    """Convert every `epoch_i.json` to `epoch_i.tfrecord`, with `most_masked` masked positions.

    Rows are padded to the length in the epoch's metrics file; if that is missing, to `max_length`.
    Raises UserError with file and line for a longer row, one with more masked positions, and one
    that is not a sequence of this vocabulary; also for an output file that exists.
    """
    files = epochs.epoch_files(source)
    if tfrecord_files(source) == files:
        raise UserError(
            f"{source} already holds TFRecord files; name a folder of epoch_i.json, or --to epochs"
        )
    targets = _free(*(output / f"{path.stem}.tfrecord" for path in files))
    for epoch, (path, target) in enumerate(zip(files, targets)):
        length, metrics = max_length, epochs.metrics_file(path)
        if metrics.is_file():
            length = read_json(metrics).get("max_seq_len", max_length)
        if type(length) is not int or not 0 < length <= 1 << 16:
            raise UserError(
                f"{metrics}: max_seq_len is {short(length)}, not a whole number above 0; fix it"
            )
        rows = _sequences(path, tokenizer.get_vocab(), length, most_masked)
        _write(target, rows, path, epochs.count_sequences(source, epoch))


def _sequences(
    path: Path, vocab: dict[str, int], length: int, most_masked: int
) -> Iterator[Features]:
    sequences = epochs.json_sequences(path, vocab)
    for number, (ids, segments, found) in enumerate(sequences, 1):
        where = f"{path}, line {number}"
        try:
            positions = list(found[POSITIONS])
            labels = [vocab[piece] for piece in found["masked_lm_labels"]]
            fits = len(positions) == len(labels) and {*segments} <= {0, 1}
            fits &= all(type(place) is int and 0 <= place < len(ids) for place in positions)
        except (KeyError, TypeError):
            fits = False
        if not fits:
            raise UserError(
                f"{where}: the segments, masked positions or their labels do not match the tokens "
                "or the vocabulary; run pregenerate_training_data again"
            )
        if len(ids) > length or len(positions) > most_masked:
            raise UserError(
                f"{where}: has {len(ids)} tokens and {len(positions)} masked positions, more than "
                f"{length} and {most_masked}; raise --max_seq_length or --max_predictions_per_seq"
            )
        yield {
            **_tokens(ids, segments, length),
            POSITIONS: _padded(positions, most_masked),
            LABELS: _padded(labels, most_masked),
            WEIGHTS: _padded([1.0] * len(positions), most_masked, 0.0),
            NEXT: [int(bool(found.get("is_random_next")))],
        }


def records_to_epochs(source: Path, output: Path, tokenizer) -> None:
    """Convert every TFRecord file, in natural order, to `epoch_i.json` with its metrics file.

    Raises UserError if there is no such file, for damaged records, and for an output file that
    exists.
    """
    files = tfrecord_files(source)
    if not files:
        raise UserError(
            f"{source} holds no .tfrecord or .tf_record file; name a folder of such files, or one "
            "file"
        )
    targets = [output / f"epoch_{number}.json" for number in range(len(files))]
    _free(*targets, *map(epochs.metrics_file, targets))
    pieces = sorted(vocab := tokenizer.get_vocab(), key=vocab.get)
    for path, target in zip(files, targets):
        rows = iter(progress(id_rows(path, tokenizer), path.name, count_records(path)))
        count = length = 0
        with GrowingFile(target) as file:
            while block := list(islice(rows, 1000)):
                file.add(b"".join(_line(row, pieces) for row in block))
                count, length = count + len(block), block[0].length
        metrics = {"num_training_examples": count, "max_seq_len": length}
        write_json(epochs.metrics_file(target), metrics)
        say(f"{target}: {count} sequences of {path.name}")


def _line(row: IdRow, pieces: list[str]) -> bytes:
    """Return a record as a line of `epoch_i.json`; no position is masked if masked_lm_* is missing.

    Raises UserError for masked positions that are not in the row, and ids not in the vocabulary.
    """
    record, masked = row.record, []
    if POSITIONS in record.features:
        masked = [*map(record.integers, (POSITIONS, LABELS)), record.values(WEIGHTS, FLOATS)]
        sizes = [*map(len, masked)]
        if len({*sizes}) > 1:
            raise UserError(
                f"{record.where}: has {sizes[0]} {POSITIONS}, {sizes[1]} {LABELS} and {sizes[2]} "
                f"{WEIGHTS}, but needs the same number of each; {AGAIN}"
            )
    masked = [(place, label) for place, label, weight in zip(*masked) if weight > 0]
    if not all(0 <= place < len(row.ids) and 0 <= label < len(pieces) for place, label in masked):
        raise UserError(
            f"{record.where}: a masked position is not among the row's {len(row.ids)} tokens, or "
            f"its label is not among the vocabulary's {len(pieces)} pieces; {AGAIN}"
        )
    return epochs.json_line(
        [pieces[i] for i in row.ids],
        [0] * row.first + [1] * (len(row.ids) - row.first),
        NEXT in record.features and record.integers(NEXT) == [1],
        [place for place, _ in masked],
        [pieces[label] for _, label in masked],
    )


def tables_to_records(workspace, output: Path, tokenizer, max_length: int) -> None:
    """Convert a task's files to train, eval and predict.tf_record, with schema.json.

    Labels become class numbers or regression targets. Raises UserError for a task without files, a
    training or dev row without a label, and an output file that exists.
    """
    task = workspace.task
    sources = {
        split: path
        for split in ("train", *task.dev_files, *task.test_files)
        if has_rows(path := workspace.data_file(split))
    }
    if not sources:
        raise UserError(
            f"{workspace.data_file('train')} is missing: name the folder of {task.name}'s files"
        )
    targets = [output / f"{GOOGLES.get(split, split)}.tf_record" for split in sources]
    _free(*targets, record_schema.schema_file(output))
    for (split, path), target in zip(sources.items(), targets):
        is_test = split in task.test_files
        table = stream_table(path, task, labelled=not is_test)
        examples = encode_table(table, task, tokenizer, max_length)
        rows = _task_rows(examples, task, path, max_length, is_test)
        _write(target, rows, path, len(examples))
    columns = {name: ("int64", max_length) for name in (IDS, MASK, SEGMENTS)}
    columns[LABEL] = ("float32" if task.is_regression else "int64", 1)
    record_schema.write_schema(output, {**columns, REAL: ("int64", 1)})


def _task_rows(examples, task: Task, path: Path, length: int, is_test: bool) -> Iterator[Features]:
    for row, label in enumerate(examples.labels.tolist()):
        if math.isnan(label):
            if not is_test:
                raise UserError(
                    f"{path}: row {row + 1} has no label, which TFRecord rows need; add it or "
                    "remove the row"
                )
            label = 0.0
        elif task.is_regression:
            label = label * task.scale + task.offset
        ids, first = examples.row(row), int(examples.first[row])
        yield {
            **_tokens(ids.tolist(), [0] * first + [1] * (len(ids) - first), length),
            LABEL: [label if task.is_regression else int(label)],
            REAL: [1],
        }


def _tokens(ids: list[int], segments: list[int], length: int) -> Features:
    found = {IDS: ids, MASK: [1] * len(ids), SEGMENTS: segments}
    return {name: _padded(values, length) for name, values in found.items()}


def _padded(values: list, length: int, padding: float = 0) -> list:
    return values + [padding] * (length - len(values))


def _write(target: Path, rows: Iterator[Features], source: Path, total: int) -> None:
    count = write_records(target, progress(rows, source.name, total))
    say(f"{target}: {count} rows of {source.name}")


def _free(*targets: Path) -> tuple[Path, ...]:
    """Make the folder of the targets and return them. Raises UserError if one of them exists."""
    if taken := next((path for path in targets if path.exists()), None):
        raise UserError(f"{taken} exists already and is not overwritten: name another --output_dir")
    targets[0].parent.mkdir(parents=True, exist_ok=True)
    return targets
