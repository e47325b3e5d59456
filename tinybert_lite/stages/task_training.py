"""Training on a task's rows, as fine-tuning, stages 4 and 5, `undistilled` and `quantize` do it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinybert_lite.data.batches import Batches, Examples
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.method.objectives import Labels, Objective
from tinybert_lite.models.loading import LoadedBert
from tinybert_lite.models.saving import hand_off, save_model_folder, save_weights
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.loop import Loop

MOST_UNKNOWN = 0.1  # share of [UNK] above which a vocabulary is suspect


def train_on_task(
    bert: LoadedBert,
    objective: Objective,
    task: Task,
    rows: Path,
    settings: Training,
    session: Session,
    folder: Path,
    label: str,
    dev: DevSet | None = None,
    prepare: Callable[[Examples], Examples] = lambda examples: examples,
    finished: bool = False,
) -> dict:
    """Train on the rows of a file, after `prepare(examples)`; write a model folder; return metrics.

    With `dev`, pytorch_model.bin is the best model by the primary metric, and "dev" its scores as it
    lies in the folder. Without, every epoch is kept as model_epoch_N.bin, the last is handed on.
    finished: see `Loop`. Raises UserError for rows that cannot be read, and where labels are to be
    learnt and there are none, or only one.
    """
    model, tokenizer = bert.model, bert.tokenizer
    if settings.max_seq_length > tokenizer.model_max_length:
        say(
            f"{label}: rows are cut at {tokenizer.model_max_length} tokens, for which the model "
            f"has positions, not at {settings.max_seq_length}"
        )
    examples = prepare(
        task_examples(rows, task, tokenizer, settings.max_seq_length, settings.max_rows)
    )
    if isinstance(objective, Labels):
        examples = examples.labelled()
        if not len(examples):
            raise UserError(
                f"{rows}: no row has a label; label some, or name a teacher that knows the task "
                f"with --task_teacher"
            )
        need_two_classes(examples.labels, task, rows)
    lengths, unknown = examples.lengths, float((examples.ids == tokenizer.unk_token_id).mean())
    if unknown > MOST_UNKNOWN:
        remark(
            f"warning: {label}: {100 * unknown:.0f} % of the word pieces of {rows} are [UNK]; is "
            f"this the vocabulary for a text in {task.language!r}?"
        )
    say(
        f"{label}: {len(examples)} rows of {rows.name}, {lengths.mean():.0f} tokens on average, "
        f"{lengths.max()} at most"
    )
    _note_labels(model.config, task)
    save_model_folder(model, tokenizer, folder)
    trained = Loop(
        model,
        objective,
        Batches(examples, settings.train_batch_size, session.seed),
        settings,
        session.accelerator(),
        folder,
        identity=session.identity,
        label=label,
        say=say,
        finished=finished,
        evaluate=dev,
        metric=task.metric,
        on_best=(lambda model, scores: save_weights(model, folder)) if dev else None,
        on_epoch=None if dev else lambda model, epoch: save_weights(model, folder, epoch),
    ).run()
    metrics = {
        "rows": len(examples),
        "steps": trained.steps,
        "resumed_from": trained.resumed_from,
        "loss_terms": trained.last_terms,
    }
    if dev is None:
        hand_off(folder)
        return metrics
    scores = dev.of_folder(folder, session.device.name)
    say(f"{label}: {as_text(scores)}, in {folder}")
    return {**metrics, "best_dev": trained.best_score, "dev": scores}


def _note_labels(config, task: Task) -> None:
    """Write the names of the labels, or the unit of a regression's numbers, into a config."""
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {word: number for number, word in enumerate(task.labels)}
    else:
        config.label_offset, config.label_scale = task.offset, task.scale
