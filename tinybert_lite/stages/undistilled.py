"""The student to compare with: the same size, trained on the labels from nothing, without a teacher."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.method.objectives import Labels
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage, StageResult
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.baseline
    student = load_bert(
        reads["student"], from_scratch=True, num_labels=task.num_labels, projection="none"
    )
    dev = DevSet(task, reads, student.tokenizer, options.max_seq_length, options.eval_batch_size)
    metrics = train_on_task(
        student.model,
        student.tokenizer,
        Labels(),
        task,
        reads["train"],
        options,
        session,
        folder,
        "undistilled student",
        dev,
    )
    scores = dev(load_model(folder)[0].to(session.device.name))
    say("undistilled student: dev " + ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
    return {**metrics, "dev": scores}


STAGE = Stage(
    "baseline",
    "undistilled student",
    reads=lambda ws: {**ws.task_files, "student": ws.general_or_given_student},
    folder=lambda ws: ws.baseline,
    writes=MODEL_FILES,
    work=work,
)


def run(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Train the comparison student into `5_task_distill_out/undistilled/`."""
    return STAGE.run(workspace, settings, force)
