"""Read and check the configuration of a BERT or an ALBERT."""

from pathlib import Path
from reprlib import repr as short

from transformers import AlbertConfig, BertConfig
from transformers.activations import ACT2FN

from tinybert_lite.method.quantization import BITS
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json

# The model_type of exports with the original's head: transformers' own classes must not open them.
RELU_HEAD = "bert_relu_head"
BERTS = ("bert", RELU_HEAD)
SIZES = {  # field -> its largest accepted value
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
}
MOST_NUMBERS = 4_000_000_000  # weights in a model, ten times a BERT-large
SUPPORTED = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "chunk_size_feed_forward": 0,
    "inner_group_num": 1,
}
IGNORED = (
    "auto_map",
    "exported",
    "dtype",
    "torch_dtype",
)  # auto_map names code, which is never run


def find_config(folder: Path) -> Path:
    """Return config.json, or Google's bert_config.json if only that file exists."""
    usual, google = folder / "config.json", folder / "bert_config.json"
    return google if google.is_file() and not usual.is_file() else usual


def read_config(path: Path) -> BertConfig | AlbertConfig:
    """Read config.json or bert_config.json; without a model_type the model is a BERT.

    Raises UserError for another architecture, an invalid value, and a size above `SIZES`.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is missing: a model folder needs config.json, a vocabulary and weights"
        )
    found = {name: value for name, value in read_json(path).items() if name not in IGNORED}
    if found.get("model_type") == RELU_HEAD:
        found |= {"model_type": "bert", "classifier_head": "relu"}
    model_type = found.pop("model_type", "bert")
    kind = {"bert": BertConfig, "albert": AlbertConfig}.get(str(model_type))
    if kind is None:
        raise UserError(
            f"{path}: model_type {short(model_type)} is not supported; use a BERT with model_type "
            f"'bert' (other models can only be teachers in stage 5)"
        )
    _check(path, found, kind())
    try:
        config = kind(**found)
        config.to_dict(), ACT2FN[config.hidden_act]
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if not 0 <= getattr(config, name) <= 1:
                raise ValueError(f"the dropout {name} is not a probability")
        if not 0 <= (config.pad_token_id or 0) < config.vocab_size:
            raise ValueError(f"pad_token_id {config.pad_token_id} is not in the vocabulary")
    except Exception as error:  # transformers and PyTorch raise many kinds of errors
        raise UserError(
            f"{path} holds an invalid value ({' '.join(str(error).split())[:150]}); fix it or "
            f"take the file from the model's source again"
        ) from None
    return config


def _check(path: Path, found: dict, usual: BertConfig | AlbertConfig) -> None:
    """Raise UserError for unsupported values and too large sizes, before a model is built."""
    for name, only in SUPPORTED.items():
        if found.get(name, only) != only:
            raise UserError(
                f"{path}: {name} {short(found[name])} is not supported; use a BERT with {name} "
                f"{only!r}"
            )
    sizes = [found.get(name, getattr(usual, name, 1)) for name in SIZES]
    for (name, most), value in zip(SIZES.items(), sizes):
        if type(value) is not int or not 0 < value <= most:
            raise UserError(
                f"{path}: {name} is {short(value)}, not a whole number from 1 to {most:,}; fix it"
            )
    V, D, M, H, F, P, T, *_ = sizes
    if D % H:
        raise UserError(
            f"{path}: hidden_size {D} is not a multiple of num_attention_heads {H}; fix it"
        )
    if (numbers := D * (V + P + T) + M * D * (4 * D + 2 * F)) > MOST_NUMBERS:
        raise UserError(
            f"{path} describes a model of {numbers:,} weights, more than {MOST_NUMBERS:,}; fix its "
            f"sizes"
        )
    if found.get("bits", BITS) != BITS:
        raise UserError(
            f"{path}: bits {short(found['bits'])} is unknown; write {BITS} for a model made by "
            f"quantize, or remove it"
        )
    if found.get("classifier_head", "huggingface") not in ("huggingface", "relu"):
        raise UserError(
            f"{path}: classifier_head {found['classifier_head']!r} is unknown: use huggingface or "
            f"relu"
        )
