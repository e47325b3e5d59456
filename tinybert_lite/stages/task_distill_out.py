"""Stage 5, task-specific distillation of the prediction layer (paper, Eq. 10).

Reads the augmented rows, the fine-tuned task teacher and the student of stage 4; writes the final
student and `eval_results.txt` into `5_task_distill_out/`. The student learns the teacher's soft
targets. The teacher may be an encoder, another classifier, or a file of logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.data.tables import read_table, stream_table
from tinybert_lite.method.objectives import Prediction
from tinybert_lite.models.folder import KIND_LOGITS
from tinybert_lite.models.loading import LoadedModel, shares_layers
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.metrics import as_text
from tinybert_lite.stages.soft_targets import asking, with_soft_targets
from tinybert_lite.stages.stage import MODEL_FILES, REPORT_FILES, Stage
from tinybert_lite.stages.submissions import write_eval_results
from tinybert_lite.stages.task_models import (
    SOURCES,
    check_learnt,
    load_student,
    load_teacher,
    reads_of,
    report_teacher,
    warn_of_order,
)
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.stages.teachers import OtherClassifier, read_logits
from tinybert_lite.system.console import say


def work(job: Job) -> dict:
    teaching = teaching_of(job)
    metrics = teaching.train(job, "prediction layer")
    check_learnt(job.task, metrics["dev"], teaching.dev.first.labels, job.folder)
    write_eval_results(job.folder, metrics["dev"], metrics["steps"])
    say(f"student: {as_text(metrics['dev'])}, in {job.folder}")
    return {**metrics, "teacher_dev": teaching.teacher_dev}


@dataclass(frozen=True)
class Teaching:
    """A student, and a teacher of any kind whose logits it learns."""

    student: LoadedModel
    dev: DevSet
    teacher_dev: dict[str, float] | None  # the teacher's scores, None if they are unknown
    ask: Callable[[Examples], np.ndarray]  # the teacher's logits (n, K) for the training rows

    def train(self, job: Job, label: str, finished: bool = False) -> dict:
        """Train the student on Eq. 10; the teacher's logits are computed once and stored."""
        options, reads = job.options, job.reads
        objective = Prediction(
            None, options.temperature, options.reduction, options.hard_label_weight
        )
        teacher, rows = fingerprint(reads["teacher"]), fingerprint(reads["rows"])
        made_from = f"{teacher} {rows} {options.max_seq_length}"
        if (precision := job.session.device.precision) != "no":
            made_from += f" {precision}"

        def prepare(examples: Examples) -> Examples:
            return with_soft_targets(examples, self.ask, made_from, job.folder)

        return train_on_task(job, self.student, objective, label, self.dev, prepare, finished)


def teaching_of(job: Job) -> Teaching:
    """Load the student and the teacher of a job, for any kind of teacher."""
    matched = shares_layers(job.reads["teacher"], job.reads["student"])
    return (_by_encoder if matched else _by_other)(job)


def _by_encoder(job: Job) -> Teaching:
    teacher, dev, scores = load_teacher(job)
    if (
        job.options.hard_label_weight < 1
    ):  # with labels only there is no distillation, and no wrong order
        warn_of_order(job.reads["student"], prediction=True)
    device = job.session.device
    ask = asking(teacher.model, job.options.eval_batch_size, device.precision, device.packed)
    return Teaching(load_student(job, teacher), dev, scores, ask)


def _by_other(job: Job) -> Teaching:
    """Load a teacher with its own tokenizer, or a file of logits."""
    task, options, place, rows = job.task, job.options, job.reads["teacher"], job.reads["rows"]
    student = load_student(job)
    dev = job.dev_set(student.tokenizer)
    if place.kind == KIND_LOGITS:
        say(f"teacher: {place} holds logits of the training rows only, so its dev score is unknown")
        return Teaching(
            student,
            dev,
            None,
            lambda examples: read_logits(place.path, task, rows)[: len(examples)],
        )
    teacher = OtherClassifier(
        place, task, options.max_seq_length, options.eval_batch_size, job.device
    )

    def ask(examples: Examples) -> np.ndarray:
        return teacher.logits(islice(stream_table(rows, task).rows, len(examples)))

    logits = {part: teacher.logits(read_table(job.reads[part], task).rows) for part in dev.parts}
    scores = dev.scores_of(logits.get)
    report_teacher(job, scores, dev, next(iter(logits.values())))
    return Teaching(student, dev, scores, ask)


STAGE = Stage(
    "task_distill_out",
    "5 prediction-layer distillation",
    reads=lambda ws, rows=None, teacher=None, student=None: reads_of(
        ws, rows or ws.rows_for_prediction, student or ws.student_for_prediction, teacher
    ),
    folder=lambda ws: ws.final_student,
    writes=(*MODEL_FILES, "eval_results.txt", *REPORT_FILES),
    work=work,
    sources=SOURCES,
)
run = STAGE.run
