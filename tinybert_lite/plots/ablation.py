"""The contribution of each part of the method: the paper's scores beside ours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import NEUTRAL, STUDENT, TEACHER, new_figure, open_frame


def ablation(rows: list[dict], score: str = "dev score") -> Figure:
    """Draw differences to the full method in points, one line per variant.

    The left panel has the paper's differences, the right one ours: a dot per seed, a bar at their
    mean. rows: each with `name`, `title`, `paper_difference` (or None) and `dev_difference` by
    seed, the variants of the paper first. The row `full` is left out: it is the 0 of both panels.
    Each panel has its own scale, since the scores are of different tasks.
    """
    shown = [row for row in rows if row["name"] != "full"]
    figure, ((paper, ours),) = new_figure(1, 2, (9.8, 1.6 + 0.36 * len(shown)), sharey=True)
    seeds = [[*row["dev_difference"].values()] for row in shown]
    means = [np.mean(dots) if dots else None for dots in seeds]
    _bars(paper, [row["paper_difference"] for row in shown], TEACHER, "not in the paper")
    _bars(ours, means, STUDENT, "failed")
    for place, (dots, mean) in enumerate(zip(seeds, means)):
        spread = np.linspace(-0.18, 0.18, len(dots)) if len(dots) > 1 else np.zeros(len(dots))
        ours.scatter(dots, place + spread, color=STUDENT, s=18, zorder=3)
        if mean is not None:
            ours.plot([mean, mean], [place - 0.3, place + 0.3], color="black", lw=1.6, zorder=4)
    in_paper = sum(row["paper_difference"] is not None for row in shown)
    if 0 < in_paper < len(shown):
        for ax in (paper, ours):
            ax.axhline(in_paper - 0.5, color=NEUTRAL, lw=1, ls=":")
    paper.set_yticks(range(len(shown)), [row["title"] for row in shown], fontsize=9)
    paper.set_ylim(len(shown) - 0.5, -0.5)
    several = max(map(len, seeds), default=0) > 1
    for ax, colour, title in (
        (paper, TEACHER, "the paper: TinyBERT4\nmean dev score of MNLI, MRPC and CoLA"),
        (
            ours,
            STUDENT,
            f"ours: {score}\n{'dots: seeds, bar: their mean' if several else 'one seed'}",
        ),
    ):
        ax.set_title(title, fontsize=10, color=colour)
    return figure


def _bars(ax: Axes, values: list[float | None], colour: str, missing: str) -> None:
    """Draw bars from 0 with their numbers at the right, or the text `missing` for a None."""
    heights = [np.nan if value is None else value for value in values]
    ax.barh(range(len(values)), heights, 0.6, color=colour, alpha=0.45, zorder=1)
    ax.axvline(0, color="black", lw=1.2, zorder=2)
    for place, value in enumerate(values):
        text = missing if value is None else f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")
        ax.text(
            1.01,
            place,
            text,
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=NEUTRAL if value is None else "black",
        )
    ax.use_sticky_edges = False
    ax.margins(x=0.06)
    ax.grid(axis="x", color=NEUTRAL, alpha=0.25)
    ax.set_axisbelow(True)
    ax.set_xlabel("points from the full method\n(each panel has its own scale)", fontsize=9)
    open_frame(ax)
