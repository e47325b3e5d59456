"""Stage 4, task-specific distillation of the intermediate layers (paper, Eqs. 7 to 9).

Reads the augmented rows, the task's own teacher and the general student of stage 3; writes a model
folder into `4_task_distill_mid/`. The student learns the teacher's attention scores and hidden
states on the task's rows; labels are not used.
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.weights import weight_names
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.stages.task_models import (
    SOURCES,
    load_student,
    load_teacher,
    reads_of,
    warn_of_order,
)
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import remark


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.task_distill_mid
    teacher, _, scores = load_teacher(reads, options, settings, session)
    warn_of_order(reads["student"], prediction=False)
    # A student that comes with one projection for all layers keeps it.
    one_for_all = "fit_dense.weight" in weight_names(reads["student"])
    student = load_student(
        reads["student"],
        teacher,
        task,
        settings.lower_case,
        projection="original" if one_for_all else options.projection,
        teacher_width=teacher.model.config.hidden_size,
    )
    if any(part.startswith("fit_dense") for part in student.new_parts):
        remark(
            f"{reads['student']} holds no projections to the teacher's width: new ones are drawn "
            f"and learnt here"
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
        student, objective, task, reads["rows"], options, session, folder, "intermediate layers"
    )
    return {**metrics, "mapping": objective.mapping, "teacher_dev": scores}


STAGE = Stage(
    "task_distill_mid",
    "4 intermediate-layer distillation",
    reads=lambda ws: reads_of(ws, ws.task_rows, ws.general_or_given_student),
    folder=lambda ws: ws.mid_student,
    writes=MODEL_FILES,
    work=work,
    sources=SOURCES,
    skip_reason=lambda ws: ws.without_layers,
)
run = STAGE.run
