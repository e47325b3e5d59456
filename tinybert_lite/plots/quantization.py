"""Rounding to few bits: of a matrix, of a layer's input range, of a gradient, and the scores."""

import numpy as np
import torch
from matplotlib.figure import Figure

from tinybert_lite.method.quantization import whole_numbers
from tinybert_lite.plots.panels import (
    DIFFERENCE,
    GREY,
    NEUTRAL,
    STUDENT,
    error_bars,
    finish,
    new_figure,
    open_frame,
    panel,
    settled,
)

SHOWN = 32  # rows and columns of the drawn corner of a matrix


def on_a_grid(weight, bits: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a matrix, its integers of `bits` bits (same shape), and their scale."""
    weight = torch.as_tensor(weight).detach().float()
    scale = weight.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return weight.numpy(), whole_numbers(weight, scale, bits).numpy().astype(int), float(scale)


def rounding(weight, bits: int = 8) -> Figure:
    """Draw a corner of a matrix, the same rounded, the rounding error, and a histogram of all.

    weight: (rows, columns). The colours have one scale with white at 0; grid and histogram are
    those of the complete matrix.
    """
    values, _, _ = on_a_grid(weight, bits)
    bound = max(1e-9, float(np.abs(values).max()))
    figure, (axes,) = new_figure(1, 4, (11.6, 3.2), width_ratios=(1, 1, 1, 1.35))
    for ax in axes[:3]:
        image = ax.imshow(values[:SHOWN, :SHOWN], cmap=DIFFERENCE, vmin=-bound, vmax=bound)
        ax.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=list(axes[:3]), shrink=0.8)
    ax = axes[3]
    ax.hist(values.ravel(), 101, (-bound, bound), density=True, color=GREY, label="the weights")
    ax.stairs([1.0], [-bound, bound], color=STUDENT, lw=1.2, label="rounded")
    ax.set(
        xlim=(-1.2 * bound, 1.2 * bound),
        ylim=(0, 1.35 * ax.get_ylim()[1]),
        xlabel="value",
        ylabel="density",
    )
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    open_frame(ax)
    return settled(redraw_rounding(figure, weight, bits))


def redraw_rounding(figure: Figure, weight, bits: int) -> Figure:
    """Redraw the figure of `rounding` for another number of bits; returns the figure.

    Much faster than a new figure.
    """
    weight, whole, scale = on_a_grid(weight, bits)
    off, most = whole * scale - weight, 2 ** (bits - 1) - 1
    for ax, values in zip(figure.axes, (weight, whole * scale, off)):
        ax.images[0].set_data(values[:SHOWN, :SHOWN])
    edges = np.arange(-most - 0.5, most + 1)
    counts, _ = np.histogram(whole, edges)
    figure.axes[3].patches[-1].set_data(counts / counts.sum() / scale, edges * scale)
    share = 100 * off.std() / max(1e-9, weight.std())
    titles = (
        "weights\n",
        f"{bits} bits\n",
        f"rounding error: {share:.2g} %\nof the weights' spread",
        f"{(counts > 0).sum()} of {len(counts)} values used,\n{scale:.2g} apart",
    )
    for ax, title in zip(figure.axes, titles):
        ax.set_title(title, fontsize=10)
    return figure


def range_statistics(seen, followed, ax=None) -> Figure:
    """Draw the largest |input| of a layer in each batch, and its moving average, the range.

    seen, followed: (batches,) each.
    """
    _, ax = panel(ax, (7.2, 3.2))
    batches = np.arange(1, len(seen) + 1)
    label = "largest |input|\nof a batch"
    ax.plot(batches, seen, "o", ms=4, color=NEUTRAL, alpha=0.6, lw=0, label=label)
    ax.plot(batches, followed, color=STUDENT, lw=2, label="the range:\nmoving average")
    ax.set(ylim=(0, 1.1 * max(seen)))
    return finish(ax, xlabel="batch", ylabel="|input|", title="the range of a layer's inputs")


def straight_through(scale: float = 0.25, bits: int = 3) -> Figure:
    """Draw rounding as a staircase, with its true gradient and the straight-through gradient.

    The true gradient is 0 between the steps.
    """
    most = 2 ** (bits - 1) - 1
    # A value that is rounded to the first or last step is inside the range.
    low, high = (-most - 1.5) * scale, (most + 0.5) * scale
    x = np.linspace(low - 2 * scale, high + 2 * scale, 2001)
    inside = (x >= low) & (x <= high)
    rounded = np.clip(np.round(x / scale), -most - 1, most) * scale
    figure, ((stairs, slopes),) = new_figure(1, 2, (9.6, 3.4))
    stairs.plot(x, x, color=NEUTRAL, ls="--", lw=1, label="x")
    stairs.plot(x, rounded, color=STUDENT, lw=2, label="rounded and clipped")
    stairs.set(xlabel="x", title=f"{2**bits} values, {scale:g} apart")
    stairs.legend(frameon=False, fontsize=8, loc="upper left")
    steps = (np.arange(-most - 1, most) + 0.5) * scale
    slopes.vlines(steps, 0, 1.5, color=NEUTRAL, lw=1, label="true: 0, infinite\nat each step")
    slopes.plot(x, np.zeros_like(x), color=NEUTRAL, lw=2)
    slopes.plot(x, inside.astype(float), color=STUDENT, lw=2, label="straight-through")
    slopes.set(ylim=(-0.1, 1.5), yticks=[0, 1])
    finish(slopes, xlabel="x", title="gradient")
    for ax in (stairs, slopes):
        ax.axvspan(x[0], low, color=GREY, lw=0, zorder=0)
        ax.axvspan(high, x[-1], color=GREY, lw=0, zorder=0)
        ax.set_xlim(x[0], x[-1])
        open_frame(ax)
    return figure


def learning_on_a_grid(paths: dict[str, list[float]], goal: float, scale: float, ax=None) -> Figure:
    """Draw a weight over training steps that is rounded before it is used.

    Dotted: the weight; solid: its rounded value. paths: gradient's name -> the weight before each
    step · goal: the best value.
    """
    _, ax = panel(ax, (7.6, 3.2))
    for (name, path), colour in zip(paths.items(), (NEUTRAL, STUDENT)):
        rounded = np.round(np.array(path) / scale) * scale
        ax.plot(path, color=colour, ls=":", lw=1.4)
        steps = range(len(path))
        ax.step(steps, rounded, where="mid", color=colour, lw=2, label=f"{name} gradient")
    ax.axhline(goal, color="black", lw=1, ls="--", label="the best value")
    every = np.concatenate([*paths.values(), [goal]])
    low, high = round(every.min() / scale), round(every.max() / scale)
    ax.set_yticks(np.arange(low - 1, high + 2) * scale)
    ax.grid(axis="y", color=GREY)
    title = "dotted: the weight; solid: its rounded value"
    finish(ax, xlabel="step", ylabel="weight", title=title)
    ax.title.set_fontsize(10)
    return ax.figure


def fewer_bits(
    scores: dict[str, dict[int, float]], full: float, guess: float, rows: int, ax=None
) -> Figure:
    """Draw a model's accuracy by bits per weight, with ± 1 standard error.

    scores: way of rounding -> {bits: accuracy} · full: the float32 model's accuracy · guess: the
    accuracy of always predicting one class · rows: the number of dev rows.
    """
    _, ax = panel(ax, (7.6, 3.4))
    for (name, found), style, colour in zip(scores.items(), ("o-", "s--"), (STUDENT, NEUTRAL)):
        error_bars(ax, [*found], [*found.values()], rows, colour, name, style)
    ax.axhline(full, color="black", lw=1.3, ls=":", label="float32")
    ax.axhline(guess, color=GREY, lw=2, label="guessing")
    ax.invert_xaxis()
    title = "fewer bits, without training"
    return finish(ax, xlabel="bits per weight", ylabel="dev accuracy", title=title)
