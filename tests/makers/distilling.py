"""The three distillation stages with short settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinybert_lite.stages import general_distill
from tinybert_lite.stages.settings import Distilling, FineTuning, Predicting, Settings

BRIEF = dict(max_seq_length=32, learning_rate=1e-2, train_batch_size=16)
SETTINGS = Settings(
    profile="test",
    device="cpu",
    general_distill=Distilling(num_train_epochs=6, **BRIEF),
    finetune_teacher=FineTuning(num_train_epochs=3, max_seq_length=32, learning_rate=1e-3),
    task_distill_mid=Distilling(schedule="constant", num_train_epochs=8, **BRIEF),
    task_distill_out=Predicting(num_train_epochs=8, **BRIEF),
)


def quick(settings: Settings) -> Settings:
    """One step of each stage."""
    return replace(
        settings,
        **{
            stage: replace(getattr(settings, stage), max_steps=1)
            for stage in ("general_distill", "task_distill_mid", "task_distill_out")
        },
    )


def distil_general(
    rooms: Path,
    folder: Path,
    settings: Settings = SETTINGS,
    student: Path | None = None,
    teacher: Path | None = None,
    **how,
):
    reads = {
        "sequences": rooms / "sequences",
        "teacher": teacher or rooms / "raw",
        "student": student or rooms / "student",
    }
    return general_distill.STAGE.execute(
        reads, folder, replace(settings, general_distill=replace(settings.general_distill, **how))
    )


def distil_task(
    stage,
    rooms: Path,
    student: Path,
    folder: Path,
    settings: Settings = SETTINGS,
    teacher: Path | None = None,
):
    reads = {
        "rows": rooms / "data/train.tsv",
        "train": rooms / "data/train.tsv",
        "dev": rooms / "data/dev.tsv",
        "teacher": teacher or rooms / "tuned",
        "student": student,
    }
    return stage.execute(reads, folder, settings)
