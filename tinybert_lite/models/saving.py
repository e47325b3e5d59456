"""Write a model folder, each file atomically, and choose the weights for the next stage."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import torch

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.tokenizers import save_tokenizer
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import write_atomically, write_json

SAFETENSORS, HANDED_ON = WEIGHTS
_EPOCH_NAMES = (re.compile(r"model_epoch_(\d+)\.bin"), re.compile(r"step_(\d+)_pytorch_model\.bin"))
_NOT_SAVED = ("_attn_implementation", "attn_implementation", "dtype", "torch_dtype", "problem_type")


def model_bytes(
    model: Encoder, more: dict[str, torch.Tensor] | None = None, without: str = ""
) -> bytes:
    """Return the state dict as torch.save writes it.

    more: further tensors · without: the name of a tensor to leave out.
    """
    buffer = io.BytesIO()  # torch.save to a path would put the file's name into the bytes
    state = named_tensors(model) | (more or {})
    state.pop(without, None)
    torch.save(state, buffer)
    return buffer.getvalue()


def named_tensors(model: Encoder) -> dict[str, torch.Tensor]:
    """Return the tensors by their names in model files."""
    return {
        model.file_name(name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }


def save_config(model: Encoder, folder: Path) -> None:
    """Write config.json in Hugging Face's format, with the kind of classifier head."""
    config = {
        name: value for name, value in model.config.to_dict().items() if name not in _NOT_SAVED
    }
    if model.output_layer is not None:
        classes = model.output_layer.out_features
        if len(config.get("id2label", {})) != classes:
            labels = {i: f"LABEL_{i}" for i in range(classes)}
            config |= {"id2label": labels, "label2id": {label: i for i, label in labels.items()}}
    write_json(folder / "config.json", {**config, "architectures": [type(model.auto).__name__]})


def save_weights(model: Encoder, folder: Path, epoch: int | None = None) -> Path:
    """Write `model_epoch_N.bin`, or `pytorch_model.bin` if no epoch is given."""
    path = folder / (f"model_epoch_{epoch}.bin" if epoch else HANDED_ON)
    write_atomically(path, model_bytes(model))
    return path


def save_safetensors(
    model: Encoder,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    name_of: Callable[[str], str] = str,
    more: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write `model.safetensors`; tied tensors are written once.

    dtype: torch.half halves the bytes, with a precision of 11 bits · name_of: a parameter's name ->
    its name in the file · more: further tensors.
    """
    from safetensors.torch import save

    tied = model.auto._tied_weights_keys if model.config.tie_word_embeddings else None
    state = {
        name_of(name): tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in (named_tensors(model) | (more or {})).items()
        if name not in (tied or {})
    }
    write_atomically(folder / SAFETENSORS, save(state, metadata={"format": "pt"}))


def latest_epoch(folder: Path) -> Path | None:
    """Return the newest `model_epoch_N.bin`, else the newest `step_N_pytorch_model.bin`, or None.

    A later version of the original code writes the second name.
    """
    for name in _EPOCH_NAMES:
        numbered = [
            (int(match[1]), path)
            for path in folder.glob("*.bin")
            if (match := name.fullmatch(path.name))
        ]
        if numbered:
            return max(numbered)[1]
    return None


def hand_off(folder: Path, checkpoint: Path | None = None) -> Path:
    """Copy the newest (or the given) epoch file to `pytorch_model.bin`, which the next stage reads.

    Users of the original scripts copy it by hand. The file is first checked against config.json,
    and the copy is atomic. Returns its path. Raises UserError if there is no epoch file, or if it
    does not belong to the config.json.
    """
    checkpoint = checkpoint or latest_epoch(folder)
    if checkpoint is None:
        raise UserError(
            f"{folder} holds no model_epoch_N.bin to copy to {HANDED_ON}; run the stage first"
        )
    load_model(folder, weights=checkpoint)
    target = folder / HANDED_ON
    write_atomically(target, checkpoint.read_bytes())
    return target


def save_model_folder(model: Encoder, tokenizer, folder: Path) -> None:
    """Write everything but the weights: config.json and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_config(model, folder)
    save_tokenizer(tokenizer, folder)
