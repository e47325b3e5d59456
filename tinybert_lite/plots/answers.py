"""Predictions of a classifier of two classes: logit margins and soft targets."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    LABELS,
    NEUTRAL,
    STUDENT,
    TEACHER,
    WRONG,
    finish,
    panel,
    settled,
)
from tinybert_lite.system.errors import UserError


def margins(student, teacher, labels, ax=None) -> Figure:
    """Draw logit margins z1 − z0 of teacher and student, one point per row.

    Teacher and student disagree on the red areas. student, teacher: (B, 2) logits · labels: (B,).
    Raises UserError unless there are two classes.
    """
    figure, ax = panel(ax, (5.4, 4.6))
    teacher, student = margin(teacher), margin(student)
    bound = 1.08 * max(1e-9, np.abs(teacher).max(), np.abs(student).max())
    _scatter(ax, student, teacher, labels, (-bound, bound), "equal margins", "margin")
    agree = ((teacher > 0) == (student > 0)).mean()
    ax.set_title(f"they agree on {100 * agree:.1f} % of {len(labels)} rows")
    return settled(figure)


def soft_targets(student, teacher, labels, temperature: float = 1.0, ax=None) -> Figure:
    """Draw probabilities σ((z1 − z0) / t) of class 1 at a temperature t, one point per row.

    student, teacher: (B, 2) logits · labels: (B,). The title has the mean entropies in nats, at
    most log 2 = 0.69. Raises UserError unless there are two classes.
    """
    figure, ax = panel(ax, (5.4, 4.8))
    quantity = "probability of class 1"
    _scatter(ax, margin(student), margin(teacher), labels, (0, 1), "equal", quantity)
    redraw_soft_targets(ax, student, teacher, labels, temperature)
    return settled(figure)


def redraw_soft_targets(ax, student, teacher, labels, temperature: float) -> None:
    """Redraw the axes of `soft_targets` for another temperature; much faster than a new figure."""
    both = np.stack([margin(teacher), margin(student)], 1)
    p = 1 / (1 + np.exp(-both / temperature))
    for label, points in enumerate(ax.collections):
        points.set_offsets(p[np.asarray(labels) == label])
    means = [f"{mean:.2f}" for mean in entropy(p).mean(0)]
    title = f"t = {temperature:g}: mean entropy, teacher {means[0]}, student {means[1]} of 0.69"
    ax.set_title(title, fontsize=10)


def margin(logits) -> np.ndarray:
    """Return z1 − z0 of (B, 2) logits, (B,) float64. Raises UserError unless K is 2."""
    logits = np.asarray(logits, float)
    if logits.ndim != 2 or logits.shape[1] != 2:
        raise UserError(
            "a margin needs logits of two classes, (B, 2), but these have the shape "
            f"{logits.shape}: choose a task with two classes"
        )
    return logits[:, 1] - logits[:, 0]


def entropy(p: np.ndarray) -> np.ndarray:
    """Return the entropy of two classes with probabilities p and 1 − p, in nats, shape of p."""
    return -sum(q * np.log(np.maximum(q, 1e-300)) for q in (p, 1 - p))


def _scatter(ax, student, teacher, labels, limits, diagonal: str, quantity: str) -> None:
    """Draw points (B,) by gold label; areas of disagreement of teacher and student are red."""
    labels, (low, high) = np.asarray(labels), limits
    middle = (low + high) / 2
    for corner in ((low, middle), (middle, low)):
        half = middle - low
        ax.add_patch(plt.Rectangle(corner, half, half, color=WRONG, alpha=0.08, lw=0))
    ax.plot(limits, limits, color=NEUTRAL, ls="--", lw=1, label=diagonal)
    for label, (colour, marker) in enumerate(LABELS):
        own = labels == label
        look = {"s": 22, "alpha": 0.55, "lw": 0, "color": colour, "marker": marker}
        ax.scatter(teacher[own], student[own], label=f"gold label {label}", **look)
    ax.set_xlabel(f"teacher's {quantity}", color=TEACHER)
    ax.set_ylabel(f"student's {quantity}", color=STUDENT)
    finish(ax, xlim=limits, ylim=limits, aspect="equal")
