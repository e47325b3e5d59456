"""The three profiles: smoke, classroom and paper.

settings = profile("classroom", task="SST-2").override(["task_distill_out.temperature=2"])
"""

from __future__ import annotations

from dataclasses import replace

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, Task, find_task
from tinybert_lite.stages.settings import (
    Augmenting,
    Distilling,
    FineTuning,
    Predicting,
    Pregenerating,
    Pretraining,
    Quantizing,
    Settings,
    Training,
)
from tinybert_lite.system.fields import known

LARGE = 512  # width from which a teacher is fine-tuned with a low learning rate


def _smoke(task: Task, teacher_width: int) -> Settings:
    """Seconds: shows that every part works; the student learns almost nothing."""
    brief = dict(max_steps=12, max_seq_length=48, eval_batch_size=64, max_rows=256)
    return Settings(
        pretrain=Pretraining(learning_rate=1e-3, vocab_size=1000, hidden_size=128, **brief),
        data_augmentation=Augmenting(N=1, M=8, max_seq_length=48, max_rows=96),
        pregenerate_training_data=Pregenerating(epochs_to_generate=1, max_seq_len=48),
        general_distill=Distilling(learning_rate=1e-3, **brief),
        finetune_teacher=FineTuning(learning_rate=1e-3, **brief),
        task_distill_mid=Distilling(learning_rate=1e-3, schedule="constant", **brief),
        task_distill_out=Predicting(learning_rate=1e-3, **brief),
        baseline=Training(learning_rate=1e-3, **brief),
        quantize=Quantizing(learning_rate=1e-4, calibration_rows=64, **brief),
    )


def _length(task: Task) -> int:
    """Tokens per row: 64 for a sentence; 128 for a pair (both as in the paper) and for Chinese."""
    return 128 if task.text_b or task.language == "zh" else 64


def _classroom(task: Task, teacher_width: int) -> Settings:
    """Minutes on two CPU cores. Small models with random weights need high learning rates.

    A large teacher is fine-tuned with a low one.
    """
    text = dict(max_seq_length=64, eval_batch_size=64)
    common = dict(max_seq_length=_length(task), eval_batch_size=64)
    return Settings(
        pretrain=Pretraining(learning_rate=1e-3, num_train_epochs=8, **text),
        data_augmentation=Augmenting(N=8, max_seq_length=_length(task)),
        pregenerate_training_data=Pregenerating(epochs_to_generate=10, max_seq_len=64),
        general_distill=Distilling(
            learning_rate=1e-3, num_train_epochs=10, start="embeddings", **text
        ),
        finetune_teacher=FineTuning(
            learning_rate=2e-5 if teacher_width >= LARGE else 3e-4, num_train_epochs=4, **common
        ),
        task_distill_mid=Distilling(
            learning_rate=5e-4, num_train_epochs=2, schedule="constant", **common
        ),
        task_distill_out=Predicting(learning_rate=5e-4, num_train_epochs=2, **common),
        baseline=Training(learning_rate=5e-4, num_train_epochs=15, **common),
        quantize=Quantizing(learning_rate=3e-5, num_train_epochs=1, train_batch_size=32, **common),
    )


def _paper(task: Task, teacher_width: int) -> Settings:
    """The paper's settings, by task."""
    length = _length(task)
    return Settings(
        data_augmentation=Augmenting(N=task.variants, max_seq_length=512),
        pregenerate_training_data=Pregenerating(do_whole_word_mask=True),
        general_distill=Distilling(train_batch_size=256),
        finetune_teacher=FineTuning(learning_rate=2e-5, max_seq_length=length),
        task_distill_mid=Distilling(
            num_train_epochs=task.mid_epochs, schedule="constant", max_seq_length=length
        ),
        task_distill_out=Predicting(learning_rate=3e-5, max_seq_length=length),
        baseline=Training(num_train_epochs=10, max_seq_length=length),
        quantize=Quantizing(max_seq_length=length),
    )


PROFILES = {"smoke": _smoke, "classroom": _classroom, "paper": _paper}


def profile(
    name: str = "classroom", task: str | Task = FOLDERS_OWN_TASK, teacher_width: int = 0
) -> Settings:
    """The settings of a profile, for a task and a teacher's width. Raises UserError if unknown."""
    known(name, PROFILES, f"--profile {name} is unknown")
    found = task if isinstance(task, Task) else find_task(task)
    return replace(PROFILES[name](found, teacher_width), profile=name, task=found)
