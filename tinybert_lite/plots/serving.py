"""The cost of serving a model: accuracy against time and bytes, speed-ups by length."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from tinybert_lite.plots.panels import NEUTRAL, finish, model_colour, new_figure, open_frame, panel


def accuracy_and_cost(
    points: list[dict], score: str = "dev accuracy", time: str = "milliseconds per row"
) -> Figure:
    """Draw the score against time (left) and bytes (right) on logarithmic axes.

    points: each with `model` (teacher or student), `way` (of serving: its name in the legend, with
    its own marker), `score` (0 to 1), `milliseconds`, `bytes` and `int8` (True: a hollow marker).
    """
    figure, ((left, right),) = new_figure(1, 2, (9.6, 3.8), sharey=True)
    markers = _markers(point["way"] for point in points)
    for ax, key, unit in ((left, "milliseconds", 1), (right, "bytes", 1e6)):
        for point in points:
            colour = model_colour(point["model"])
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
    return finish(right, centred=True, xlabel="MB on disk", title="accuracy and size")


def speed_ups(
    lines: dict[tuple[str, str], dict[int, tuple[float, float, float]]],
    large: str,
    small: str,
    ax=None,
) -> Figure:
    """Draw the speed-up over the teacher in float32 PyTorch by length of a row.

    lines: (teacher or student, way of serving) -> {tokens: (ratio, low, high)}; bars are from low
    to high, the 10th and 90th percentile of repeated measurements. large, small: the names of
    teacher and student.
    """
    _, ax = panel(ax, (6.8, 3.8))
    markers = _markers(way for _, way in lines)
    for (model, way), found in lines.items():
        middle, low, high = np.array([*found.values()]).T
        colour = model_colour(model)
        ax.errorbar(
            [*found],
            middle,
            np.maximum(0, [middle - low, high - middle]),
            fmt=f"{markers[way]}-",
            color=colour,
            mfc="none" if "int8" in way else colour,
            lw=1.6,
            elinewidth=1,
            capsize=3,
            label=f"{large if model == 'teacher' else small}, {way}",
        )
    for axis in "xy":
        _logarithmic(ax, axis)
    lengths = sorted({length for found in lines.values() for length in found})
    ax.set_xticks(lengths, lengths)
    ax.grid(color=NEUTRAL, alpha=0.25)
    ax.set_ylabel(f"times faster than {large}\nin float32 PyTorch")
    return finish(ax, centred=True, xlabel="tokens", title="one row at a time")


def _markers(ways: Iterable[str]) -> dict[str, str]:
    """Return a marker for each way of serving, in the order of their first appearance."""
    return dict(zip(dict.fromkeys(ways), "osDv^"))


def _logarithmic(ax: Axes, axis: str) -> None:
    """Make an axis logarithmic, with ticks at 1, 2, 5, 10 … as plain numbers."""
    ax.set(**{f"{axis}scale": "log"})
    which = getattr(ax, f"{axis}axis")
    which.set_major_locator(LogLocator(subs=(1, 2, 5)))
    which.set_major_formatter("{x:g}")
    which.set_minor_locator(NullLocator())
