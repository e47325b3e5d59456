"""A finished classifier as an ONNX graph: float32, or for an 8-bit model whole numbers, to be run without Python or PyTorch.

Written operator by operator, not traced: our forward looks at its data (it leaves the mask out where nothing is padded), a trace folds
weights together under names of its own so that a learned scale finds its weight no more, and it needs more packages. Operators are
ONNX's own, of opset 20, so that any runtime reads them.

States are matrices of (B·L, D), so that every Linear layer is one Gemm. Only [CLS] is classified, so the last layer computes it
alone, from the keys and values of all tokens: the same numbers for a fifth of the last layer's work.

An 8-bit model (`method.quantization`) is the same graph with other Linear and Embedding layers: int8 weights (zero point 0), uint8 inputs
(zero point 128, so that -128 … 127 become 0 … 255), int32 biases, each beside its scale (QuantizeLinear, DequantizeLinear). A runtime
with int8 kernels joins a Gemm with what stands around it; one without computes the same in float32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import QuantizedLinear, is_quantized, whole_numbers
from tinybert_lite.system.errors import UserError

OPSET, IR_VERSION = 20, 9  # of ONNX 1.15 (2023), for ONNX Runtime from 1.17 on
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CURE = 'python -m pip install -e ".[onnx]"'
LARGEST = 2**31 - 1  # bytes of a protobuf message
MIDDLE = 128  # the zero point of uint8 inputs


def need_onnx():
    """The package onnx. Raises UserError where it is not installed."""
    try:
        import onnx
    except ImportError:
        raise UserError(
            f"an ONNX file is written with the package onnx, which is not installed: {CURE}"
        ) from None
    return onnx


class Graph:
    """Nodes and constants as they are added; a value is known by its name. Linear and Embedding layers in float32."""

    def __init__(self, model: Bert):
        self.onnx, self.nodes, self.constants = need_onnx(), [], {}
        self.names = {module: name for name, module in model.named_modules()}

    def add(self, op: str, *inputs: str, **attributes) -> str:
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, values, dtype=None) -> str:
        """A constant under this name, kept once."""
        values = (
            values.detach().cpu().numpy()
            if isinstance(values, Tensor)
            else np.asarray(values, dtype)
        )
        self.constants[name] = self.onnx.numpy_helper.from_array(np.array(values, order="C"), name)
        return name

    def numbers(self, *values: int) -> str:
        return self.constant(
            "_".join(map(str, ("numbers", *values))).replace("-", "minus"), values, np.int64
        )

    def index(self, value: int) -> str:
        return self.constant(f"index_{value}", value, np.int64)

    def number(self, value: float) -> str:
        return self.constant(f"number_{value:.9g}", value, np.float32)

    def weight(self, layer: nn.Module, kind: str = "weight") -> str:
        return self.constant(f"{self.names[layer]}.{kind}", getattr(layer, kind))

    def linear(self, x: str, layer: nn.Linear) -> str:
        """(n, in) → (n, out)."""
        return self.add("Gemm", x, self.weight(layer), self.weight(layer, "bias"), transB=1)

    def rows(self, layer: nn.Embedding, pick: Callable[[str], str]) -> str:
        """The rows of a table (n, D) that `pick` takes of it."""
        return pick(self.weight(layer))

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        return self.add(
            "LayerNormalization",
            x,
            self.weight(layer),
            self.weight(layer, "bias"),
            axis=-1,
            epsilon=layer.eps,
        )


class QuantizedGraph(Graph):
    """The same with the layers of an 8-bit model."""

    def __init__(self, model: Bert):
        super().__init__(model)
        self.quantized: dict[
            tuple[str, float], str
        ] = {}  # inputs that several layers read: rounded once

    def linear(self, x: str, layer: QuantizedLinear) -> str:
        of_input, of_weight = layer.scales()
        if not of_input > 0:
            raise UserError(
                f"this 8-bit model's {self.names[layer]} has seen no data and has no range of its inputs; calibrate it with python -m tinybert_lite.quantize"
            )
        bias = self._whole(
            layer,
            "bias",
            whole_numbers(layer.bias, of_input * of_weight, bits=32),
            of_input * of_weight,
        )
        weight = self._whole(layer, "weight", whole_numbers(layer.weight, of_weight), of_weight)
        return self.add("Gemm", self._rounded(x, of_input), weight, bias, transB=1)

    def rows(self, layer: nn.Embedding, pick: Callable[[str], str]) -> str:
        name, scale = f"{self.names[layer]}.weight", layer.scale()
        found = pick(self.constant(name, whole_numbers(layer.weight, scale)))
        return self.add(
            "DequantizeLinear",
            found,
            self.constant(f"{name}.scale", scale),
            self.constant("zero_int8", 0, np.int8),
        )

    def _whole(self, layer: nn.Module, kind: str, values: Tensor, scale: Tensor) -> str:
        name = f"{self.names[layer]}.{kind}"
        zero = f"zero_{str(values.dtype).removeprefix('torch.')}"  # ONNX Runtime has int8 kernels for layers that spell it alone
        return self.add(
            "DequantizeLinear",
            self.constant(name, values),
            self.constant(f"{name}.scale", scale),
            self.constant(zero, values.new_zeros(())),
        )

    def _rounded(self, x: str, scale: Tensor) -> str:
        if (x, float(scale)) not in self.quantized:
            beside = (
                self.constant(f"{x}.scale.{float(scale):.9g}", scale),
                self.constant("middle", MIDDLE, np.uint8),
            )
            self.quantized[x, float(scale)] = self.add(
                "DequantizeLinear", self.add("QuantizeLinear", x, *beside), *beside
            )
        return self.quantized[x, float(scale)]


# The model ------------------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    **dict.fromkeys(("gelu", "gelu_python"), lambda graph, x: graph.add("Gelu", x)),
    **dict.fromkeys(
        ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"),
        lambda graph, x: graph.add("Gelu", x, approximate="tanh"),
    ),
    **dict.fromkeys(
        ("silu", "swish"), lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x))
    ),
    "relu": lambda graph, x: graph.add("Relu", x),
    "tanh": lambda graph, x: graph.add("Tanh", x),
}


def embedded(graph: Graph, embeddings: nn.Module, shape: str) -> str:
    """The ids → (B·L, D)."""
    words = graph.rows(
        embeddings.word_embeddings, lambda table: graph.add("Gather", table, "input_ids")
    )
    types = graph.rows(
        embeddings.token_type_embeddings, lambda table: graph.add("Gather", table, "token_type_ids")
    )
    length = graph.add("Slice", shape, graph.numbers(1), graph.numbers(2))
    places = graph.rows(
        embeddings.position_embeddings,
        lambda table: graph.add("Slice", table, graph.numbers(0), length),
    )
    state = graph.add("Add", graph.add("Add", words, types), places)
    return graph.norm(
        graph.add("Reshape", state, graph.numbers(-1, embeddings.word_embeddings.embedding_dim)),
        embeddings.LayerNorm,
    )


def layer(
    graph: Graph,
    block: nn.Module,
    act: Callable[[Graph, str], str],
    x: str,
    asking: str,
    split: str,
    split_asking: str,
    mask: str,
) -> str:
    """One layer's states of the rows `asking` (n, D), which look at all rows `x` (B·L, D). split: (B, L, H, d_k), the shape of each one's heads."""
    attention, output = block.attention.self, block.attention.output

    def heads(rows: str, part: nn.Linear, split: str, *order: int) -> str:
        return graph.add(
            "Transpose", graph.add("Reshape", graph.linear(rows, part), split), perm=order
        )

    query = heads(asking, attention.query, split_asking, 0, 2, 1, 3)  # (B, H, L or 1, d_k)
    key, value = (
        heads(x, attention.key, split, 0, 2, 3, 1),
        heads(x, attention.value, split, 0, 2, 1, 3),
    )
    scores = graph.add(
        "Mul", graph.add("MatMul", query, key), graph.number(attention.attention_head_size**-0.5)
    )
    seen = graph.add("MatMul", graph.add("Softmax", graph.add("Add", scores, mask), axis=-1), value)
    seen = graph.add(
        "Reshape",
        graph.add("Transpose", seen, perm=(0, 2, 1, 3)),
        graph.numbers(-1, attention.all_head_size),
    )
    state = graph.norm(graph.add("Add", graph.linear(seen, output.dense), asking), output.LayerNorm)
    inner = act(graph, graph.linear(state, block.intermediate.dense))
    return graph.norm(
        graph.add("Add", graph.linear(inner, block.output.dense), state), block.output.LayerNorm
    )


@torch.inference_mode()
def onnx_model(model: Bert):
    """The onnx.ModelProto of a classifier: INPUTS, int64 (B, L) → logits (B, K). The same model gives the same bytes.

    Raises UserError for an activation that ONNX has no word for, and for an 8-bit model that has seen no data.
    """
    graph, config = (QuantizedGraph if is_quantized(model) else Graph)(model), model.config
    if (act := ACTIVATIONS.get(config.hidden_act)) is None:
        raise UserError(
            f"an ONNX file has no activation {config.hidden_act!r}, only {', '.join(ACTIVATIONS)}; serve this model with PyTorch (--format classifier)"
        )
    D, H = config.hidden_size, config.num_attention_heads
    shape = graph.add("Shape", "input_ids")
    split = graph.add("Concat", shape, graph.numbers(H, D // H), axis=0)
    hidden = graph.add(
        "Sub", graph.number(1), graph.add("Cast", "attention_mask", to=graph.onnx.TensorProto.FLOAT)
    )
    mask = graph.add(
        "Mul",
        graph.add("Unsqueeze", hidden, graph.numbers(1, 2)),
        graph.number(torch.finfo(torch.float32).min),
    )  # (B, 1, 1, L)

    def first(x: str) -> str:
        """(B·L, D) → (B, D), the [CLS] of each row."""
        return graph.add(
            "Gather",
            graph.add("Reshape", x, graph.add("Concat", shape, graph.numbers(D), axis=0)),
            graph.index(0),
            axis=1,
        )

    x = embedded(graph, model.bert.embeddings, shape)
    for block in model.blocks[:-1]:
        x = layer(graph, block, act, x, x, split, split, mask)
    x = layer(
        graph, model.blocks[-1], act, x, first(x), split, graph.numbers(-1, 1, H, D // H), mask
    )
    pooled = graph.add("Tanh", graph.linear(x, model.bert.pooler.dense))
    logits = graph.linear(
        graph.add("Relu", pooled)
        if getattr(config, "classifier_head", "huggingface") == "relu"
        else pooled,
        model.classifier,
    )
    graph.nodes.append(graph.onnx.helper.make_node("Identity", [logits], ["logits"], "logits"))
    value, kinds, K = (
        graph.onnx.helper.make_tensor_value_info,
        graph.onnx.TensorProto,
        model.classifier.out_features,
    )
    whole = graph.onnx.helper.make_graph(
        graph.nodes,
        "classifier",
        [value(name, kinds.INT64, ["batch", "length"]) for name in INPUTS],
        [value("logits", kinds.FLOAT, ["batch", K])],
        list(graph.constants.values()),
    )
    return graph.onnx.helper.make_model(
        whole,
        producer_name="tinybert_lite",
        ir_version=IR_VERSION,
        opset_imports=[graph.onnx.helper.make_opsetid("", OPSET)],
    )


def onnx_bytes(model: Bert) -> bytes:
    """What a file holds, checked. Raises UserError as `onnx_model`, and where it would not fit into one file."""
    found = onnx_model(model)
    if found.ByteSize() > LARGEST:
        raise UserError(
            "this model is larger than the 2 GB that an ONNX file holds; serve it with PyTorch (--format classifier)"
        )
    need_onnx().checker.check_model(found, full_check=True)
    return found.SerializeToString(deterministic=True)
