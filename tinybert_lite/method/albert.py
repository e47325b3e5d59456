"""ALBERT as a teacher whose layers are matched (Lan et al. 2020, arXiv:1909.11942).

All N layers share the parameters of one layer, and embeddings of width E are mapped to width D.
In memory the parameters have `Bert`'s names; in files they have ALBERT's own (`file_name`).
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from transformers.models.albert.modeling_albert import AlbertMLMHead, AlbertModel

from tinybert_lite.method.encoder import Bert


class _MaskedLm(nn.Module):
    """The masked-LM head: P positions (P, D) → (P, V), with the interface of BERT's head."""

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
        each = self.layers / len(groups)  # layers per group
        return [
            partial(self._block, groups[int(n / each)].albert_layers[0], n)
            for n in range(self.layers)
        ]

    @staticmethod
    def _block(layer: nn.Module, number: int, state: Tensor, **how) -> Tensor:
        layer.attention.layer_idx = number  # the layers share one module, but not their scores
        return layer(state, **how)

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        return self.bert.encoder.embedding_hidden_mapping_in(super().embedded(batch))

    def pooled(self, last_hidden: Tensor) -> Tensor:
        return self.bert.pooler_activation(self.bert.pooler(last_hidden[:, 0]))
