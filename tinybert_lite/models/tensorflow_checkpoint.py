"""Find and read the TensorFlow checkpoint of one of Google's BERTs.

Its variables have the names of modeling.py, run_pretraining.py and run_classifier.py.
"""

import re
from pathlib import Path
from reprlib import repr as short

import torch

from tinybert_lite.models.tensor_bundle import Bundle, read_tensor
from tinybert_lite.system.errors import UserError

_LAYER = "bert/encoder/layer_[0-9]{1,3}"
_DENSE = (
    "bert/pooler/dense|cls/predictions/transform/dense"
    f"|{_LAYER}/(?:attention/self/(?:query|key|value)|(?:attention/)?output/dense"
    "|intermediate/dense)"
)
_NORM = f"(?:bert/embeddings|cls/predictions/transform|{_LAYER}/(?:attention/)?output)/LayerNorm"
# TensorFlow's variable, our parameter, and whether it is transposed: a dense layer's kernel is
# (in, out) in TensorFlow, our weight is (out, in).
PARAMETERS = (
    ("(bert/embeddings/(?:word|position|token_type)_embeddings)", r"\1.weight", False),
    (f"({_DENSE})/kernel", r"\1.weight", True),
    (f"({_DENSE})/bias", r"\1.bias", False),
    (f"({_NORM})/gamma", r"\1.weight", False),
    (f"({_NORM})/beta", r"\1.bias", False),
    ("(cls/predictions)/output_bias", r"\1.bias", False),
    ("output_weights", "classifier.weight", False),
    ("output_bias", "classifier.bias", False),
)
LEFT_OUT = (  # the optimizer's state and the next-sentence head
    ".*/(?:adam_[mv]|lamb_[mv]|Adam(?:_1)?)|global_step|(?:good|bad)_steps|(?:current_)?loss_scale"
    "|beta[12]_power|cls/seq_relationship/.*"
)


def find_checkpoint(folder: Path) -> Path | None:
    """Return the .index that the file `checkpoint` names, else the highest N of `model.ckpt-N`.

    A `bert_model.ckpt` without a number is used if there is no other; None if there is none.
    """
    if (folder / "checkpoint").is_file():
        with open(folder / "checkpoint", "rb") as file:
            text = file.read(10_000).decode("utf-8", "replace")
        # Only the file's name is used: the path may be one of another machine.
        named = re.search(r'^model_checkpoint_path: *"(?:.*[/\\])?([^"/\\]+)"', text, re.MULTILINE)
        if named and (folder / f"{named[1]}.index").is_file():
            return folder / f"{named[1]}.index"
    return max(sorted(folder.glob("*.ckpt*.index")), key=_step, default=None)


def _step(index: Path) -> int:
    number = re.search(r"-([0-9]+)\.index$", index.name)
    return int(number[1]) if number else -1


def checkpoint_names(index: Path) -> set[str]:
    """Return a checkpoint's parameter names without reading tensors.

    Raises UserError as `read_checkpoint`.
    """
    return {parameter for parameter, _ in _opened(index)[1].values()}


def read_checkpoint(index: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors under our parameter names, without those in LEFT_OUT.

    Raises UserError for a file that is missing, damaged or truncated, and for a variable that a
    BERT does not have.
    """
    bundle, parameters = _opened(index)
    found = {}
    for variable, entry in bundle.entries(parameters).items():
        name, transposed = parameters[variable]
        tensor = read_tensor(variable, entry)
        found[name] = tensor.t() if transposed else tensor
    return found


def _opened(index: Path) -> tuple[Bundle, dict[str, tuple[str, bool]]]:
    bundle = Bundle(index)
    kept = (name for name in bundle.rows if not re.fullmatch(LEFT_OUT, name))
    return bundle, {name: _parameter(index, name) for name in kept}


def _parameter(index: Path, variable: str) -> tuple[str, bool]:
    """Return the name of our parameter for a variable, and whether its matrix is transposed."""
    for pattern, name, transposed in PARAMETERS:
        if match := re.fullmatch(pattern, variable):
            return match.expand(name).replace("/", ".").replace("layer_", "layer."), transposed
    raise UserError(
        f"{index} holds {short(variable)}, which is a variable of another architecture than "
        f"Google's BERT; use a BERT's checkpoint"
    )
