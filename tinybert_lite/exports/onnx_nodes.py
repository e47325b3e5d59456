"""Nodes and constants of an ONNX graph, and a BERT's layers in them, in float32 or in 8 bits."""

import numpy as np
from torch import Tensor, nn

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import QuantizedLinear, whole_numbers
from tinybert_lite.system.errors import UserError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CURE = 'python -m pip install -e ".[onnx]"'
MIDDLE = 128  # the zero point of uint8 inputs


def need_onnx():
    """Import the package onnx. Raises UserError if it is not installed."""
    try:
        import onnx
    except ImportError:
        raise UserError(
            f"an ONNX file needs the package onnx, which is not installed: run {CURE}"
        ) from None
    return onnx


class Graph:
    """Collects nodes and constants, with layers in float32; a value is identified by its name."""

    def __init__(self, model: Encoder):
        self.onnx, self.nodes, self.constants = need_onnx(), [], {}
        self.names = {module: model.file_name(name) for name, module in model.named_modules()}

    def add(self, op: str, *inputs: str, **attributes) -> str:
        """Add a node; return the name of its output."""
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, values, dtype=None) -> str:
        """Add a constant under this name, once; return the name."""
        if isinstance(values, Tensor):
            values = values.detach().cpu().numpy()
        array = np.array(values, dtype, order="C")
        self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def numbers(self, *values: int) -> str:
        """Add an int64 constant, (n,)."""
        name = "_".join(map(str, ("numbers", *values))).replace("-", "minus")
        return self.constant(name, values, np.int64)

    def number(self, value: float) -> str:
        """Add a float32 constant, ()."""
        return self.constant(f"number_{value:.9g}", value, np.float32)

    def weight(self, layer: nn.Module, kind: str = "weight") -> str:
        """Add a parameter of a layer, under its name in model files."""
        return self.constant(f"{self.names[layer]}.{kind}", getattr(layer, kind))

    def linear(self, x: str, layer: nn.Linear) -> str:
        """Add a Linear layer, (n, in) → (n, out)."""
        return self.add("Gemm", x, self.weight(layer), self.weight(layer, "bias"), transB=1)

    def rows(self, layer: nn.Embedding, op: str, *inputs: str) -> str:
        """Add an operator (Gather or Slice) that selects rows of an embedding table: (n, D)."""
        return self.add(op, self.weight(layer), *inputs)

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        """Add a LayerNorm, (n, D) → (n, D)."""
        weight, bias = self.weight(layer), self.weight(layer, "bias")
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=layer.eps)


class QuantizedGraph(Graph):
    """A graph with the layers of an 8-bit model (`method.quantization`).

    int8 weights (zero point 0), uint8 inputs (zero point 128, so that -128 … 127 become 0 … 255)
    and int32 biases, each beside its scale: QuantizeLinear and DequantizeLinear. A runtime with
    int8 kernels fuses a Gemm with the nodes around it; one without computes the same in float32.
    """

    def __init__(self, model: Encoder):
        super().__init__(model)
        self.quantized: dict[
            tuple[str, float], str
        ] = {}  # an input of several layers is rounded once

    def linear(self, x: str, layer: QuantizedLinear) -> str:
        of_input, of_weight = layer.scales()
        if not of_input > 0:
            raise UserError(
                f"{self.names[layer]} of this 8-bit model has no input range yet; calibrate the "
                f"model with python -m tinybert_lite.quantize"
            )
        weight = self._scaled(layer, "weight", of_weight)
        bias = self._scaled(layer, "bias", of_input * of_weight, bits=32)
        return self.add("Gemm", self._rounded(x, of_input), weight, bias, transB=1)

    def rows(self, layer: nn.Embedding, op: str, *inputs: str) -> str:
        return self._scaled(
            layer, "weight", layer.scale(), pick=lambda table: self.add(op, table, *inputs)
        )

    def _scaled(self, layer: nn.Module, kind: str, scale: Tensor, bits: int = 8, pick=str) -> str:
        """Add a parameter stored as integers, times its scale; `pick` may select rows of it."""
        name, values = (
            f"{self.names[layer]}.{kind}",
            whole_numbers(getattr(layer, kind), scale, bits),
        )
        return self.add(
            "DequantizeLinear",
            pick(self.constant(name, values)),
            self.constant(f"{name}.scale", scale),
            # ONNX Runtime has int8 kernels only for layers with an explicit zero point.
            self.constant(f"zero_int{bits}", values.new_zeros(())),
        )

    def _rounded(self, x: str, scale: Tensor) -> str:
        key = x, float(scale)
        if key not in self.quantized:
            beside = (
                self.constant(f"{x}.scale.{float(scale):.9g}", scale),
                self.constant("middle", MIDDLE, np.uint8),
            )
            whole = self.add("QuantizeLinear", x, *beside)
            self.quantized[key] = self.add("DequantizeLinear", whole, *beside)
        return self.quantized[key]
