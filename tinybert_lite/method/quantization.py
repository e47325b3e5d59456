"""8-bit weights and activations: Q8BERT (Zafrir et al. 2019, arXiv:1910.06188).

A value x is rounded to k · scale, with an integer k from −128 to 127 and one scale per tensor.
Training computes with k · scale in float32 (fake quantization, their section 2); an export stores
the integers k and computes with them.

We differ from the paper and its public code: ranges start from a calibration and move by 1 % per
step instead of 0.01 %, for runs of hundreds of steps; the outputs of a layer are not rounded again;
biases are rounded in training already; values beyond the range have no gradient; and `weight_scale`
prevents an overflow of the sum of two products on older processors.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.system import processes

BITS, LARGEST_INT8 = 8, 127
RANGE = "input_range"  # the buffer that files hold for each 8-bit layer
DECAY = 0.99  # of the moving averages


class FakeQuantize(torch.autograd.Function):
    """x → k · scale with the straight-through gradient: 1 where x is in range, 0 where clipped."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, bits: int) -> Tensor:
        whole = torch.round(x / scale)  # rounds halves to the even integer
        most = 2.0 ** (bits - 1) - 1
        ctx.save_for_backward((whole >= -most - 1) & (whole <= most))
        return whole.clamp(-most - 1, most) * scale

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def fake_quantize(x: Tensor, scale: Tensor, bits: int = BITS) -> Tensor:
    """Round x to the nearest k · scale, float32 of the same shape. scale: (), above 0."""
    return FakeQuantize.apply(x.float(), scale, bits)


def whole_numbers(x: Tensor, scale: Tensor, bits: int = BITS) -> Tensor:
    """Return the integers k that a file stores, int8 or int32, shape of x. scale: (), above 0."""
    most = 2.0 ** (bits - 1) - 1
    whole = torch.round(x.double() / scale.double() if bits > 16 else x / scale)
    return whole.clamp(-most - 1, most).to(torch.int8 if bits == 8 else torch.int32)


def weight_scale(weight: Tensor, neighbours: bool = False) -> Tensor:
    """Return the scale max |w| / 127, (). neighbours: avoid overflow on processors without VNNI.

    weight: (out, in). Such processors add the products of inputs 2i and 2i + 1 in 16 bits, and clip
    the sum without a warning. 255 · (k + k') does not overflow if |k + k'| ≤ 128; so the scale is
    also at least |w + w'| / 127 for two neighbours of the same sign.
    """
    weight = weight.detach()
    largest = weight.abs().amax()
    if neighbours:
        pairs = F.pad(weight, (0, weight.shape[1] % 2)).unflatten(1, (-1, 2))
        for sums in (pairs.clamp(min=0).sum(-1), -pairs.clamp(max=0).sum(-1)):
            largest = torch.maximum(largest, sums.amax())
    return largest.clamp(min=1e-12) / LARGEST_INT8


class QuantizedLinear(nn.Linear):
    """A Linear layer with 8-bit weights and inputs and 32-bit biases, computed in float32.

    It simulates int8 hardware for training, and is not faster than a Linear layer. `input_range`,
    (), is a moving average of max |input| (`follow_ranges`), 0 before the first input. While
    calibrating, nothing is rounded.
    """

    calibrating = False

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        if self.training or self.calibrating:
            self.seen = torch.maximum(self.seen, x.detach().abs().amax().float())
        if self.calibrating:
            return super().forward(x)
        of_input, of_weight = self.scales()
        weight = fake_quantize(self.weight, of_weight)
        bias = self.bias
        if bias is not None:
            bias = fake_quantize(bias, of_input * of_weight, bits=32)
        return F.linear(fake_quantize(x, of_input), weight, bias)

    def scales(self) -> tuple[Tensor, Tensor]:
        """The scales of inputs and weights, () each."""
        return self.input_range / LARGEST_INT8, weight_scale(self.weight, neighbours=True)

    @torch.no_grad()
    def follow(self, seen: Tensor) -> None:
        """Move `input_range` towards the largest |input| of a batch, (); the first one sets it."""
        moved = self.input_range.lerp(seen, 1 - DECAY)
        self.input_range.copy_(torch.where(self.input_range == 0, seen, moved))
        self.seen.zero_()


class QuantizedEmbedding(nn.Embedding):
    """An 8-bit embedding table; only the rows that are looked up are rounded, which is cheaper."""

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) → (B, L, D)."""
        return fake_quantize(super().forward(ids), self.scale())

    def scale(self) -> Tensor:
        """The scale of the table, ()."""
        return weight_scale(self.weight)


def quantize(model: Encoder) -> Encoder:
    """Make the encoder's and classifier's Linear and Embedding layers 8-bit, in place.

    Parameters and their names are unchanged. Softmax, LayerNorm, GELU and the two matrix products
    of attention are computed in floating point, as in the paper. Call `calibrate` next: with ranges
    of 0 the model computes NaN.
    """
    for layer in model.auto.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = QuantizedLinear
            for name, in_files in ((RANGE, True), ("seen", False)):
                zero = torch.zeros((), device=layer.weight.device)
                layer.register_buffer(name, zero, persistent=in_files)
        elif type(layer) is nn.Embedding:
            layer.__class__ = QuantizedEmbedding
    model.config.bits = BITS
    return model


def is_quantized(model: Encoder) -> bool:
    """Whether `quantize` was called on the model, now or before it was saved."""
    return getattr(model.config, "bits", 32) == BITS


def quantized_layers(model: Encoder) -> list[QuantizedLinear]:
    """Return the 8-bit Linear layers, whose inputs have a range."""
    return [layer for layer in model.modules() if isinstance(layer, QuantizedLinear)]


def follow_ranges(model: Encoder) -> None:
    """After a step: move every range towards the largest |input| of the global batch."""
    if layers := quantized_layers(model):
        seen = processes.largest(torch.stack([layer.seen for layer in layers]))
        for layer, largest in zip(layers, seen):
            layer.follow(largest)


@torch.no_grad()
def calibrate(model: Encoder, batches: Iterable[dict[str, Tensor]]) -> Encoder:
    """Post-training quantization: set the ranges from these batches, computed in floating point.

    The weights are unchanged. Returns the model in its previous mode (training or evaluation).
    """
    training, layers = model.training, quantized_layers(model)
    model.eval()
    for layer in layers:
        layer.calibrating = True
    for batch in batches:
        model(batch, logits=model.output_layer is not None)
        follow_ranges(model)
    for layer in layers:
        layer.calibrating = False
    return model.train(training)
