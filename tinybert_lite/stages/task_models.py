"""What stages 4 and 5 start from: the task's own teacher, the student, and their right order."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.tasks import Task
from tinybert_lite.models.loading import (
    LoadedBert,
    check_same_vocabulary,
    in_the_tasks_order,
    load_bert,
)
from tinybert_lite.models.weights import weights_file
from tinybert_lite.stages.evaluation import DevSet, check_teacher
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings, Training
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


def reads_of(workspace, rows: Path, student: Path) -> dict[str, Path]:
    """What stages 4 and 5 read: training rows, dev files, the task's teacher, and a student."""
    dev = {name: path for name, path in workspace.task_files.items() if name != "train"}
    return {"rows": rows, **dev, "teacher": workspace.task_teacher, "student": student}


def load_teacher(
    reads: dict[str, Path], options: Training, settings: Settings, session: Session
) -> tuple[LoadedBert, DevSet, dict[str, float]]:
    """The task's own teacher, the dev set, and its scores there.

    Raises UserError for a teacher without a classifier, or with a score at chance.
    """
    task, folder = settings.task, reads["teacher"]
    teacher = load_bert(folder, settings.lower_case, num_labels=task.num_labels, projection="none")
    teacher = in_the_tasks_order(teacher, task)
    if "classifier" in teacher.new_parts:
        raise UserError(
            f"{folder} was not fine-tuned on {task.name} (it has no classifier.*): run "
            f"finetune_teacher first"
        )
    dev = DevSet(task, reads, teacher.tokenizer, options.max_seq_length, options.eval_batch_size)
    scores = dev(teacher.model.to(session.device.name))
    report_teacher(scores, dev, settings, folder)
    return teacher, dev, scores


def report_teacher(scores: dict[str, float], dev: DevSet, settings: Settings, where: Path) -> None:
    """Print a teacher's dev scores. Raises UserError where they are at chance."""
    say(f"teacher {where}: {as_text(scores)}")
    check_teacher(scores, dev.first.labels, settings, where)


def load_student(
    folder: Path, teacher: LoadedBert | None, task: Task, lower_case: bool | None = None, **parts
) -> LoadedBert:
    """A distilled student with a classifier; where it has none, a new one of the teacher's kind.

    Student and teacher then cut rows at the same length, which both can read; without a `teacher`
    (one that reads rows its own way) the student cuts at its own.
    """
    if weights_file(folder) is None:
        raise UserError(
            f"{folder} holds no weights: stages 4 and 5 start from a student that was distilled "
            f"before"
        )
    if teacher:
        parts["classifier_head"] = teacher.model.config.classifier_head
    student = load_bert(folder, lower_case, num_labels=task.num_labels, **parts)
    if teacher:
        check_same_vocabulary(student, teacher)
        both = (student, teacher)
        length = min(bert.model.config.max_position_embeddings for bert in both)
        for bert in both:
            bert.tokenizer.model_max_length = length
    return student


def warn_of_order(student: Path, prediction: bool) -> None:
    """Warn where the two stages run in the wrong order; they run all the same."""
    came_from = stage_of(student)
    if prediction and came_from in ("general_distill", "pregenerate_training_data"):
        what = "has not been through intermediate-layer distillation."
    elif not prediction and came_from == "task_distill_out":
        what = "has already been through prediction-layer distillation."
    else:
        return
    remark(SWAPPED.format(what=f"{student} {what}"))
