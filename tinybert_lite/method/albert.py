"""ALBERT as a teacher whose layers are matched (Lan et al. 2020, arXiv:1909.11942).

The parameters of one layer serve all N, and embeddings of width E are mapped to the layers' D.
In memory its parts carry `Bert`'s names; files have ALBERT's own (`file_name`).
"""

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
    """Hugging Face's AlbertModel behind `Bert`'s interface; hidden state 0 is mapped to width D."""

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
        each = self.layers / len(groups)  # layers of a group
        return [
            partial(self._block, groups[int(n / each)].albert_layers[0], n)
            for n in range(self.layers)
        ]

    @staticmethod
    def _block(layer: nn.Module, number: int, state: Tensor, **how) -> Tensor:
        layer.attention.layer_idx = number  # one attention serves many layers, each with its scores
        return layer(state, **how)

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        return self.bert.encoder.embedding_hidden_mapping_in(super().embedded(batch))

    def pooled(self, last_hidden: Tensor) -> Tensor:
        return self.bert.pooler_activation(self.bert.pooler(last_hidden[:, 0]))
