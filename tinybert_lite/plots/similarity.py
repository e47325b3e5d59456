"""Similarity of states: CKA of layers, cosines of tokens."""

import html

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor

from tinybert_lite.plots.panels import GREY, NEUTRAL, STUDENT, TEACHER, cell_texts, new_figure
from tinybert_lite.system.console import counted
from tinybert_lite.system.errors import UserError


def cka(student: list[np.ndarray], teacher: list[np.ndarray]) -> np.ndarray:
    """Compute the linear CKA of all pairs of layers, (M + 1, N + 1).

    It is 1 if the states are equal up to rotation, scale and shift, and near 0 if they are
    unrelated. student, teacher: (n, d) and (n, D) per layer, for the same n real tokens. This is
    the unbiased estimate, which can be a little below 0; the usual one is too high, near 1 if the
    widths are near n. Raises UserError for fewer than 4 tokens.
    """
    mine, theirs = ([_similarities(states) for states in layers] for layers in (student, teacher))
    return np.array([[np.vdot(a, b) for b in theirs] for a in mine])


def _similarities(states: np.ndarray) -> np.ndarray:
    """Return the inner products of all pairs of different tokens, centred, with norm 1: (n, n).

    CKA is the inner product of two such matrices.
    """
    n = len(states)
    if n < 4:
        raise UserError(f"layers cannot be compared on {counted(n, 'token')}: use at least 4")
    products = (states - states.mean(0)) @ (states - states.mean(0)).T
    np.fill_diagonal(products, 0)
    rows = products.sum(0) / (n - 2)
    products += products.sum() / ((n - 1) * (n - 2)) - rows - rows[:, None]
    np.fill_diagonal(products, 0)
    return products / max(1e-30, np.linalg.norm(products))


def layer_similarity(student, untrained, mapping: list[int]) -> Figure:
    """Draw the CKA of student and teacher layers, and above it that of an untrained student.

    The untrained student has random weights and shows the CKA that needs no training. student,
    untrained: (M + 1, N + 1) from `cka`; mapped pairs have a frame.
    """
    student, untrained = np.asarray(student), np.asarray(untrained)
    layers, across = student.shape
    size = 2.6 + 0.46 * across, 1.8 + 0.6 * layers
    figure, ((above,), (below,)) = new_figure(2, 1, size, sharex=True)
    for ax, values, name, colour in (
        (above, untrained, "random student", NEUTRAL),
        (below, student, "student", STUDENT),
    ):
        image = ax.imshow(values, vmin=0, vmax=1, cmap="viridis", origin="lower", aspect="auto")
        cell_texts(ax, values, "{:z.2f}", values > 0.6, ("white", "black"), fontsize=7.5)
        for m, g in enumerate(mapping):
            corner = g - 0.46, m - 0.46
            ax.add_patch(plt.Rectangle(corner, 0.92, 0.92, fill=False, ec=STUDENT, lw=2))
        ax.set_xticks(range(across), ["emb.", *range(1, across)], fontsize=8)
        ax.set_yticks(range(layers), ["emb.", *range(1, layers)], fontsize=8)
        ax.set_ylabel("student's layer", color=STUDENT)
        ax.set_title(name, color=colour)
    below.set_xlabel("teacher's layer", color=TEACHER)
    figure.colorbar(image, ax=[above, below], label="CKA (mapped pairs framed)")
    return figure


def token_cosines(student: Tensor, teacher: Tensor, mask: Tensor) -> np.ndarray:
    """Return each token's cosine of projected student state and teacher state, (B, L).

    student, teacher: (B, L, D) · mask: (B, L); the cosine is NaN at padding. The teacher's mean
    over all real tokens is subtracted from both: BERT's states have a large common component, so
    that without the subtraction any two of them have a cosine near 1.
    """
    centre = teacher[mask.bool()].float().mean(0)
    mine, theirs = student.float() - centre, teacher.float() - centre
    cosines = (mine * theirs).sum(-1) / (mine.norm(dim=-1) * theirs.norm(dim=-1)).clamp(min=1e-12)
    return cosines.masked_fill(~mask.bool(), float("nan")).detach().cpu().numpy()


class ColouredText:
    """Rows of tokens as HTML, coloured by numbers from −1 (red) over 0 (white) to 1 (blue).

    In plain text each number is after its token. rows: name -> (L,) numbers, NaN at padding, which
    is grey.
    """

    def __init__(self, tokens: list[str], rows: dict[str, np.ndarray]):
        self.tokens = list(tokens)
        self.rows = {name: np.asarray(values, float) for name, values in rows.items()}

    def __repr__(self) -> str:
        lines = []
        for name, values in self.rows.items():
            words = [
                token if np.isnan(value) else f"{token} {value:.2f}"
                for token, value in zip(self.tokens, values)
            ]
            lines.append(f"{name}: {'  '.join(words)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        scale = " ".join(_chip("", value) for value in (-1, -0.5, 0, 0.5, 1))
        rows = [f'<tr><td></td><td style="text-align:left">{scale}</td></tr>']
        for name, values in self.rows.items():
            rows.append(
                f'<tr><td style="text-align:right">{html.escape(name)}</td>'
                '<td style="text-align:left;line-height:2.1">'
                f"{' '.join(map(_chip, self.tokens, values))}</td></tr>"
            )
        return f"<table>{''.join(rows)}</table>"


def _chip(token: str, value: float) -> str:
    known = not np.isnan(value)
    ground = to_hex(plt.cm.RdBu((value + 1) / 2)) if known else GREY
    ink = "white" if known and abs(value) > 0.7 else "black"
    number = f"<sub>{value:.2f}</sub>" if known else ""
    return (
        f'<span style="background:{ground};color:{ink};padding:2px 4px;border-radius:3px;'
        f'white-space:nowrap">{html.escape(token)}{number}</span>'
    )
