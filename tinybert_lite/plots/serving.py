"""What a finished model costs where it serves: accuracy against time and bytes, speed-ups by length."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from tinybert_lite.plots.panels import NEUTRAL, STUDENT, TEACHER, new_figure, open_frame, panel

COLOURS = {"teacher": TEACHER, "student": STUDENT}


def accuracy_and_cost(
    points: list[dict], score: str = "dev accuracy", time: str = "milliseconds a row"
) -> Figure:
    """Score against time (left) and against bytes (right), both on logarithmic axes, the score on one scale.

    points: each with `model` (teacher or student), `way` (its name in the legend), `score` (0 to 1), `milliseconds`, `bytes` and `int8`, which is
    drawn hollow. A way has a marker of its own. Better is up and left.
    """
    figure, ((left, right),) = new_figure(1, 2, (9.6, 3.8), sharey=True)
    markers = dict(zip(dict.fromkeys(point["way"] for point in points), "osDv^"))
    for ax, key, unit in ((left, "milliseconds", 1), (right, "bytes", 1e6)):
        for point in points:
            colour = COLOURS[point["model"]]
            ax.plot(
                point[key] / unit,
                100 * point["score"],
                markers[point["way"]],
                color=colour,
                mfc="none" if point["int8"] else colour,
                mew=1.8,
                ms=9,
                label=f"{point['model']}, {point['way']}",
            )
        _logarithmic(ax, "x")
        ax.grid(color=NEUTRAL, alpha=0.25)
        ax.margins(0.12)
        open_frame(ax)
    left.set(xlabel=time, ylabel=f"{score}, %", title="accuracy and time")
    right.set(xlabel="MB on disk", title="accuracy and size")
    right.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def speed_ups(
    lines: dict[tuple[str, str], dict[int, tuple[float, float, float]]],
    large: str,
    small: str,
    ax=None,
) -> Figure:
    """How many times faster than the large model in float32 PyTorch, by length; the bars are the 10th to the 90th percentile of rounds.

    lines: (teacher or student, way) → tokens → (ratio, low, high). The teacher's name is `large`, the student's `small`.
    """
    figure, ax = panel(ax, (6.8, 3.8))
    markers = dict(zip(dict.fromkeys(way for _, way in lines), "osDv^"))
    for (model, way), found in lines.items():
        middle, low, high = zip(*found.values())
        ends = [
            [max(0, m - end) for m, end in zip(middle, low)],
            [max(0, end - m) for m, end in zip(middle, high)],
        ]
        ax.errorbar(
            list(found),
            middle,
            ends,
            fmt=f"{markers[way]}-",
            color=COLOURS[model],
            mfc="none" if "int8" in way else COLOURS[model],
            lw=1.6,
            elinewidth=1,
            capsize=3,
            label=f"{large if model == 'teacher' else small}, {way}",
        )
    for axis in "xy":
        _logarithmic(ax, axis)
    lengths = sorted({length for found in lines.values() for length in found})
    ax.set_xticks(lengths, lengths)
    ax.set(
        xlabel="tokens",
        ylabel=f"times faster than {large}\nin float32 PyTorch",
        title="one row at a time",
    )
    ax.grid(color=NEUTRAL, alpha=0.25)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    open_frame(ax)
    return figure


def _logarithmic(ax: Axes, axis: str) -> None:
    """Ticks at 1, 2, 5, 10 …, as plain numbers."""
    ax.set(**{f"{axis}scale": "log"})
    which = getattr(ax, f"{axis}axis")
    which.set_major_locator(LogLocator(subs=(1, 2, 5)))
    which.set_major_formatter("{x:g}")
    which.set_minor_locator(NullLocator())
