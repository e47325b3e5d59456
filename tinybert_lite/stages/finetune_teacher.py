"""The step before stage 4: fine-tune the teacher on the task. With a raw pre-trained one distillation teaches noise.

python -m tinybert_lite.finetune_teacher --data_dir SST-2 --task_name sst-2 --teacher_model teacher_model
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.method.objectives import Labels
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.stages.evaluation import DevSet, check_teacher
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import MODEL_FILES, Stage, StageResult
from tinybert_lite.stages.task_training import train_on_task
from tinybert_lite.system.console import say


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    task, options = settings.task, settings.finetune_teacher
    teacher = load_bert(
        reads["teacher"],
        settings.lower_case,
        num_labels=task.num_labels,
        projection="none",
        classifier_head=options.classifier_head,
    )
    dev = DevSet(task, reads, teacher.tokenizer, options.max_seq_length, options.eval_batch_size)
    metrics = train_on_task(
        teacher.model,
        teacher.tokenizer,
        Labels(),
        task,
        reads["train"],
        options,
        session,
        folder,
        "teacher",
        dev,
    )
    scores = dev(load_model(folder)[0].to(session.device.name))
    say(
        f"teacher: fine-tuned on {task.name}, dev "
        + ", ".join(f"{k} {v:.4f}" for k, v in scores.items())
        + f", in {folder}"
    )
    check_teacher(
        task,
        scores,
        dev.first.labels,
        options.allow_weak_teacher or settings.profile == "smoke",
        folder,
    )
    return {**metrics, "dev": scores}


STAGE = Stage(
    "finetune_teacher",
    "teacher, fine-tuned on the task",
    reads=lambda ws: {**ws.task_files, "teacher": ws.teacher},
    folder=lambda ws: ws.tuned_teacher,
    writes=MODEL_FILES,
    work=work,
    sources={"teacher": ("pretrain", "general_distill")},
    needless=lambda ws: (
        f"{ws.task_teacher} was given" if ws.given_logits or ws.given_task_teacher else ""
    ),
)


def run(workspace, settings: Settings, force: bool = False) -> StageResult:
    """Fine-tune the workspace's teacher into `teacher_model/<TASK>/`, keyed by the base teacher's fingerprint."""
    return STAGE.run(workspace, settings, force)
