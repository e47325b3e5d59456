"""Find and read weights files, without running code from them."""

import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short

import torch

from tinybert_lite.models import tensorflow_checkpoint as tensorflow
from tinybert_lite.system.errors import UserError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference
TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def find_weights(folder: Path) -> Path | None:
    """Return model.safetensors, pytorch_model.bin, a TensorFlow checkpoint's .index, or None."""
    found = (folder / name for name in WEIGHTS)
    return next(filter(Path.is_file, found), None) or tensorflow.find_checkpoint(folder)


def parts_of(weights: Path) -> list[Path]:
    """Return a weights file and its further files: a TensorFlow .index has .data files."""
    beside = weights.parent.glob("*.data-*") if weights.suffix == ".index" else ()
    data = (path for path in beside if path.name.startswith(f"{weights.stem}.data-"))
    return [weights, *sorted(data)]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a weights file as float32 tensors under the names that `Bert` uses.

    Code in the file is never run. Accepted: .safetensors, .bin with plain tensors, or a TensorFlow
    checkpoint's .index; the old names `gamma` and `beta`; names without the prefix `bert.`. Raises
    UserError for anything but tensors, for a tensor larger than its file, and for NaN and infinity.
    """
    try:
        state = _stored(path)
        size = sum(part.stat().st_size for part in parts_of(path))
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.nbytes > size:
                raise ValueError(f"{short(name)} is not a tensor, or larger than the file")
        named = {_our_name(name): tensor.float() for name, tensor in state.items()}
        broken = next((name for name in named if not torch.isfinite(named[name]).all()), None)
    except UserError:
        raise
    except Exception as error:  # a damaged or hostile file raises errors of many kinds
        raise UserError(
            f"{path} is not a file of plain tensors ({_reason(error)}); save the model's "
            f"state_dict again, or take the file from the model's source"
        ) from None
    if broken:
        raise UserError(f"{path}: {broken} holds NaN or infinity; take an earlier checkpoint")
    return named


def _stored(path: Path) -> dict:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".index":
        return tensorflow.read_checkpoint(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _reason(error: Exception) -> str:
    """Return the reason of an error, without PyTorch's advice to load the pickle unsafely."""
    if isinstance(error, pickle.UnpicklingError):
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            return f"its pickle contains a call of {wanted[1]}, which was not run"
        return "its pickle is damaged or holds other objects"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def _our_name(name: str) -> str:
    """Turn a tensor's name into `Bert`'s name; an ALBERT's parts get a BERT's names too."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias"), ("classifier.1.", "classifier.")):
        name = name.replace(old, new)
    name = name.removeprefix("module.")
    first = name.split(".")[0]
    if first in ("embeddings", "encoder", "pooler"):
        return f"bert.{name}"
    if first == "predictions":
        return f"cls.{name}"
    return name.removeprefix("al") if first == "albert" else name


def names_in(path: Path) -> set[str]:
    """Return the names of a weights file's tensors, if possible without reading the tensors."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                return {_our_name(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path} is not a safetensors file ({error}); fetch it again") from None
    if path.suffix == ".index":
        return tensorflow.checkpoint_names(path)
    return set(read_weights(path))


def projection_in(names: Iterable[str]) -> str | None:
    """Return the kind of projection among stored tensors: "original", "per_layer", or None."""
    if "fit_dense.weight" in names:
        return "original"
    return "per_layer" if "fit_denses.0.weight" in names else None
