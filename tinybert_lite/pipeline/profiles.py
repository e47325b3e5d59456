"""The profiles smoke, classroom and paper: settings that differ from the defaults.

settings = profile("classroom", task="SST-2").override(["task_distill_out.temperature=2"])
"""

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, Task, find_task
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.fields import changed, known


def _smoke(task: Task, grown: bool) -> dict[str, dict]:
    """Return the settings of smoke, a test of every part in seconds; the student learns little."""
    brief = dict(max_steps=12, max_seq_length=48, eval_batch_size=64, max_rows=256)
    fast = dict(learning_rate=1e-3, **brief)
    return dict(
        pretrain=dict(vocab_size=1000, hidden_size=128, **fast),
        data_augmentation=dict(N=1, M=8, max_seq_length=48, max_rows=96),
        pregenerate_training_data=dict(epochs_to_generate=1, max_seq_len=48),
        general_distill=fast,
        finetune_teacher=fast,
        task_distill_mid=fast,
        task_distill_out=fast,
        baseline=fast,
        quantize=dict(learning_rate=1e-4, calibration_rows=64, **brief),
    )


def _length(task: Task) -> int:
    """Return the tokens per row, as in the paper: sentence 64, pair 128; Chinese text 128."""
    return 128 if task.text_b or task.language == "zh" else 64


def _classroom(task: Task, grown: bool) -> dict[str, dict]:
    """Return the settings of classroom, for runs of minutes on two CPU cores.

    Small models with random weights need high learning rates, and so does a teacher that was
    pre-trained here; one that was pre-trained elsewhere is fine-tuned with a low learning rate.
    """
    text = dict(learning_rate=1e-3, max_seq_length=64, eval_batch_size=64)
    rows = dict(max_seq_length=_length(task), eval_batch_size=64)
    student = dict(learning_rate=5e-4, **rows)
    gentle = 3e-4 if grown else 2e-5
    return dict(
        pretrain=dict(num_train_epochs=8, **text),
        data_augmentation=dict(N=8, max_seq_length=_length(task)),
        pregenerate_training_data=dict(epochs_to_generate=10, max_seq_len=64),
        general_distill=dict(num_train_epochs=10, start="embeddings", **text),
        finetune_teacher=dict(learning_rate=gentle, num_train_epochs=4, **rows),
        task_distill_mid=dict(num_train_epochs=2, **student),
        task_distill_out=dict(num_train_epochs=2, **student),
        baseline=dict(num_train_epochs=15, **student),
        quantize=dict(learning_rate=3e-5, num_train_epochs=1, train_batch_size=32, **rows),
    )


def _paper(task: Task, grown: bool) -> dict[str, dict]:
    """Return the paper's settings for a task."""
    rows = dict(max_seq_length=_length(task))
    return dict(
        data_augmentation=dict(N=task.variants, max_seq_length=512),
        pregenerate_training_data=dict(do_whole_word_mask=True),
        general_distill=dict(train_batch_size=256),
        finetune_teacher=dict(learning_rate=2e-5, **rows),
        task_distill_mid=dict(num_train_epochs=task.mid_epochs, **rows),
        task_distill_out=rows,
        baseline=dict(num_train_epochs=10, **rows),
        quantize=rows,
    )


PROFILES = {"smoke": _smoke, "classroom": _classroom, "paper": _paper}


def profile(
    name: str = "classroom", task: str | Task = FOLDERS_OWN_TASK, grown: bool = True
) -> Settings:
    """Return a profile's settings for a task; grown: the teacher was or will be pre-trained here.

    Raises UserError for an unknown profile or task."""
    known(name, PROFILES, f"--profile {name} is unknown")
    found = task if isinstance(task, Task) else find_task(task)
    return changed(Settings(profile=name, task=found), PROFILES[name](found, grown))
