"""Stage 5, task-specific distillation of the prediction layer (paper, Eq. 10).

Reads the augmented rows, the task's own teacher and the student of stage 4; writes the final
student and `eval_results.txt` into `5_task_distill_out/`. The student learns the teacher's soft
targets. The teacher may be a BERT, another classifier, or a file of logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.data.tables import read_table, stream_table
from tinybert_lite.method.objectives import Prediction
from tinybert_lite.models.folder import is_bert
from tinybert_lite.models.loading import LoadedBert
from tinybert_lite.stages.evaluation import DevSet, check_learnt
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Predicting, Settings
from tinybert_lite.stages.soft_targets import asking, with_soft_targets
from tinybert_lite.stages.stage import MODEL_FILES, REPORT_FILES, Stage
from tinybert_lite.stages.submissions import write_eval_results
from tinybert_lite.stages.task_models import (
    SOURCES,
    load_student,
    load_teacher,
    reads_of,
    report_teacher,
    warn_of_order,
)
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.stages.teachers import OtherClassifier, read_logits
from tinybert_lite.system.console import say


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    options = settings.task_distill_out
    teaching = Teaching.of(reads, options, settings, session)
    metrics = teaching.train(reads, options, settings, session, folder, "prediction layer")
    check_learnt(settings.task, metrics["dev"], teaching.dev.first.labels, folder)
    write_eval_results(folder, metrics["dev"], metrics["steps"])
    return {**metrics, "teacher_dev": teaching.teacher_dev}


@dataclass(frozen=True)
class Teaching:
    """A student, and a teacher of any kind whose logits it learns."""

    student: LoadedBert
    dev: DevSet
    teacher_dev: dict[str, float] | None  # the teacher's scores, None where they are not known
    ask: Callable[[Examples], np.ndarray]  # the teacher's logits (n, K) for the training rows

    @classmethod
    def of(
        cls, reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
    ) -> Teaching:
        """From what a stage reads; the kind of teacher is found out."""
        kind = cls._by_bert if is_bert(reads["teacher"]) else cls._by_other
        return kind(reads, options, settings, session)

    @classmethod
    def _by_bert(
        cls, reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
    ) -> Teaching:
        teacher, dev, scores = load_teacher(reads, options, settings, session)
        if options.hard_label_weight < 1:  # labels alone leave distillation out on purpose
            warn_of_order(reads["student"], prediction=True)
        student = load_student(
            reads["student"], teacher, settings.task, settings.lower_case, projection="none"
        )
        return cls(student, dev, scores, asking(teacher.model, options.eval_batch_size))

    @classmethod
    def _by_other(
        cls, reads: dict[str, Path], options: Predicting, settings: Settings, session: Session
    ) -> Teaching:
        """By a classifier that reads texts and not the student's tokens, or by a file of logits."""
        task, place, rows = settings.task, reads["teacher"], reads["rows"]
        length, batch_size = options.max_seq_length, options.eval_batch_size
        student = load_student(reads["student"], None, task, settings.lower_case, projection="none")
        dev = DevSet(task, reads, student.tokenizer, length, batch_size)
        if place.is_file():
            say(
                f"teacher: {place} holds logits of the training rows only, so its dev score is not "
                f"known"
            )
            return cls(
                student, dev, None, lambda examples: read_logits(place, task, rows)[: len(examples)]
            )
        teacher = OtherClassifier(place, task, length, batch_size, session.device.name)
        scores = dev.scores_of(lambda part: teacher.logits(read_table(reads[part], task).rows))
        report_teacher(scores, dev, settings, place)
        return cls(
            student,
            dev,
            scores,
            lambda examples: teacher.logits(islice(stream_table(rows, task).rows, len(examples))),
        )

    def train(
        self,
        reads: dict[str, Path],
        options: Predicting,
        settings: Settings,
        session: Session,
        folder: Path,
        label: str,
        finished: bool = False,
    ) -> dict:
        """Train the student on Eq. 10; the teacher's logits are computed once, kept in `folder`."""
        objective = Prediction(
            None, options.temperature, options.reduction, options.hard_label_weight
        )
        made_from = (
            f"{fingerprint(reads['teacher'])} {fingerprint(reads['rows'])} {options.max_seq_length}"
        )
        return train_on_task(
            self.student,
            objective,
            settings.task,
            reads["rows"],
            options,
            session,
            folder,
            label,
            self.dev,
            lambda examples: with_soft_targets(examples, self.ask, made_from, folder),
            finished,
        )


STAGE = Stage(
    "task_distill_out",
    "5 prediction-layer distillation",
    reads=lambda ws: reads_of(ws, ws.rows_for_prediction, ws.student_for_prediction),
    folder=lambda ws: ws.final_student,
    writes=(*MODEL_FILES, "eval_results.txt", *REPORT_FILES),
    work=work,
    sources=SOURCES,
)
run = STAGE.run
