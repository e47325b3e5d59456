"""Derive a student's configuration from its teacher's: fewer layers, smaller width.

It has the teacher's tokenizer, and is of the same family or a BERT.
"""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from functools import cached_property
from pathlib import Path

import torch
from transformers import CONFIG_MAPPING, PreTrainedConfig

from tinybert_lite.method.auto_models import new_auto
from tinybert_lite.models.configuration import SIZES
from tinybert_lite.models.families import VOCABULARY_FIELDS, student_family
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.system.console import counted
from tinybert_lite.system.errors import UserError

SHAPE_LIMITS = {  # of --student, with the largest accepted value
    "layers": SIZES["num_hidden_layers"],
    "width": SIZES["hidden_size"],
    "heads": SIZES["num_attention_heads"],
    "feed_forward": SIZES["intermediate_size"],
}
DERIVED_FROM_SIZES = ("layer_types", "head_dim")  # a configuration derives them from its sizes
# Facts of the teacher's file that its student does not inherit
NOT_COPIED = ("bits", "architectures", "grown", "problem_type")


class DerivedStudent(ModelFolder):
    """A model folder that exists only as a configuration, until stage 3 writes the student."""

    has_config, weights_file = True, None

    def __init__(self, path: Path, config: PreTrainedConfig):
        super().__init__(path)
        self.config, self.family = config, config.model_type

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the configuration."""
        text = json.dumps(self.config.to_dict(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read_shape(text: str) -> dict[str, int]:
    """Read sizes such as `layers=4,width=312`. Raises UserError for others than SHAPE_LIMITS."""
    shape: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = (side.strip() for side in part.partition("="))
        if name not in SHAPE_LIMITS or name in shape:
            what = "given twice" if name in shape else f"unknown: use {', '.join(SHAPE_LIMITS)}"
            raise UserError(f"--student {text}: the size {name!r} is {what}")
        most = SHAPE_LIMITS[name]
        if not (value.isdecimal() and len(value) < 10 and 0 < int(value) <= most):
            raise UserError(
                f"--student {text}: {name} is {value!r}, not a whole number from 1 to {most:,}; "
                f"write it as in layers=4,width=312"
            )
        shape[name] = int(value)
    return shape


def derived_student(teacher: ModelFolder, shape: dict[str, int], home: Path) -> DerivedStudent:
    """Derive a student's configuration; `shape` gives some of SHAPE_LIMITS.

    Sizes that are not given: layers, the divisor of the teacher's number that is nearest to its
    third, at least 2; heads, the teacher's number; width, the largest multiple of 8 · heads (of
    heads, for a narrow teacher) that is at most half of the teacher's and gives fewer parameters
    than the teacher has, or the number of heads if half is less; the feed-forward width in
    proportion. home: the parent of the path under which the plan shows the student. Raises
    UserError for sizes that do not fit.
    """
    config = teacher.config
    N, D, H = config.num_hidden_layers, config.hidden_size, config.num_attention_heads
    heads = shape.get("heads", H)
    layers = shape.get("layers") or _layers(N)
    unit = 8 * heads if 16 * heads <= D else heads
    widths = [shape["width"]] if "width" in shape else range(D // 2 // unit * unit, 0, -unit)
    if unit > D // 2 and "width" not in shape:
        widths = [unit]
    limit = parameters_of(config)
    for width in widths:
        found = _config(config, layers, width, heads, shape.get("feed_forward"))
        if parameters_of(found) < limit:
            break
    else:
        given = f"--student {','.join(f'{k}={v}' for k, v in shape.items())}: such a"
        raise UserError(
            f"{given if shape else f'{teacher}: a derived'} student has {parameters_of(found):,} "
            f"parameters, not fewer than the teacher's {limit:,}; name smaller sizes with --student"
        )
    return DerivedStudent(home / f"{layers}x{width}", found)


def _layers(N: int) -> int:
    """Return the divisor of N that is nearest to N / 3, at least 2."""
    divisors = [M for M in range(min(2, N), N + 1) if N % M == 0]
    return min(divisors, key=lambda M: (abs(M - N / 3), M))


def _config(
    teacher: PreTrainedConfig, layers: int, width: int, heads: int, feed_forward: int | None
) -> PreTrainedConfig:
    family = student_family(teacher.model_type)
    inner = "hidden_dim" if hasattr(teacher, "hidden_dim") else "intermediate_size"
    wide = getattr(teacher, inner)
    if width % heads:
        raise UserError(
            f"--student width={width} is not a multiple of the number of attention heads, {heads}; "
            f"choose a multiple of {heads}, or set heads=N"
        )
    if family == teacher.model_type:
        dropped = (*DERIVED_FROM_SIZES, *NOT_COPIED)
        values = {k: value for k, value in teacher.to_dict().items() if k not in dropped}
    else:
        values = {name: getattr(teacher, name, None) for name in VOCABULARY_FIELDS}
        values["max_position_embeddings"] = getattr(teacher, "max_position_embeddings", 512)
        values["classifier_head"] = "huggingface"
        if teacher.model_type == "mobilebert":
            wide = 4 * teacher.hidden_size
    kind = CONFIG_MAPPING[family]
    own = getattr(kind, "attribute_map", {})
    sizes = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    values |= {own.get(name, name): value for name, value in sizes.items()}
    if "embedding_size" in values:
        values["embedding_size"] = width
    mine = "hidden_dim" if family == "distilbert" else "intermediate_size"
    values[mine] = feed_forward or round(wide * width / teacher.hidden_size)
    values.pop("model_type", None)
    return kind(**values)


def parameters_of(config: PreTrainedConfig) -> int:
    """Count the parameters of an encoder without heads; no memory is used."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in new_auto(config).parameters())


def describe(student: ModelFolder, teacher: ModelFolder) -> str:
    """Describe a student in the plan: family, sizes, and its teacher's size relative to it."""
    config = deepcopy(student.config)
    if teacher.has_config and teacher.has_layers and not student.weights_file:
        config.vocab_size = teacher.config.vocab_size  # as stage 3 sets it
    own, layers = parameters_of(config), counted(config.num_hidden_layers, "layer")
    text = (
        f"{config.model_type}, {layers} × {config.hidden_size}, "
        f"{own / 1e6:.{1 if own >= 1e6 else 3}f} M parameters"
    )
    if teacher.has_config and teacher.has_layers:
        text += f"; the teacher has {parameters_of(teacher.config) / own:.1f} times as many"
    return text
