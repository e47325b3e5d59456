"""Classes of a task: how many rows each has, and which of them a model takes for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    NEUTRAL,
    STUDENT,
    TEACHER,
    new_figure,
    open_frame,
    panel,
    settled,
)


def class_balance(counts: dict[str, int], unlabelled: int = 0, ax=None) -> Figure:
    """Rows of each class as bars, the rows without a label in grey; the dashed line is what even classes would have."""
    figure, ax = panel(ax, (6.4, 1.0 + 0.42 * (len(counts) + (unlabelled > 0))))
    names = [*counts, *["no label"] * (unlabelled > 0)]
    values = [*counts.values(), *[unlabelled] * (unlabelled > 0)]
    bars = ax.barh(names, values, color=[TEACHER] * len(counts) + [NEUTRAL])
    ax.bar_label(bars, padding=3, fontsize=9)
    ax.axvline(np.mean([*counts.values()]), color="black", ls="--", lw=1, label="even classes")
    ax.invert_yaxis()
    ax.set_xlabel("rows")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure


def confusion(answers: dict[str, np.ndarray], labels, names: Sequence[str]) -> Figure:
    """What each class is taken for, a panel a model: numbers of rows, the ground the share of the class's own rows.

    answers: a model's name -> the class (n,) it gives each row · labels: (n,), the rows' own · names: the K classes'. All
    panels share one scale from 0 to 1.
    """
    labels, K = np.asarray(labels, int), len(names)
    figure, (axes,) = new_figure(
        1, len(answers), (1.2 + (1.4 + 0.75 * K) * len(answers), 1.5 + 0.65 * K)
    )
    for ax, (model, found) in zip(axes, answers.items()):
        table = np.zeros((K, K), int)
        np.add.at(table, (labels, np.asarray(found, int)), 1)
        shares = table / np.maximum(1, table.sum(1, keepdims=True))
        image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for (row, column), count in np.ndenumerate(table):
            ax.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if shares[row, column] > 0.6 else "black",
            )
        ax.set_xticks(range(K), names, rotation=35, ha="right", fontsize=9)
        ax.set_yticks(range(K), names, fontsize=9)
        ax.set(xlabel="taken for", ylabel="is")
        ax.set_title(
            f"{model}: {np.trace(table)} of {len(labels)} right",
            fontsize=10,
            color={"teacher": TEACHER, "student": STUDENT}.get(model, "black"),
        )
    figure.colorbar(image, ax=list(axes), label="share of the class", shrink=0.8)
    return settled(figure)
