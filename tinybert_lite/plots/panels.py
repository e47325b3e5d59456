"""What all pictures share: colours, and Figures that pyplot does not keep."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

TEACHER, STUDENT, NEUTRAL = "#2f6fb2", "#e07b28", "#8a8f98"
LABELS = (("#8e4585", "v"), ("#2e8b57", "^"))  # colour and marker of the gold labels 0 and 1
GREY = "#e4e6ea"
DIFFERENCE = "RdBu_r"  # the colour map of differences, always centred at 0


def close(figures: Iterable[Figure]) -> None:
    for figure in figures:
        plt.close(figure)


def panel(ax, size) -> tuple[Figure, plt.Axes]:
    if ax is not None:
        return ax.figure, ax
    figure, axes = new_figure(1, 1, size)
    return figure, axes[0, 0]


def new_figure(rows: int, columns: int, size, **options) -> tuple[Figure, np.ndarray]:
    """A Figure and its axes (rows, columns); pyplot does not keep it, or notebooks would show it twice."""
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, **{"layout": "constrained", **options}
    )
    plt.close(figure)
    return figure, axes


def settled(figure: Figure) -> Figure:
    """Axes of a fixed aspect need two passes of the layout: the first is made here, the second when it is drawn."""
    figure.draw_without_rendering()
    return figure


def open_frame(ax: plt.Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def legend_beside(ax: plt.Axes, loc: str = "upper left", height: float = 1, **style) -> None:
    """The legend at the right of the axes, at a height from 0 to 1."""
    options = {"fontsize": 8, **style}
    ax.legend(frameon=False, loc=loc, bbox_to_anchor=(1.01, height), **options)


def cell_texts(
    ax: plt.Axes, values, form: str, high=None, colours=("black", "white"), **style
) -> None:
    """Write each number of a heat map (rows, columns) in its cell; NaN stays empty.

    form: a format such as "{:.2g}" · high: cells that get the second of `colours`, (rows, columns).
    """
    options = {"ha": "center", "va": "center", "fontsize": 8, **style}
    for (row, column), value in np.ndenumerate(np.asarray(values)):
        colour = colours[int(high is not None and high[row, column])]
        ax.text(column, row, "" if value != value else form.format(value), color=colour, **options)


def model_colour(name: str) -> str:
    """Blue for a name that starts with teacher, orange for student, black for any other."""
    if name.startswith("teacher"):
        return TEACHER
    return STUDENT if name.startswith("student") else "black"


def pair_names(mapping: list[int], gap: str = "\n") -> list[str]:
    """Names of the matched pairs m = 0 … M; their first are the embeddings."""
    return [
        "embeddings" if m == 0 else f"student {m}{gap}↔ teacher {g}" for m, g in enumerate(mapping)
    ]
