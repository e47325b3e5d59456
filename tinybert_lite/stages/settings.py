"""Every number a run depends on: frozen dataclasses, three profiles, and strict overrides.

settings = profile("classroom", task="SST-2").override(["task_distill_out.temperature=2"])
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, field, fields, replace

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS, Task
from tinybert_lite.system.errors import UserError

_LIMITS = {  # lowest and highest allowed value
    **dict.fromkeys(
        (
            "train_batch_size",
            "eval_batch_size",
            "batch_size",
            "gradient_accumulation_steps",
            "num_workers",
            "N",
            "M",
            "calibration_rows",
            "epochs_to_generate",
            "dupe_factor",
            "keep_last",
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
        ),
        (1, math.inf),
    ),
    **dict.fromkeys(
        (
            "weight_decay",
            "max_steps",
            "max_rows",
            "eval_step",
            "save_every",
            "logging_step",
            "max_predictions_per_seq",
            "seed",
            "threads",
            "held_out",
            "attention_weight",
            "hidden_weight",
            "embedding_weight",
            "end_learning_rate",
        ),
        (0, math.inf),
    ),
    **dict.fromkeys(
        (
            "p",
            "short_seq_prob",
            "masked_lm_prob",
            "warmup_proportion",
            "dropout",
            "hard_label_weight",
        ),
        (0, 1),
    ),
    **dict.fromkeys(
        ("learning_rate", "num_train_epochs", "temperature", "max_grad_norm", "power"),
        (1e-12, 1e12),
    ),
    **dict.fromkeys(("max_seq_length", "max_seq_len"), (8, math.inf)),
    "vocab_size": (100, math.inf),
}
WITHOUT_EFFECT = ("save_every", "keep_last", "num_workers", "logging_step")  # on results
_CHOICES = {
    "schedule": ("linear", "polynomial", "constant"),
    "padding": ("exact", "reference"),
    "projection": ("per_layer", "shared"),
    "heads": ("match", "average", "skip"),
    "context": ("single", "pair"),
    "start": ("random", "embeddings"),
    "reduction": ("ours", "original"),
    "classifier_head": ("huggingface", "relu"),
}


class Checked:
    """Settings that refuse impossible values with one sentence, however they were made."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            low, high = _LIMITS.get(f.name, (-math.inf, math.inf))
            if f.type in ("int", "float") and not low <= value <= high:
                bound = f"at least {low:g}" if value < low else f"at most {high:g}"
                raise UserError(
                    f"{f.name}={value:g} makes no sense: use {'a number' if value != value else bound}"
                )
            if value not in _CHOICES.get(f.name, (value,)):
                raise UserError(
                    f"{f.name}={value} is unknown: use one of {', '.join(_CHOICES[f.name])}"
                )


@dataclass(frozen=True)
class Training(Checked):
    """What the one training loop needs. The defaults are the original command line's, the optimizer is ours."""

    learning_rate: float = 5e-5
    weight_decay: float = 0.01  # not for biases and LayerNorm
    num_train_epochs: float = 3
    max_steps: int = 0  # optimizer steps at most; 0: no limit
    train_batch_size: int = 32  # rows an optimizer step, over all processes and accumulated parts
    eval_batch_size: int = 32
    warmup_proportion: float = 0.1  # of all steps
    schedule: str = "linear"  # after the warm-up: linear (down to 0) | polynomial | constant (no warm-up either)
    power: float = 1.0  # of a polynomial decay; 1 is a straight line
    end_learning_rate: float = 0.0  # of a polynomial decay
    gradient_accumulation_steps: int = 1
    max_grad_norm: float = 1.0
    max_seq_length: int = 128  # in tokens, special ones included
    max_rows: int = 0  # training rows at most, the first ones; 0: all
    eval_step: int = 0  # optimizer steps between two dev evaluations; 0: once an epoch
    save_every: int = 100  # optimizer steps between two saved states, for resume; 0: none
    keep_last: int = 2  # saved states kept while it runs
    logging_step: int = 0  # optimizer steps between two printed losses; 0: a line every ten seconds where no bar is drawn


@dataclass(frozen=True)
class Distilling(Training):
    """What is matched with what in stages 3 and 4 (paper, Eqs. 7-9)."""

    mapping: str = "uniform"  # g(m): uniform | top | bottom | a list such as 3,6,9,12
    padding: str = "exact"  # exact: real positions only | reference: as the original code
    projection: str = "per_layer"  # per_layer (paper) | shared (original code)
    heads: str = "match"  # match | average (into groups) | skip the attention loss
    attention_weight: float = 1.0  # of each loss in their sum; 0 leaves it out
    hidden_weight: float = 1.0
    embedding_weight: float = 1.0
    continue_train: bool = False  # stage 3: start from the student folder's weights
    start: str = "random"  # stage 3, from nothing: random (paper) | embeddings: the teacher's in their principal directions

    @property
    def weights(self) -> dict[str, float]:
        return {
            "attention": self.attention_weight,
            "hidden": self.hidden_weight,
            "embedding": self.embedding_weight,
        }


@dataclass(frozen=True)
class Pretraining(Training):
    """A teacher made from plain text by masked LM; the sizes are for one that starts from nothing."""

    vocab_size: int = 4000
    num_hidden_layers: int = 6
    hidden_size: int = 192
    num_attention_heads: int = 4
    masked_lm_prob: float = 0.15
    short_seq_prob: float = 0.1
    dropout: float = 0.1  # while pre-training; large text needs none
    half: bool = False  # weights written in half precision
    split_sentences: bool = False  # a text's lines are paragraphs
    held_out: int = (
        0  # every so many-th document of a text is kept out of training, to measure on; 0: none
    )


@dataclass(frozen=True)
class Augmenting(Checked):
    """Paper, Algorithm 1."""

    N: int = 20  # variants a text
    M: int = 15  # candidates a word
    p: float = 0.4  # chance that an eligible word is replaced
    context: str = "single"  # single: the masked text alone | pair: with the whole text after it, as the original
    max_seq_length: int = 128
    batch_size: int = 64  # masked copies a forward
    max_rows: int = 0  # first rows only; 0: all


@dataclass(frozen=True)
class Pregenerating(Checked):
    epochs_to_generate: int = 3
    max_seq_len: int = 128
    short_seq_prob: float = 0.1
    masked_lm_prob: float = 0.15  # 0: no masking at all
    max_predictions_per_seq: int = 20
    do_whole_word_mask: bool = False
    one_seq: bool = False  # one segment a sequence, no next-sentence pairs
    dupe_factor: int = (
        1  # times that the corpus stands in an epoch's file, each time cut and masked anew
    )
    split_sentences: bool = False  # a corpus's lines are paragraphs
    num_workers: int = 1


@dataclass(frozen=True)
class Predicting(Training):
    """Stage 5 (paper, Eq. 10)."""

    temperature: float = 1.0
    reduction: str = (
        "ours"  # ours: sum over classes, mean over rows | original: mean over rows and classes
    )
    hard_label_weight: float = 0.0  # share of the gold labels' loss; 1 learns from them alone


@dataclass(frozen=True)
class Quantizing(Predicting):
    """8 bits (Q8BERT): from the teacher's soft targets where there is a teacher, else from the labels. Batch size of the MindSpore port."""

    train_batch_size: int = 16
    do_quant: bool = True  # false: the same training in floating point, to compare
    post_training: bool = False  # calibrate and stop: no weight is learnt
    calibration_rows: int = 512  # the first training rows, which the ranges of activations start from; all that post-training sees


@dataclass(frozen=True)
class FineTuning(Training):
    classifier_head: str = (
        "huggingface"  # huggingface: pooler, dropout, Linear | relu: the original's
    )
    allow_weak_teacher: bool = False


@dataclass(frozen=True)
class Settings(Checked):
    """All settings of a run. A stage's field carries the stage's name."""

    profile: str = "classroom"
    task: Task = TASKS[FOLDERS_OWN_TASK]
    seed: int = 42
    device: str = "auto"
    precision: str = (
        "auto"  # of a GPU bf16, else fp16, as it has; of a CPU float32, or bf16 where asked for
    )
    threads: int = 0
    lower_case: bool | None = None  # None: as the model's vocabulary is
    pretrain: Pretraining = field(default_factory=Pretraining)
    data_augmentation: Augmenting = field(default_factory=Augmenting)
    pregenerate_training_data: Pregenerating = field(default_factory=Pregenerating)
    general_distill: Distilling = field(default_factory=Distilling)
    finetune_teacher: FineTuning = field(default_factory=FineTuning)
    task_distill_mid: Distilling = field(default_factory=lambda: Distilling(schedule="constant"))
    task_distill_out: Predicting = field(default_factory=lambda: Predicting(learning_rate=3e-5))
    baseline: Training = field(default_factory=Training)  # the undistilled student, on labels alone
    quantize: Quantizing = field(default_factory=Quantizing)

    def override(self, assignments: list[str]) -> Settings:
        """Apply `stage.field=value` strings. Raises UserError that names the nearest field for a typo."""
        settings = self
        for assignment in assignments:
            settings = settings._assign(assignment)
        return settings

    def _assign(self, assignment: str) -> Settings:
        name, equals, value = assignment.partition("=")
        stage, dot, field_name = name.strip().partition(".")
        if not (equals and dot):
            raise UserError(f"--set {assignment}: write it as stage.field=value")
        stages = [f.name for f in fields(self) if isinstance(getattr(self, f.name), Checked)]
        _known(stage, stages, f"--set {assignment}: no stage is called {stage!r}")
        part = getattr(self, stage)
        kinds = {f.name: f.type for f in fields(part)}
        _known(field_name, list(kinds), f"--set {assignment}: {stage} has no field {field_name!r}")
        return replace(
            self,
            **{
                stage: replace(
                    part, **{field_name: _parse(assignment, value.strip(), kinds[field_name])}
                )
            },
        )


def _known(name: str, names: list[str], problem: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
        raise UserError(
            f"{problem}; {'the nearest is ' + near[0] if near else 'there are ' + ', '.join(names)}"
        )


def _parse(assignment: str, text: str, kind: str):
    parsers = {
        "bool": {"true": True, "1": True, "false": False, "0": False}.__getitem__,
        "int": int,
        "float": float,
        "str": str,
    }
    names = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    try:
        return parsers[kind](text.lower() if kind == "bool" else text)
    except (KeyError, ValueError):
        raise UserError(f"--set {assignment}: {text!r} is not {names[kind]}") from None
