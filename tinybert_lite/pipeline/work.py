"""Count the work of each stage: how many rows pass through which model, and how many updates.

`WORK` is the table: a stage's name → a function of its work. Nothing is measured here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from tinybert_lite.pipeline.estimated_rows import EstimatedRows
from tinybert_lite.pipeline.inputs import Rows
from tinybert_lite.pipeline.results import PROBE_ROWS
from tinybert_lite.stages.settings import Settings, Training
from tinybert_lite.training.schedule import epoch_bounds

TIMED = 6 * 128  # rows with which the report measures a model's time per row
BYTES_PER_TOKEN = 4  # of plain text; about the same in English and in Chinese


@dataclass(frozen=True)
class Passes:
    """Rows that pass through a computation."""

    computation: str  # its name in `Computations`
    rows: float
    length: int  # mean number of tokens
    batch_size: int
    updates: int = 0  # of the optimizer
    max_length: int = 0  # tokens of the longest row


@dataclass(frozen=True)
class Work:
    """A stage's work."""

    passes: list[Passes] = field(default_factory=list)
    text_seconds: float = 0.0  # to read and tokenise text, estimated from a sample
    models_written: int = 0  # how often the model is saved
    states_written: int = 0  # how often a state (for resuming) is saved
    models_kept: int = 0  # models that stay on the disk
    text_bytes: float = 0.0  # bytes of text written to the disk


def _training(name: str, epochs: Sequence[Rows], options: Training) -> Work:
    """Return the work of training on the files `epochs`, which repeat if there are more epochs."""
    most, size = options.max_seq_length, options.train_batch_size

    def rows(epoch: int) -> int:
        return epochs[epoch % len(epochs)].count

    bounds = epoch_bounds(options, lambda epoch: -(-rows(epoch) // size))
    spans = [(epoch, end - start) for epoch, (start, end) in enumerate(pairwise(bounds))]
    spans = [(epoch, steps) for epoch, steps in spans if steps]
    read = sum(min(steps * size, rows(epoch)) for epoch, steps in spans)
    first, updates = epochs[0], bounds[-1]
    passes = Passes(name, read, first.mean_length(most), size, updates, first.max_length(most))
    evaluations = len(spans) + (updates // options.eval_step if options.eval_step else 0)
    states = updates // options.save_every + 1 if options.save_every else 0
    return Work(
        [passes],
        models_written=evaluations,  # the best so far, at most
        states_written=states,
        models_kept=len(spans) + 1,
    )


def _predicting(name: str, files: Sequence[Rows], options: Training, times=1) -> list[Passes]:
    """Return the passes of a model over these files, `times` times each."""
    most, size = options.max_seq_length, options.eval_batch_size
    return [
        Passes(name, times * rows.count, rows.mean_length(most), size, 0, rows.max_length(most))
        for rows in files
    ]


def _on_task(
    name: str, rows: Rows, found: EstimatedRows, settings: Settings, evaluated: str = "", teacher=()
) -> Work:
    """Return the work of training on a task's rows.

    evaluated: the computation that predicts the dev rows at each evaluation, and once at the end ·
    teacher: the files that the task teacher predicts."""
    options = getattr(settings, name)
    rows = rows.first(options.max_rows)
    work = _training(name, [rows], options)
    passes = _predicting("teacher", teacher, options) + work.passes
    if evaluated:
        passes += _predicting(evaluated, found.dev, options, work.models_written + 1)
    texts = sum(part.count * part.seconds_per_row for part in (rows, *found.dev))
    return replace(
        work, passes=passes, text_seconds=texts, models_kept=1 if evaluated else work.models_kept
    )


def _pretrain(found: EstimatedRows, settings: Settings) -> Work:
    options, train = settings.pretrain, found.train
    length = options.max_seq_length
    tokens = found.corpus.total_bytes / BYTES_PER_TOKEN
    tokens += train.count * train.mean_length(length) if train else 0
    rows = Rows(max(1, round(tokens / length)), np.array([length]))
    return _training("pretrain", [rows], options)


def _augment(found: EstimatedRows, settings: Settings) -> Work:
    options, augmented = settings.data_augmentation, found.augmented
    most, size = options.max_seq_length, options.batch_size
    passes = Passes("augmentation model", augmented.masked, augmented.length, size, 0, most)
    return Work(
        [passes] if augmented.masked else [],
        augmented.seconds,
        text_bytes=augmented.rows.count * augmented.rows.bytes_per_row,
    )


def _pregenerate(found: EstimatedRows, settings: Settings) -> Work:
    workers, epochs = settings.pregenerate_training_data.num_workers, found.sequences
    seconds = sum(epoch.count * epoch.seconds_per_row for epoch in epochs) / workers
    return Work(
        text_seconds=seconds, text_bytes=sum(each.count * each.bytes_per_row for each in epochs)
    )


def _general(found: EstimatedRows, settings: Settings) -> Work:
    if not found.sequences:  # none exist, and none will be written: the stage raises an error
        return Work()
    return _training("general_distill", found.sequences, settings.general_distill)


def _finetune(found: EstimatedRows, settings: Settings) -> Work:
    return _on_task("finetune_teacher", found.train, found, settings, "teacher")


def _mid(found: EstimatedRows, settings: Settings) -> Work:
    return _on_task("task_distill_mid", found.task_rows, found, settings, teacher=found.dev)


def _taught(name: str, student: str, found: EstimatedRows, settings: Settings) -> Work:
    """Return the work of training on the teacher's logits, computed once for all rows."""
    options = getattr(settings, name)
    rows, read = found.task_rows.first(options.max_rows), found.teacher_reads
    work = _on_task(name, rows, found, settings, student, found.dev if read else ())
    asked = _predicting("soft targets", [rows] if read else [], options)
    return replace(work, passes=work.passes + asked)


def _out(found: EstimatedRows, settings: Settings) -> Work:
    return _taught("task_distill_out", "student", found, settings)


def _baseline(found: EstimatedRows, settings: Settings) -> Work:
    return _on_task("baseline", found.train, found, settings, "student")


def _quantize(found: EstimatedRows, settings: Settings) -> Work:
    options = settings.quantize
    before = _predicting("student", found.dev, options)
    if options.do_quant:
        calibrating = found.task_rows.first(options.calibration_rows)
        before += _predicting("student", [calibrating], options)
        before += _predicting("int8", found.dev, options)
    if options.post_training:
        return Work(
            before + _predicting("int8", found.dev, options), models_written=1, models_kept=1
        )
    student = "int8" if options.do_quant else "student"
    work = _taught("quantize", student, found, settings)
    return replace(work, passes=before + work.passes)


def _report(found: EstimatedRows, settings: Settings) -> Work:
    """Return the report's work: scores, agreement, time per row, and probes of four models."""
    options, train = settings.task_distill_out, found.train
    probed = [train.first(PROBE_ROWS), found.dev[0]]
    files = [*found.dev, found.dev[0], replace(found.dev[0], count=TIMED), *probed]
    passes = _predicting("teacher", files, options) if found.teacher_reads else []
    passes += _predicting("student", [*files, *probed, *probed, *found.test], options)
    return Work(
        passes, sum(rows.count * rows.seconds_per_row for rows in (*found.dev, *found.test, train))
    )


WORK: dict[str, Callable[[EstimatedRows, Settings], Work]] = {
    "pretrain": _pretrain,
    "data_augmentation": _augment,
    "pregenerate_training_data": _pregenerate,
    "general_distill": _general,
    "finetune_teacher": _finetune,
    "task_distill_mid": _mid,
    "task_distill_out": _out,
    "baseline": _baseline,
    "quantize": _quantize,
    "report": _report,
}
