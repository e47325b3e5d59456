"""The serving folder: a classifier as ONNX, with its tokenizer, its labels and an example.

model.onnx (float32) and, of an 8-bit model, model.int8.onnx · tokenizer.json, which truncates and
pads by itself · labels.json · example.py, which needs neither PyTorch nor this package
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from tinybert_lite.data.batches import Examples, in_order
from tinybert_lite.data.tasks import Task
from tinybert_lite.exports.onnx_graph import onnx_bytes
from tinybert_lite.exports.onnx_nodes import INPUTS
from tinybert_lite.exports.onnx_runtime import OnnxClassifier, need_onnxruntime
from tinybert_lite.exports.source import Source, check_servable
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import QuantizedEmbedding, QuantizedLinear, is_quantized
from tinybert_lite.models.folder import SERVED as MODELS
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.labels import OutputLabels
from tinybert_lite.system.errors import UserError, one_line
from tinybert_lite.system.files import read_json, write_atomically, write_json

LABELS, TOKENIZER, EXAMPLE = "labels.json", "tokenizer.json", "example.py"
KIND = (
    "bert_onnx"  # model_type in config.json, so that no program opens the folder as a PyTorch model
)
LENGTH = 128  # tokens per text, at most
MOST_APART = 1e-4  # allowed difference, times the largest absolute logit or 1
# Rounding changes the logits by some distance. Two models that round independently differ by √2
# times this distance.
ROUNDINGS = 1.5


def write_serving(source: Source, folder: Path, pair: bool | None = None) -> None:
    """Write the serving folder of a classifier. pair: whether texts are pairs, None if not known.

    Raises UserError for a model without a classifier or a vocabulary, for another family than bert,
    and for an activation that ONNX does not have.
    """
    need_onnxruntime()
    check_servable(source)
    models, labels = models_of(source), OutputLabels.of(source.model)
    for runtime, model in models.items():
        write_atomically(folder / MODELS[runtime], onnx_bytes(model))
    length = min(LENGTH, source.model.config.max_position_embeddings)
    write_atomically(folder / TOKENIZER, tokenizer_bytes(source.tokenizer, length))
    unit = {} if labels.words else {"offset": labels.offset, "scale": labels.scale}
    texts = {} if pair is None else {"pair": pair}
    write_json(folder / LABELS, {"labels": labels.words, **unit, **texts, "max_length": length})
    fastest = MODELS["int8" if "int8" in models else "onnx"]
    text = example(fastest, bool(pair), regression=not labels.words)
    write_atomically(folder / EXAMPLE, text.encode())
    write_json(folder / "config.json", {"model_type": KIND})


def example(model: str, pair: bool, regression: bool) -> str:
    """Return the text of example.py. pair: texts are pairs · regression: there are no labels."""
    template = Path(__file__).with_name("serving_example.py")
    text = template.read_text(encoding="utf-8").replace(MODELS["onnx"], model)
    if pair:
        pairs = "list(zip(sys.argv[1::2], sys.argv[2::2]))  # pairs: two after each other"
        text = (
            text.replace("sys.argv[1:]", pairs)
            .replace("each text's", "each pair's")
            .replace(", text, sep", ", *text, sep")
        )
    if regression:
        before, _ = text.split("shares = ")
        text = (
            before.replace("label and its probability", "number")
            + f"""for text, (number,) in zip(texts, logits.astype(float)):
    print(f"{{number * said['scale'] + said['offset']:.6g}}", {"*" * pair}text, sep="\\t")
"""
        )
    return text


def models_of(source: Source) -> dict[str, Encoder]:
    """Return runtime -> model, as in MODELS: the model and its 8-bit copy, or an 8-bit model."""
    own = {"int8" if is_quantized(source.model) else "onnx": source.model}
    return own if source.eight_bits is None else {**own, "int8": source.eight_bits}


def tokenizer_bytes(tokenizer, length: int) -> bytes:
    """Return a tokenizer.json that truncates to `length` tokens and pads to the longest row."""
    from tokenizers import Tokenizer

    alone = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    alone.enable_truncation(length, strategy="longest_first")
    alone.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    return alone.to_str(pretty=True).encode("utf-8")


# Comparing -----------------------------------------------------------------------------------


@torch.inference_mode()
def check_served(source: Source, folder: Path, batch: dict[str, torch.Tensor]) -> str:
    """Compare ONNX Runtime's logits with PyTorch's on a batch; return the result as a sentence.

    8-bit logits cannot be compared one by one: the last bit of a sum decides whether a value on the
    border between two steps is rounded up or down, and each such step changes others. (PyTorch's
    own logits change in this way when a row is padded.) So their root mean square difference may be
    that of two independent roundings. Raises UserError if the difference is larger.
    """
    said = []
    for runtime, model in models_of(source).items():
        file = MODELS[runtime]
        expected = model.eval()(batch, logits=True).logits.numpy()
        difference = OnnxClassifier(folder / file).logits(batch) - expected
        allowed = MOST_APART * max(1.0, float(np.abs(expected).max()))
        if runtime == "onnx":
            apart = float(np.abs(difference).max())
            said.append(f"the logits of {file} differ from PyTorch's by at most {apart:.1g}")
        else:
            apart = rms(difference)
            rounding = rms(unrounded(model)(batch, logits=True).logits.numpy() - expected)
            allowed += ROUNDINGS * rounding
            said.append(
                f"those of {file} differ from the 8-bit model's by {apart:.1g}, while rounding "
                f"changes these by {rounding:.1g} (root mean squares)"
            )
        if not apart <= allowed:  # true of NaN as well
            raise UserError(
                f"the logits of {file} differ from the model's by {apart:.1g}, more than "
                f"{allowed:.1g}; report this with the model's config.json"
            )
    return f"{'; '.join(said)} ({len(expected)} random rows)"


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


def unrounded(model: Encoder) -> Encoder:
    """Return a copy of an 8-bit model that does not round."""
    found = copy.deepcopy(model)
    for layer in found.modules():
        if isinstance(layer, (QuantizedLinear, QuantizedEmbedding)):
            layer.__class__ = type(layer).__base__
    return found


# Opening -------------------------------------------------------------------------------------


class Served:
    """A serving folder's model, tokenizer and labels."""

    def __init__(self, place: ModelFolder | Path, runtime: str | None = None, threads: int = 0):
        """runtime: a key of MODELS; None: the fastest in the folder.

        Raises UserError if a file is missing or damaged.
        """
        from transformers import PreTrainedTokenizerFast

        place = ModelFolder.at(place)
        folder = place.path
        fastest = place.served_file or folder / MODELS["onnx"]
        self.classifier = OnnxClassifier(folder / MODELS[runtime] if runtime else fastest, threads)
        self.order: list[int] | slice = slice(None)  # of the logits' columns
        said = read_json(folder / LABELS)
        try:
            self.labels = OutputLabels(
                [str(word) for word in said["labels"]],
                float(said.get("offset", 0)),
                float(said.get("scale", 1)),
            )
            self.length = int(said["max_length"])
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{folder / LABELS} is not what an export wrote; export the model again"
            ) from None
        try:
            self.tokenizer = PreTrainedTokenizerFast(
                tokenizer_file=str(folder / TOKENIZER),
                model_max_length=self.length,
                model_input_names=INPUTS,
            )
        except Exception as error:  # tokenizers raises Exception itself
            raise UserError(
                f"{folder / TOKENIZER} is missing or damaged "
                f"({one_line(error, 100)}); export the model again"
            ) from None

    def logits(self, examples: Examples, batch_size: int = 64) -> np.ndarray:
        """Compute the logits (n, K) in the order of the examples."""
        found: np.ndarray | None = None
        for rows, batch in in_order(examples, batch_size):
            values = self.classifier.logits(batch)[:, self.order]
            if found is None:
                found = np.empty((len(examples), values.shape[1]), np.float32)
            found[rows] = values
        return found

    def in_the_tasks_order(self, task: Task) -> Served:
        """Reorder the outputs to the order of the task's labels; returns self."""
        if order := task.order_of(self.labels.words):
            self.order, self.labels = order, OutputLabels(list(task.labels))
        return self
