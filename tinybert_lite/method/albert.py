"""ALBERT as a teacher with layers: one layer's parameters serve N times, and embeddings of width E are mapped to the layers' D.

Lan et al., arXiv:1909.11942. Inside, its parts carry `Bert`'s names; files have ALBERT's own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from transformers.models.albert.modeling_albert import AlbertMLMHead, AlbertModel

from tinybert_lite.method.encoder import Bert


class _MaskedLm(nn.Module):
    """(P, D) → (P, V), called as BERT's head is."""

    def __init__(self, config):
        super().__init__()
        self.predictions = AlbertMLMHead(config)

    def forward(self, states: Tensor) -> Tensor:
        return self.predictions(states)


class Albert(Bert):
    """A stock AlbertModel under `Bert`'s interface; hidden state 0 is the mapped embedding output, of width D."""

    body, masked_lm_head = AlbertModel, _MaskedLm

    def __init__(self, config, **parts):
        super().__init__(config, **parts)
        self.dropout = nn.Dropout(config.classifier_dropout_prob)

    @staticmethod
    def file_name(name: str) -> str:
        return f"al{name}" if name.startswith("bert.") else name.removeprefix("cls.")

    @property
    def blocks(self) -> list[Callable]:
        groups = self.bert.encoder.albert_layer_groups
        return [
            partial(
                self._block,
                groups[int(number / (self.layers / len(groups)))].albert_layers[0],
                number,
            )
            for number in range(self.layers)
        ]

    @staticmethod
    def _block(layer: nn.Module, number: int, state: Tensor, **how) -> Tensor:
        layer.attention.layer_idx = (
            number  # the same attention stands for several layers, whose scores are apart
        )
        return layer(state, **how)

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        return self.bert.encoder.embedding_hidden_mapping_in(super().embedded(batch))

    def pooled(self, last_hidden: Tensor) -> Tensor:
        return self.bert.pooler_activation(self.bert.pooler(last_hidden[:, 0]))
