"""Model folders: reading weights of several kinds, writing them atomically, and the hand-off between stages."""

from __future__ import annotations

from pathlib import Path
from reprlib import repr as short

from transformers import AlbertConfig, BertConfig
from transformers.activations import ACT2FN

from tinybert_lite.method.quantization import BITS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json

RELU_HEAD = "bert_relu_head"  # the model_type of exports with the original's head: Hugging Face's stock classes must not open them
BERTS = ("bert", RELU_HEAD)
SIZES = {
    "vocab_size": 2_000_000,
    "hidden_size": 16_384,
    "num_hidden_layers": 256,
    "num_attention_heads": 256,
    "intermediate_size": 131_072,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 10_000,
    "num_labels": 10_000,
    "embedding_size": 16_384,
    "num_hidden_groups": 256,
}  # and the most of each
MOST_NUMBERS = 4_000_000_000  # in a model, ten times a BERT-large
SUPPORTED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "chunk_size_feed_forward": 0,
    "inner_group_num": 1,
}


def config_file(folder: Path) -> Path:
    """config.json, or where there is none Google's bert_config.json; config.json where both are missing."""
    google = folder / "bert_config.json"
    return (
        google
        if google.is_file() and not (folder / "config.json").is_file()
        else folder / "config.json"
    )


def read_config(folder: Path) -> BertConfig | AlbertConfig:
    """A BERT's config.json or bert_config.json, or an ALBERT's; a missing model_type is a BERT's. Raises UserError for another architecture, bad numbers or absurd sizes."""
    path = config_file(folder)
    if not path.is_file():
        raise UserError(
            f"{path} is missing: a model folder needs config.json, a vocabulary and weights"
        )
    found = read_json(path)
    for name in (
        "auto_map",
        "exported",
    ):  # code that is not run here, and the note of a folder that this one may have come from
        found.pop(name, None)
    if found.get("model_type") == RELU_HEAD:
        found |= {"model_type": "bert", "classifier_head": "relu"}
    kind = {"bert": BertConfig, "albert": AlbertConfig}.get(str(found.get("model_type", "bert")))
    if kind is None:
        raise UserError(
            f"{path}: model_type {short(found['model_type'])} is not supported; use a BERT with model_type 'bert' (stage 5 alone takes other teachers)"
        )
    for name, only in SUPPORTED.items():
        if found.get(name, only) != only:
            raise UserError(
                f"{path}: {name} {short(found[name])} is not supported; use a BERT with {name} {only!r}"
            )
    usual = kind()
    V, D, M, H, F, P, T, *_ = sizes = [found.get(name, getattr(usual, name, 1)) for name in SIZES]
    for (name, most), value in zip(SIZES.items(), sizes):
        if type(value) is not int or not 0 < value <= most:
            raise UserError(
                f"{path}: {name} is {short(value)}, not a whole number from 1 to {most:,}; mend it"
            )
    if D % H:
        raise UserError(
            f"{path}: hidden_size {D} is not a multiple of num_attention_heads {H}; mend it"
        )
    if (numbers := D * (V + P + T) + M * D * (4 * D + 2 * F)) > MOST_NUMBERS:
        raise UserError(
            f"{path} describes a model of {numbers:,} numbers, more than {MOST_NUMBERS:,}; mend its sizes"
        )
    if found.get("bits", BITS) != BITS:
        raise UserError(
            f"{path}: bits {short(found['bits'])} is unknown: a model has {BITS}, made by quantize, or none"
        )
    if found.get("classifier_head", "huggingface") not in ("huggingface", "relu"):
        raise UserError(
            f"{path}: classifier_head {found['classifier_head']!r} is unknown: use huggingface or relu"
        )
    try:
        config = kind(
            **{
                name: value
                for name, value in found.items()
                if name not in ("dtype", "torch_dtype", "model_type")
            }
        )
        config.to_dict(), ACT2FN[config.hidden_act]
        if not (
            0 <= config.hidden_dropout_prob <= 1 and 0 <= config.attention_probs_dropout_prob <= 1
        ):
            raise ValueError("a dropout is no probability")
        if not 0 <= (config.pad_token_id or 0) < config.vocab_size:
            raise ValueError(f"pad_token_id {config.pad_token_id} is no word piece")
    except (
        Exception
    ) as error:  # transformers and PyTorch raise many kinds for values that make no sense
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"{path} holds a value that makes no sense ({reason}); mend it or take the file from the model's source again"
        ) from None
    return config
