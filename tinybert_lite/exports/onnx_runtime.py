"""ONNX Runtime: run a serving model on batches, and find this processor's int8 instructions."""

import re
from pathlib import Path

import numpy as np

from tinybert_lite.exports.onnx_nodes import CURE, INPUTS, need_onnx
from tinybert_lite.system.errors import UserError, one_line

INT8 = {  # Linux's name of a processor flag -> our name, the fastest first
    "amx_int8": "AMX int8",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "ARM i8mm",
    "asimddp": "ARM dotprod",
    "avx512bw": "AVX512 without VNNI",
    "avx2": "AVX2 without VNNI",
}


def need_onnxruntime():
    """Import the package onnxruntime. Raises UserError if it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"an ONNX model needs the package onnxruntime, which is not installed: run {CURE}"
        ) from None
    return onnxruntime


def open_session(model: Path | bytes, threads: int = 0):
    """Open an InferenceSession on the CPU.

    threads: number of threads within a layer; 0: one per physical core. Raises UserError for a file
    that is not an ONNX model.
    """
    runtime = need_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    is_file = isinstance(model, Path)
    try:
        return runtime.InferenceSession(
            str(model) if is_file else model, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has its own kinds of errors
        raise UserError(
            f"{model if is_file else 'the model'} cannot be opened by ONNX Runtime "
            f"{runtime.__version__} ({one_line(error)}); export it again"
        ) from None


class OnnxClassifier:
    """An ONNX model of a serving folder: model.onnx or model.int8.onnx."""

    def __init__(self, path: Path, threads: int = 0):
        """Raises UserError if the file is missing or invalid, or ONNX Runtime is not installed."""
        if not path.is_file():
            raise UserError(
                f"{path} is missing: make it with python -m tinybert_lite.export --format serving"
            )
        self.path, self.session = path, open_session(path, threads)

    def logits(self, batch) -> np.ndarray:
        """Compute logits (B, K) from INPUTS, (B, L) each, as NumPy arrays or PyTorch tensors."""
        return self.session.run(["logits"], {name: np.asarray(batch[name]) for name in INPUTS})[0]


def int8_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return this processor's fastest int8 instructions, "unknown" if /proc/cpuinfo is missing."""
    try:
        text = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    flags = set(" ".join(lines).split())
    return next((name for flag, name in INT8.items() if flag in flags), "unknown")


def saturates() -> bool:
    """Whether this processor's int8 kernels saturate sums of two products at 16 bits.

    255 · 127 + 255 · 127 over neighbouring inputs is 64,770, and 16 bits hold 32,767.
    """
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
    x = np.full((4, inputs), 255, np.uint8)
    found = open_session(model.SerializeToString(), 1).run(None, {"x": x})[0]
    return bool((found != inputs * 255 * 127).any())
