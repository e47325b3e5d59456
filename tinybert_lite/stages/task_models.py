"""The task's own teacher and the student: loaded for stages 4 and 5, and checked."""

from pathlib import Path

import numpy as np

from tinybert_lite.data.tasks import Task
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import LoadedBert, check_same_vocabulary
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text, at_chance
from tinybert_lite.stages.stage import stage_of
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError

RULE = "=" * 102
SWAPPED = (
    f"\n  {RULE}\n"
    "  ATTENTION, the order of the two steps: {what}\n"
    "  First intermediate layers (without --pred_distill), "
    "then the prediction layer (with --pred_distill).\n"
    "  A widely copied guide has the flag the wrong way round in its steps 4.2 and 4.3.\n"
    f"  {RULE}\n"
)
SOURCES = {  # of both stages; `warn_of_order` checks their order
    "teacher": ("finetune_teacher",),
    "student": ("general_distill", "task_distill_mid", "task_distill_out"),
}


def reads_of(workspace, rows: Path, student: Path, teacher: Path | None = None) -> dict[str, Path]:
    """What stages 4 and 5 read: training rows, dev files, the task's teacher, and a student."""
    dev = {name: path for name, path in workspace.task_files.items() if name != "train"}
    return {"rows": rows, **dev, "teacher": teacher or workspace.task_teacher, "student": student}


def load_teacher(job: Job) -> tuple[LoadedBert, DevSet, dict[str, float]]:
    """The task's own teacher, the dev set, and its scores there.

    Raises UserError for a teacher without a classifier, or with a score at chance.
    """
    teacher = job.finished("teacher")
    if "classifier" in teacher.new_parts:
        raise UserError(
            f"{teacher.folder} was not fine-tuned on {job.task.name} (it has no classifier.*): run "
            f"finetune_teacher first"
        )
    dev = job.dev_set(teacher.tokenizer)
    scores = dev(teacher.model.to(job.device))
    report_teacher(job, scores, dev)
    return teacher, dev, scores


def report_teacher(job: Job, scores: dict[str, float], dev: DevSet) -> None:
    """Print a teacher's dev scores. Raises UserError where they are at chance."""
    say(f"teacher {job.reads['teacher']}: {as_text(scores)}")
    check_teacher(job, scores, dev, job.reads["teacher"])


def check_teacher(job: Job, scores: dict[str, float], dev: DevSet, where: Path) -> None:
    """Raise UserError where a teacher's dev score is at chance: distillation would copy noise.

    Only warn in the smoke profile, or where the settings allow a weak teacher.
    """
    task, settings = job.task, job.settings
    if found := at_chance(task, scores, dev.first.labels):
        hint = (
            f"{where}: the teacher's {found}; is it fine-tuned on {task.name}, with the labels in "
            f"the order {', '.join(task.labels) or 'of numbers'}?"
        )
        if not (settings.finetune_teacher.allow_weak_teacher or settings.profile == "smoke"):
            raise UserError(
                f"{hint} Fine-tune it longer (finetune_teacher --num_train_epochs N, or --set "
                f"finetune_teacher.num_train_epochs=N), or insist with --allow_weak_teacher (--set "
                f"finetune_teacher.allow_weak_teacher=true)"
            )
        remark(f"warning: {hint}")


def load_student(job: Job, teacher: LoadedBert | None = None, **parts) -> LoadedBert:
    """A distilled student with a classifier; where it has none, a new one of the teacher's kind.

    Student and teacher then cut rows at the same length, which both can read; without a `teacher`
    (one that reads rows its own way) the student cuts at its own.
    """
    folder = job.reads["student"]
    if folder.weights_file is None:
        raise UserError(
            f"{folder} holds no weights: stages 4 and 5 start from a student that was distilled "
            f"before"
        )
    if teacher is None:
        return job.classifier("student", **parts)
    head = teacher.model.config.classifier_head
    student = job.classifier("student", classifier_head=head, **parts)
    check_same_vocabulary(student, teacher)
    both = (student, teacher)
    length = min(bert.model.config.max_position_embeddings for bert in both)
    for bert in both:
        bert.tokenizer.model_max_length = length
    return student


def check_learnt(task: Task, dev_scores: dict[str, float], labels: np.ndarray, where: Path) -> None:
    """Warn where a student's dev score is at chance."""
    if found := at_chance(task, dev_scores, labels):
        remark(
            f"warning: {where}: the student's {found}; it has not learnt: more epochs, a higher "
            f"learning rate, or a look at the teacher and stage 4 may help"
        )


def warn_of_order(student: ModelFolder, prediction: bool) -> None:
    """Warn where the two stages run in the wrong order; they run all the same."""
    came_from = stage_of(student)
    if prediction and came_from in ("general_distill", "pregenerate_training_data"):
        what = "has not been through intermediate-layer distillation."
    elif not prediction and came_from == "task_distill_out":
        what = "has already been through prediction-layer distillation."
    else:
        return
    remark(SWAPPED.format(what=f"{student} {what}"))
