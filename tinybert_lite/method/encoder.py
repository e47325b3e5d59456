"""A BERT whose one call gives hidden states, attention scores and logits.

Section 2.1, Eqs. 1 to 4. The layers are Hugging Face's own. An attention function that is
registered with transformers stores the attention scores, without patches or hooks.
"""

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
    """Eqs. 1 and 2: softmax(A) V with A = QKᵀ/√d_k; A of chosen layers is stored in `scores`.

    query, key, value: (B, H, L, d_k) · attention_mask: additive (B, 1, 1 or L, L), bool, or None.
    scores: a dict whose keys are the layers wanted; scores[layer] becomes (B, H, L, L), before mask
    and softmax. Other layers use PyTorch's fast attention. Returns (B, L, H, d_k) and None.
    """
    layer = module.layer_idx + 1
    if scores is None or layer not in scores:
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
        )
        return output.transpose(1, 2), None
    raw = torch.matmul(query, key.transpose(2, 3)) * scaling
    scores[layer] = masked = raw
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        masked = raw.masked_fill(~attention_mask, torch.finfo(raw.dtype).min)
    elif attention_mask is not None:
        masked = raw + attention_mask
    probabilities = F.dropout(F.softmax(masked, dim=-1), dropout, module.training)
    return torch.matmul(probabilities, value).transpose(1, 2), None


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


class Bert(nn.Module):
    """BertModel with the heads that distillation needs; parameters have the original files' names.

    bert.* · cls.* (masked LM) · classifier.* · and the projections W_h and W_e to `teacher_width`:
    projection="per_layer" (the paper) has fit_denses.i.*, one for the embeddings and one for each
    layer; projection="original" (or the older word "shared") has fit_dense.*, one for all. Both
    have a bias, as in the original code; the paper's have none.
    """

    body, masked_lm_head = BertModel, BertOnlyMLMHead
    file_name = staticmethod(str)  # a parameter's name -> its name in model files

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
        self.cls = self.classifier = self.fit_dense = self.fit_denses = None
        if masked_lm:
            self.cls = self.masked_lm_head(config)
            self.cls.predictions.decoder.weight = self.bert.embeddings.word_embeddings.weight
            self.cls.predictions.decoder.bias = self.cls.predictions.bias
        if num_labels:
            self.classifier = nn.Linear(config.hidden_size, num_labels)
        if projection in ("original", "shared"):
            self.fit_dense = nn.Linear(config.hidden_size, teacher_width)
        elif projection == "per_layer":
            self.fit_denses = nn.ModuleList(
                nn.Linear(config.hidden_size, teacher_width)
                for _ in range(config.num_hidden_layers + 1)
            )
        for module in filter(None, (self.cls, self.classifier, self.fit_dense, self.fit_denses)):
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
        """The layers, each a function of a state (B, L, D)."""
        return self.bert.encoder.layer

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        """The embedding output E, (B, L, D)."""
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
        """Encode a batch of input_ids, attention_mask and token_type_ids, (B, L) each.

        scores: the layers whose attention scores are wanted · logits: run the classifier ·
        masked_lm: bool (B, L), the positions to predict · last_layer: stop after this layer.
        """
        state = self.embedded(batch)
        mask = self._additive(batch["attention_mask"])
        hidden, wanted = [state], dict.fromkeys(scores)
        for layer in self.blocks[:last_layer]:
            state = layer(state, attention_mask=mask, scores=wanted)
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

    def _additive(self, mask: Tensor) -> Tensor | None:
        """(B, L), 1 at real tokens → (B, 1, L, L) to add to scores; None without padding."""
        if mask.all():
            return None
        device = mask.device.type
        cast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if cast else self.bert.dtype
        additive = (1 - mask[:, None, None, :].to(dtype)) * torch.finfo(dtype).min
        return additive.expand(-1, 1, mask.shape[1], -1)

    def classify(self, last_hidden: Tensor) -> Tensor:
        """(B, L, D) → logits (B, K), by Hugging Face's head: pooler, dropout, Linear.

        A config whose `classifier_head` is "relu" has the original code's: pooler, ReLU, Linear.
        """
        pooled = self.pooled(last_hidden)
        original = getattr(self.config, "classifier_head", "") in ("relu", "original")
        return self.classifier(torch.relu(pooled) if original else self.dropout(pooled))
