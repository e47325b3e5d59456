"""Training on a task's rows, for fine-tuning, stages 4 and 5, `undistilled` and `quantize`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Batches, Examples
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.method.objectives import Labels, Objective
from tinybert_lite.models.loading import LoadedModel
from tinybert_lite.models.saving import hand_off, save_model_folder, save_weights
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.job import Job
from tinybert_lite.system.console import remark, remark_once, say
from tinybert_lite.system.errors import UserError

MOST_UNKNOWN = 0.1  # share of [UNK] above which a vocabulary is suspect


def train_on_task(
    job: Job,
    loaded: LoadedModel,
    objective: Objective,
    label: str,
    dev: DevSet | None = None,
    prepare: Callable[[Examples], Examples] = lambda examples: examples,
    finished: bool = False,
) -> dict:
    """Train on the job's input "rows", else "train"; write a model folder; return metrics.

    prepare: a function that changes the examples before training. With `dev`, pytorch_model.bin is
    the best model by the primary metric, and the metric "dev" has its scores, measured on the saved
    file. Without `dev`, each epoch is saved as model_epoch_N.bin, and the last is copied to
    pytorch_model.bin. finished: see `Loop`. Raises UserError for rows that cannot be read, and if
    labels are to be learnt but there are none, or only one class.
    """
    task, options, folder = job.task, job.options, job.folder
    rows = job.reads.get("rows") or job.reads["train"]
    model, tokenizer = loaded.model, loaded.tokenizer
    if task.text_b and model.config.model_type == "bert" and not model.has_segments:
        remark_once(
            f"{label}: type_vocab_size is 1, so both texts of a pair have the same segment "
            f"embedding"
        )
    if options.max_seq_length > tokenizer.model_max_length:
        say(
            f"{label}: rows are cut at {tokenizer.model_max_length} tokens instead of "
            f"{options.max_seq_length}, since the model has no more positions"
        )
    examples = prepare(
        task_examples(rows, task, tokenizer, options.max_seq_length, options.max_rows)
    )
    if isinstance(objective, Labels):
        examples = examples.labelled()
        need_labels(examples.labels, task, rows)
    lengths, unknown = examples.lengths, float((examples.ids == tokenizer.unk_token_id).mean())
    if unknown > MOST_UNKNOWN:
        remark(
            f"warning: {label}: {100 * unknown:.0f} % of the word pieces of {rows} are [UNK]; "
            f"check that the vocabulary is for texts in {task.language!r}"
        )
    say(
        f"{label}: {len(examples)} rows of {rows.name}, {lengths.mean():.0f} tokens on average, "
        f"{lengths.max()} at most"
    )
    _note_labels(model.config, task)
    save_model_folder(model, tokenizer, folder)
    if dev:
        kept = {
            "evaluate": dev,
            "metric": task.metric,
            "on_best": lambda model, scores: save_weights(model, folder),
        }
    else:
        kept = {"on_epoch": lambda model, epoch: save_weights(model, folder, epoch)}
    batches = Batches(examples, options.train_batch_size, job.session.seed)
    metrics = {"rows": len(examples)}
    metrics |= job.train(model, objective, batches, label, finished=finished, **kept)
    if dev:
        metrics["dev"] = dev.of_folder(folder, job.device)
    else:
        hand_off(folder)
    return metrics


def need_labels(labels: np.ndarray, task: Task, path: Path) -> None:
    """Raise UserError if there are no labels, (n,), or only those of one class."""
    if not len(labels):
        raise UserError(
            f"{path}: no row has a label; add labels, or name a teacher that was fine-tuned on the "
            f"task with --task_teacher"
        )
    need_two_classes(labels, task, path)


def _note_labels(config, task: Task) -> None:
    """Record the names of the labels, or a regression's offset and scale, in a config."""
    if task.labels:
        config.id2label = dict(enumerate(task.labels))
        config.label2id = {word: number for number, word in enumerate(task.labels)}
    else:
        config.label_offset, config.label_scale = task.offset, task.scale
