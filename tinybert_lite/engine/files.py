"""Model folders: reading weights of several kinds, writing them atomically, and the hand-off between stages."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from reprlib import repr as short

import torch
from transformers import AlbertConfig, BertConfig
from transformers.activations import ACT2FN

from tinybert_lite import processes
from tinybert_lite.data.lines import lines_of
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.quantization import BITS, is_quantized, quantize
from tinybert_lite.runtime import UserError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in the order of preference
TIED = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.bias": "cls.predictions.bias"}
HANDED_ON = "pytorch_model.bin"
RELU_HEAD = "bert_relu_head"  # the model_type of exports with the original's head: Hugging Face's stock classes must not open them
BERTS = ("bert", RELU_HEAD)
SIZES = {"vocab_size": 2_000_000, "hidden_size": 16_384, "num_hidden_layers": 256, "num_attention_heads": 256, "intermediate_size": 131_072,
         "max_position_embeddings": 1_000_000, "type_vocab_size": 10_000, "num_labels": 10_000, "embedding_size": 16_384, "num_hidden_groups": 256}  # and the most of each
MOST_NUMBERS = 4_000_000_000  # in a model, ten times a BERT-large
SUPPORTED = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
             "chunk_size_feed_forward": 0, "inner_group_num": 1}
_EPOCH_NAMES = (re.compile(r"model_epoch_(\d+)\.bin"), re.compile(r"step_(\d+)_pytorch_model\.bin"))


def epoch_name(epoch: int) -> str:
    return f"model_epoch_{epoch}.bin"


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a final name never holds half a file. Of several processes the first one writes."""
    if not processes.is_main():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        replace_file(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def replace_file(source: Path, target: Path) -> None:
    """Rename over `target`. Windows refuses that while another program holds the target open, so wait a moment there.

    Raises UserError where it stays held.
    """
    for seconds in (0.1, 0.2, 0.4, 0.8, None):
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) is None:
                raise
            if seconds is None:
                raise UserError(f"{target} is held open by another program; close what shows or reads it and run again") from None
            time.sleep(seconds)


def write_json(path: Path, value) -> None:
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def read_json(path: Path) -> dict:
    """A JSON object. Raises UserError for a missing file, another encoding, or anything else."""
    try:
        found = json.loads("\n".join(lines_of(path)))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); mend it or take it from the model's source again") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object; take it from the model's source again")
    return found


def weights_file(folder: Path) -> Path | None:
    """model.safetensors, else pytorch_model.bin, else the .index of Google's TensorFlow checkpoint, else None."""
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        from tinybert_lite.foreign.tensorflow_checkpoint import find_checkpoint

        found = find_checkpoint(folder)
    return found


def parts_of(weights: Path) -> list[Path]:
    """A weights file with the files that belong to it: a TensorFlow checkpoint has its numbers apart from its index."""
    beside = weights.parent.glob("*.data-*") if weights.suffix == ".index" else ()
    return [weights, *sorted(path for path in beside if path.name.startswith(f"{weights.stem}.data-"))]


def config_file(folder: Path) -> Path:
    """config.json, or where there is none Google's bert_config.json; config.json where both are missing."""
    google = folder / "bert_config.json"
    return google if google.is_file() and not (folder / "config.json").is_file() else folder / "config.json"


def read_config(folder: Path) -> BertConfig | AlbertConfig:
    """A BERT's config.json or bert_config.json, or an ALBERT's; a missing model_type is a BERT's. Raises UserError for another architecture, bad numbers or absurd sizes."""
    path = config_file(folder)
    if not path.is_file():
        raise UserError(f"{path} is missing: a model folder needs config.json, a vocabulary and weights")
    found = read_json(path)
    for name in ("auto_map", "exported"):  # code that is not run here, and the note of a folder that this one may have come from
        found.pop(name, None)
    if found.get("model_type") == RELU_HEAD:
        found |= {"model_type": "bert", "classifier_head": "relu"}
    kind = {"bert": BertConfig, "albert": AlbertConfig}.get(str(found.get("model_type", "bert")))
    if kind is None:
        raise UserError(f"{path}: model_type {short(found['model_type'])} is not supported; use a BERT with model_type 'bert' (stage 5 alone takes other teachers)")
    for name, only in SUPPORTED.items():
        if found.get(name, only) != only:
            raise UserError(f"{path}: {name} {short(found[name])} is not supported; use a BERT with {name} {only!r}")
    usual = kind()
    V, D, M, H, F, P, T, *_ = sizes = [found.get(name, getattr(usual, name, 1)) for name in SIZES]
    for (name, most), value in zip(SIZES.items(), sizes):
        if type(value) is not int or not 0 < value <= most:
            raise UserError(f"{path}: {name} is {short(value)}, not a whole number from 1 to {most:,}; mend it")
    if D % H:
        raise UserError(f"{path}: hidden_size {D} is not a multiple of num_attention_heads {H}; mend it")
    if (numbers := D * (V + P + T) + M * D * (4 * D + 2 * F)) > MOST_NUMBERS:
        raise UserError(f"{path} describes a model of {numbers:,} numbers, more than {MOST_NUMBERS:,}; mend its sizes")
    if found.get("bits", BITS) != BITS:
        raise UserError(f"{path}: bits {short(found['bits'])} is unknown: a model has {BITS}, made by quantize, or none")
    if found.get("classifier_head", "huggingface") not in ("huggingface", "relu"):
        raise UserError(f"{path}: classifier_head {found['classifier_head']!r} is unknown: use huggingface or relu")
    try:
        config = kind(**{name: value for name, value in found.items() if name not in ("dtype", "torch_dtype", "model_type")})
        config.to_dict(), ACT2FN[config.hidden_act]
        if not (0 <= config.hidden_dropout_prob <= 1 and 0 <= config.attention_probs_dropout_prob <= 1):
            raise ValueError("a dropout is no probability")
        if not 0 <= (config.pad_token_id or 0) < config.vocab_size:
            raise ValueError(f"pad_token_id {config.pad_token_id} is no word piece")
    except Exception as error:  # transformers and PyTorch raise many kinds for values that make no sense
        reason = " ".join(str(error).split())[:150]
        raise UserError(f"{path} holds a value that makes no sense ({reason}); mend it or take the file from the model's source again") from None
    return config


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
            from tinybert_lite.foreign.tensorflow_checkpoint import read_checkpoint

            state = read_checkpoint(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        size = sum(part.stat().st_size for part in parts_of(path))
        for name, tensor in state.items():
            if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.nbytes > size:
                raise ValueError(f"{short(name)} is something else, or larger than the file")
        named = {_our_name(name): tensor.float() for name, tensor in state.items()}
        broken = next((name for name, tensor in named.items() if not torch.isfinite(tensor).all()), None)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged or hostile file raises
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's own advice is to run whatever the file wants
            wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
            reason = f"it wants to call {wanted[1]}, and nothing of it was run" if wanted else "its pickle is damaged or holds more"
        raise UserError(f"{path} is not a file of plain tensors ({reason}); save the model's state_dict again, or take it from who made it") from None
    if broken:
        raise UserError(f"{path}: {broken} holds NaN or infinity; take an earlier checkpoint")
    return named


def _our_name(name: str) -> str:
    """What `Bert` calls it; an ALBERT's parts have a BERT's names here (see `file_name`)."""
    name = name.removeprefix("module.").replace(".gamma", ".weight").replace(".beta", ".bias").replace("classifier.1.", "classifier.")
    first = name.split(".")[0]
    if first in ("embeddings", "encoder", "pooler"):
        return f"bert.{name}"
    return name.removeprefix("al") if first == "albert" else f"cls.{name}" if first == "predictions" else name


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
        from tinybert_lite.foreign.tensorflow_checkpoint import checkpoint_names

        return checkpoint_names(path)
    return set(read_weights(path))


def load_model(folder: Path, *, weights: Path | None = None, from_scratch: bool = False, num_labels: int | None = None,
               masked_lm: bool = False, projection: str | None = None, teacher_width: int = 0, vocab_size: int = 0,
               classifier_head: str | None = None) -> tuple[Bert, list[str]]:
    """Load a model folder; returns the model and the names of its parts that are new (drawn at random).

    from_scratch takes the configuration alone. num_labels: None takes the file's classifier if it has one, 0 none, K wants
    one of K classes. projection: None takes the file's, if any, "none" none; "shared" or "per_layer" wants such, of
    `teacher_width`. vocab_size is for a model without weights. classifier_head: for a new one; a stored one keeps its own.
    Raises UserError where weights and config do not belong together.
    """
    config = read_config(folder)
    weights = None if from_scratch else weights or weights_file(folder)
    state = read_weights(weights) if weights else {}
    if vocab_size and not state:
        config.vocab_size = vocab_size
    if from_scratch and hasattr(config, "bits"):  # nothing is rounded that has seen nothing
        del config.bits
    if not hasattr(config, "classifier_head"):
        original = "classifier.weight" in state and any(name.startswith("fit_dense") for name in state)
        config.classifier_head = "relu" if original else classifier_head or "huggingface"
    elif classifier_head and "classifier.weight" not in state:
        config.classifier_head = classifier_head
    if num_labels is None:
        num_labels = len(state["classifier.weight"]) if "classifier.weight" in state else 0
    if projection is None:
        projection = _stored_projection(state)
        teacher_width = next((len(t) for n, t in state.items() if n.startswith("fit_dense") and n.endswith(".bias")), 0)
    projection = None if projection == "none" else projection
    kind = Bert
    if config.model_type == "albert":
        if projection or from_scratch:
            raise UserError(f"{folder / 'config.json'}: an ALBERT can teach, and the student has to be a BERT (model_type 'bert'); use such a one")
        from tinybert_lite.foreign.albert import Albert as kind
    try:
        model = kind(config, num_labels=num_labels, masked_lm=masked_lm, projection=projection, teacher_width=teacher_width)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(f"{config_file(folder)} describes a model that cannot be built here ({reason}); mend it") from None
    if is_quantized(model):
        quantize(model)
    return model, _fill(model, state, weights, folder)


def _stored_projection(state: dict) -> str | None:
    if "fit_dense.weight" in state:
        return "shared"
    return "per_layer" if "fit_denses.0.weight" in state else None


def _fill(model: Bert, state: dict, weights: Path | None, folder: Path) -> list[str]:
    """Copy `state` into the model. Heads may be new as a whole; the encoder must be complete and fit."""
    own = model.state_dict()
    found = {name: tensor for name, tensor in state.items() if name in own}
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise UserError(f"{weights}: {name} has shape {tuple(tensor.shape)}, but {config_file(folder)} and the task "
                            f"need {tuple(own[name].shape)}; use the files of one model")
    foreign = [name for name in state if name not in own and name.startswith(("bert.encoder.", "bert.embeddings."))
               and not name.endswith(("position_ids", "token_type_ids"))]
    if foreign:
        raise UserError(f"{weights} holds {foreign[0]}, which {config_file(folder)} has no place for; use the files of one model")
    untied = next((name for name, other in TIED.items() if name in found and other in found and not torch.equal(found[name], found[other])), None)
    if untied:
        raise UserError(f"{weights}: {untied} is not {TIED[untied]}, and a masked-LM head apart from its embeddings is not supported; use a BERT that ties them")
    missing = [name for name in own if name not in found and name not in TIED]
    lost = [name for name in missing if name.startswith("bert.") and not name.startswith("bert.pooler.")]
    if weights and lost:
        raise UserError(f"{weights} lacks {lost[0]} ({len(lost)} tensors in all) that {config_file(folder)} asks for; "
                        f"use the files of one model")
    parts = dict.fromkeys("bert.pooler" if name.startswith("bert.pooler") else name.split(".")[0] for name in missing)
    for part in parts:
        if part != "bert" and any(name.startswith(part + ".") for name in found):
            raise UserError(f"{weights} holds only a part of {part}.*; it is damaged, take another checkpoint")
    model.load_state_dict(found, strict=False)
    return list(parts)


def model_bytes(model: Bert, without: str = "") -> bytes:
    buffer = io.BytesIO()  # torch.save to a path would put the file's name into the bytes
    state = {model.file_name(name): tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items() if name != without}
    torch.save(state, buffer)
    return buffer.getvalue()


def save_config(model: Bert, folder: Path) -> None:
    """config.json as Hugging Face reads it, with the kind of classifier head."""
    config = model.config.to_dict()
    config = {k: v for k, v in config.items() if k not in ("_attn_implementation", "attn_implementation", "dtype", "torch_dtype")}
    kind = "ForSequenceClassification" if model.classifier is not None else "ForMaskedLM" if model.cls is not None else "Model"
    config["architectures"] = [f"{'Albert' if model.config.model_type == 'albert' else 'Bert'}{kind}"]
    if model.classifier is not None and len(config.get("id2label", {})) != model.classifier.out_features:
        labels = {i: f"LABEL_{i}" for i in range(model.classifier.out_features)}
        config.update(id2label=labels, label2id={label: i for i, label in labels.items()})
    write_json(folder / "config.json", config)


def save_weights(model: Bert, folder: Path, epoch: int | None = None) -> Path:
    """Write `model_epoch_N.bin`, or `pytorch_model.bin` where no epoch is given."""
    path = folder / (epoch_name(epoch) if epoch else HANDED_ON)
    write_atomically(path, model_bytes(model))
    return path


def save_safetensors(model: Bert, folder: Path, dtype: torch.dtype = torch.float32, name_of: Callable[[str], str] = str) -> Path:
    """Write `model.safetensors`, tied tensors once. In torch.half: half the bytes, eleven bits of precision."""
    from safetensors.torch import save

    state = {name_of(model.file_name(name)): t.detach().cpu().to(dtype).contiguous() for name, t in model.state_dict().items() if name not in TIED}
    write_atomically(folder / WEIGHTS[0], save(state, metadata={"format": "pt"}))
    return folder / WEIGHTS[0]


def latest_epoch(folder: Path) -> Path | None:
    """The newest `model_epoch_N.bin`; else the newest `step_N_pytorch_model.bin`, as a later version of the original has it."""
    for name in _EPOCH_NAMES:
        numbered = [(int(match[1]), path) for path in folder.glob("*.bin") if (match := name.fullmatch(path.name))]
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
