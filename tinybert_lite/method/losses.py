"""The losses of TinyBERT: pure functions, student first, float32 inside.

B rows, L tokens, H heads, D width, K classes. A batch's losses are sums divided by `sizes`, the counts over the *global*
batch, so that accumulated parts and several processes add up to the same number; without `sizes` it is a plain mean.
Equal inputs give zero for the two MSE losses, and more padding changes nothing (`padding="exact"`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

HIDDEN_SCORE = -1e2  # the original's sentinel: scores at or below it were masked


@dataclass(frozen=True)
class Sizes:
    """What a mean divides by: rows, their places (tokens), query-key pairs, and masked-LM targets."""

    rows: float
    places: float
    pairs: float
    targets: float = 0.0

    @classmethod
    def of(cls, mask: Tensor, padding: str = "exact", targets: Tensor | None = None) -> Sizes:
        """Count a batch. mask: (B, L), 1 at real tokens. With padding="reference" padded places count too."""
        B, L = mask.shape
        found = 0.0 if targets is None else float((targets >= 0).sum())
        if padding == "reference":
            return cls(B, B * L, B * L * L, found)
        lengths = mask.sum(1).double()
        return cls(B, float(lengths.sum()), float(lengths.square().sum()), found)

    def __add__(self, other: Sizes) -> Sizes:
        return Sizes(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def tensor(self, device=None) -> Tensor:
        return torch.tensor(
            [getattr(self, f.name) for f in fields(self)], dtype=torch.float64, device=device
        )


def attention_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    padding: str = "exact",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eq. 7: MSE between pre-softmax scaled scores, a scalar.

    student, teacher: (B, H, L, L) before masking · mask: (B, L). exact: the mean over rows, heads and real query-key
    pairs. reference: as the original code, scores of masked keys (and any score <= -100) become 0 in both, and the mean
    runs over all places, padded queries included. The paper does not say what happens to padding.
    """
    sizes = sizes or Sizes.of(mask, padding)
    student, teacher = student.float(), teacher.float()
    keys = mask.bool()[:, None, None, :]
    if padding == "reference":
        student = student.where(keys & (student > HIDDEN_SCORE), 0.0)
        teacher = teacher.where(keys & (teacher > HIDDEN_SCORE), 0.0)
        error = (student - teacher).square()
    else:
        error = (
            (student - teacher).masked_fill_(~(keys & mask.bool()[:, None, :, None]), 0.0).square()
        )
    return error.sum() / (sizes.pairs * student.shape[1])


def hidden_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    padding: str = "exact",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eqs. 8 and 9: MSE between the projected student states and the teacher's, a scalar.

    student, teacher: (B, L, D), the student's already projected to the teacher's width · mask: (B, L).
    exact: the mean over real tokens and D. reference: over all places, as the original code, which masks nothing.
    """
    sizes = sizes or Sizes.of(mask, padding)
    error = student.float() - teacher.float()
    if padding != "reference":
        error.masked_fill_(
            ~mask.bool()[:, :, None], 0.0
        )  # in place: autograd needs no copy of a difference
    return error.square().sum() / (sizes.places * student.shape[2])


def soft_cross_entropy(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    reduction: str = "ours",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eq. 10: −softmax(z_T / t) · log_softmax(z_S / t), a scalar; not zero but the teacher's entropy for equal logits.

    student, teacher: (B, K). ours: the sum over classes, the mean over rows. original: the mean over both, 1/K of ours.
    """
    soft_targets = F.softmax(teacher.float() / temperature, dim=-1)
    losses = -(soft_targets * F.log_softmax(student.float() / temperature, dim=-1)).sum(-1)
    loss = losses.sum() / (sizes.rows if sizes else len(losses))
    return loss / student.shape[-1] if reduction == "original" else loss


def regression_loss(student: Tensor, teacher: Tensor, sizes: Sizes | None = None) -> Tensor:
    """STS-B: MSE to the teacher's output, both (B,) or (B, 1); the original code takes the gold label by mistake."""
    error = (student.float().view(-1) - teacher.float().view(-1)).square()
    return error.sum() / (sizes.rows if sizes else len(error))


def label_loss(logits: Tensor, labels: Tensor, sizes: Sizes | None = None) -> Tensor:
    """Cross-entropy of (B, K) logits to (B,) labels, or MSE where K = 1; the mean over rows. For fine-tuning."""
    if logits.shape[-1] == 1:
        return regression_loss(logits, labels, sizes)
    return F.cross_entropy(logits.float(), labels.long(), reduction="sum") / (
        sizes.rows if sizes else len(labels)
    )


def masked_lm_loss(logits: Tensor, targets: Tensor, sizes: Sizes | None = None) -> Tensor:
    """Cross-entropy of (P, V) logits at the P masked places to (P,) targets; the mean over masked places."""
    return F.cross_entropy(logits.float(), targets, reduction="sum") / max(
        1, sizes.targets if sizes else len(targets)
    )
