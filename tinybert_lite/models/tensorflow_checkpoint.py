"""Google's BERT as TensorFlow saved it: which checkpoint a folder means, and its variables' names.

The names are those of modeling.py, run_pretraining.py and run_classifier.py of Google's BERT.
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
    f"|{_LAYER}/(?:attention/self/(?:query|key|value)|(?:attention/)?output/dense|intermediate/dense)"
)
_NORM = f"(?:bert/embeddings|cls/predictions/transform|{_LAYER}/(?:attention/)?output)/LayerNorm"
# A variable there, its parameter here, and whether it is transposed: a dense layer's kernel is
# (in, out) there and (out, in) here.
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
    """The .index that the file `checkpoint` names, else that of the highest N in `model.ckpt-N`.

    A `bert_model.ckpt` without a number comes last; None without any.
    """
    if (folder / "checkpoint").is_file():
        with open(folder / "checkpoint", "rb") as file:
            text = file.read(10_000).decode("utf-8", "replace")
        # The file's name alone: the path may be another machine's.
        named = re.search(r'^model_checkpoint_path: *"(?:.*[/\\])?([^"/\\]+)"', text, re.MULTILINE)
        if named and (folder / f"{named[1]}.index").is_file():
            return folder / f"{named[1]}.index"
    return max(sorted(folder.glob("*.ckpt*.index")), key=_step, default=None)


def _step(index: Path) -> int:
    number = re.search(r"-([0-9]+)\.index$", index.name)
    return int(number[1]) if number else -1


def checkpoint_names(index: Path) -> set[str]:
    """The names of its parameters, without reading them. Raises UserError as `read_checkpoint`."""
    return {parameter for parameter, _ in _opened(index)[1].values()}


def read_checkpoint(index: Path) -> dict[str, torch.Tensor]:
    """The tensors under the names that `Bert` uses, without what LEFT_OUT matches.

    Raises UserError for a file that is missing, damaged or truncated, and for variables that are
    no BERT's.
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
    """Its parameter, and whether it is transposed. A square kernel's shape would not tell."""
    for pattern, name, transposed in PARAMETERS:
        if match := re.fullmatch(pattern, variable):
            return match.expand(name).replace("/", ".").replace("layer_", "layer."), transposed
    raise UserError(
        f"{index} holds {short(variable)}, which is no variable of Google's BERT but of another "
        f"architecture; take a BERT's checkpoint"
    )
