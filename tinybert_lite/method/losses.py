"""The losses of TinyBERT (section 3.1, Eqs. 7 to 10), of labels and of the masked LM.

The student's tensor is the first argument; losses are computed in float32 and are scalars. Each is
a sum divided by `sizes`, the counts of the *global* batch, so that the losses of the parts of a
batch, on one process or several, add up to the loss of the global batch. Without `sizes` the given
batch is the global one. The two MSE losses are zero for equal tensors; with padding="exact" more
padding changes nothing.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch.nn.functional as F
from torch import Tensor

HIDDEN_SCORE = -1e2  # the original code treats scores up to this one as masked
ORIGINAL = ("original", "reference")  # padding as in the original code, and an older word for it


@dataclass(frozen=True)
class Sizes:
    """The divisors of means: numbers of rows, tokens, query-key pairs and masked-LM targets."""

    rows: float
    places: float
    pairs: float
    targets: float = 0.0

    @classmethod
    def of(cls, mask: Tensor, padding: str = "exact", targets: Tensor | None = None) -> Sizes:
        """Count a batch. mask: (B, L), 1 at real tokens; with padding="original" all places count.

        targets: (B, L) token ids, negative at positions that are not predicted.
        """
        B, L = mask.shape
        found = 0.0 if targets is None else float((targets >= 0).sum())
        if padding in ORIGINAL:
            return cls(B, B * L, B * L * L, found)
        lengths = mask.sum(1).double()
        return cls(B, float(lengths.sum()), float(lengths.square().sum()), found)

    def __add__(self, other: Sizes) -> Sizes:
        return Sizes(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other))))


def attention_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    padding: str = "exact",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eq. 7: MSE between attention scores A = QKᵀ/√d_k, before mask and softmax.

    student, teacher: (B, H, L, L) · mask: (B, L). The paper does not say what happens to padding.
    exact (ours): the mean over rows, heads and pairs of a real query and a real key.
    original: scores of masked keys, and scores ≤ −100, become 0 in both models; the mean runs over
    all places, padded queries included.
    """
    sizes = sizes or Sizes.of(mask, padding)
    student, teacher = student.float(), teacher.float()
    keys = mask.bool()[:, None, None, :]
    if padding in ORIGINAL:
        student = student.where(keys & (student > HIDDEN_SCORE), 0.0)
        teacher = teacher.where(keys & (teacher > HIDDEN_SCORE), 0.0)
        error = student - teacher
    else:
        pairs = keys & mask.bool()[:, None, :, None]
        error = (student - teacher).masked_fill_(~pairs, 0.0)
    return error.square().sum() / (sizes.pairs * student.shape[1])


def hidden_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor,
    padding: str = "exact",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eqs. 8 and 9: MSE between projected student states (H^S W_h, or E^S W_e) and the teacher's.

    student, teacher: (B, L, D), the student's projected by W_h or W_e, which `encoder.Encoder`
    holds (fit_denses) and applies · mask: (B, L).
    exact (ours): the mean over real tokens and D. original: over all places.
    """
    sizes = sizes or Sizes.of(mask, padding)
    error = student.float() - teacher.float()
    if padding not in ORIGINAL:
        error.masked_fill_(~mask.bool()[:, :, None], 0.0)  # in place, which saves a copy
    return error.square().sum() / (sizes.places * student.shape[2])


def soft_cross_entropy(
    student: Tensor,
    teacher: Tensor,
    temperature: float = 1.0,
    reduction: str = "ours",
    sizes: Sizes | None = None,
) -> Tensor:
    """Eq. 10: −softmax(z^T / t) · log_softmax(z^S / t). Equal logits give the teacher's entropy.

    student, teacher: logits (B, K). ours: the sum over classes and the mean over rows, as the
    paper's cross-entropy. original: the mean over both, 1/K of ours.
    """
    soft_targets = F.softmax(teacher.float() / temperature, dim=-1)
    losses = -(soft_targets * F.log_softmax(student.float() / temperature, dim=-1)).sum(-1)
    loss = losses.sum() / (sizes.rows if sizes else len(losses))
    return loss / student.shape[-1] if reduction == "original" else loss


def regression_loss(student: Tensor, teacher: Tensor, sizes: Sizes | None = None) -> Tensor:
    """Eq. 10 for a regression (STS-B): MSE to the teacher's output, the mean over rows.

    student, teacher: (B,) or (B, 1). The original code uses the gold label, by mistake.
    """
    error = (student.float().view(-1) - teacher.float().view(-1)).square()
    return error.sum() / (sizes.rows if sizes else len(error))


def label_loss(logits: Tensor, labels: Tensor, sizes: Sizes | None = None) -> Tensor:
    """Cross-entropy of (B, K) logits to (B,) gold labels, or MSE if K = 1; mean over rows."""
    if logits.shape[-1] == 1:
        return regression_loss(logits, labels, sizes)
    loss = F.cross_entropy(logits.float(), labels.long(), reduction="sum")
    return loss / (sizes.rows if sizes else len(labels))


def masked_lm_loss(logits: Tensor, targets: Tensor, sizes: Sizes | None = None) -> Tensor:
    """Cross-entropy of (P, V) logits at P masked positions to (P,) token ids, mean over P."""
    loss = F.cross_entropy(logits.float(), targets, reduction="sum")
    return loss / max(1, sizes.targets if sizes else len(targets))
