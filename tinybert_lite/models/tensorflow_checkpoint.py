"""Google's BERT as TensorFlow saved it: which checkpoint of a folder is meant, and what its variables are called here.

Names: modeling.py, run_pretraining.py and run_classifier.py of Google's BERT.
"""

from __future__ import annotations

import re
from pathlib import Path
from reprlib import repr as short

import torch

from tinybert_lite.models.tensor_bundle import Bundle, read_tensor
from tinybert_lite.system.errors import UserError

_LAYER = "bert/encoder/layer_[0-9]{1,3}"
_DENSE = f"bert/pooler/dense|cls/predictions/transform/dense|{_LAYER}/(?:attention/self/(?:query|key|value)|(?:attention/)?output/dense|intermediate/dense)"
_NORM = f"(?:bert/embeddings|cls/predictions/transform|{_LAYER}/(?:attention/)?output)/LayerNorm"
PARAMETERS = (  # a variable there, its parameter here, and whether it is turned: a dense layer's kernel is (in, out) there and (out, in) here
    ("(bert/embeddings/(?:word|position|token_type)_embeddings)", r"\1.weight", False),
    (f"({_DENSE})/kernel", r"\1.weight", True),
    (f"({_DENSE})/bias", r"\1.bias", False),
    (f"({_NORM})/gamma", r"\1.weight", False),
    (f"({_NORM})/beta", r"\1.bias", False),
    ("(cls/predictions)/output_bias", r"\1.bias", False),
    ("output_weights", "classifier.weight", False),
    ("output_bias", "classifier.bias", False),
)
LEFT_OUT = ".*/(?:adam_[mv]|lamb_[mv]|Adam(?:_1)?)|global_step|(?:good|bad)_steps|(?:current_)?loss_scale|beta[12]_power|cls/seq_relationship/.*"


def find_checkpoint(folder: Path) -> Path | None:
    """The .index that the file `checkpoint` names, else that of the highest step N in `model.ckpt-N`; `bert_model.ckpt` has none."""
    if (folder / "checkpoint").is_file():
        with open(folder / "checkpoint", "rb") as file:
            text = file.read(10_000).decode("utf-8", "replace")
        named = re.search(
            r'^model_checkpoint_path: *"(?:.*[/\\])?([^"/\\]+)"', text, re.MULTILINE
        )  # the path may be another machine's
        if named and (folder / f"{named[1]}.index").is_file():
            return folder / f"{named[1]}.index"
    return max(sorted(folder.glob("*.ckpt*.index")), key=_step, default=None)


def _step(index: Path) -> int:
    number = re.search(r"-([0-9]+)\.index$", index.name)
    return int(number[1]) if number else -1


def checkpoint_names(index: Path) -> set[str]:
    """The parameters in it, without their numbers. Raises UserError as `read_checkpoint`."""
    return {parameter for parameter, _ in _opened(index)[1].values()}


def read_checkpoint(index: Path) -> dict[str, torch.Tensor]:
    """The tensors under the names that `Bert` uses, without the optimizer's state and the next-sentence head.

    Raises UserError for a file that is missing, damaged or cut short, and for variables that are no BERT's.
    """
    bundle, parameters = _opened(index)
    tensors = (
        (name, read_tensor(name, entry)) for name, entry in bundle.entries(parameters).items()
    )
    return {
        parameters[name][0]: tensor.t() if parameters[name][1] else tensor
        for name, tensor in tensors
    }


def _opened(index: Path) -> tuple[Bundle, dict[str, tuple[str, bool]]]:
    bundle = Bundle(index)
    return bundle, {
        name: _parameter(index, name) for name in bundle.rows if not re.fullmatch(LEFT_OUT, name)
    }


def _parameter(index: Path, variable: str) -> tuple[str, bool]:
    """Its parameter, and whether it is turned. By name: a square kernel's shape tells nothing."""
    for pattern, name, turned in PARAMETERS:
        if match := re.fullmatch(pattern, variable):
            return match.expand(name).replace("/", ".").replace("layer_", "layer."), turned
    raise UserError(
        f"{index} holds {short(variable)}, which is no variable of Google's BERT but of another architecture; take a BERT's checkpoint"
    )
