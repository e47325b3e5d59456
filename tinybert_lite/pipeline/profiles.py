"""Every number a run depends on: frozen dataclasses, three profiles, and strict overrides.

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
    _known,
)


def _smoke() -> Settings:
    """Seconds: shows that every part works, learns next to nothing."""
    brief = dict(max_steps=12, max_seq_length=48, eval_batch_size=64, max_rows=256)
    return Settings(
        profile="smoke",
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
    """Tokens a row: 64 for a sentence, 128 for a pair (both as in the paper) and where every character is a token."""
    return 128 if task.text_b or task.language == "zh" else 64


def _classroom(task: Task, teacher_width: int) -> Settings:
    """Minutes on two CPU cores; models are small and the student starts from nothing, hence the high learning rates.

    A real BERT as the teacher is fine-tuned gently.
    """
    text = dict(max_seq_length=64, eval_batch_size=64)
    common = dict(max_seq_length=_length(task), eval_batch_size=64)
    return Settings(
        profile="classroom",
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


def _paper(task: Task) -> Settings:
    """The paper's settings, by task."""
    length = _length(task)
    return Settings(
        profile="paper",
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


PROFILES = ("smoke", "classroom", "paper")
LARGE = 512  # the width from which a teacher counts as a real BERT


def profile(
    name: str = "classroom", task: str | Task = FOLDERS_OWN_TASK, teacher_width: int = 0
) -> Settings:
    """The settings of a profile for a task and a teacher's width. Raises UserError for an unknown one."""
    found = task if isinstance(task, Task) else find_task(task)
    _known(name, list(PROFILES), f"--profile {name} is unknown")
    made = {
        "smoke": _smoke,
        "classroom": lambda: _classroom(found, teacher_width),
        "paper": lambda: _paper(found),
    }[name]()
    return replace(made, task=found)
