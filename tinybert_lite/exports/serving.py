"""The serving folder: a classifier as ONNX, its tokenizer and labels, and an example that needs no PyTorch and nothing of this package.

model.onnx (float32) and, of an 8-bit model, model.int8.onnx · tokenizer.json, which cuts and pads by itself · labels.json · example.py
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch

from tinybert_lite.data.batches import Examples, in_order
from tinybert_lite.data.tasks import Task
from tinybert_lite.exports.onnx_graph import INPUTS, onnx_bytes
from tinybert_lite.exports.onnx_runtime import OnnxClassifier, need_onnxruntime
from tinybert_lite.exports.source import Source, check_servable
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import QuantizedEmbedding, QuantizedLinear, is_quantized
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json

MODELS = {"int8": "model.int8.onnx", "onnx": "model.onnx"}  # by runtime, the fastest first
LABELS, TOKENIZER, EXAMPLE = "labels.json", "tokenizer.json", "example.py"
KIND = "bert_onnx"  # the model_type in config.json: nothing that reads PyTorch's weights must take the folder for a model without any
LENGTH = 128  # tokens a text, at most
MOST_APART = 1e-4  # of the largest logit, or absolutely below 1
ROUNDINGS = 1.5  # two models whose borderline numbers round independently are √2 times as far apart as rounding moves each


# Written --------------------------------------------------------------------------------------------------------------


def write_serving(source: Source, folder: Path, pair: bool | None = None) -> None:
    """Raises UserError for what cannot be served. pair: whether texts come in twos, where that is known."""
    need_onnxruntime()
    check_servable(source)
    for runtime, model in models_of(source).items():
        write_atomically(folder / MODELS[runtime], onnx_bytes(model))
    config, classes = source.model.config, source.model.classifier.out_features
    length = min(LENGTH, config.max_position_embeddings)
    write_atomically(folder / TOKENIZER, tokenizer_bytes(source.tokenizer, length))
    kind = (
        {"labels": [str(config.id2label.get(i, i)) for i in range(classes)]}
        if classes > 1
        else {
            "labels": [],
            "offset": getattr(config, "label_offset", 0.0),
            "scale": getattr(config, "label_scale", 1.0),
        }
    )
    write_json(
        folder / LABELS, {**kind, **({} if pair is None else {"pair": pair}), "max_length": length}
    )
    write_atomically(
        folder / EXAMPLE,
        example(fastest(folder).name, bool(pair), regression=classes == 1).encode("utf-8"),
    )
    write_json(folder / "config.json", {"model_type": KIND})


def example(model: str, pair: bool, regression: bool) -> str:
    """The text of example.py, for one sort of task, so that it is as short as that needs."""
    text = (
        Path(__file__)
        .with_name("serving_example.py")
        .read_text(encoding="utf-8")
        .replace(MODELS["onnx"], model)
    )
    if pair:
        text = (
            text.replace(
                "sys.argv[1:]",
                "list(zip(sys.argv[1::2], sys.argv[2::2]))  # pairs: two after each other",
            )
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


def models_of(source: Source) -> dict[str, Bert]:
    """What goes into MODELS: the model, and its 8-bit copy; or the model alone where that is the 8-bit one."""
    own = {"int8" if is_quantized(source.model) else "onnx": source.model}
    return own if source.eight_bits is None else {**own, "int8": source.eight_bits}


def tokenizer_bytes(tokenizer, length: int) -> bytes:
    """tokenizer.json that needs no settings: rows of at most `length` tokens, padded to the longest."""
    from tokenizers import Tokenizer

    alone = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    alone.enable_truncation(length, strategy="longest_first")
    alone.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    return alone.to_str(pretty=True).encode("utf-8")


# Compared -------------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def compare(source: Source, folder: Path, batch: dict[str, torch.Tensor]) -> str:
    """How far ONNX Runtime's logits are from PyTorch's on a batch, for people. Raises UserError where that is too far.

    8-bit models cannot be compared number by number: a number that lies on the border of two steps rounds to the one or the other as the
    last bit of a sum falls, and each such step moves others. PyTorch differs from itself so when a row is padded. Their mean distance has to be
    no more than that of two independent roundings.
    """
    said = []
    for runtime, model in models_of(source).items():
        expected = model.eval()(batch, logits=True).logits.numpy()
        found = OnnxClassifier(folder / MODELS[runtime]).logits(batch)
        apart, allowed = (
            float(np.abs(found - expected).max()),
            MOST_APART * max(1.0, float(np.abs(expected).max())),
        )
        if runtime == "int8":
            apart, rounding = (
                rms(found - expected),
                rms(unrounded(model)(batch, logits=True).logits.numpy() - expected),
            )
            allowed += ROUNDINGS * rounding
        if not apart <= allowed:  # NaN is apart too
            raise UserError(
                f"{MODELS[runtime]}'s logits are {apart:.1g} away from the model's, more than {allowed:.1g}; please report this with the model's config.json"
            )
        said.append(
            f"{MODELS[runtime]} is PyTorch's model within {apart:.1g}"
            if runtime == "onnx"
            else f"{MODELS[runtime]} is {apart:.1g} from PyTorch's 8-bit model, which rounding has moved by {rounding:.1g} (root mean squares)"
        )
    return f"{'; '.join(said)}; logits of {len(expected)} random rows"


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))


def unrounded(model: Bert) -> Bert:
    """A copy of an 8-bit model that rounds nothing."""
    found = copy.deepcopy(model)
    for layer in found.modules():
        if isinstance(layer, (QuantizedLinear, QuantizedEmbedding)):
            layer.__class__ = type(layer).__base__
    return found


# Opened ---------------------------------------------------------------------------------------------------------------


def fastest(folder: Path) -> Path | None:
    """The 8-bit model of a serving folder, else the other; None where it is none."""
    return next((folder / name for name in MODELS.values() if (folder / name).is_file()), None)


class Served:
    """A serving folder's model, tokenizer and labels."""

    def __init__(self, folder: Path, runtime: str | None = None, threads: int = 0):
        """runtime: a key of MODELS, None: the fastest there is. Raises UserError where a file is missing or damaged."""
        from transformers import PreTrainedTokenizerFast

        self.classifier = OnnxClassifier(
            folder / MODELS[runtime] if runtime else fastest(folder) or folder / MODELS["onnx"],
            threads,
        )
        self.order: list[int] | slice = slice(None)  # of the columns
        said = read_json(folder / LABELS)
        try:
            self.labels, self.length = (
                [str(word) for word in said["labels"]],
                int(said["max_length"]),
            )
            self.offset, self.scale = float(said.get("offset", 0)), float(said.get("scale", 1))
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{folder / LABELS} is not as an export left it; export again"
            ) from None
        try:
            self.tokenizer = PreTrainedTokenizerFast(
                tokenizer_file=str(folder / TOKENIZER),
                model_max_length=self.length,
                model_input_names=INPUTS,
            )
        except Exception as error:  # tokenizers raises Exception itself
            raise UserError(
                f"{folder / TOKENIZER} is missing or damaged ({' '.join(str(error).split())[:100]}); export again"
            ) from None

    def logits(self, examples: Examples, batch_size: int = 64) -> np.ndarray:
        """(n, K), in the examples' order."""
        parts = [
            (rows, self.classifier.logits(batch)) for rows, batch in in_order(examples, batch_size)
        ]
        found = np.empty((len(examples), parts[0][1].shape[1]), np.float32)
        for rows, values in parts:
            found[rows] = values
        return found[:, self.order]

    def in_the_tasks_order(self, task: Task) -> Served:
        """Turn the outputs into the order of the task's labels, where they are in another one."""
        if order := task.order_of(self.labels):
            self.order, self.labels = order, list(task.labels)
        return self
