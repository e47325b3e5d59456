"""8-bit numbers (Q8BERT, Zafrir et al. 2019, arXiv:1910.06188): rounding that gradients pass, and layers that compute with it.

A number x is kept as a whole number k from -128 to 127 and stands for k · scale; symmetric, one scale a tensor. Training
computes with k · scale in float32 (fake quantization); an export keeps the k and computes with them.

Ours, unlike the paper and its public code: ranges start from a calibration and move by 1 % a step instead of 0.01 %, for runs of
hundreds of steps; outputs are not rounded once more; biases are rounded in training already; numbers beyond the range have no gradient;
and `weight_scale` keeps the products of two neighbours below what older processors can add.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinybert_lite.method.encoder import Bert
from tinybert_lite.system import processes

BITS, MOST = 8, 127
DECAY = 0.99  # of the moving averages


class FakeQuantize(torch.autograd.Function):
    """x → k · scale, with the straight-through gradient: 1 where x is in range, 0 where it was cut off."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, bits: int) -> Tensor:
        whole, most = (
            torch.round(x / scale),
            2.0 ** (bits - 1) - 1,
        )  # halves to the even number, as everywhere
        ctx.save_for_backward((whole >= -most - 1) & (whole <= most))
        return whole.clamp(-most - 1, most) * scale

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def fake_quantize(x: Tensor, scale: Tensor, bits: int = BITS) -> Tensor:
    """The nearest number of `bits` bits that stands for x, as float32 of the same shape. scale: (), above 0."""
    return FakeQuantize.apply(x.float(), scale, bits)


def whole_numbers(x: Tensor, scale: Tensor, bits: int = BITS) -> Tensor:
    """The k of x, int8 or int32, of the same shape: what a file keeps. scale: (), above 0."""
    most = 2.0 ** (bits - 1) - 1
    return (
        torch.round(x.double() / scale.double() if bits > 16 else x / scale)
        .clamp(-most - 1, most)
        .to(torch.int8 if bits == 8 else torch.int32)
    )


def weight_scale(weight: Tensor, neighbours: bool = False) -> Tensor:
    """max |w| / 127, (). With `neighbours` of inputs 2i and 2i + 1 the sum counts where their signs agree, for a weight (out, in).

    Processors without VNNI add the products of two neighbouring inputs in 16 bits and cut off what is larger, in silence:
    255 · (k + k') fits while k + k' ≤ 128, and so it is here: neighbours of one sign add up to at most 127 before they are rounded.
    """
    largest = weight.detach().abs().amax()
    if neighbours:
        pairs = F.pad(weight.detach(), (0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
        largest = torch.maximum(
            largest,
            torch.maximum(pairs.clamp(min=0).sum(-1).amax(), -pairs.clamp(max=0).sum(-1).amin()),
        )
    return largest.clamp(min=1e-12) / MOST


class QuantizedLinear(nn.Linear):
    """A Linear layer of 8-bit weights and inputs and a bias of 32 bits, in float32 and so no faster: what int8 hardware computes, for training.

    `input_range`, (), follows max |input| as a moving average (`follow_ranges`); 0 before anything was seen. While calibrating nothing is rounded.
    """

    calibrating = False

    def forward(self, x: Tensor) -> Tensor:  # (…, in) → (…, out)
        if self.training or self.calibrating:
            self.seen = torch.maximum(self.seen, x.detach().abs().amax().float())
        if self.calibrating:
            return super().forward(x)
        of_input, of_weight = self.scales()
        weight, bias = (
            fake_quantize(self.weight, of_weight),
            fake_quantize(self.bias, of_input * of_weight, bits=32),
        )
        return F.linear(fake_quantize(x, of_input), weight, bias)

    def scales(self) -> tuple[Tensor, Tensor]:
        """Of the inputs and of the weights, () each."""
        return self.input_range / MOST, weight_scale(self.weight, neighbours=True)

    @torch.no_grad()
    def follow(self, seen: Tensor) -> None:
        """Move `input_range` towards the largest |input| of a batch, (); the first is taken as it is."""
        self.input_range.copy_(
            torch.where(self.input_range == 0, seen, self.input_range.lerp(seen, 1 - DECAY))
        )
        self.seen.zero_()


class QuantizedEmbedding(nn.Embedding):
    """An embedding table of 8-bit numbers; rows are looked up first, then rounded, which is the same and cheaper."""

    def forward(self, ids: Tensor) -> Tensor:  # (B, L) → (B, L, D)
        return fake_quantize(super().forward(ids), self.scale())

    def scale(self) -> Tensor:
        return weight_scale(self.weight)


def quantize(model: Bert) -> Bert:
    """Turn the encoder's and the classifier's Linear and Embedding layers into 8-bit ones, in place; parameters and names stay.

    `calibrate` comes next: before anything was seen, ranges are 0 and the model computes NaN. Softmax, LayerNorm, GELU and the two matrix products inside of attention stay in floating point, as in the paper.
    """
    for part in filter(None, (model.bert, model.classifier)):
        for layer in part.modules():
            if type(layer) is nn.Linear:
                layer.__class__ = QuantizedLinear
                for name, kept in (("input_range", True), ("seen", False)):  # kept: in model files
                    layer.register_buffer(
                        name, torch.zeros((), device=layer.weight.device), persistent=kept
                    )
            elif type(layer) is nn.Embedding:
                layer.__class__ = QuantizedEmbedding
    model.config.bits = BITS
    return model


def is_quantized(model: Bert) -> bool:
    return getattr(model.config, "bits", 32) == BITS


def quantized_layers(model: Bert) -> list[QuantizedLinear]:
    return [layer for layer in model.modules() if isinstance(layer, QuantizedLinear)]


def follow_ranges(model: Bert) -> None:
    """After a step: every range follows the largest |input| of the whole batch, over its parts and over all processes."""
    if layers := quantized_layers(model):
        for layer, seen in zip(
            layers, processes.largest(torch.stack([layer.seen for layer in layers]))
        ):
            layer.follow(seen)


@torch.no_grad()
def calibrate(model: Bert, batches: Iterable[dict[str, Tensor]]) -> Bert:
    """Post-training quantization: ranges follow what these batches are in floating point; no weight is learnt. The model comes back in its mode."""
    training, layers = model.training, quantized_layers(model)
    model.eval()
    for layer in layers:
        layer.calibrating = True
    for batch in batches:
        model(batch, logits=model.classifier is not None)
        follow_ranges(model)
    for layer in layers:
        layer.calibrating = False
    return model.train(training)
