"""Models for `serving.py`: pairs of models, their 8-bit copies, and ways to run them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measure import base, tiny
from transformers import BertConfig, BertForSequenceClassification

from tinybert_lite.data.batches import in_order
from tinybert_lite.data.rows import task_examples
from tinybert_lite.exports.onnx_graph import onnx_bytes
from tinybert_lite.exports.onnx_runtime import OnnxClassifier
from tinybert_lite.exports.serving import MODELS
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import calibrate, quantize
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_classifier, load_model
from tinybert_lite.models.saving import save_safetensors
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.stages.settings import Quantizing
from tinybert_lite.system.errors import UserError

PYTORCH, STOCK, ONNX = "PyTorch float32", "Hugging Face's class float32", "ONNX Runtime float32"
INT8, DYNAMIC, SIMULATED = "ONNX Runtime int8", "PyTorch's dynamic int8", "PyTorch, int8 simulated"
Batch = dict[str, torch.Tensor]  # INPUTS, (B, L) each
Logits = Callable[[Batch], np.ndarray]  # (B, K)


@dataclass
class Pair:
    """Two models by name, the large one first; their 8-bit copies; dev rows, if there are any."""

    title: str
    models: dict[str, Encoder]
    eight_bits: dict[str, Encoder]
    dev: DevSet | None = None


def random_batch(rows: int, length: int, vocab_size: int) -> Batch:
    """Return a batch of random rows without padding."""
    ids = torch.randint(
        vocab_size // 30, vocab_size, (rows, length), generator=torch.Generator().manual_seed(0)
    )
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }


def calibrated(model: Encoder, batches) -> Encoder:
    """Return a calibrated 8-bit copy of a model."""
    return calibrate(quantize(copy.deepcopy(model)), batches)


def of_real_sizes(vocab_size: int, length: int, quick: bool = False) -> Pair:
    models = {
        "BERT-base": base(vocab_size, quick, num_labels=2),
        "TinyBERT4": tiny(vocab_size, quick, num_labels=2),
    }
    for model in models.values():
        model.eval().config.classifier_head = "huggingface"
    some = [random_batch(8, length, vocab_size)]
    return Pair(
        "BERT-base and TinyBERT4, random weights",
        models,
        {name: calibrated(model, some) for name, model in models.items()},
    )


def of_a_workspace(workspace: Workspace, length: int) -> Pair:
    """Return the task's teacher and its finished student.

    The 8-bit copies are those of `quantize`, else they are calibrated on training rows.
    """
    task = workspace.task
    loaded = {
        name: load_classifier(folder, task)
        for name, folder in (
            ("teacher", workspace.task_teacher),
            ("student", workspace.final_student),
        )
    }
    if lost := next((bert for bert in loaded.values() if "classifier" in bert.new_parts), None):
        raise UserError(
            f"{lost.folder} holds no fine-tuned model of {task.name}: run all stages in this "
            "workspace first"
        )
    if short := next(
        (bert for bert in loaded.values() if bert.model.config.max_position_embeddings < length),
        None,
    ):
        raise UserError(
            f"{short.folder} reads {short.model.config.max_position_embeddings} tokens at most, "
            f"and {length} were asked for: name shorter --lengths"
        )
    tokenizer, models = (
        loaded["student"].tokenizer,
        {name: bert.model.eval() for name, bert in loaded.items()},
    )
    rows = task_examples(
        workspace.data_file("train"), task, tokenizer, length, Quantizing.calibration_rows
    )
    some = [batch for _, batch in in_order(rows, 32)]
    trained = ModelFolder(workspace.int8_student).weights_file is not None
    eight_bits = {
        "teacher": calibrated(models["teacher"], some),
        "student": load_model(workspace.int8_student)[0].eval()
        if trained
        else calibrated(models["student"], some),
    }
    return Pair(
        f"{task.name}, teacher and student",
        models,
        eight_bits,
        DevSet(task, workspace.task_files, tokenizer, length),
    )


def stock(model: Encoder) -> BertForSequenceClassification:
    """Return Hugging Face's own model with the same weights and PyTorch's fast attention."""
    config = BertConfig(**{**model.config.to_dict(), "num_labels": model.output_layer.out_features})
    config._attn_implementation = "sdpa"
    found = BertForSequenceClassification(config)
    found.load_state_dict(model.auto.state_dict(), assign=True)  # shared, not copied
    return found.eval()


def in_pytorch(model: Encoder) -> Logits:
    return lambda batch: model(batch, logits=True).logits.numpy()


def ways(model: Encoder, eight_bits: Encoder, folder: Path, threads: int) -> dict[str, Logits]:
    """Return the ways to run a model whose files are in `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignores the warning that this function is deprecated
        dynamic = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)
    found = {
        PYTORCH: in_pytorch(model),
        ONNX: OnnxClassifier(folder / MODELS["onnx"], threads).logits,
        INT8: OnnxClassifier(folder / MODELS["int8"], threads).logits,
        DYNAMIC: in_pytorch(dynamic),
        SIMULATED: in_pytorch(eight_bits),
    }
    if model.config.classifier_head == "huggingface":
        same = stock(model)
        found[STOCK] = lambda batch: same(**batch).logits.numpy()
    return found


def write_files(model: Encoder, eight_bits: Encoder, folder: Path) -> dict[str, int]:
    """Write the files that `ways` reads, and PyTorch's weights; return their bytes by name."""
    folder.mkdir(parents=True)
    (folder / MODELS["onnx"]).write_bytes(onnx_bytes(model))
    (folder / MODELS["int8"]).write_bytes(onnx_bytes(eight_bits))
    save_safetensors(model, folder)
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
