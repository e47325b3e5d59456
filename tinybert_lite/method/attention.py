"""Multi-head attention whose scores can be read (section 2.1, Eqs. 1 and 2).

transformers calls a registered attention function in each layer of a model, with its queries, keys
and values. Ours stores the scores of chosen layers, without patches or hooks.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

SCORES_ATTENTION = "tinybert_scores"


class Scores(dict):
    """Map the wanted layers (from 1) to their attention scores (B, H, L, L), None until computed.

    Make a new object for each forward pass, since it counts the layers as they run.
    """

    def __init__(self, layers: Collection[int] = ()):
        super().__init__(dict.fromkeys(layers))
        self.calls = 0

    def next_layer(self) -> int:
        """Return the number of the layer that runs: a model calls this once per layer, in order."""
        self.calls += 1
        return self.calls


def scores_attention(
    module, query, key, value, attention_mask, dropout=0.0, scaling=None, scores=None, **kwargs
):
    """Compute softmax(A) V, A = QKᵀ/√d_k (Eqs. 1 and 2); store A of chosen layers in `scores`.

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
    scores[layer] = raw
    masked = raw
    if mask is not None and mask.dtype == torch.bool:
        masked = raw.masked_fill(~mask, torch.finfo(raw.dtype).min)
    elif mask is not None:
        masked = raw + mask
    probabilities = F.dropout(F.softmax(masked, dim=-1), dropout, module.training)
    return torch.matmul(probabilities, value).transpose(1, 2).contiguous(), None


def padding_mask(*, attention_mask=None, allow_is_bidirectional_skip=False, **kwargs):
    """Return eager attention's additive mask, without looking for zeros, which waits for a GPU."""
    skip = allow_is_bidirectional_skip and attention_mask is None
    return eager_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **kwargs)


AttentionInterface.register(SCORES_ATTENTION, scores_attention)
# Without a mask function of the same name transformers ignores the padding mask, without a warning.
AttentionMaskInterface.register(SCORES_ATTENTION, padding_mask)
