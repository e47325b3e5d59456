"""The undistilled student, for comparison: trained on the labels, without a teacher.

Reads `train.tsv`, `dev.tsv` and the student's config; writes a model folder into
`5_task_distill_out/undistilled/`. It has the distilled student's size, and
all of its weights are random at the start.
"""

from tinybert_lite.method.objectives import Labels
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say


def work(job: Job) -> dict:
    student = job.classifier("student", from_scratch=True)
    dev = job.dev_set(student.tokenizer)
    metrics = train_on_task(job, student, Labels(), "undistilled student", dev)
    say(f"undistilled student: {as_text(metrics['dev'])}")
    return metrics


STAGE = Stage(
    "baseline",
    "undistilled student",
    reads=lambda ws: {**ws.task_files, "student": ws.general_or_given_student},
    folder=lambda ws: ws.baseline,
    writes=MODEL_FILES,
    work=work,
)
run = STAGE.run
