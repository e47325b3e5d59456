"""What a student would be taught on one batch, as numbers: for debugging a distillation. Needs no vocabulary.

    python -m tinybert_lite.compare --teacher_model DIR --student_model DIR --batch FILE.npz --padding original

Prints one flat JSON object on standard output; remarks go to standard error.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.loading import load_model
from tinybert_lite.stages.settings import Distilling, Predicting
from tinybert_lite.system.command import command
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


def read_batch(path: Path, vocab_size: int, most_tokens: int) -> dict[str, Tensor]:
    """input_ids and, where the file has them, attention_mask and token_type_ids; each (B, L). No mask: all places are real."""
    try:
        arrays = dict(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read as a NumPy .npz file ({str(error).splitlines()[0]}); write it with numpy.savez"
        ) from None
    ids = arrays.get("input_ids")
    if ids is None or ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or not ids.size:
        raise UserError(
            f"{path} holds no input_ids of shape (rows, tokens); write them with numpy.savez"
        )
    if ids.min() < 0 or ids.max() >= vocab_size or ids.shape[1] > most_tokens:
        raise UserError(
            f"{path}: input_ids run from {ids.min()} to {ids.max()} over {ids.shape[1]} tokens, but the models have {vocab_size} "
            f"word pieces and {most_tokens} positions; make the batch with their own vocabulary"
        )
    batch = {
        "input_ids": ids,
        "attention_mask": arrays.get("attention_mask", np.ones_like(ids)),
        "token_type_ids": arrays.get("token_type_ids", np.zeros_like(ids)),
    }
    for name, array in batch.items():
        if array.shape != ids.shape:
            raise UserError(
                f"{path}: {name} has shape {array.shape} and input_ids {ids.shape}; they must be alike"
            )
    return {name: torch.from_numpy(array.astype(np.int64)) for name, array in batch.items()}


@torch.inference_mode()
def compare(
    student: Bert,
    teacher: Bert,
    batch: dict[str, Tensor],
    mapping: str = "uniform",
    padding: str = "exact",
    heads: str = "match",
    temperature: float = 1.0,
) -> dict:
    """The losses of stages 3 to 5 on a batch, dropout off. Losses are sums over layers; null where a part is missing."""
    objective = Intermediate(student.eval(), teacher, mapping, padding, heads)
    attended = [] if objective.heads == "skip" else range(1, len(objective.mapping))
    both = student.classifier is not None and teacher.classifier is not None
    learning = student(batch, scores=attended, logits=student.classifier is not None)
    teaching = teacher(
        batch,
        scores={objective.mapping[m] for m in attended},
        logits=teacher.classifier is not None,
    )
    fits = (learning.projected or learning.hidden)[0].shape[-1] == teaching.hidden[0].shape[-1]
    if not fits:
        remark(
            "the student has no projection (fit_dense) to the teacher's width: hidden_loss is null"
        )
    terms = objective.terms(learning, teaching, batch["attention_mask"], hidden=fits)

    def layers(kind: str) -> list[float] | None:
        return [float(value) for name, value in terms.items() if name.startswith(kind)] or None

    attention, hidden = layers("attention"), layers("hidden")
    soft = None
    if both and student.classifier.out_features == teacher.classifier.out_features > 1:
        soft = {
            how: float(
                losses.soft_cross_entropy(learning.logits, teaching.logits, temperature, how)
            )
            for how in ("ours", "original")
        }
    return {
        "attention_loss": sum(attention) if attention else None,
        "hidden_loss": sum(hidden) if hidden else None,
        "attention_per_layer": attention,
        "hidden_per_layer": hidden,
        "student_logits": None if learning.logits is None else learning.logits.tolist(),
        "teacher_logits": None if teaching.logits is None else teaching.logits.tolist(),
        "soft_cross_entropy": soft,
    }


@command
def main(argv: list[str]) -> None:
    parser = Parser("compare", __doc__)
    parser.add_argument("--teacher_model", required=True)
    parser.add_argument("--student_model", required=True)
    parser.add_argument(
        "--batch",
        required=True,
        type=Path,
        help=".npz with input_ids, attention_mask, token_type_ids",
    )
    parser.settings(Distilling, "padding", "mapping", "heads")
    parser.settings(Predicting, "temperature")
    args = parser.parse_args(argv)
    how, temperature = Distilling.of(args), Predicting.of(args).temperature
    (teacher, _), (student, _) = (
        load_model(local_folder(name)) for name in (args.teacher_model, args.student_model)
    )
    if teacher.config.vocab_size != student.config.vocab_size:
        raise UserError(
            f"{args.student_model} has a vocabulary of {student.config.vocab_size}, {args.teacher_model} one of "
            f"{teacher.config.vocab_size}; compare models of one vocabulary"
        )
    most = min(model.config.max_position_embeddings for model in (teacher, student))
    batch = read_batch(args.batch, student.config.vocab_size, most)
    found = compare(student, teacher, batch, how.mapping, how.padding, how.heads, temperature)
    print(json.dumps(found))


if __name__ == "__main__":
    raise SystemExit(main())
