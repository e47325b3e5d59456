"""Every setting of a run: frozen dataclasses with each field's default, help, limits and flags.

settings = profile("classroom", task="SST-2").override(["task_distill_out.temperature=2"])

Flags have the names of the original scripts. The value `original` computes as the original code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS, Task
from tinybert_lite.system.fields import ONLY_SET, Checked, assigned, setting

POSITIVE = {"low": 1e-12, "high": 1e12}
WITHOUT_EFFECT = (
    "save_every",
    "keep_last",
    "num_workers",
    "logging_step",
)  # these do not change results


@dataclass(frozen=True)
class Training(Checked):
    """Settings of the training loop, with the original's defaults except for `weight_decay`."""

    learning_rate: float = setting(5e-5, "highest learning rate", **POSITIVE)
    weight_decay: float = setting(
        0.01,
        "not applied to biases and LayerNorm; the original's optimizer always uses 0.01, "
        "whatever its flag says",
        flags=("--weight_decay", "--wd"),
    )
    num_train_epochs: float = setting(
        3.0,
        "passes over the rows; may be a fraction",
        **POSITIVE,
        flags=("--num_train_epochs", "--epoch_num"),
    )
    max_steps: int = setting(0, "maximum of optimizer steps; 0: no limit", flags=ONLY_SET)
    train_batch_size: int = setting(
        32, "rows per optimizer step, over all processes and accumulation steps", low=1
    )
    eval_batch_size: int = setting(32, "rows per batch in evaluation", low=1)
    warmup_proportion: float = setting(0.1, "share of steps with a rising learning rate", high=1)
    schedule: Literal["linear", "polynomial", "constant"] = setting(
        "linear",
        "decay of the learning rate after the warm-up; constant has no warm-up either, "
        "and is the default of stage 4",
    )
    power: float = setting(1.0, "exponent of --schedule polynomial; 1 is linear", **POSITIVE)
    end_learning_rate: float = setting(0.0, "last learning rate of --schedule polynomial")
    gradient_accumulation_steps: int = setting(1, "parts of a batch, computed in turn", low=1)
    max_grad_norm: float = setting(1.0, **POSITIVE, flags=ONLY_SET)
    max_seq_length: int = setting(128, "tokens, special ones included", low=8)
    max_rows: int = setting(0, "use the first rows only; 0: all", flags=ONLY_SET)
    eval_step: int = setting(
        0,
        "optimizer steps between two evaluations; 0: one per epoch",
        flags=("--eval_step", "--eval_ckpt_step"),
    )
    save_every: int = setting(
        100,
        "optimizer steps between two saved states, for resuming; 0: none",
        flags=("--save_every", "--save_step", "--save_ckpt_step"),
    )
    keep_last: int = setting(
        2, "saved states kept during the run", low=1, flags=("--keep_last", "--max_ckpt_num")
    )
    logging_step: int = setting(
        0,
        "optimizer steps between two printed losses; 0: a line every ten seconds without a bar",
        flags=("--logging_step", "--logging_steps"),
    )


@dataclass(frozen=True)
class Distilling(Training):
    """Settings of the losses between layers in stages 3 and 4 (paper, Eqs. 7-9)."""

    mapping: str = setting("uniform", "g(m): uniform, top, bottom or a list such as 3,6,9,12")
    padding: Literal["exact", "original"] = setting(
        "exact",
        "losses over real positions only, or over padding too as in the original code",
        spellings={"reference": "original"},
    )
    projection: Literal["per_layer", "original"] = setting(
        "per_layer",
        "projection to the teacher's width: per layer (paper), or one for all (original code)",
        spellings={"shared": "original"},
    )
    heads: Literal["match", "average", "skip"] = setting(
        "match",
        "if student and teacher differ in the number of attention heads: report an error, average "
        "groups of heads, or skip the attention loss",
    )
    attention_weight: float = setting(1.0, "weight of the attention losses; 0 leaves them out")
    hidden_weight: float = setting(1.0, "weight of the hidden losses; 0 leaves them out")
    embedding_weight: float = setting(1.0, "weight of the embedding loss; 0 leaves it out")
    continue_train: bool = setting(False, "stage 3: start from the student folder's weights")
    start: Literal["random", "embeddings"] = setting(
        "random",
        "stage 3, new student: random weights (paper), or the teacher's embeddings reduced by PCA",
    )

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each kind of loss."""
        return {
            kind: getattr(self, f"{kind}_weight") for kind in ("attention", "hidden", "embedding")
        }


@dataclass(frozen=True)
class Sequences(Checked):
    """How plain text becomes masked sequences, in stage 2 and in pre-training."""

    short_seq_prob: float = setting(0.1, "share of shorter sequences", high=1)
    masked_lm_prob: float = setting(0.15, "share of masked tokens; 0: no masking at all", high=1)
    split_sentences: bool = setting(
        False, "lines of plain text are paragraphs, to be split into sentences"
    )


@dataclass(frozen=True)
class Pretraining(Training, Sequences):
    """Masked LM on plain text, to make a teacher."""

    vocab_size: int = setting(
        4000, "largest number of vocabulary entries of a new teacher", low=100
    )
    num_hidden_layers: int = setting(6, "layers of a new teacher", low=1)
    hidden_size: int = setting(192, "width of a new teacher", low=1)
    num_attention_heads: int = setting(4, "attention heads of a new teacher", low=1)
    dropout: float = setting(0.1, "dropout in pre-training; 0 is best for much text", high=1)
    half: bool = setting(False, "write the weights in half precision")
    held_out: int = setting(0, "keep every n-th document out of training, for evaluation; 0: none")


@dataclass(frozen=True)
class Augmenting(Checked):
    """Stage 1: data augmentation (paper, Algorithm 1)."""

    N: int = setting(20, "variants per text (default: the task's); 0: none", low=0)
    M: int = setting(15, "candidates per word", low=1)
    p: float = setting(0.4, "probability that an eligible word is replaced", high=1)
    context: Literal["single", "original"] = setting(
        "single",
        "input of the masked LM: the masked text only, or also the unmasked text, as in the "
        "original code, which shows it the masked word",
        spellings={"pair": "original"},
    )
    max_seq_length: int = setting(128, low=8, flags=ONLY_SET)
    batch_size: int = setting(64, "masked texts per forward pass", low=1, flags=ONLY_SET)
    max_rows: int = setting(0, "use the first rows only; 0: all", flags=ONLY_SET)


@dataclass(frozen=True)
class Pregenerating(Sequences):
    """Stage 2: training sequences for general distillation."""

    epochs_to_generate: int = setting(3, "number of epoch files", low=1)
    max_seq_len: int = setting(
        128, "tokens, special ones included", low=8, flags=("--max_seq_len", "--max_seq_length")
    )
    max_predictions_per_seq: int = setting(20, "maximum of masked tokens per sequence")
    do_whole_word_mask: bool = setting(False, "mask all pieces of a word together")
    one_seq: bool = setting(False, "one segment per sequence, no next-sentence pairs")
    dupe_factor: int = setting(
        1, "passes over the corpus per epoch file, each cut and masked differently", low=1
    )
    num_workers: int = setting(1, "number of worker processes", low=1)


@dataclass(frozen=True)
class Predicting(Training):
    """Stage 5: the loss of the prediction layer (paper, Eq. 10)."""

    temperature: float = setting(
        1.0, "t of Eq. 10, which divides the logits of student and teacher", **POSITIVE
    )
    reduction: Literal["ours", "original"] = setting(
        "ours", "Eq. 10 as a sum over classes and mean over rows, or as a mean over both (original)"
    )
    hard_label_weight: float = setting(
        0.0, "share of the gold labels' loss; 1: no soft targets", high=1
    )


@dataclass(frozen=True)
class Quantizing(Predicting):
    """8 bits (Q8BERT), from soft targets or labels. The batch size is the MindSpore port's."""

    train_batch_size: int = setting(
        16, "rows per optimizer step, over all processes and accumulation steps", low=1
    )
    do_quant: bool = setting(True, "8 bits; false: the same training in floating point")
    post_training: bool = setting(False, "calibrate only, without training")
    calibration_rows: int = setting(
        512, "number of first training rows that set the ranges of activations", low=1
    )


@dataclass(frozen=True)
class FineTuning(Training):
    """The teacher's fine-tuning on the task."""

    classifier_head: Literal["huggingface", "original"] = setting(
        "huggingface",
        "pooler, dropout and Linear, or pooler, ReLU and Linear as in the original code",
        spellings={"relu": "original"},
    )
    allow_weak_teacher: bool = setting(False, "accept a teacher whose dev score is at chance level")


@dataclass(frozen=True)
class Settings(Checked):
    """All settings of a run; the field of a stage has the stage's name."""

    profile: str = "classroom"
    task: Task = TASKS[FOLDERS_OWN_TASK]
    seed: int = setting(42, "seed of the random numbers")
    device: str = setting("auto", "auto, cpu, cuda or mps")
    precision: str = setting(
        "auto",
        "auto, float32, bf16 or fp16; auto: bf16 or else fp16 on a GPU; on a CPU bf16 if that was "
        "measured to be faster for the size of the models, else float32",
    )
    threads: int = setting(0, "CPU threads; 0: PyTorch's choice")
    lower_case: bool | None = setting(
        None,
        "lower-case the text (default: if the vocabulary is uncased)",
        flags=("--do_lower_case",),
    )
    pretrain: Pretraining = field(default_factory=Pretraining)
    data_augmentation: Augmenting = field(default_factory=Augmenting)
    pregenerate_training_data: Pregenerating = field(default_factory=Pregenerating)
    general_distill: Distilling = field(default_factory=Distilling)
    finetune_teacher: FineTuning = field(default_factory=FineTuning)
    task_distill_mid: Distilling = field(default_factory=lambda: Distilling(schedule="constant"))
    task_distill_out: Predicting = field(default_factory=lambda: Predicting(learning_rate=3e-5))
    baseline: Training = field(default_factory=Training)  # undistilled student, from labels
    quantize: Quantizing = field(default_factory=Quantizing)

    def override(self, assignments: list[str]) -> Settings:
        """Apply `stage.field=value` strings.

        Raises UserError for an unknown name, with the nearest one, and for a wrong value.
        """
        settings = self
        for assignment in assignments:
            settings = assigned(settings, assignment)
        return settings
