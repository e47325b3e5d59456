"""Do a processor's int8 kernels cut sums off, and does our rule for 8-bit weights prevent it?

    python tools/benchmarks/saturation.py
    valgrind --tool=none python tools/benchmarks/saturation.py           # shows programs a processor of AVX2, without VNNI
    qemu-x86_64 -cpu Haswell $(which python) tools/benchmarks/saturation.py   # the same

Without VNNI an unsigned-by-signed product is made by vpmaddubsw: 255 · k + 255 · k' of two neighbouring inputs in 16 bits, and what is
larger than 32,767 is cut off in silence. `weight_scale(…, neighbours=True)` keeps |k + k'| ≤ 128 where the signs agree. Both kinds of weights
are multiplied here, in ONNX Runtime and exactly; it needs numpy, onnx and onnxruntime alone, so that it starts fast under an emulator.
"""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

INPUTS, OUTPUTS, ROWS = 312, 64, 16


def product(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x (n, in) uint8 with zero point 128 by weights (in, out) int8 → (n, out) int32, as ONNX Runtime has it."""
    constants = {"weights": weights, "middle": np.array(128, np.uint8), "zero": np.array(0, np.int8)}
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weights", "middle", "zero"], ["y"])], "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, len(weights)])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [None, weights.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, {"x": x})[0]


def whole(weights: np.ndarray, neighbours: bool) -> np.ndarray:
    """Weights (in, out) as int8; with the rule of `weight_scale`, in NumPy."""
    largest = np.abs(weights).max()
    if neighbours:
        pairs = weights.reshape(-1, 2, weights.shape[1])
        largest = max(largest, np.clip(pairs, 0, None).sum(1).max(), -np.clip(pairs, None, 0).sum(1).min())
    return np.clip(np.round(weights / (largest / 127)), -128, 127).astype(np.int8)


def main() -> None:
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(INPUTS, OUTPUTS))
    weights[::2, ::2] = weights[1::2, ::2] = 3.0  # neighbours that agree, as large as any
    x = draw.integers(0, 256, (ROWS, INPUTS)).astype(np.uint8)
    x[0] = 255
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = set(re.search(r"flags\s*:(.*)", file.read())[1].split())
    print(f"ONNX Runtime {ort.__version__}, onnx {onnx.__version__}; the processor under all has", *sorted(flags & {"avx2", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8"}))
    for name, neighbours in (("any int8 weights", False), ("neighbours of one sign add up to at most 127", True)):
        k = whole(weights, neighbours)
        exact = (x.astype(np.int32) - 128) @ k.astype(np.int32)
        found = product(x, k)
        print(f"{name}: {(found != exact).mean():.1%} of the products differ from the exact ones, by up to {np.abs(found - exact).max():,} of {np.abs(exact).max():,}")


if __name__ == "__main__":
    main()
