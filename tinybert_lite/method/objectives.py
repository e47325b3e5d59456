"""Objectives (section 3.1, Eqs. 5, 6 and 11): the losses that a training step adds up.

An objective maps (student, batch, sizes) to named loss terms, and their sum is minimised. Terms
carry their layer: "attention/2", "hidden/0" (the embeddings). Eq. 11 as two objectives, trained one
after the other: `Intermediate` for m = 0 … M, `Prediction` for m = M + 1. The teacher is in eval
mode and outside autograd; in the original code its dropout is active and its graph is built.
"""

import torch
from torch import Tensor

from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Encoder, Encoding
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.method.losses import Sizes
from tinybert_lite.system.errors import UserError

Terms = dict[str, Tensor]
Batch = dict[str, Tensor]


def freeze(teacher: Encoder) -> Encoder:
    """Switch off a teacher's dropout and gradients."""
    return teacher.eval().requires_grad_(False)


class Objective:
    """The base class of objectives: counts a batch for the training loop (`Sizes`)."""

    padding = "exact"

    def sizes(self, batch: Batch) -> Sizes:
        return Sizes.of(batch["attention_mask"], self.padding, batch.get("targets"))


class Intermediate(Objective):
    """Eqs. 7 to 9 for m = 0 … M: attention scores, hidden states and embeddings of mapped layers.

    weights: λ of Eq. 6 for "attention", "hidden" (layers 1 … M) and "embedding"; 1 in the paper. A
    loss of weight 0 is not computed.
    heads: what to do if student and teacher have different numbers of heads, see `check_heads`.
    Where a family's attention scores cannot be stored, there is no attention loss.
    Raises UserError if the heads do not fit or no loss is left.
    """

    def __init__(
        self,
        student: Encoder,
        teacher: Encoder,
        mapping: str = "uniform",
        padding: str = "exact",
        heads: str = "match",
        weights: dict[str, float] | None = None,
    ):
        self.teacher, self.padding = freeze(teacher), padding
        self.weights = {"attention": 1.0, "hidden": 1.0, "embedding": 1.0, **(weights or {})}
        self.mapping = layer_mapping(mapping, student.layers, teacher.layers)
        counts = (model.config.num_attention_heads for model in (student, teacher))
        scored = self.weights["attention"] and student.has_scores and teacher.has_scores
        self.heads = check_heads(*counts, heads) if scored else "skip"
        if self.heads == "skip" and not (self.weights["hidden"] or self.weights["embedding"]):
            raise UserError(
                "every loss has weight 0 or is skipped, so there is nothing to learn; set one of "
                "attention_weight, hidden_weight and embedding_weight to a number above 0"
            )

    def __call__(self, student, batch: Batch, sizes: Sizes | None = None) -> Terms:
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
        """Return the terms of a student's and a teacher's forward pass. mask: (B, L).

        hidden=False leaves the hidden states out, for a student without projections.
        """
        states = learning.projected or learning.hidden
        terms = {}
        for m, g in enumerate(self.mapping):
            if m in learning.scores:
                loss = losses.attention_loss(
                    *common_heads(learning.scores[m], teaching.scores[g]), mask, self.padding, sizes
                )
                terms[f"attention/{m}"] = self.weights["attention"] * loss
            if hidden and (weight := self.weights["hidden" if m else "embedding"]):
                terms[f"hidden/{m}"] = weight * losses.hidden_loss(
                    states[m], teaching.hidden[g], mask, self.padding, sizes
                )
        return terms


def check_heads(student: int, teacher: int, heads: str) -> str:
    """Check that the heads of student and teacher can be matched; return `heads`.

    The paper's student has as many as its teacher. Ours, for other numbers: average (the mean over
    groups of heads) or skip (no attention loss). Raises UserError if the numbers differ and neither
    was chosen, or if one number is not a multiple of the other.
    """
    if student == teacher or heads == "skip":
        return heads
    if heads == "average" and (teacher % student == 0 or student % teacher == 0):
        return heads
    averaging = "" if heads == "average" else " or heads=average (mean over groups of heads)"
    raise UserError(
        f"student and teacher have different numbers of attention heads, {student} and {teacher}: "
        f"use a student with {teacher}, or set heads=skip (no attention loss){averaging}"
    )


def common_heads(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Average neighbouring heads of the tensor with more heads; returns both as (B, H, L, L)."""
    H = min(student.shape[1], teacher.shape[1])
    return tuple(
        s if s.shape[1] == H else s.unflatten(1, (H, -1)).mean(2) for s in (student, teacher)
    )


class Prediction(Objective):
    """Eq. 10, m = M + 1: cross-entropy to the teacher's soft targets, or a regression's MSE.

    The soft targets are the teacher's logits, "soft_targets" (B, K) of the batch; without these the
    `teacher` computes them. hard_labels: the share of the gold labels' loss, 0 in the paper (Hinton
    et al. 2015, without their factor t²); a row without a label has only the soft targets' loss.
    """

    def __init__(
        self,
        teacher: Encoder | None = None,
        temperature: float = 1.0,
        reduction: str = "ours",
        hard_labels: float = 0.0,
    ):
        self.teacher = teacher and freeze(teacher)
        self.temperature, self.reduction, self.hard_labels = temperature, reduction, hard_labels

    def __call__(self, student, batch: Batch, sizes: Sizes | None = None) -> Terms:
        targets = batch.get("soft_targets")
        if targets is None:
            with torch.no_grad():
                targets = self.teacher(batch, logits=True).logits
        found = student(batch, logits=True).logits
        terms = {}
        if self.hard_labels < 1:
            if targets.shape[-1] == 1:
                loss = losses.regression_loss(found, targets, sizes)
            else:
                loss = losses.soft_cross_entropy(
                    found, targets, self.temperature, self.reduction, sizes
                )
            terms["prediction"] = (1 - self.hard_labels) * loss
        if self.hard_labels:
            gold = ~batch["labels"].isnan()
            terms["label"] = self.hard_labels * losses.label_loss(
                found[gold], batch["labels"][gold], sizes or self.sizes(batch)
            )
        return terms


class Labels(Objective):
    """Gold labels: for fine-tuning the teacher, and for the undistilled student."""

    def __call__(self, student, batch: Batch, sizes: Sizes | None = None) -> Terms:
        found = student(batch, logits=True).logits
        return {"label": losses.label_loss(found, batch["labels"], sizes)}


class MaskedLm(Objective):
    """Masked language modelling, for pre-training a teacher (Devlin et al. 2019).

    The batch's "targets" (B, L) are token ids at masked positions, negative at all others; logits
    over the vocabulary are computed at masked positions only.
    """

    def __call__(self, student, batch: Batch, sizes: Sizes | None = None) -> Terms:
        places = batch["targets"] >= 0
        found = student(batch, masked_lm=places).masked_lm
        return {"masked_lm": losses.masked_lm_loss(found, batch["targets"][places], sizes)}
