"""An encoder of any family whose one call gives hidden states, attention scores and logits.

Section 2.1, Eqs. 1 to 4. The model is the whole Auto model of transformers, called as it is. An
attention function that is registered with transformers stores the attention scores, without patches
or hooks. `models.families` lists the families that were tried.
"""

import inspect
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.masking_utils import eager_mask

SCORES_ATTENTION = "tinybert_scores"
UNLIMITED = 1_000_000  # positions of a model without a limit


class Scores(dict):
    """Layer -> attention scores (B, H, L, L) of the wanted layers; one call counts its layers."""

    def __init__(self, layers: Collection[int] = ()):
        super().__init__(dict.fromkeys(layers))
        self.calls = 0

    def next_layer(self) -> int:
        """Number the calls of the attention function: a model calls it once per layer, in order."""
        self.calls += 1
        return self.calls


def scores_attention(
    module, query, key, value, attention_mask, dropout=0.0, scaling=None, scores=None, **kwargs
):
    """Eqs. 1 and 2: softmax(A) V with A = QKᵀ/√d_k; A of chosen layers is stored in `scores`.

    query, key, value: (B, H, L, d_k) · attention_mask: additive (B, 1, 1 or L, L), bool, or None.
    scores: a `Scores`; scores[layer] becomes (B, H, L, L), before mask and softmax. Other layers
    use PyTorch's fast attention. Returns (B, L, H, d_k) and None.
    """
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask
    if mask is not None and mask.dtype not in (torch.bool, query.dtype):  # under autocast
        mask = mask.to(query.dtype).clamp(min=torch.finfo(query.dtype).min)
    layer = None if scores is None else scores.next_layer()
    if scores is None or layer not in scores:
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling
        )
        return output.transpose(1, 2).contiguous(), None
    raw = torch.matmul(query, key.transpose(2, 3)) * scaling
    scores[layer] = masked = raw
    if mask is not None and mask.dtype == torch.bool:
        masked = raw.masked_fill(~mask, torch.finfo(raw.dtype).min)
    elif mask is not None:
        masked = raw + mask
    probabilities = F.dropout(F.softmax(masked, dim=-1), dropout, module.training)
    return torch.matmul(probabilities, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(SCORES_ATTENTION, scores_attention)
# Without a mask function of the same name transformers ignores the padding mask, without a warning.
AttentionMaskInterface.register(SCORES_ATTENTION, eager_mask)


@dataclass
class Encoding:
    """The results of one forward pass."""

    hidden: list[Tensor]  # H: (B, L, D) of the embeddings (0) and of each layer that ran
    scores: dict[int, Tensor] = field(default_factory=dict)  # A: layer -> (B, H, L, L)
    projected: list[Tensor] | None = None  # H^S W_h: (B, L, teacher's D) for 0 … M, of a student
    logits: Tensor | None = None  # z: (B, K)
    masked_lm: Tensor | None = None  # (P, V) at the P chosen positions


class Encoder(nn.Module):
    """A transformers model with the projections that distillation needs.

    `auto` is the family's model: with a classifier of K = `num_labels` classes, with a masked-LM
    head, or the encoder alone. The projections W_h and W_e to `teacher_width` are ours:
    projection="per_layer" (the paper) has fit_denses.i.*, one for the embeddings and one for each
    layer; projection="original" (or the older word "shared") has fit_dense.*, one for all. Both
    have a bias, as in the original code; the paper's have none.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        *,
        num_labels: int = 0,
        masked_lm: bool = False,
        projection: str | None = None,
        teacher_width: int = 0,
        auto: PreTrainedModel | None = None,
    ):
        """auto: a model that is loaded already; else one of `config` with random weights."""
        super().__init__()
        self.auto = auto or new_auto(config, num_labels, masked_lm)
        self.config = config = self.auto.config
        self.fit_dense = self.fit_denses = None
        if projection in ("original", "shared"):
            self.fit_dense = nn.Linear(config.hidden_size, teacher_width)
        elif projection == "per_layer":
            self.fit_denses = nn.ModuleList(
                nn.Linear(config.hidden_size, teacher_width) for _ in range(self.layers + 1)
            )
        for module in filter(None, (self.fit_dense, self.fit_denses)):
            module.apply(self._initialise)
        body = self.body
        given = inspect.signature(body.forward).parameters
        # Whether the model tells two segments apart.
        types = getattr(config, "type_vocab_size", 0) or 0
        self.has_segments = "token_type_ids" in given and types > 1
        # The name of the list of layers in the body, "" if there is no such list.
        lists = (name for name, part in body.named_modules() if isinstance(part, nn.ModuleList))
        names = (name for name in lists if len(body.get_submodule(name)) == self.layers)
        self._stack = next((name for name in names if name.endswith(("layer", "layers"))), "")
        inside = (self._stack, "embeddings", "pooler")
        self._norm_follows = self._stack != "" and any(
            "norm" in type(part).__name__.lower() and not name.startswith(inside)
            for name, part in body.named_modules()
        )

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=getattr(self.config, "initializer_range", 0.02))
            nn.init.zeros_(module.bias)

    @property
    def body(self) -> PreTrainedModel:
        """The encoder without heads, as AutoModel makes it."""
        return self.auto.base_model

    @property
    def layers(self) -> int:
        return self.config.num_hidden_layers

    @property
    def has_scores(self) -> bool:
        """Whether the family's attention scores can be stored; its hidden states always are."""
        return self.config._attn_implementation == SCORES_ATTENTION

    @property
    def has_masked_lm(self) -> bool:
        return type(self.auto).__name__.endswith("ForMaskedLM")

    @property
    def classifier(self) -> nn.Linear | None:
        """The last layer of the classifier, with K outputs; None without a classifier."""
        if not type(self.auto).__name__.endswith("ForSequenceClassification"):
            return None
        return self.auto.get_submodule(output_layer(self.auto))

    @property
    def positions(self) -> int:
        """The most tokens of a row, see `positions_of`."""
        return positions_of(self.body)

    def file_name(self, name: str) -> str:
        """A parameter's name in model files: that of the family's models with a head."""
        if not name.startswith("auto."):
            return name
        name, prefix = name.removeprefix("auto."), self.auto.base_model_prefix
        return f"{prefix}.{name}" if self.auto is self.body else name

    def forward(
        self,
        batch: dict[str, Tensor],
        *,
        scores: Collection[int] = (),
        logits: bool = False,
        masked_lm: Tensor | None = None,
        last_layer: int | None = None,
    ) -> Encoding:
        """Encode a batch of input_ids, attention_mask and token_type_ids, (B, L) each.

        scores: the layers whose attention scores are wanted · logits: run the classifier ·
        masked_lm: bool (B, L), the positions to predict · last_layer: stop after this layer.
        """
        wanted = Scores(scores)
        inputs = {**self.inputs(batch), "output_hidden_states": True}
        if self.has_scores:
            inputs["scores"] = wanted
        model = self.auto if logits or masked_lm is not None else self.body
        with self._layers_up_to(last_layer), self._head_reads(masked_lm):
            found = model(**inputs)
        hidden = list(found.hidden_states)[: None if last_layer is None else last_layer + 1]
        encoding = Encoding(hidden, dict(wanted))
        if self.fit_dense is not None:
            encoding.projected = [self.fit_dense(h) for h in hidden]
        elif self.fit_denses is not None:
            encoding.projected = [fit(h) for fit, h in zip(self.fit_denses, hidden)]
        if logits:
            encoding.logits = found.logits
        if masked_lm is not None:
            encoding.masked_lm = found.logits[0]
        return encoding

    def inputs(self, batch: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """The family's inputs: its own padding token, and segments only if it tells them apart."""
        ids, mask = batch["input_ids"], batch["attention_mask"]
        padded = not (mask.is_meta or mask.all())
        if padded and (pad := self.config.pad_token_id):
            ids = ids.masked_fill(mask == 0, pad)
        inputs = {"input_ids": ids, "attention_mask": mask if padded else None}
        if self.has_segments:
            inputs["token_type_ids"] = batch["token_type_ids"]
        return inputs

    @contextmanager
    def _layers_up_to(self, last: int | None) -> Iterator[None]:
        """Leave out the layers above `last`; where a norm follows the layers, keep one more.

        A family whose layers are not one list, such as ALBERT, runs all of them.
        """
        kept = self.layers if last is None else max(1, last + self._norm_follows)
        if not self._stack or kept >= self.layers:
            yield
            return
        parent, _, name = self._stack.rpartition(".")
        parent = self.body.get_submodule(parent)
        stack = getattr(parent, name)
        setattr(parent, name, stack[:kept])
        try:
            yield
        finally:
            setattr(parent, name, stack)

    @contextmanager
    def _head_reads(self, places: Tensor | None) -> Iterator[None]:
        """Let the masked-LM head read the last states at `places` only, (B, L, D) → (1, P, D)."""
        if places is None:
            yield
            return

        def choose(module, inputs, output):
            output.last_hidden_state = output.last_hidden_state[places][None]
            return output

        hook = self.body.register_forward_hook(choose)
        try:
            yield
        finally:
            hook.remove()


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
    return prepared(auto)


def positions_of(model: nn.Module) -> int:
    """The most tokens of a row; a RoBERTa's positions begin after that of its padding token."""
    tables = (
        module.padding_idx
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    )
    first = next((start + 1 for start in tables if start is not None), 0)
    places = getattr(model.config, "max_position_embeddings", None) or 0
    return places - first if places > 0 else UNLIMITED  # XLNet has no limit: -1


def output_layer(auto: PreTrainedModel) -> str:
    """The name of a classifier's last layer, the last Linear outside of the encoder."""
    prefix = f"{auto.base_model_prefix}."
    linear = (name for name, part in auto.named_modules() if isinstance(part, nn.Linear))
    return [name for name in linear if not name.startswith(prefix)][-1]


def auto_class(num_labels: int = 0, masked_lm: bool = False) -> type:
    """The Auto class of a model with these heads."""
    if num_labels:
        return AutoModelForSequenceClassification
    return AutoModelForMaskedLM if masked_lm else AutoModel


def prepared(auto: PreTrainedModel) -> PreTrainedModel:
    """Give a transformers model our attention, if its family can, and the original's head."""
    if auto._supports_attention_backend:
        auto.set_attn_implementation(SCORES_ATTENTION)
    if getattr(auto.config, "classifier_head", "") in ("relu", "original"):
        auto.dropout = nn.ReLU()
    return auto
