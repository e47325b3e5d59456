"""Classes of a task: their number of rows, and the confusion matrix of models."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    NEUTRAL,
    TEACHER,
    cell_texts,
    finish,
    model_colour,
    new_figure,
    panel,
    settled,
)


def class_balance(counts: dict[str, int], unlabelled: int = 0, ax=None) -> Figure:
    """Draw the number of rows per class; grey: rows without a label, dashed: the mean."""
    rows = {**counts, "no label": unlabelled} if unlabelled else counts
    _, ax = panel(ax, (6.4, 1.0 + 0.42 * len(rows)))
    bars = ax.barh([*rows], [*rows.values()], color=[TEACHER] * len(counts) + [NEUTRAL])
    ax.bar_label(bars, padding=3, fontsize=9)
    mean, ends = np.mean([*counts.values()]), (-0.5, len(counts) - 0.5)
    ax.plot([mean, mean], ends, color="black", ls="--", lw=1, label="mean of the classes")
    ax.invert_yaxis()
    return finish(ax, xlabel="rows")


def confusion(answers: dict[str, np.ndarray], labels, names: Sequence[str]) -> Figure:
    """Draw a confusion matrix per model: numbers of rows, coloured by share of the gold class.

    answers: model's name -> predicted class of each row, (n,) · labels: (n,), the gold classes ·
    names: the K classes' names. All panels share one scale from 0 to 1.
    """
    labels, K = np.asarray(labels, int), len(names)
    size = 1.2 + (1.4 + 0.75 * K) * len(answers), 1.5 + 0.65 * K
    figure, (axes,) = new_figure(1, len(answers), size)
    for ax, (model, found) in zip(axes, answers.items()):
        table = np.zeros((K, K), int)
        np.add.at(table, (labels, np.asarray(found, int)), 1)
        shares = table / np.maximum(1, table.sum(1, keepdims=True))
        image = ax.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        cell_texts(ax, table, "{}", shares > 0.6, fontsize=9)
        ax.set_xticks(range(K), names, rotation=35, ha="right", fontsize=9)
        ax.set_yticks(range(K), names, fontsize=9)
        ax.set(xlabel="predicted", ylabel="gold label")
        title = f"{model}: {np.trace(table)} of {len(labels)} right"
        ax.set_title(title, fontsize=10, color=model_colour(model))
    figure.colorbar(image, ax=list(axes), label="share of the class", shrink=0.8)
    return settled(figure)
