"""Test whether int8 kernels saturate here, and whether our scale of 8-bit weights prevents it.

    python tools/benchmarks/saturation.py
    valgrind --tool=none python tools/benchmarks/saturation.py    # a minute; AVX2 without VNNI

Without VNNI, vpmaddubsw multiplies unsigned by signed bytes and adds 255 · k + 255 · k' of two
neighbouring inputs in 16 bits; values above 32,767 saturate without an error.
`weight_scale(…, neighbours=True)` keeps k + k' within 128 if the signs agree. Products of ONNX
Runtime are compared with exact ones, for both scales and for ONNX Runtime's own option
(session.x64quantprecision: slower kernels).
"""

from __future__ import annotations

import re

import numpy as np
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from tinybert_lite.method.quantization import weight_scale, whole_numbers

INPUTS, OUTPUTS, ROWS = 312, 64, 16


def product(x: np.ndarray, weights: np.ndarray, **entries: str) -> np.ndarray:
    """Return ONNX Runtime's product (n, out) int32 of x (n, in) uint8 and weights (out, in) int8.

    The zero point of x is 128.
    """
    constants = {
        "weights": weights.T.copy(),
        "middle": np.array(128, np.uint8),
        "zero": np.array(0, np.int8),
    }
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weights", "middle", "zero"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [None, OUTPUTS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(
        None, {"x": x}
    )[0]


def main() -> None:
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(OUTPUTS, INPUTS))
    weights[::2, ::2] = weights[::2, 1::2] = 3.0  # neighbours of one sign, among the largest
    x = draw.integers(0, 256, (ROWS, INPUTS)).astype(np.uint8)
    x[0] = 255
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = set(re.search(r"flags\s*:(.*)", file.read())[1].split())
    print(
        f"ONNX Runtime {ort.__version__}; the processor has",
        *sorted(flags & {"avx2", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8"}),
        "(an emulator may hide some)",
    )
    for name, neighbours, entries in (
        ("any int8 weights", False, {}),
        ("any int8 weights, x64quantprecision", False, {"x64quantprecision": "1"}),
        ("our weights", True, {}),
    ):
        float_weights = torch.tensor(weights, dtype=torch.float32)
        k = whole_numbers(float_weights, weight_scale(float_weights, neighbours)).numpy()
        exact = (x.astype(np.int32) - 128) @ k.astype(np.int32).T
        found = product(x, k, **entries)
        print(
            f"{name}: {(found != exact).mean():.1%} of the products differ from the exact ones, "
            f"by up to {np.abs(found - exact).max():,} of {np.abs(exact).max():,}"
        )


if __name__ == "__main__":
    main()
