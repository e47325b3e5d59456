"""Load and check the task teacher and the student of stages 4 and 5."""

from os import PathLike
from pathlib import Path

import numpy as np

from tinybert_lite.data.tasks import Task
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedModel, check_same_tokenizer
from tinybert_lite.stages.evaluation import DevSet, predict
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text, at_chance, better_order
from tinybert_lite.stages.stage import stage_of
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError, listed

RULE = "=" * 102
SWAPPED = (
    f"\n  {RULE}\n"
    "  ATTENTION, wrong order of the two steps: {what}\n"
    "  First intermediate layers (without --pred_distill), "
    "then the prediction layer (with --pred_distill).\n"
    "  A widely copied guide swaps the flag in its steps 4.2 and 4.3.\n"
    f"  {RULE}\n"
)
SOURCES = {  # of both stages; `warn_of_order` checks their order
    "teacher": ("finetune_teacher",),
    "student": ("general_distill", "task_distill_mid", "task_distill_out"),
}


def reads_of(workspace, rows: Path, student: Path, teacher: Path | None = None) -> dict[str, Path]:
    """Return what stages 4 and 5 read: training rows, dev files, task teacher, student."""
    dev = {name: path for name, path in workspace.task_files.items() if name != "train"}
    return {"rows": rows, **dev, "teacher": teacher or workspace.task_teacher, "student": student}


def load_teacher(job: Job) -> tuple[LoadedModel, DevSet, dict[str, float]]:
    """Load the task teacher and the dev set; return both and the teacher's dev scores.

    Raises UserError for a teacher without a classifier, or with a dev score at chance.
    """
    teacher = job.finished("teacher")
    if "classifier" in teacher.new_parts:
        raise UserError(
            f"{teacher.folder} was not fine-tuned on {job.task.name} (it has no classifier.*): run "
            f"finetune_teacher first"
        )
    dev = job.dev_set(teacher.tokenizer)
    model = teacher.model.to(job.device)
    logits = {name: predict(model, part, dev.batch_size) for name, part in dev.parts.items()}
    scores = dev.scores_of(logits.get)
    report_teacher(job, scores, dev, next(iter(logits.values())))
    return teacher, dev, scores


def report_teacher(
    job: Job, scores: dict[str, float], dev: DevSet, logits: np.ndarray | None = None
) -> None:
    """Print a teacher's dev scores. logits: (n, K), of the first dev part.

    Raises UserError if the scores are at chance, or if another order of the labels fits far better.
    """
    say(f"teacher {job.reads['teacher']}: {as_text(scores)}")
    if logits is not None:
        check_order(job.task, logits, dev.first.labels, job.reads["teacher"])
    check_teacher(job, scores, dev, job.reads["teacher"])


def check_order(task: Task, logits: np.ndarray, labels: np.ndarray, where: PathLike) -> None:
    """Raise UserError if another order of the outputs (n, K) fits the labels (n,) far better."""
    if order := better_order(logits, labels):
        names = ", ".join(task.labels[place] for place in order)
        raise UserError(
            f"{where}: the outputs fit the dev labels far better in the order {names}; set "
            f'"id2label" in its config.json to that order: {{"0": "{task.labels[order[0]]}", …}}'
        )


def check_teacher(job: Job, scores: dict[str, float], dev: DevSet, where: Path) -> None:
    """Raise UserError if a teacher's dev score is at chance, so that it can teach nothing.

    Only warn in the smoke profile, or if the settings allow a weak teacher.
    """
    task, settings = job.task, job.settings
    if found := at_chance(task, scores, dev.first.labels):
        hint = (
            f"{where}: the teacher's {found}; check that it was fine-tuned on {task.name}"
            f"{', with the labels in the order ' + listed(task.labels) if task.labels else ''}"
        )
        if not (settings.finetune_teacher.allow_weak_teacher or settings.profile == "smoke"):
            raise UserError(
                f"{hint}, fine-tune it longer (finetune_teacher --num_train_epochs N, or --set "
                f"finetune_teacher.num_train_epochs=N), or accept it with --allow_weak_teacher "
                f"(--set finetune_teacher.allow_weak_teacher=true)"
            )
        remark(f"warning: {hint}")


def load_student(job: Job, teacher: LoadedModel | None = None, **parts) -> LoadedModel:
    """Load a distilled student with a classifier; a new classifier has the teacher's layers.

    The tokenizers of student and teacher then truncate at the same length, for which both models
    have positions. teacher: None if it has its own tokenizer.
    Raises UserError for a student without weights and for different vocabularies.
    """
    folder = job.reads["student"]
    if folder.weights_file is None:
        raise UserError(
            f"{folder} holds no weights: stages 4 and 5 start from a distilled student; "
            f"run stage 3 or name a student with weights"
        )
    if teacher is None:
        return job.classifier("student", **parts)
    head = getattr(teacher.model.config, "classifier_head", None)
    student = job.classifier("student", classifier_head=head, **parts)
    check_same_tokenizer(student, teacher)
    both = (student, teacher)
    length = min(min(loaded.model.max_tokens, loaded.tokenizer.model_max_length) for loaded in both)
    for loaded in both:
        loaded.tokenizer.model_max_length = length
    return student


def check_learnt(task: Task, dev_scores: dict[str, float], labels: np.ndarray, where: Path) -> None:
    """Warn if a student's dev score is at chance."""
    if found := at_chance(task, dev_scores, labels):
        remark(
            f"warning: {where}: the student's {found}; it has not learnt; try more epochs or a "
            f"higher learning rate, and check the teacher and stage 4"
        )


def warn_of_order(student: ModelFolder, prediction: bool) -> None:
    """Warn if the two stages run in the wrong order; the stage runs anyway."""
    came_from = stage_of(student)
    if prediction and came_from in ("general_distill", "pregenerate_training_data"):
        what = "has not been through intermediate-layer distillation."
    elif not prediction and came_from == "task_distill_out":
        what = "has already been through prediction-layer distillation."
    else:
        return
    remark(SWAPPED.format(what=f"{student} {what}"))
