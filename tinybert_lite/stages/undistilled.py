"""The student to compare with: of the same size, trained on the labels, without a teacher.

Reads `train.tsv`, `dev.tsv` and the student's config; writes a model folder into
`5_task_distill_out/undistilled/`. All of its weights start random.
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.method.objectives import Labels
from tinybert_lite.models.loading import load_bert
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage
from tinybert_lite.stages.task_training import train_on_task


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.baseline
    student = load_bert(
        reads["student"], from_scratch=True, num_labels=task.num_labels, projection="none"
    )
    dev = DevSet(task, reads, student.tokenizer, options.max_seq_length, options.eval_batch_size)
    return train_on_task(
        student,
        Labels(),
        task,
        reads["train"],
        options,
        session,
        folder,
        "undistilled student",
        dev,
    )


STAGE = Stage(
    "baseline",
    "undistilled student",
    reads=lambda ws: {**ws.task_files, "student": ws.general_or_given_student},
    folder=lambda ws: ws.baseline,
    writes=MODEL_FILES,
    work=work,
)
run = STAGE.run
