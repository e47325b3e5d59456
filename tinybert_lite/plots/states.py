"""Hidden states of teacher and student: their distance, its lower bound, and their PCA."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from tinybert_lite.plots.panels import (
    NEUTRAL,
    STUDENT,
    TEACHER,
    legend_beside,
    new_figure,
    open_frame,
    pair_names,
    panel,
)
from tinybert_lite.system.console import counted
from tinybert_lite.system.errors import UserError


def real_tokens(states: Tensor, mask: Tensor) -> np.ndarray:
    """Return the states of the n real tokens, (n, D) float64. states: (B, L, D), mask: (B, L)."""
    return states[mask.bool()].detach().double().cpu().numpy()


def hidden_match(
    errors_before: list[float], errors_after: list[float], mapping: list[int], ax=None
) -> Figure:
    """Draw the hidden loss of each mapped pair m = 0 … M, before and after distillation.

    errors_before, errors_after: M + 1 losses each.
    """
    figure, ax = panel(ax, (6.4, 3.4))
    x = np.arange(len(mapping))
    ax.bar(x - 0.2, errors_before, 0.4, color=NEUTRAL, label="before")
    ax.bar(x + 0.2, errors_after, 0.4, color=STUDENT, label="after")
    ax.set_xticks(x, pair_names(mapping), fontsize=8)
    ax.set(ylabel="mean squared error", title="hidden states, projected to the teacher's width")
    legend_beside(ax, fontsize=None)
    open_frame(ax)
    return figure


def variance_beyond(states: np.ndarray) -> np.ndarray:
    """Return the variance outside the best k directions for k = 0 … D, divided by D: (D + 1,).

    states: (n, D). By PCA it is the sum of the smallest D − k eigenvalues of the covariance.
    """
    n, D = states.shape
    squares = np.zeros(D)
    values = np.linalg.svd(states - states.mean(0), compute_uv=False)
    squares[: len(values)] = values**2
    return np.append(squares[::-1].cumsum()[::-1], 0) / (n * D)


def rank_floor(teacher: np.ndarray, width: int) -> float:
    """Return the lower bound of the hidden loss for a student of `width`.

    W and a bias map `width` numbers to D, so the projected states lie in an affine subspace of
    `width` dimensions, and the teacher's principal directions span the best one (Eckart and Young).

    teacher: (n, D) states of real tokens; the bound is for these tokens, so use many more than
    `width`. If all layers have one W (projection=original), use the states of all layers together.
    Raises UserError for too few tokens.
    """
    if len(teacher) <= width + 1:
        raise UserError(
            f"{counted(len(teacher), 'token')} always fit into {width} directions: "
            f"use more sentences, at least {10 * width} tokens"
        )
    return float(variance_beyond(teacher)[min(width, teacher.shape[1])])


def rank_floors(
    teachers: list[np.ndarray], losses: list[float], width: int, mapping: list[int]
) -> Figure:
    """Draw each teacher layer's variance outside k directions, and hidden losses with their bounds.

    teachers: states (n, D) of real tokens of layer g(m), m = 0 … M · losses: each pair's hidden
    loss on the same tokens. The bounds are those of `rank_floor` at k = `width`.
    """
    floors = [rank_floor(states, width) for states in teachers]
    figure, ((left, right),) = new_figure(1, 2, (9.6, 3.6))
    beyond = [variance_beyond(states) for states in teachers]
    for m, (values, g) in enumerate(zip(beyond, mapping)):
        shade = plt.cm.Blues(0.35 + 0.6 * m / max(1, len(teachers) - 1))
        left.plot(values, color=shade, label=f"teacher {g}" if g else "embeddings")
    left.axvline(width, color=STUDENT, ls="--", lw=1.5)
    left.text(
        width,
        0.97,
        f" student's\n width {width}",
        color=STUDENT,
        fontsize=8,
        va="top",
        transform=left.get_xaxis_transform(),
    )
    total = max(values[0] for values in beyond)
    left.set(
        yscale="log",
        ylim=(total / 3000, total * 1.5),
        xlabel="directions kept",
        ylabel="mean square outside",
        title="the teacher outside its best k directions",
    )
    left.legend(frameon=False, fontsize=8, loc="lower left")
    x = np.arange(len(losses))
    right.bar(x, losses, 0.6, color=STUDENT, label="hidden loss")
    right.hlines(floors, x - 0.4, x + 0.4, color=TEACHER, lw=2, label="floor")
    right.set_xticks(x, pair_names(mapping), fontsize=8)
    right.set(ylabel="mean squared error", title="hidden loss and its floor")
    right.legend(frameon=False, fontsize=8)
    for ax in (left, right):
        open_frame(ax)
    return figure


def principal_plane(teacher: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean (D,), two principal directions (2, D), their shares of the variance (2,).

    teacher: (n, D) states. Raises UserError for fewer than three tokens.
    """
    if len(teacher) < 3:
        raise UserError(
            f"a plane cannot be drawn from {counted(len(teacher), 'token')}: use at least 3"
        )
    mean = teacher.mean(0)
    _, values, directions = np.linalg.svd(teacher - mean, full_matrices=False)
    return mean, directions[:2], values[:2] ** 2 / max(1e-30, (values**2).sum())


def principal_components(
    teacher: np.ndarray, students: dict[str, np.ndarray], most: int = 60
) -> Figure:
    """Draw tokens in the plane of the teacher's first two principal directions (PCA).

    An arrow leads from each student state to the teacher's. teacher: (n, D) · students:
    checkpoint's name -> projected states (n, D) of the same tokens, one panel each. The plane is
    computed from the teacher's states alone and is the same in all panels; at most `most` tokens,
    evenly spaced, are drawn.
    """
    mean, directions, shares = principal_plane(teacher)
    some = np.unique(np.linspace(0, len(teacher) - 1, min(most, len(teacher))).astype(int))
    goal = (teacher - mean)[some] @ directions.T
    count = len(students)
    figure, (axes,) = new_figure(1, count, (1 + 3.3 * count, 3.8), sharex=True, sharey=True)
    for ax, (name, states) in zip(axes, students.items()):
        start = (states - mean)[some] @ directions.T
        ax.quiver(
            *start.T,
            *(goal - start).T,
            angles="xy",
            scale_units="xy",
            scale=1,
            color="#55606e",
            alpha=0.6,
            width=0.004,
            headwidth=4,
            zorder=4,
        )
        ax.scatter(*goal.T, s=18, color=TEACHER, lw=0, label="teacher", zorder=2)
        ax.scatter(*start.T, s=14, color=STUDENT, lw=0, label="student", zorder=3)
        ax.set_title(f"{name}\nhidden loss {np.square(states - teacher).mean():.3g}", fontsize=10)
        ax.set_xlabel(f"1st direction ({100 * shares[0]:.0f} % of variance)", fontsize=8)
        open_frame(ax)
    axes[0].set_ylabel(f"2nd direction ({100 * shares[1]:.0f} %)", fontsize=8)
    legend_beside(axes[-1])
    return figure
