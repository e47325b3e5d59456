"""Read and check the configuration of an encoder of any family."""

from pathlib import Path
from reprlib import repr as short

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.activations import ACT2FN

from tinybert_lite.method.quantization import BITS
from tinybert_lite.models.families import MATCHED_FAMILIES
from tinybert_lite.system.errors import UserError, one_line
from tinybert_lite.system.files import read_json

# The model_type of exports with the original's head: transformers' own classes must not open them.
RELU_HEAD = "bert_relu_head"
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
    "hidden_dim": 131_072,
}
MOST_NUMBERS = 4_000_000_000  # parameters of a model; a BERT-large has 340 million
SUPPORTED = {  # field -> its only accepted value
    "is_decoder": False,
    "add_cross_attention": False,
    "chunk_size_feed_forward": 0,
    "inner_group_num": 1,
}
IGNORED = (
    "auto_map",  # names code, which is never run
    "exported",
    "dtype",
    "torch_dtype",
    "quantization_config",  # weights are read as float32
    # Set by this package:
    *("attn_implementation", "_attn_implementation"),
    *("return_dict", "use_return_dict", "output_hidden_states", "output_attentions"),
)


def find_config(folder: Path) -> Path:
    """Return config.json, or Google's bert_config.json if only that file exists."""
    usual, google = folder / "config.json", folder / "bert_config.json"
    return google if google.is_file() and not usual.is_file() else usual


def family_of(values: dict) -> str:
    """Return the model_type of a config.json; "bert" if it has none."""
    found = str(values.get("model_type", "bert"))
    return "bert" if found == RELU_HEAD else found


def read_config(path: Path) -> PreTrainedConfig:
    """Read config.json or bert_config.json; without a model_type the model is a BERT.

    Raises UserError for another architecture, an invalid value, and a size above `SIZES`.
    """
    if not path.is_file():
        if (path.parent / "adapter_config.json").is_file():
            raise UserError(
                f"{path.parent} holds an adapter only; load it with its base model, call "
                f"merge_and_unload() and save the result"
            )
        raise UserError(
            f"{path} is missing: a model folder needs config.json, a vocabulary and weights"
        )
    found = {name: value for name, value in read_json(path).items() if name not in IGNORED}
    model_type = family_of(found)
    if found.pop("model_type", "bert") == RELU_HEAD:
        found["classifier_head"] = "relu"
    if model_type not in MATCHED_FAMILIES:
        raise UserError(
            f"{path}: model_type {short(model_type)} is not supported; use one of "
            f"{', '.join(MATCHED_FAMILIES)} (other classifiers can only be teachers in stage 5)"
        )
    kind = CONFIG_MAPPING[model_type]
    if isinstance(names := found.get("id2label"), list):
        found["id2label"] = dict(enumerate(names))
    if isinstance(ids := found.get("label2id"), dict) and not found.get("id2label"):
        found["id2label"] = {number: word for word, number in ids.items()}
    _check(path, found, kind)
    try:
        config = kind(**found)
        if config.pad_token_id is None:
            config.pad_token_id = kind().pad_token_id
        config.to_dict()
        _check_values(config)
    except Exception as error:  # transformers and PyTorch raise many kinds of errors
        raise UserError(
            f"{path} holds an invalid value ({one_line(error)}); fix it or "
            f"take the file from the model's source again"
        ) from None
    return config


def _check_values(config: PreTrainedConfig) -> None:
    for name in ("hidden_act", "hidden_activation", "activation"):
        if (act := getattr(config, name, None)) is not None and act not in ACT2FN:
            raise ValueError(f"{name} {act!r} is unknown: use one of {', '.join(ACT2FN)}")
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout"):
        if not 0 <= (value := getattr(config, name, None) or 0) <= 1:
            raise ValueError(f"{name} {value} is not from 0 to 1")
    if not 0 <= (getattr(config, "initializer_range", None) or 0) <= 1000:
        raise ValueError(f"initializer_range {config.initializer_range} is not from 0 to 1000")
    if not 0 <= (config.pad_token_id or 0) < config.vocab_size:
        raise ValueError(f"pad_token_id {config.pad_token_id} is not in the vocabulary")


def _check(path: Path, found: dict, kind: type[PreTrainedConfig]) -> None:
    """Raise UserError for unsupported values and too large sizes, before a model is built."""
    for name, only in SUPPORTED.items():
        if found.get(name, only) not in (only, None):
            raise UserError(
                f"{path}: {name} {short(found[name])} is not supported; use a model with {name} "
                f"{only!r}"
            )
    if str(found.get("position_embedding_type", "")).startswith("relative"):
        raise UserError(
            f"{path}: position_embedding_type {short(found['position_embedding_type'])} is not "
            f"supported by transformers 5; use a model with absolute positions"
        )
    usual, own_names = kind(), getattr(kind, "attribute_map", {})
    sizes = {}
    for name, most in SIZES.items():
        own = own_names.get(name, name)
        value = found.get(own, found.get(name, getattr(usual, name, 1)))
        if value is None and name not in found and own not in found:
            value = 1
        least = 0 if getattr(usual, name, 1) == 0 else 1  # DeBERTa has no token types
        if type(value) is not int or not least <= value <= most:
            raise UserError(
                f"{path}: {own} is {short(value)}, not a whole number from 1 to {most:,}; fix it"
            )
        sizes[name] = value
    V, D, M, H, F, P, T, *_ = sizes.values()
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
