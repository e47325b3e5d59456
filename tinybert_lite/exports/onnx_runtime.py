"""ONNX Runtime: a serving model as a function of batches, and what this processor has for whole numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tinybert_lite.exports.onnx_graph import CURE, INPUTS, need_onnx
from tinybert_lite.system.errors import UserError

INT8 = {
    "amx_int8": "AMX int8",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "ARM i8mm",
    "asimddp": "ARM dotprod",
    "avx512bw": "AVX512 without VNNI",
    "avx2": "AVX2 without VNNI",
}  # flags as Linux names them, the fastest first


def need_onnxruntime():
    """The package onnxruntime. Raises UserError where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"an ONNX model runs on the package onnxruntime, which is not installed: {CURE}"
        ) from None
    return onnxruntime


def open_session(model: Path | bytes, threads: int = 0, **entries: str):
    """An InferenceSession on the CPU. threads: of a layer, 0: one a physical core; layers never run side by side."""
    runtime = need_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    try:
        return runtime.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # of its own kinds, one a stage of reading
        raise UserError(
            f"{model if isinstance(model, Path) else 'the model'} is no ONNX model that ONNX Runtime {runtime.__version__} opens "
            f"({' '.join(str(error).split())[:150]}); export it again"
        ) from None


class OnnxClassifier:
    """model.onnx or model.int8.onnx of a serving folder."""

    def __init__(self, path: Path, threads: int = 0):
        """Raises UserError where the file is missing or no ONNX model, and where ONNX Runtime is not installed."""
        if not path.is_file():
            raise UserError(
                f"{path} is missing: make it with python -m tinybert_lite.export --format serving"
            )
        self.path, self.session = path, open_session(path, threads)

    def logits(self, batch) -> np.ndarray:
        """INPUTS (B, L) each, of NumPy or PyTorch → (B, K)."""
        return self.session.run(["logits"], {name: np.asarray(batch[name]) for name in INPUTS})[0]


# The processor --------------------------------------------------------------------------------------------------------


def int8_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The best that this processor has for products of whole numbers, "unknown" where the system does not say."""
    try:
        flags = set(
            " ".join(
                re.findall(
                    r"^(?:flags|Features)\s*:(.*)$",
                    cpuinfo.read_text(encoding="utf-8"),
                    re.MULTILINE,
                )
            ).split()
        )
    except OSError:
        return "unknown"
    return next((name for flag, name in INT8.items() if flag in flags), "unknown")


def saturates() -> bool:
    """Whether this processor's kernels cut sums off: 255 · 127 + 255 · 127 over neighbouring inputs is 64,770, more than 16 bits hold."""
    onnx = need_onnx()
    helper, kinds, inputs = onnx.helper, onnx.TensorProto, 64
    constants = {
        "weight": np.full((inputs, 16), 127, np.int8),
        "zero": np.array(0, np.uint8),
        "zero_weight": np.array(0, np.int8),
    }
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weight", "zero", "zero_weight"], ["y"])],
        "saturation",
        [helper.make_tensor_value_info("x", kinds.UINT8, ["n", inputs])],
        [helper.make_tensor_value_info("y", kinds.INT32, ["n", 16])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    found = open_session(model.SerializeToString(), 1).run(
        None, {"x": np.full((4, inputs), 255, np.uint8)}
    )[0]
    return bool((found != inputs * 255 * 127).any())
