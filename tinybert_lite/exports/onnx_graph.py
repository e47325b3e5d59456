"""Write a finished classifier as an ONNX graph, in float32 or 8 bits, without Python or PyTorch.

The graph is written operator by operator and not traced. A trace records one batch: without padding
it would leave out the mask for all batches. It also merges weights under new names, so that a scale
could not be assigned to its weight, and it needs more packages. All operators are ONNX's own, of
opset 20, so any runtime can read them.

States are matrices of (B·L, D), so every Linear layer is one Gemm. The classifier reads only [CLS],
so the last layer computes only its state, from the keys and values of all tokens: the result is
the same, at a fifth of that layer's cost.
"""

from collections.abc import Callable

import torch
from torch import nn

from tinybert_lite.exports.onnx_nodes import INPUTS, Graph, QuantizedGraph, need_onnx
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.system.errors import UserError

OPSET, IR_VERSION = 20, 9  # of ONNX 1.15 (2023), for ONNX Runtime from 1.17 on
LARGEST_MESSAGE_BYTES = 2**31 - 1  # bytes of a protobuf message

Activation = Callable[[Graph, str], str]
ACTIVATIONS: dict[str, Activation] = {
    "gelu": lambda graph, x: graph.add("Gelu", x),
    "gelu_new": lambda graph, x: graph.add("Gelu", x, approximate="tanh"),
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "relu": lambda graph, x: graph.add("Relu", x),
    "tanh": lambda graph, x: graph.add("Tanh", x),
}
ACTIVATIONS |= {  # the same under other names
    "gelu_python": ACTIVATIONS["gelu"],
    "gelu_fast": ACTIVATIONS["gelu_new"],
    "gelu_pytorch_tanh": ACTIVATIONS["gelu_new"],
    "swish": ACTIVATIONS["silu"],
}


def embedded(graph: Graph, embeddings: nn.Module, shape: str) -> str:
    """Add the embeddings; return the name of their output, (B·L, D). shape: name of (B, L)."""
    length = graph.add("Slice", shape, graph.numbers(1), graph.numbers(2))
    words = graph.rows(embeddings.word_embeddings, "Gather", "input_ids")
    types = graph.rows(embeddings.token_type_embeddings, "Gather", "token_type_ids")
    places = graph.rows(embeddings.position_embeddings, "Slice", graph.numbers(0), length)
    state = graph.add("Add", graph.add("Add", words, types), places)
    flat = graph.numbers(-1, embeddings.word_embeddings.embedding_dim)
    return graph.norm(graph.add("Reshape", state, flat), embeddings.LayerNorm)


def layer(
    graph: Graph,
    block: nn.Module,
    act: Activation,
    x: str,
    asking: str,
    split: str,
    split_asking: str,
    mask: str,
) -> str:
    """Add one layer; return the name of its output for the rows `asking`, (n, D).

    The rows `asking` give the queries; all rows `x`, (B·L, D), give the keys and values. split: the
    shape (B, L, H, d_k) of the heads of `x` · split_asking: the same for `asking`.
    """
    attention, output = block.attention.self, block.attention.output

    def heads(rows: str, part: nn.Linear, split: str, *order: int) -> str:
        apart = graph.add("Reshape", graph.linear(rows, part), split)
        return graph.add("Transpose", apart, perm=order)

    query = heads(asking, attention.query, split_asking, 0, 2, 1, 3)  # (B, H, L or 1, d_k)
    key = heads(x, attention.key, split, 0, 2, 3, 1)
    value = heads(x, attention.value, split, 0, 2, 1, 3)
    scale = graph.number(attention.attention_head_size**-0.5)
    scores = graph.add("Mul", graph.add("MatMul", query, key), scale)
    shares = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", shares, value), perm=(0, 2, 1, 3))
    seen = graph.add("Reshape", seen, graph.numbers(-1, attention.all_head_size))
    state = graph.norm(graph.add("Add", graph.linear(seen, output.dense), asking), output.LayerNorm)
    inner = act(graph, graph.linear(state, block.intermediate.dense))
    outer = graph.linear(inner, block.output.dense)
    return graph.norm(graph.add("Add", outer, state), block.output.LayerNorm)


@torch.inference_mode()
def onnx_model(model: Encoder):
    """Return the onnx.ModelProto of a classifier: INPUTS, int64 (B, L) → logits (B, K).

    The same model gives the same bytes. Raises UserError for an activation that ONNX does not
    have, and for an 8-bit model that is not calibrated.
    """
    graph, config = (QuantizedGraph if is_quantized(model) else Graph)(model), model.config
    if (act := ACTIVATIONS.get(config.hidden_act)) is None:
        raise UserError(
            f"ONNX has no activation {config.hidden_act!r}, only {', '.join(ACTIVATIONS)}; serve "
            f"this model with PyTorch (--format classifier)"
        )
    helper, kinds = graph.onnx.helper, graph.onnx.TensorProto
    D, H = config.hidden_size, config.num_attention_heads
    shape = graph.add("Shape", "input_ids")
    split = graph.add("Concat", shape, graph.numbers(H, D // H), axis=0)
    real = graph.add("Cast", "attention_mask", to=kinds.FLOAT)
    hidden = graph.add("Sub", graph.number(1), real)
    mask = graph.add(  # (B, 1, 1, L)
        "Mul",
        graph.add("Unsqueeze", hidden, graph.numbers(1, 2)),
        graph.number(torch.finfo(torch.float32).min),
    )
    x = embedded(graph, model.body.embeddings, shape)
    *blocks, last = model.body.encoder.layer
    for block in blocks:
        x = layer(graph, block, act, x, x, split, split, mask)
    by_row = graph.add("Reshape", x, graph.add("Concat", shape, graph.numbers(D), axis=0))
    cls = graph.add("Gather", by_row, graph.constant("index_0", torch.tensor(0)), axis=1)  # (B, D)
    x = layer(graph, last, act, x, cls, split, graph.numbers(-1, 1, H, D // H), mask)
    pooled = graph.add("Tanh", graph.linear(x, model.body.pooler.dense))
    if getattr(config, "classifier_head", "huggingface") == "relu":
        pooled = graph.add("Relu", pooled)
    logits = graph.linear(pooled, model.output_layer)
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"], "logits"))
    value, K = helper.make_tensor_value_info, model.output_layer.out_features
    whole = helper.make_graph(
        graph.nodes,
        "classifier",
        [value(name, kinds.INT64, ["batch", "length"]) for name in INPUTS],
        [value("logits", kinds.FLOAT, ["batch", K])],
        list(graph.constants.values()),
    )
    return helper.make_model(
        whole,
        producer_name="tinybert_lite",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def onnx_bytes(model: Encoder) -> bytes:
    """Return the contents of an ONNX file, checked by the package onnx.

    Raises UserError as `onnx_model`, and if the model is too large for one file.
    """
    found = onnx_model(model)
    if found.ByteSize() > LARGEST_MESSAGE_BYTES:
        raise UserError(
            "this model is larger than 2 GB, the limit of an ONNX file; serve it with PyTorch "
            "(--format classifier)"
        )
    need_onnx().checker.check_model(found, full_check=True)
    return found.SerializeToString(deterministic=True)
