"""Hidden states of teacher and student: how near they are, how near they can be, and where they lie."""

from __future__ import annotations

import html

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor

from tinybert_lite.plots.panels import (
    GREY,
    NEUTRAL,
    STUDENT,
    TEACHER,
    new_figure,
    open_frame,
    pair_names,
    panel,
)
from tinybert_lite.system.errors import UserError


def real_tokens(states: Tensor, mask: Tensor) -> np.ndarray:
    """(B, L, D) and (B, L) → (n, D) of the n real tokens, float64."""
    return states[mask.bool()].detach().double().cpu().numpy()


def hidden_match(
    errors_before: list[float], errors_after: list[float], mapping: list[int], ax=None
) -> Figure:
    """The hidden loss of every matched pair, before and after distillation."""
    figure, ax = panel(ax, (6.4, 3.4))
    x = np.arange(len(mapping))
    ax.bar(x - 0.2, errors_before, 0.4, color=NEUTRAL, label="before")
    ax.bar(x + 0.2, errors_after, 0.4, color=STUDENT, label="after")
    ax.set_xticks(x, pair_names(mapping), fontsize=8)
    ax.set(ylabel="mean squared error", title="hidden states, projected to the teacher's width")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure


def variance_beyond(states: np.ndarray) -> np.ndarray:
    """Mean square a number that is left of states when their best k directions are taken, k = 0 … D. (n, D) → (D + 1,)

    Sums of the smallest D − k eigenvalues of the covariance, divided by D.
    """
    n, D = states.shape
    squares = np.zeros(D)
    values = np.linalg.svd(states - states.mean(0), compute_uv=False)
    squares[: len(values)] = values**2
    return np.append(squares[::-1].cumsum()[::-1], 0) / (n * D)


def rank_floor(teacher: np.ndarray, width: int) -> float:
    """What the hidden loss cannot fall below: W maps `width` numbers and a bias to D, so its images lie in a plane of
    `width` directions, and the teacher's principal ones are the best such plane (Eckart and Young).

    teacher: (n, D) states of real tokens; the floor is theirs, so take many more tokens than `width`. Where one W serves all
    layers (projection=original), it is the floor of all their states together. Raises UserError for too few tokens.
    """
    if len(teacher) <= width + 1:
        raise UserError(
            f"{len(teacher)} tokens always fit into {width} directions: take more sentences, at least {10 * width} tokens"
        )
    return float(variance_beyond(teacher)[min(width, teacher.shape[1])])


def rank_floors(
    teachers: list[np.ndarray], losses: list[float], width: int, mapping: list[int]
) -> Figure:
    """Left what k directions leave of each mapped teacher layer; right the hidden losses above the floors at k = `width`.

    teachers: (n, D) real tokens of layer g(m), m = 0 … M · losses: the hidden loss of each pair on the same tokens.
    """
    floors = [rank_floor(states, width) for states in teachers]
    figure, (axes,) = new_figure(1, 2, (9.6, 3.6))
    for m, states in enumerate(teachers):
        shade = plt.cm.Blues(0.35 + 0.6 * m / max(1, len(teachers) - 1))
        axes[0].plot(
            variance_beyond(states),
            color=shade,
            label=f"teacher {mapping[m]}" if mapping[m] else "embeddings",
        )
    axes[0].axvline(width, color=STUDENT, ls="--", lw=1.5)
    axes[0].text(
        width,
        0.97,
        f" student's\n width {width}",
        color=STUDENT,
        fontsize=8,
        va="top",
        transform=axes[0].get_xaxis_transform(),
    )
    total = max(variance_beyond(states)[0] for states in teachers)
    axes[0].set(
        yscale="log",
        ylim=(total / 3000, total * 1.5),
        xlabel="directions kept",
        ylabel="mean square left",
        title="what k directions leave of the teacher",
    )
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    x = np.arange(len(losses))
    axes[1].bar(x, losses, 0.6, color=STUDENT, label="hidden loss")
    axes[1].hlines(floors, x - 0.4, x + 0.4, color=TEACHER, lw=2, label="floor")
    axes[1].set_xticks(x, pair_names(mapping), fontsize=8)
    axes[1].set(ylabel="mean squared error", title="hidden loss and its floor")
    axes[1].legend(frameon=False, fontsize=8)
    for ax in axes:
        open_frame(ax)
    return figure


def cka(student: list[np.ndarray], teacher: list[np.ndarray]) -> np.ndarray:
    """Linear CKA of all pairs of layers, (M + 1, N + 1): 1 where one's states are the other's turned, scaled and shifted; near 0
    where they have nothing in common.

    student, teacher: (n, d) and (n, D) a layer, the same n real tokens. The unbiased estimate: the usual one rises towards 1
    by itself as widths come near n. It can be a little below 0.
    """
    mine, theirs = ([_similarities(states) for states in layers] for layers in (student, teacher))
    return np.array([[np.vdot(a, b) for b in theirs] for a in mine])


def _similarities(states: np.ndarray) -> np.ndarray:
    """Products of all pairs of different tokens, centred, of length 1: CKA is the cosine between two of these."""
    n = len(states)
    if n < 4:
        raise UserError(f"{n} tokens are too few to compare layers: take at least 4")
    products = (states - states.mean(0)) @ (states - states.mean(0)).T
    np.fill_diagonal(products, 0)
    rows = products.sum(0) / (n - 2)
    products += products.sum() / ((n - 1) * (n - 2)) - rows - rows[:, None]
    np.fill_diagonal(products, 0)
    return products / max(1e-30, np.linalg.norm(products))


def layer_similarity(student, untrained, mapping: list[int]) -> Figure:
    """CKA of all student with all teacher layers, beside that of a random student: what any student has for nothing.

    student, untrained: (M + 1, N + 1) from `cka`; mapped pairs are framed.
    """
    student, untrained = np.asarray(student), np.asarray(untrained)
    layers, across = student.shape
    figure, axes = new_figure(2, 1, (2.6 + 0.46 * across, 1.8 + 0.6 * layers), sharex=True)
    axes = axes[:, 0]
    for ax, values, name in ((axes[0], untrained, "random student"), (axes[1], student, "student")):
        image = ax.imshow(values, vmin=0, vmax=1, cmap="viridis", origin="lower", aspect="auto")
        for m, g in np.ndindex(values.shape):
            ax.text(
                g,
                m,
                f"{values[m, g]:.2f}".replace("-0.00", "0.00"),
                ha="center",
                va="center",
                fontsize=7.5,
                color="black" if values[m, g] > 0.6 else "white",
            )
        for m, g in enumerate(mapping):
            ax.add_patch(
                plt.Rectangle((g - 0.46, m - 0.46), 0.92, 0.92, fill=False, ec=STUDENT, lw=2)
            )
        ax.set_xticks(range(across), ["emb.", *range(1, across)], fontsize=8)
        ax.set_yticks(range(layers), ["emb.", *range(1, layers)], fontsize=8)
        ax.set_ylabel("student's layer", color=STUDENT)
        ax.set_title(name, color=STUDENT if values is student else NEUTRAL)
    axes[1].set_xlabel("teacher's layer", color=TEACHER)
    figure.colorbar(image, ax=list(axes), label="CKA (mapped pairs framed)")
    return figure


def token_cosines(student: Tensor, teacher: Tensor, mask: Tensor) -> np.ndarray:
    """Cosine of each token's projected student state to the teacher's, (B, L), NaN at padding.

    student, teacher: (B, L, D) · mask: (B, L). Both are taken from the teacher's mean over all real tokens: BERT's states share
    one large direction, and from the origin any two of them are alike.
    """
    centre = teacher[mask.bool()].float().mean(0)
    mine, theirs = student.float() - centre, teacher.float() - centre
    cosines = (mine * theirs).sum(-1) / (mine.norm(dim=-1) * theirs.norm(dim=-1)).clamp(min=1e-12)
    return cosines.masked_fill(~mask.bool(), float("nan")).detach().cpu().numpy()


class ColouredText:
    """Rows of tokens on the colour of a number from −1 (red) over 0 (white) to 1 (blue), for a notebook; as text, the numbers
    stand behind the tokens.

    rows: a name -> (L,) numbers, NaN at padding, which is grey.
    """

    def __init__(self, tokens: list[str], rows: dict[str, np.ndarray]):
        self.tokens, self.rows = (
            list(tokens),
            {name: np.asarray(values, float) for name, values in rows.items()},
        )

    def __repr__(self) -> str:
        def line(values):
            return "  ".join(
                token if np.isnan(value) else f"{token} {value:.2f}"
                for token, value in zip(self.tokens, values)
            )

        return "\n".join(f"{name}: {line(values)}" for name, values in self.rows.items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:right">{html.escape(name)}</td><td style="text-align:left;line-height:2.1">'
            + " ".join(map(_chip, self.tokens, values))
            + "</td></tr>"
            for name, values in self.rows.items()
        )
        scale = " ".join(_chip("", value) for value in (-1, -0.5, 0, 0.5, 1))
        return f'<table><tr><td></td><td style="text-align:left">{scale}</td></tr>{rows}</table>'


def _chip(token: str, value: float) -> str:
    known = not np.isnan(value)
    ground = to_hex(plt.cm.RdBu((value + 1) / 2)) if known else GREY
    ink = "white" if known and abs(value) > 0.7 else "black"
    number = f"<sub>{value:.2f}</sub>" if known else ""
    return f'<span style="background:{ground};color:{ink};padding:2px 4px;border-radius:3px;white-space:nowrap">{html.escape(token)}{number}</span>'


def principal_plane(teacher: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (D,), the two principal directions (2, D) and their shares of the variance (2,) of states (n, D).

    Raises UserError for fewer than three tokens.
    """
    if len(teacher) < 3:
        raise UserError(f"{len(teacher)} tokens lie in no plane of their own: take at least 3")
    mean = teacher.mean(0)
    _, values, directions = np.linalg.svd(teacher - mean, full_matrices=False)
    return mean, directions[:2], values[:2] ** 2 / max(1e-30, (values**2).sum())


def principal_components(
    teacher: np.ndarray, students: dict[str, np.ndarray], most: int = 60
) -> Figure:
    """Tokens in the plane of the teacher's two principal directions, an arrow from each student state to the teacher's.

    teacher: (n, D) · students: a checkpoint's name -> projected states (n, D) of the same tokens, a panel each. The plane is fitted
    on the teacher alone and is the same in all panels; at most `most` tokens are drawn, spread evenly.
    """
    mean, directions, shares = principal_plane(teacher)
    some = np.unique(np.linspace(0, len(teacher) - 1, min(most, len(teacher))).astype(int))
    goal = (teacher - mean)[some] @ directions.T
    figure, (axes,) = new_figure(
        1, len(students), (1 + 3.3 * len(students), 3.8), sharex=True, sharey=True
    )
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
    axes[-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure
