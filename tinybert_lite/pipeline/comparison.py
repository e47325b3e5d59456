"""Compute the distillation losses of a student and a teacher on one batch, for debugging."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError


def read_batch(path: Path, vocab_size: int, most_tokens: int) -> dict[str, Tensor]:
    """Read input_ids, attention_mask and token_type_ids, (B, L) each, from an .npz file.

    Without a mask all positions are real; without token types all are 0. Raises UserError for
    other shapes and types, and for ids and lengths that the models do not have.
    """
    try:
        arrays = dict(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a NumPy .npz file ({str(error).splitlines()[0]}); write it "
            f"with numpy.savez"
        ) from None
    ids = arrays.get("input_ids")
    if ids is None or ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or not ids.size:
        raise UserError(
            f"{path} holds no input_ids of shape (rows, tokens); write them with numpy.savez"
        )
    if ids.min() < 0 or ids.max() >= vocab_size or ids.shape[1] > most_tokens:
        raise UserError(
            f"{path}: input_ids run from {ids.min()} to {ids.max()} over {ids.shape[1]} tokens, "
            f"but the models have {vocab_size} word pieces and {most_tokens} positions; make the "
            f"batch with their own vocabulary"
        )
    usual = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    batch = {"input_ids": ids} | {name: arrays.get(name, usual[name]) for name in usual}
    for name, array in batch.items():
        if array.shape != ids.shape:
            raise UserError(
                f"{path}: {name} has shape {array.shape} and input_ids {ids.shape}; they must be "
                f"the same"
            )
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


@torch.inference_mode()
def compare(
    student: Encoder,
    teacher: Encoder,
    batch: dict[str, Tensor],
    mapping: str = "uniform",
    padding: str = "exact",
    heads: str = "match",
    temperature: float = 1.0,
) -> dict:
    """Return the losses of stages 3 to 5 on a batch, without dropout; None if a part is missing.

    attention_loss and hidden_loss are sums over layers (paper, Eqs. 7 to 9).
    """
    objective = Intermediate(student.eval(), teacher, mapping, padding, heads)
    attended = [] if objective.heads == "skip" else range(1, len(objective.mapping))
    learning = student(batch, scores=attended, logits=student.output_layer is not None)
    teaching = teacher(
        batch,
        scores={objective.mapping[m] for m in attended},
        logits=teacher.output_layer is not None,
    )
    fits = (learning.projected or learning.hidden)[0].shape[-1] == teaching.hidden[0].shape[-1]
    if not fits:
        remark(
            "the student has no projection (fit_dense) to the teacher's width: hidden_loss is null"
        )
    terms = objective.terms(learning, teaching, batch["attention_mask"], hidden=fits)
    found = {}
    for kind in ("attention", "hidden"):
        layers = [float(value) for name, value in terms.items() if name.startswith(kind)] or None
        found |= {f"{kind}_loss": layers and sum(layers), f"{kind}_per_layer": layers}
    logits = {"student": learning.logits, "teacher": teaching.logits}
    classes = {None if of is None else of.shape[1] for of in logits.values()}
    for name, of in logits.items():
        found[f"{name}_logits"] = None if of is None else of.tolist()
    found["soft_cross_entropy"] = None
    if len(classes) == 1 and not classes & {None, 1}:
        found["soft_cross_entropy"] = {
            how: float(losses.soft_cross_entropy(*logits.values(), temperature, how))
            for how in ("ours", "original")
        }
    return found
