"""Training on a task's rows: what the teacher's fine-tuning, both task stages and the undistilled student share."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.batches import Batches
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.objectives import Labels
from tinybert_lite.models.saving import hand_off, save_model_folder, save_weights
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.loop import Loop

MOST_UNKNOWN = 0.1  # share of [UNK] above which a vocabulary is suspect


def train_on_task(
    model: Bert,
    tokenizer,
    objective,
    task: Task,
    rows: Path,
    settings: Training,
    session: Session,
    folder: Path,
    label: str,
    dev: DevSet | None = None,
    prepare=lambda examples: examples,
    finished: bool = False,
) -> dict:
    """Train `model` on the rows of a file, after `prepare(examples)`, and leave a model folder.

    With `dev` the best by the task's metric becomes pytorch_model.bin; without, every epoch is kept as model_epoch_N.bin
    and the last is handed on. `finished`: see `Loop`. Raises UserError for rows that cannot be read, or that have one label only and are learnt from it.
    """
    if settings.max_seq_length > tokenizer.model_max_length:
        say(
            f"{label}: rows are cut at {tokenizer.model_max_length} tokens, for which the model has positions, not at {settings.max_seq_length}"
        )
    examples = prepare(
        task_examples(rows, task, tokenizer, settings.max_seq_length, settings.max_rows)
    )
    if isinstance(
        objective, Labels
    ):  # a teacher's answers teach even where labels are missing or all alike
        examples = examples.labelled()
        if not len(examples):
            raise UserError(
                f"{rows}: no row has a label; label some, or name a teacher that knows the task with --task_teacher"
            )
        need_two_classes(examples.labels, task, rows)
    lengths, unknown = examples.lengths, float((examples.ids == tokenizer.unk_token_id).mean())
    if unknown > MOST_UNKNOWN:
        remark(
            f"warning: {label}: {100 * unknown:.0f} % of the word pieces of {rows} are [UNK]; is this the vocabulary for a text in {task.language!r}?"
        )
    if task.labels:  # so that a finished model knows its labels' words, or the unit of its numbers
        model.config.id2label = dict(enumerate(task.labels))
        model.config.label2id = {word: number for number, word in enumerate(task.labels)}
    else:
        model.config.label_offset, model.config.label_scale = task.offset, task.scale
    say(
        f"{label}: {len(examples)} rows of {rows.name}, {lengths.mean():.0f} tokens on average, {lengths.max()} at most"
    )
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
    if dev is None:
        hand_off(folder)
    return {
        "rows": len(examples),
        "steps": trained.steps,
        "resumed_from": trained.resumed_from,
        "loss_terms": trained.last_terms,
        **({"best_dev": trained.best_score} if dev else {}),
    }
