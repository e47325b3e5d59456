"""Make the Auto model of a family with transformers, and find what differs between families."""

from torch import nn
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from tinybert_lite.method.attention import SCORES_ATTENTION

UNLIMITED = 1_000_000  # tokens of a row, for a model without a limit


def new_auto(
    config: PreTrainedConfig, num_labels: int = 0, masked_lm: bool = False
) -> PreTrainedModel:
    """Make a family's model with random weights: with a classifier, a masked-LM head, or neither.

    A config whose `classifier_head` is "relu" has the original code's head: pooler, ReLU, Linear;
    Hugging Face's BERT has pooler, dropout, Linear. Raises ValueError for a family without such a
    head.
    """
    if num_labels:
        config.num_labels = num_labels
    auto = auto_class(num_labels, masked_lm).from_config(config)
    return with_our_attention(auto)


def max_tokens_of(model: nn.Module) -> int:
    """Return the maximum of tokens in a row; a RoBERTa counts positions from padding id + 1."""
    tables = (
        module.padding_idx
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    )
    first = next((start + 1 for start in tables if start is not None), 0)
    places = getattr(model.config, "max_position_embeddings", None) or 0
    return places - first if places > 0 else UNLIMITED  # XLNet has no limit: -1


def output_layer_name(auto: PreTrainedModel) -> str:
    """Return the name of a classifier's last layer, the last Linear outside of the encoder."""
    prefix = f"{auto.base_model_prefix}."
    linear = (name for name, part in auto.named_modules() if isinstance(part, nn.Linear))
    return [name for name in linear if not name.startswith(prefix)][-1]


def auto_class(num_labels: int = 0, masked_lm: bool = False) -> type:
    """Return the Auto class of a model with a classifier, a masked-LM head, or neither."""
    if num_labels:
        return AutoModelForSequenceClassification
    return AutoModelForMaskedLM if masked_lm else AutoModel


def with_our_attention(auto: PreTrainedModel) -> PreTrainedModel:
    """Set our attention function, if the family supports it, and the original's ReLU; in place."""
    if auto._supports_attention_backend:
        auto.set_attn_implementation(SCORES_ATTENTION)
    if getattr(auto.config, "classifier_head", "") == "relu":
        auto.dropout = nn.ReLU()
    return auto
