"""Model folders: reading weights of several kinds, writing them atomically, and the hand-off between stages."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import torch

from tinybert_lite.method.encoder import Bert
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.tokenizers import save_tokenizer
from tinybert_lite.models.weights import TIED, WEIGHTS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import write_atomically, write_json

HANDED_ON = "pytorch_model.bin"
_EPOCH_NAMES = (re.compile(r"model_epoch_(\d+)\.bin"), re.compile(r"step_(\d+)_pytorch_model\.bin"))


def epoch_name(epoch: int) -> str:
    return f"model_epoch_{epoch}.bin"


def model_bytes(model: Bert, without: str = "") -> bytes:
    buffer = io.BytesIO()  # torch.save to a path would put the file's name into the bytes
    state = {
        model.file_name(name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if name != without
    }
    torch.save(state, buffer)
    return buffer.getvalue()


def save_config(model: Bert, folder: Path) -> None:
    """config.json as Hugging Face reads it, with the kind of classifier head."""
    config = model.config.to_dict()
    config = {
        k: v
        for k, v in config.items()
        if k not in ("_attn_implementation", "attn_implementation", "dtype", "torch_dtype")
    }
    kind = (
        "ForSequenceClassification"
        if model.classifier is not None
        else "ForMaskedLM"
        if model.cls is not None
        else "Model"
    )
    config["architectures"] = [
        f"{'Albert' if model.config.model_type == 'albert' else 'Bert'}{kind}"
    ]
    if (
        model.classifier is not None
        and len(config.get("id2label", {})) != model.classifier.out_features
    ):
        labels = {i: f"LABEL_{i}" for i in range(model.classifier.out_features)}
        config.update(id2label=labels, label2id={label: i for i, label in labels.items()})
    write_json(folder / "config.json", config)


def save_weights(model: Bert, folder: Path, epoch: int | None = None) -> Path:
    """Write `model_epoch_N.bin`, or `pytorch_model.bin` where no epoch is given."""
    path = folder / (epoch_name(epoch) if epoch else HANDED_ON)
    write_atomically(path, model_bytes(model))
    return path


def save_safetensors(
    model: Bert,
    folder: Path,
    dtype: torch.dtype = torch.float32,
    name_of: Callable[[str], str] = str,
) -> Path:
    """Write `model.safetensors`, tied tensors once. In torch.half: half the bytes, eleven bits of precision."""
    from safetensors.torch import save

    state = {
        name_of(model.file_name(name)): t.detach().cpu().to(dtype).contiguous()
        for name, t in model.state_dict().items()
        if name not in TIED
    }
    write_atomically(folder / WEIGHTS[0], save(state, metadata={"format": "pt"}))
    return folder / WEIGHTS[0]


def latest_epoch(folder: Path) -> Path | None:
    """The newest `model_epoch_N.bin`; else the newest `step_N_pytorch_model.bin`, as a later version of the original has it."""
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
    """Put the newest (or the given) epoch file in place as `pytorch_model.bin`, the name the next stage reads.

    The step that people forget by hand. Checked first: config, names, shapes, finite values. Atomic.
    Raises UserError where there is nothing to hand on or it does not fit its config.
    """
    checkpoint = checkpoint or latest_epoch(folder)
    if checkpoint is None:
        raise UserError(f"{folder} holds no model_epoch_N.bin to hand on; run the stage first")
    load_model(folder, weights=checkpoint)
    target = folder / HANDED_ON
    write_atomically(target, checkpoint.read_bytes())
    return target


def save_model_folder(model: Bert, tokenizer, folder: Path) -> None:
    """Everything but the weights: config.json and the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    save_config(model, folder)
    save_tokenizer(tokenizer, folder)
