"""Shared by all pictures: colours, Figures that pyplot does not keep, legends, cells, errors."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TEACHER, STUDENT, NEUTRAL = "#2f6fb2", "#e07b28", "#8a8f98"
LABELS = (("#8e4585", "v"), ("#2e8b57", "^"))  # colour and marker of the gold labels 0 and 1
GREY = "#e4e6ea"
WRONG = "#c0392b"  # where teacher and student disagree, or are farthest apart
DIFFERENCE = "RdBu_r"  # the colour map of differences, always centred at 0


def close(figures: Iterable[Figure]) -> None:
    """Close figures in pyplot; this has no effect on ours, which pyplot does not keep."""
    for figure in figures:
        plt.close(figure)


def panel(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return the given axes and their Figure, or new ones of a size in inches."""
    if ax is not None:
        return ax.figure, ax
    figure, axes = new_figure(1, 1, size)
    return figure, axes[0, 0]


def new_figure(rows: int, columns: int, size, **options) -> tuple[Figure, np.ndarray]:
    """Make a Figure and its axes (rows, columns).

    pyplot does not keep the Figure, since a notebook would then show it twice.
    """
    options = {"layout": "constrained", **options}
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    plt.close(figure)
    return figure, axes


def settled(figure: Figure) -> Figure:
    """Compute the layout once; it is computed again when the Figure is drawn.

    Axes with a fixed aspect ratio need both passes.
    """
    figure.draw_without_rendering()
    return figure


def open_frame(ax: Axes) -> None:
    """Remove the lines at the top and at the right."""
    ax.spines[["top", "right"]].set_visible(False)


def legend_beside(ax: Axes, centred: bool = False, fontsize: float | None = 8) -> None:
    """Put a legend at the right of the axes, at their top or at the middle."""
    loc, height = ("center left", 0.5) if centred else ("upper left", 1)
    ax.legend(frameon=False, fontsize=fontsize, loc=loc, bbox_to_anchor=(1.01, height))


def finish(ax: Axes, centred: bool = False, **labels) -> Figure:
    """Set labels (`xlabel`, `title`, …), then apply `legend_beside` and `open_frame`."""
    ax.set(**labels)
    legend_beside(ax, centred)
    open_frame(ax)
    return ax.figure


def cell_texts(
    ax: Axes, values, form: str, high=None, colours=("black", "white"), fontsize: float = 8
) -> None:
    """Write each number of a heat map (rows, columns) into its cell; NaN stays empty.

    form: a format such as "{:.2g}" · high: bool (rows, columns), True for the second colour.
    """
    for place, value in np.ndenumerate(values):
        text = "" if np.isnan(value) else form.format(value)
        colour = colours[high is not None and int(high[place])]
        x, y = place[::-1]
        ax.text(x, y, text, ha="center", va="center", fontsize=fontsize, color=colour)


def error_bars(
    ax: Axes, x, scores, rows: int | None, colour: str, label: str, style: str = "o-"
) -> None:
    """Draw a line of scores; rows: if given, add ± 1 standard error of a share of so many rows."""
    scores = np.asarray(scores)
    error = np.sqrt(scores * (1 - scores) / rows) if rows else None
    ax.errorbar(
        x, scores, error, fmt=style, color=colour, lw=2, elinewidth=1, capsize=3, label=label
    )


def model_colour(name: str) -> str:
    """Return blue for a name that begins with teacher, orange for student, else black."""
    if name.startswith("teacher"):
        return TEACHER
    return STUDENT if name.startswith("student") else "black"


def pair_names(mapping: list[int], gap: str = "\n") -> list[str]:
    """Return names of the mapped pairs m = 0 … M; the first pair is the embeddings."""
    pairs = [f"student {m}{gap}↔ teacher {g}" for m, g in enumerate(mapping)]
    return ["embeddings", *pairs[1:]]
