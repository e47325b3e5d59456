"""Functions of several benchmarks: random models of real sizes, operations, ceiling, memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
from transformers import BertConfig

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.cost import multiply_adds


def bert(layers: int, width: int, intermediate: int, vocab_size: int, **parts) -> Encoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocab_size,
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=intermediate,
        num_attention_heads=12,
    )
    return Encoder(config, **parts)


def base(vocab_size: int, quick: bool = False, **parts) -> Encoder:
    """Return a model of BERT-base's size; `quick`: a very small one, for tests."""
    return bert(*(4, 48, 192) if quick else (12, 768, 3072), vocab_size, **parts)


def tiny(vocab_size: int, quick: bool = False, **parts) -> Encoder:
    """Return a model of TinyBERT4's size; `quick`: a very small one, for tests."""
    return bert(*(2, 24, 48) if quick else (4, 312, 1200), vocab_size, **parts)


def operations(teacher: Encoder | None, student: Encoder | None, lengths: np.ndarray) -> float:
    """Return the operations of one step on rows of these lengths, (n,).

    The teacher runs forward; student and projections run forward and backward.
    """
    total, device = 0.0, next((teacher or student).parameters()).device.type
    needs = device != "meta"  # a teacher whose weights are cast does
    with torch.autocast(device if needs else "cpu", torch.bfloat16, enabled=needs):
        for length, count in zip(*np.unique(lengths, return_counts=True)):
            one = multiply_adds(teacher, int(length)) if teacher else 0
            if student:
                one += 3 * multiply_adds(student, int(length))
                for fit in student.fit_denses or ():
                    one += 3 * int(length) * fit.in_features * fit.out_features
            total += 2.0 * one * count
    return total


def ceilings(device: str, dtype: torch.dtype, quick: bool = False) -> dict[str, list[float]]:
    """Return the operations per second of a matrix product, several times, by library.

    The product is a feed-forward layer's, (4096, 768) times (768, 3072); on a GPU a larger one that
    fills it; `quick`: a small one, twice. On a CPU also oneDNN with packed weights and, in float32,
    ONNX Runtime. The libraries take turns.
    """
    rows, repeats, calls = 4096, 15, 1
    if device != "cpu":  # several calls, so that waiting for the device takes a small part
        rows, calls = 65536, 10
    if quick:
        rows, repeats = 64, 2
    x = torch.randn(rows, 768, device=device, dtype=dtype)
    weight = torch.randn(3072, 768, device=device, dtype=dtype)
    products = {"PyTorch": lambda: torch.nn.functional.linear(x, weight)}
    if device == "cpu":
        products["oneDNN, packed"] = _onednn(x, weight)
        if dtype == torch.float32:
            products["ONNX Runtime"] = _onnx_runtime(x, weight)
    rates = {name: [] for name in products}
    with torch.inference_mode():
        for _ in range(repeats + 1):
            for name, product in products.items():
                started = time.perf_counter()
                for _ in range(calls):
                    found = product()
                float(found[0, 0])  # waits for the device
                seconds = (time.perf_counter() - started) / calls
                rates[name].append(2 * rows * 768 * 3072 / seconds)
    return {name: found[1:] for name, found in rates.items()}


def _onednn(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], torch.Tensor]:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, len(x))
    return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def _onnx_runtime(x: torch.Tensor, weight: torch.Tensor) -> Callable[[], np.ndarray]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(x), len(weight)])],
        [numpy_helper.from_array(weight.T.contiguous().numpy(), "weight")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": x.numpy()})[0]


def anonymous(process: psutil.Process) -> int:
    """Return the anonymous bytes of a process and its children, without mapped files.

    0 on systems other than Linux.
    """
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            status = Path(f"/proc/{one.pid}/status").read_text()
        except OSError:  # the process has ended
            continue
        total += sum(
            1024 * int(line.split()[1])
            for line in status.splitlines()
            if line.startswith("RssAnon")
        )
    return total


class Peak:
    """A context that measures the peak of anonymous memory, in bytes.

    It is that of this process and its children, or on the GPU.
    """

    def __init__(self, device: str = "cpu"):
        self.device, self.bytes = device, 0

    def __enter__(self) -> Peak:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(0.05):
            self.bytes = max(self.bytes, anonymous(process))

    def __exit__(self, *error) -> None:
        self._stop.set()
        self._thread.join()
        if self.device == "cuda":
            self.bytes = torch.cuda.max_memory_allocated()
