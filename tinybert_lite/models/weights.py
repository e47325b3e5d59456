"""Find and read weights files, without running code from them."""

import pickle
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short

import torch

from tinybert_lite.models import tensorflow_checkpoint as tensorflow
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.first_bytes import refuse_stand_in

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference
SHARDS = tuple(f"{name}.index.json" for name in WEIGHTS)
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys that trainers put around the tensors


def find_weights(folder: Path) -> Path | None:
    """Return the file of weights, or the index of several, or None.

    In this order: model.safetensors, pytorch_model.bin, their shards, a TensorFlow checkpoint's
    .index, a single .ckpt of PyTorch Lightning.
    """
    found = (folder / name for name in (*WEIGHTS, *SHARDS))
    usual = next(filter(Path.is_file, found), None) or tensorflow.find_checkpoint(folder)
    lightning = [path for path in folder.glob("*.ckpt") if zipfile.is_zipfile(path)]
    return usual or (lightning[0] if len(lightning) == 1 else None)


def parts_of(weights: Path) -> list[Path]:
    """Return a weights file and its further files: shards, or a TensorFlow .index's .data files.

    Raises UserError for an index without the names of its shards.
    """
    if weights.suffix == ".json":
        shards = read_json(weights).get("weight_map")
        names = {*shards.values()} if isinstance(shards, dict) else {0}
        if not all(isinstance(name, str) and "/" not in name for name in names):
            raise UserError(f"{weights}: weight_map does not name the files of the shards; fix it")
        return [weights, *(weights.with_name(name) for name in sorted(names))]
    beside = weights.parent.glob("*.data-*") if weights.suffix == ".index" else ()
    data = (path for path in beside if path.name.startswith(f"{weights.stem}.data-"))
    return [weights, *sorted(data)]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a weights file as float32 tensors under the names that the file has.

    Code in the file is never run. Accepted: .safetensors, .bin with plain tensors, an index of
    shards, or a TensorFlow checkpoint's .index; dictionaries around the tensors (WRAPPERS). Raises
    UserError for anything but tensors, for a tensor larger than its file, for NaN and infinity.
    """
    try:
        state = _stored(path)
        size = sum(part.stat().st_size for part in parts_of(path))
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.nbytes > size:
                raise ValueError(f"{short(name)} is not a tensor, or larger than the file")
        named = {
            str(name): tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
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
    if path.suffix == ".json":
        _, *shards = parts_of(path)
        return {name: tensor for shard in shards for name, tensor in _stored(shard).items()}
    if path.suffix == ".index":
        return tensorflow.read_checkpoint(path)
    _check_file(path)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    while inner := next((state[key] for key in WRAPPERS if _is_dict(state.get(key))), None):
        state = inner
    return state


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing, but an index beside it names it; fetch it again")
    refuse_stand_in(path)


def _reason(error: Exception) -> str:
    """Return the reason of an error, without PyTorch's advice to load the pickle unsafely."""
    if isinstance(error, pickle.UnpicklingError):
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            return f"its pickle contains a call of {wanted[1]}, which was not run"
        return "its pickle is damaged or holds other objects"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def names_in(path: Path) -> set[str]:
    """Return the names of a weights file's tensors, if possible without reading the tensors."""
    if path.suffix == ".json":
        return set(read_json(path).get("weight_map") or ())
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        _check_file(path)
        try:
            with safe_open(path, "pt") as file:
                return set(file.keys())
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
