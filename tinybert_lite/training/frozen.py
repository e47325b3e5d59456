"""Prepare the Linear layers of a frozen teacher, which do not change, for fast products."""

import torch
from torch import nn

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.system.products import pack, packed_linear

KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class FrozenLinear(nn.Module):
    """A Linear layer without gradients; its weight is cast once, and may be in oneDNN's layout."""

    def __init__(self, layer: nn.Linear, kind: torch.dtype, packed: bool):
        super().__init__()
        weight = layer.weight.detach().to(kind)
        self.weight = pack(weight) if packed else weight
        self.bias = None if layer.bias is None else layer.bias.detach().to(kind)
        self.product = packed_linear if packed else nn.functional.linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (…, in), any precision. Returns (…, out) in the weight's precision."""
        return self.product(x.to(self.weight.dtype), self.weight, self.bias)


def prepare_linears(teacher: Encoder, precision: str, packed: bool = False) -> Encoder:
    """Prepare a teacher for the forward passes of training, in place; return the teacher.

    precision: "no" (float32), "bf16" or "fp16": the weights of the encoder's Linear layers are cast
    once, so that autocast does not cast them in each pass; the outputs are the same to the bit.
    packed: oneDNN computes with packed weights; the outputs are the same to the bit in bf16, and up
    to rounding in float32. Heads, embeddings and norms stay in float32. Afterwards the teacher
    works at this precision only. In float32 without packing nothing changes.
    """
    if precision == "no" and not packed:
        return teacher
    kind = KINDS.get(precision, torch.float32)
    for part in [*teacher.requires_grad_(False).body.modules()]:
        for name, layer in part.named_children():
            if type(layer) is nn.Linear:
                setattr(part, name, FrozenLinear(layer, kind, packed))
    return teacher
