"""Stages 4 and 5, task distillation: first intermediate layers, then (with --pred_distill) the prediction layer.

    python -m tinybert_lite.task_distill --data_dir SST-2 --teacher_model teacher_model --student_model 3_general_distill \
        --task_name sst-2 --output_dir 4_task_distill_mid --aug_train --do_lower_case
    python -m tinybert_lite.task_distill --data_dir SST-2 --teacher_model teacher_model --student_model 4_task_distill_mid \
        --task_name sst-2 --output_dir 5_task_distill_out --aug_train --do_lower_case --pred_distill

A teacher that was not fine-tuned on the task is fine-tuned first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.tables import read_table, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.models.folder import LOGITS, ModelFolder
from tinybert_lite.models.loading import (
    LoadedBert,
    check_same_vocabulary,
    load_bert,
    load_classifier,
    load_model,
)
from tinybert_lite.stages.evaluation import DevSet, check_learnt, check_teacher
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Predicting, Settings
from tinybert_lite.stages.soft_targets import asking, with_soft_targets
from tinybert_lite.stages.stage import (
    MODEL_FILES,
    REPORT_FILES,
    Stage,
    StageResult,
    fingerprint,
    stage_of,
)
from tinybert_lite.stages.submissions import write_eval_results
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.stages.teachers import OtherClassifier, read_logits
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError

Asking = Callable[[Examples], np.ndarray]  # logits (n, K) of the training rows

SWAPPED = """
  ======================================================================================================
  ATTENTION, the order of the two steps: {what}
  First intermediate layers (without --pred_distill), then the prediction layer (with --pred_distill).
  A widely copied guide has the flag the wrong way round in its steps 4.2 and 4.3.
  ======================================================================================================
"""


def load_teacher(
    reads: dict[str, Path], task: Task, options, settings: Settings, session: Session
) -> tuple[LoadedBert, DevSet, dict]:
    """The task's own teacher, the dev set, and its scores there. Raises UserError without a classifier, or at chance level."""
    teacher = load_classifier(reads["teacher"], task, settings.lower_case)
    if "classifier" in teacher.new_parts:
        raise UserError(
            f"{reads['teacher']} was not fine-tuned on {task.name} (it has no classifier.*): run finetune_teacher first"
        )
    dev = DevSet(task, reads, teacher.tokenizer, options.max_seq_length, options.eval_batch_size)
    scores = dev(teacher.model.to(session.device.name))
    say_and_check(scores, dev, reads["teacher"], settings)
    return teacher, dev, scores


def say_and_check(scores: dict[str, float], dev: DevSet, teacher: Path, settings: Settings) -> None:
    say(f"teacher {teacher}: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    allowed = settings.finetune_teacher.allow_weak_teacher or settings.profile == "smoke"
    check_teacher(settings.task, scores, dev.first.labels, allowed, teacher)


def load_student(
    folder: ModelFolder,
    teacher: LoadedBert | None,
    task: Task,
    lower_case: bool | None = None,
    **parts,
) -> LoadedBert:
    """A student with a classifier (a new one of the teacher's kind where it has none)."""
    if folder.weights_file is None:
        raise UserError(
            f"{folder} holds no weights: stages 4 and 5 start from a student that was distilled before"
        )
    if teacher is None:  # of another kind, which reads the rows its own way
        return load_bert(folder, lower_case, num_labels=task.num_labels, **parts)
    student = load_bert(
        folder,
        lower_case,
        num_labels=task.num_labels,
        classifier_head=teacher.model.config.classifier_head,
        **parts,
    )
    check_same_vocabulary(student, teacher)
    # Rows are cut to what both can read.
    for model in (student, teacher):
        model.tokenizer.model_max_length = min(
            m.model.config.max_position_embeddings for m in (student, teacher)
        )
    return student


def work_mid(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.task_distill_mid
    teacher, _, scores = load_teacher(reads, task, options, settings, session)
    warn_of_order(reads["student"], prediction=False)
    shared = reads["student"].projection == "shared"  # an original student keeps its projection
    student = load_student(
        reads["student"],
        teacher,
        task,
        settings.lower_case,
        projection="shared" if shared else options.projection,
        teacher_width=teacher.model.config.hidden_size,
    )
    if any(part.startswith("fit_dense") for part in student.new_parts):
        remark(
            f"{reads['student']} holds no projections to the teacher's width: new ones are drawn and learnt here"
        )
    objective = Intermediate(
        student.model,
        teacher.model,
        options.mapping,
        options.padding,
        options.heads,
        options.weights,
    )
    metrics = train_on_task(
        student.model,
        student.tokenizer,
        objective,
        task,
        reads["rows"],
        options,
        session,
        folder,
        "intermediate layers",
    )
    return {**metrics, "mapping": objective.mapping, "teacher_dev": scores}


def work_out(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.task_distill_out
    teaching = taught(reads, options, settings, session)
    student, dev = teaching.student, teaching.dev
    metrics = train_on_task(
        student.model,
        student.tokenizer,
        soft_targets_of(options),
        task,
        reads["rows"],
        options,
        session,
        folder,
        "prediction layer",
        dev,
        teaching.prepare(reads, options, folder),
    )
    found = dev(load_model(folder)[0].to(session.device.name))
    check_learnt(task, found, dev.first.labels, folder)
    write_eval_results(folder, found, metrics["steps"])
    say("student: dev " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()) + f", in {folder}")
    return {**metrics, "dev": found, "teacher_dev": teaching.teacher_dev}


@dataclass(frozen=True)
class Teaching:
    """What learning from a teacher's answers needs: the student, the dev set, the teacher's scores there (None where unknown),
    and what gives its logits for the training rows."""

    student: LoadedBert
    dev: DevSet
    teacher_dev: dict | None
    ask: Asking

    def prepare(
        self, reads: dict[str, Path], options: Predicting, folder: Path
    ) -> Callable[[Examples], Examples]:
        """Puts the teacher's logits beside the rows, which are asked for once and kept in `folder`."""
        made_from = (
            f"{fingerprint(reads['teacher'])} {fingerprint(reads['rows'])} {options.max_seq_length}"
        )
        return lambda examples: with_soft_targets(examples, self.ask, made_from, folder)


def soft_targets_of(options: Predicting) -> Prediction:
    return Prediction(None, options.temperature, options.reduction, options.hard_label_weight)


def taught(
    reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
) -> Teaching:
    """What learning from the teacher of `reads` needs, whatever kind it is."""
    return (taught_by_bert if reads["teacher"].has_layers else taught_by_other)(
        reads, options, settings, session
    )


def taught_by_bert(
    reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
) -> Teaching:
    task = settings.task
    teacher, dev, scores = load_teacher(reads, task, options, settings, session)
    if (
        options.hard_label_weight < 1
    ):  # who learns from labels alone leaves distillation out, and does so on purpose
        warn_of_order(reads["student"], prediction=True)
    student = load_student(
        reads["student"], teacher, task, settings.lower_case, projection="none"
    )  # no longer needed
    return Teaching(student, dev, scores, asking(teacher.model, options.eval_batch_size))


def taught_by_other(
    reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
) -> Teaching:
    """A teacher without layers to match, which gets texts and not the student's tokens; a file of logits has no scores."""
    task, place = settings.task, reads["teacher"]
    student = load_student(reads["student"], None, task, settings.lower_case, projection="none")
    dev = DevSet(task, reads, student.tokenizer, options.max_seq_length, options.eval_batch_size)
    if place.kind == LOGITS:
        say(
            f"teacher: {place} holds logits of the training rows alone, so its dev score is not known"
        )
        return Teaching(
            student,
            dev,
            None,
            lambda examples: read_logits(place.path, task, reads["rows"])[: len(examples)],
        )
    teacher = OtherClassifier(
        place, task, options.max_seq_length, options.eval_batch_size, session.device.name
    )
    scores = dev.scores_of(lambda part: teacher.logits(read_table(reads[part], task).rows))
    say_and_check(scores, dev, place, settings)
    return Teaching(
        student,
        dev,
        scores,
        lambda examples: teacher.logits(
            islice(stream_table(reads["rows"], task).rows, len(examples))
        ),
    )


def warn_of_order(student: Path, prediction: bool) -> None:
    """The two task stages in the wrong order still run, but not in silence."""
    came_from = stage_of(student)
    if prediction and came_from in ("general_distill", "pregenerate_training_data"):
        remark(
            SWAPPED.format(what=f"{student} has not been through intermediate-layer distillation.")
        )
    elif not prediction and came_from == "task_distill_out":
        remark(
            SWAPPED.format(
                what=f"{student} has already been through prediction-layer distillation."
            )
        )


def _reads(student, rows):
    return lambda ws: {
        "rows": rows(ws),
        **{k: v for k, v in ws.task_files.items() if k != "train"},
        "teacher": ws.task_teacher,
        "student": student(ws),
    }


_SOURCES = {
    "teacher": ("finetune_teacher",),
    "student": ("general_distill", "task_distill_mid", "task_distill_out"),
}  # their order: warn_of_order
MID = Stage(
    "task_distill_mid",
    "4 intermediate-layer distillation",
    reads=_reads(lambda ws: ws.general_or_given_student, lambda ws: ws.task_rows),
    folder=lambda ws: ws.mid_student,
    writes=MODEL_FILES,
    work=work_mid,
    sources=_SOURCES,
    needless=lambda ws: ws.without_layers,
)
OUT = Stage(
    "task_distill_out",
    "5 prediction-layer distillation",
    reads=_reads(lambda ws: ws.student_for_prediction, lambda ws: ws.rows_for_prediction),
    folder=lambda ws: ws.final_student,
    writes=(*MODEL_FILES, "eval_results.txt", *REPORT_FILES),
    work=work_out,
    sources=_SOURCES,
)


def run_mid(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Stage 4: match attention scores and hidden states on the task's augmented rows, into `4_task_distill_mid/`."""
    return MID.run(workspace, settings, force)


def run_out(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Stage 5: match the teacher's soft targets, into `5_task_distill_out/`."""
    return OUT.run(workspace, settings, force)
