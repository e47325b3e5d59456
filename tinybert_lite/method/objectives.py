"""What a training step teaches. An objective maps (student, batch, sizes) to named loss terms; their sum is minimised.

Terms carry their layer: "attention/2", "hidden/0" (the embeddings). Teachers are in eval mode and outside autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Bert, Encoding
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.method.losses import Sizes
from tinybert_lite.system.errors import UserError

Terms = dict[str, Tensor]


def freeze(teacher: Bert) -> Bert:
    """A teacher does not learn: no dropout, no gradients."""
    return teacher.eval().requires_grad_(False)


class Intermediate:
    """Eqs. 7-9: attention scores and hidden states of mapped layers, the embeddings' among them (stages 3 and 4).

    `weights`: of "attention", "hidden" (layers 1 … M) and "embedding" in the sum (λ of Eq. 6, by kind of loss); a loss of weight 0
    is not computed. Raises UserError where nothing is left to learn.
    """

    def __init__(
        self,
        student: Bert,
        teacher: Bert,
        mapping: str = "uniform",
        padding: str = "exact",
        heads: str = "match",
        weights: dict[str, float] | None = None,
    ):
        self.teacher, self.padding = freeze(teacher), padding
        self.weights = {"attention": 1.0, "hidden": 1.0, "embedding": 1.0, **(weights or {})}
        self.mapping = layer_mapping(mapping, student.layers, teacher.layers)
        self.heads = (
            "skip"
            if not self.weights["attention"]
            else check_heads(
                student.config.num_attention_heads, teacher.config.num_attention_heads, heads
            )
        )
        if self.heads == "skip" and not (self.weights["hidden"] or self.weights["embedding"]):
            raise UserError(
                "every loss has weight 0 or is skipped, so there is nothing to learn; give one of attention_weight, hidden_weight "
                "and embedding_weight a number above 0"
            )

    def sizes(self, batch: dict[str, Tensor]) -> Sizes:
        return Sizes.of(batch["attention_mask"], self.padding)

    def __call__(self, student, batch: dict[str, Tensor], sizes: Sizes | None = None) -> Terms:
        attended = [] if self.heads == "skip" else range(1, len(self.mapping))
        with torch.inference_mode():
            teaching = self.teacher(
                batch, scores={self.mapping[m] for m in attended}, last_layer=max(self.mapping)
            )
        return self.terms(student(batch, scores=attended), teaching, batch["attention_mask"], sizes)

    def terms(
        self,
        learning: Encoding,
        teaching: Encoding,
        mask: Tensor,
        sizes: Sizes | None = None,
        hidden: bool = True,
    ) -> Terms:
        """The terms of two forward passes; hidden=False leaves the hidden states out (a student without projections)."""
        states = learning.projected or learning.hidden
        terms = {}
        for m, g in enumerate(self.mapping):
            if m in learning.scores:
                mine, theirs = common_heads(learning.scores[m], teaching.scores[g])
                terms[f"attention/{m}"] = self.weights["attention"] * losses.attention_loss(
                    mine, theirs, mask, self.padding, sizes
                )
            if hidden and (weight := self.weights["hidden" if m else "embedding"]):
                terms[f"hidden/{m}"] = weight * losses.hidden_loss(
                    states[m], teaching.hidden[g], mask, self.padding, sizes
                )
        return terms


def check_heads(student: int, teacher: int, heads: str) -> str:
    """Raise UserError where the two have different numbers of heads and no choice was made about it."""
    if student == teacher or heads == "skip":
        return heads
    if heads == "average" and (teacher % student == 0 or student % teacher == 0):
        return heads
    raise UserError(
        f"the student has {student} attention heads and the teacher {teacher}: use a student with {teacher}, or say "
        f"heads=skip (no attention loss){'' if heads == 'average' else ' or heads=average (in groups)'}"
    )


def common_heads(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Average the heads of the one that has more into as many groups as the other has. (B, H, L, L) each."""
    H = min(student.shape[1], teacher.shape[1])
    return tuple(
        s if s.shape[1] == H else s.unflatten(1, (H, -1)).mean(2) for s in (student, teacher)
    )


class Prediction:
    """Eq. 10: the teacher's soft targets (stage 5); for a regression the teacher's number.

    They come with the batch, as "soft_targets" (B, K) logits, or from a `teacher` that is asked each time. A share
    `hard_labels` of the loss is that of the gold labels (Hinton et al. 2015, without its factor t²; not in the paper); rows
    without one have the other share alone.
    """

    def __init__(
        self,
        teacher: Bert | None = None,
        temperature: float = 1.0,
        reduction: str = "ours",
        hard_labels: float = 0.0,
    ):
        self.teacher, self.temperature, self.reduction, self.hard_labels = (
            teacher and freeze(teacher),
            temperature,
            reduction,
            hard_labels,
        )

    def sizes(self, batch: dict[str, Tensor]) -> Sizes:
        return Sizes.of(batch["attention_mask"])

    def __call__(self, student, batch: dict[str, Tensor], sizes: Sizes | None = None) -> Terms:
        targets = batch.get("soft_targets")
        if targets is None:
            with torch.no_grad():
                targets = self.teacher(batch, logits=True).logits
        found = student(batch, logits=True).logits
        terms = {}
        if self.hard_labels < 1:
            loss = (
                losses.regression_loss(found, targets, sizes)
                if targets.shape[-1] == 1
                else losses.soft_cross_entropy(
                    found, targets, self.temperature, self.reduction, sizes
                )
            )
            terms["prediction"] = (1 - self.hard_labels) * loss
        if self.hard_labels:
            gold = ~batch["labels"].isnan()
            terms["label"] = self.hard_labels * losses.label_loss(
                found[gold], batch["labels"][gold], sizes or self.sizes(batch)
            )
        return terms


class Labels:
    """Gold labels: fine-tuning the teacher, and the undistilled student to compare with."""

    def sizes(self, batch: dict[str, Tensor]) -> Sizes:
        return Sizes.of(batch["attention_mask"])

    def __call__(self, student, batch: dict[str, Tensor], sizes: Sizes | None = None) -> Terms:
        return {
            "label": losses.label_loss(student(batch, logits=True).logits, batch["labels"], sizes)
        }


class MaskedLm:
    """Masked words: growing a teacher. The vocabulary's logits are computed at masked places alone."""

    def sizes(self, batch: dict[str, Tensor]) -> Sizes:
        return Sizes.of(batch["attention_mask"], targets=batch["targets"])

    def __call__(self, student, batch: dict[str, Tensor], sizes: Sizes | None = None) -> Terms:
        places = batch["targets"] >= 0
        found = student(batch, masked_lm=places).masked_lm
        return {"masked_lm": losses.masked_lm_loss(found, batch["targets"][places], sizes)}
