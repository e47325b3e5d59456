"""Model folders: reading weights of several kinds, writing them atomically, and the hand-off between stages."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from reprlib import repr as short

import torch

from tinybert_lite.system.errors import UserError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference
TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


def weights_file(folder: Path) -> Path | None:
    """model.safetensors, else pytorch_model.bin, else the .index of Google's TensorFlow checkpoint, else None."""
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        from tinybert_lite.models.tensorflow_checkpoint import find_checkpoint

        found = find_checkpoint(folder)
    return found


def parts_of(weights: Path) -> list[Path]:
    """A weights file with the files that belong to it: a TensorFlow checkpoint has its numbers apart from its index."""
    beside = weights.parent.glob("*.data-*") if weights.suffix == ".index" else ()
    return [
        weights,
        *sorted(path for path in beside if path.name.startswith(f"{weights.stem}.data-")),
    ]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """A weights file as float32 tensors under the names that `Bert` uses. Never runs code from the file.

    Accepted: .safetensors, .bin with plain tensors, or a TensorFlow checkpoint's .index; `gamma`/`beta`; names without the `bert.` prefix. Raises
    UserError for anything but tensors, for one that claims to be larger than its file, and for NaN and infinity.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        elif path.suffix == ".index":
            from tinybert_lite.models.tensorflow_checkpoint import read_checkpoint

            state = read_checkpoint(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        size = sum(part.stat().st_size for part in parts_of(path))
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.nbytes > size:
                raise ValueError(f"{short(name)} is something else, or larger than the file")
        named = {_our_name(name): tensor.float() for name, tensor in state.items()}
        broken = next(
            (name for name, tensor in named.items() if not torch.isfinite(tensor).all()), None
        )
    except UserError:
        raise
    except Exception as error:  # whatever a damaged or hostile file raises
        reason = (
            str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        )
        if isinstance(
            error, pickle.UnpicklingError
        ):  # PyTorch's own advice is to run whatever the file wants
            wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
            reason = (
                f"it wants to call {wanted[1]}, and nothing of it was run"
                if wanted
                else "its pickle is damaged or holds more"
            )
        raise UserError(
            f"{path} is not a file of plain tensors ({reason}); save the model's state_dict again, or take it from who made it"
        ) from None
    if broken:
        raise UserError(f"{path}: {broken} holds NaN or infinity; take an earlier checkpoint")
    return named


def _our_name(name: str) -> str:
    """What `Bert` calls it; an ALBERT's parts have a BERT's names here (see `file_name`)."""
    name = (
        name.removeprefix("module.")
        .replace(".gamma", ".weight")
        .replace(".beta", ".bias")
        .replace("classifier.1.", "classifier.")
    )
    first = name.split(".")[0]
    if first in ("embeddings", "encoder", "pooler"):
        return f"bert.{name}"
    return (
        name.removeprefix("al")
        if first == "albert"
        else f"cls.{name}"
        if first == "predictions"
        else name
    )


def weight_names(folder: Path) -> set[str]:
    """The names in a folder's weights file, without reading the tensors; empty where there is none."""
    path = weights_file(folder)
    if path is None:
        return set()
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                return {_our_name(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{path} is not a safetensors file ({error}); fetch it again") from None
    if path.suffix == ".index":
        from tinybert_lite.models.tensorflow_checkpoint import checkpoint_names

        return checkpoint_names(path)
    return set(read_weights(path))
