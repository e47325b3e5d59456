"""A BERT that shows its insides: one call gives hidden states, pre-softmax attention scores and logits.

Layers count from 1; 0 is the embedding output. The layers are Hugging Face's own; scores come out through an attention
function registered with transformers, without patches or hooks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, BertConfig
from transformers.masking_utils import eager_mask
from transformers.models.bert.modeling_bert import BertModel, BertOnlyMLMHead

SCORES_ATTENTION = "tinybert_scores"


def scores_attention(
    module, query, key, value, attention_mask, dropout=0.0, scaling=None, scores=None, **kwargs
):
    """Attention that leaves its raw scores QKᵀ/√d_k in the dict `scores` for the layers that are keys of it.

    query, key, value: (B, H, L, d_k) · attention_mask: additive (B, 1, 1 or L, L), bool, or None · scores[layer] becomes
    (B, H, L, L), before the mask. Layers whose scores nobody asks for take PyTorch's fast attention.
    """
    layer = module.layer_idx + 1
    if scores is None or layer not in scores:
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
        return output.transpose(1, 2), None
    raw = torch.matmul(query, key.transpose(2, 3)) * scaling
    scores[layer] = masked = raw
    if attention_mask is not None:
        hide = attention_mask.dtype == torch.bool
        masked = (
            raw.masked_fill(~attention_mask, torch.finfo(raw.dtype).min)
            if hide
            else raw + attention_mask
        )
    probabilities = F.dropout(F.softmax(masked, dim=-1), dropout, module.training)
    return torch.matmul(probabilities, value).transpose(1, 2), None


AttentionInterface.register(SCORES_ATTENTION, scores_attention)
# Without a mask function of the same name transformers would silently drop the padding mask.
AttentionMaskInterface.register(SCORES_ATTENTION, eager_mask)


@dataclass
class Encoding:
    """What one forward pass shows. For a student with projections `projected` holds H^S W_h, in the teacher's width."""

    hidden: list[Tensor]  # (B, L, D) for the embeddings (0) and each layer run
    scores: dict[int, Tensor] = field(
        default_factory=dict
    )  # layer -> (B, H, L, L), before mask and softmax
    projected: list[Tensor] | None = None  # (B, L, teacher's D) for 0 … M
    logits: Tensor | None = None  # (B, K)
    masked_lm: Tensor | None = None  # (P, V) at the P places asked for


class Bert(nn.Module):
    """BertModel with the heads distillation needs; parameters are named as in the original project's files.

    bert.* · cls.* (masked LM) · classifier.* · fit_denses.i.* (one projection per matched layer and one for the
    embeddings: the paper) or fit_dense.* (one shared: the original code). Projections have a bias, as the original's.
    """

    body, masked_lm_head, file_name = (
        BertModel,
        BertOnlyMLMHead,
        staticmethod(str),
    )  # file_name: a parameter's name in files

    def __init__(
        self,
        config: BertConfig,
        *,
        num_labels: int = 0,
        masked_lm: bool = False,
        projection: str | None = None,
        teacher_width: int = 0,
    ):
        super().__init__()
        config._attn_implementation = SCORES_ATTENTION
        self.config = config
        self.bert = self.body(config)
        self.cls = self.classifier = None
        if masked_lm:
            self.cls = self.masked_lm_head(config)
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight
            self.cls.predictions.decoder.bias = self.cls.predictions.bias
        if num_labels:
            self.classifier = nn.Linear(config.hidden_size, num_labels)
        self.fit_dense = self.fit_denses = None
        if projection == "shared":
            self.fit_dense = nn.Linear(config.hidden_size, teacher_width)
        elif projection == "per_layer":
            self.fit_denses = nn.ModuleList(
                nn.Linear(config.hidden_size, teacher_width)
                for _ in range(config.num_hidden_layers + 1)
            )
        for module in (self.cls, self.classifier, self.fit_dense, self.fit_denses):
            if module is not None:
                module.apply(self._initialise)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
            nn.init.zeros_(module.bias)

    @property
    def layers(self) -> int:
        return self.config.num_hidden_layers

    @property
    def blocks(self):
        """The layers as functions of a state (B, L, D)."""
        return self.bert.encoder.layer

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, L, D), what the first layer reads."""
        return self.bert.embeddings(
            input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"]
        )

    def pooled(self, last_hidden: Tensor) -> Tensor:
        """(B, L, D) → (B, D)."""
        return self.bert.pooler(last_hidden)

    def forward(
        self,
        batch: dict[str, Tensor],
        *,
        scores: Collection[int] = (),
        logits: bool = False,
        masked_lm: Tensor | None = None,
        last_layer: int | None = None,
    ) -> Encoding:
        """Encode a batch (input_ids, attention_mask, token_type_ids, each (B, L)).

        scores: layers whose raw scores are wanted · logits: run the classifier · masked_lm: bool (B, L), the places to
        predict · last_layer: stop after this layer (its hidden state is the last).
        """
        mask = batch["attention_mask"]
        additive = None
        if not bool(mask.all()):
            dtype = (
                torch.get_autocast_dtype(mask.device.type)
                if torch.is_autocast_enabled(mask.device.type)
                else self.bert.dtype
            )
            additive = (1 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min
            additive = additive.expand(-1, 1, mask.shape[1], -1)
        state = self.embedded(batch)
        hidden, wanted = [state], dict.fromkeys(scores)
        for layer in self.blocks[:last_layer]:
            state = layer(state, attention_mask=additive, scores=wanted)
            hidden.append(state)
        encoding = Encoding(hidden, wanted)
        if self.fit_dense is not None:
            encoding.projected = [self.fit_dense(h) for h in hidden]
        elif self.fit_denses is not None:
            encoding.projected = [fit(h) for fit, h in zip(self.fit_denses, hidden)]
        if logits:
            encoding.logits = self.classify(state)
        if masked_lm is not None:
            encoding.masked_lm = self.cls(state[masked_lm])
        return encoding

    def classify(self, last_hidden: Tensor) -> Tensor:
        """(B, L, D) → (B, K). Hugging Face's head: pooler, dropout, Linear; the original's: pooler, ReLU, Linear."""
        pooled = self.pooled(last_hidden)
        relu = getattr(self.config, "classifier_head", "huggingface") == "relu"
        return self.classifier(torch.relu(pooled) if relu else self.dropout(pooled))
