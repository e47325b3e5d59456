"""Stage 4, task-specific distillation of the intermediate layers (paper, Eqs. 7 to 9).

Reads the augmented rows, the fine-tuned task teacher and the general student of stage 3; writes a
model folder into `4_task_distill_mid/`. The student learns the teacher's attention scores and
hidden states on the task's rows; labels are not used.
"""

from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.stages.job import Job
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


def work(job: Job) -> dict:
    options, folder = job.options, job.reads["student"]
    teacher, _, scores = load_teacher(job)
    warn_of_order(folder, prediction=False)
    student = load_student(
        job,
        teacher,
        # A student that already has one projection for all layers keeps it.
        projection="original" if folder.projection == "original" else options.projection,
        teacher_width=teacher.model.config.hidden_size,
    )
    if any(part.startswith("fit_dense") for part in student.new_parts):
        remark(
            f"{folder} has no projections to the teacher's width: new ones start from random "
            f"weights"
        )
    objective = Intermediate(
        student.model,
        teacher.model,
        options.mapping,
        options.padding,
        options.heads,
        options.weights,
    )
    metrics = train_on_task(job, student, objective, "intermediate layers")
    return {**metrics, "mapping": objective.mapping, "teacher_dev": scores}


STAGE = Stage(
    "task_distill_mid",
    "4 intermediate-layer distillation",
    reads=lambda ws, rows=None, teacher=None, student=None: reads_of(
        ws, rows or ws.task_rows, student or ws.general_or_given_student, teacher
    ),
    folder=lambda ws: ws.mid_student,
    writes=MODEL_FILES,
    work=work,
    sources=SOURCES,
    skip_reason=lambda ws: ws.why_layers_are_not_matched,
)
run = STAGE.run
