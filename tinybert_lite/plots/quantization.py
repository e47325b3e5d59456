"""What rounding does: to a matrix, to the ranges of a layer's inputs, to a gradient, to the score."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from tinybert_lite.method.quantization import whole_numbers
from tinybert_lite.plots.panels import (
    DIFFERENCE,
    GREY,
    NEUTRAL,
    STUDENT,
    new_figure,
    open_frame,
    panel,
    settled,
)

SHOWN = 32  # rows and columns of a matrix


def on_a_grid(weight, bits: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A matrix, the whole numbers of `bits` bits that it becomes (of its own shape), and the scale: what 1 of them stands for."""
    weight = torch.as_tensor(weight).detach().float()
    scale = weight.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return weight.numpy(), whole_numbers(weight, scale, bits).numpy().astype(int), float(scale)


def rounding(weight, bits: int = 8) -> Figure:
    """A corner of a matrix | rounded | what was rounded off, on one scale with 0 in white; and all its weights on their grid.

    weight: (rows, columns); the scale and the grid are those of all of it.
    """
    values, _, _ = on_a_grid(weight, bits)
    bound = max(1e-9, float(np.abs(values).max()))
    figure, (axes,) = new_figure(1, 4, (11.6, 3.2), width_ratios=(1, 1, 1, 1.35))
    for ax in axes[:3]:
        image = ax.imshow(values[:SHOWN, :SHOWN], cmap=DIFFERENCE, vmin=-bound, vmax=bound)
        ax.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=list(axes[:3]), shrink=0.8)
    axes[3].hist(
        values.ravel(), 101, (-bound, bound), density=True, color=GREY, label="the weights"
    )
    axes[3].stairs([1.0], [-bound, bound], color=STUDENT, lw=1.2, label="rounded")
    axes[3].set(
        xlim=(-1.2 * bound, 1.2 * bound),
        ylim=(0, 1.35 * axes[3].get_ylim()[1]),
        xlabel="value",
        ylabel="density",
    )
    axes[3].legend(frameon=False, fontsize=8, loc="upper right")
    open_frame(axes[3])
    return settled(redraw_rounding(figure, weight, bits))


def redraw_rounding(figure: Figure, weight, bits: int) -> Figure:
    """Give the figure of `rounding` another number of bits: much faster than a new one. Returns the figure."""
    weight, whole, scale = on_a_grid(weight, bits)
    off, most = whole * scale - weight, 2 ** (bits - 1) - 1
    for ax, values in zip(figure.axes, (weight, whole * scale, off)):
        ax.images[0].set_data(values[:SHOWN, :SHOWN])
    edges = np.arange(-most - 0.5, most + 1)
    counts, _ = np.histogram(whole, edges)
    figure.axes[3].patches[-1].set_data(counts / counts.sum() / scale, edges * scale)
    titles = (
        "weights\n",
        f"{bits} bits\n",
        f"rounded off: {100 * off.std() / max(1e-9, weight.std()):.2g} %\nof the weights' spread",
        f"{(counts > 0).sum()} of {len(counts)} values used,\n{scale:.2g} apart",
    )
    for ax, title in zip(figure.axes, titles):
        ax.set_title(title, fontsize=10)
    return figure


def range_statistics(seen, followed, ax=None) -> Figure:
    """The largest |input| of a layer in each batch, and the range that follows it. seen, followed: (batches,) each."""
    figure, ax = panel(ax, (7.2, 3.2))
    batches = np.arange(1, len(seen) + 1)
    ax.plot(
        batches,
        seen,
        "o",
        ms=4,
        color=NEUTRAL,
        alpha=0.6,
        lw=0,
        label="largest |input|\nof a batch",
    )
    ax.plot(batches, followed, color=STUDENT, lw=2, label="the range:\nmoving average")
    ax.set(
        xlabel="batch",
        ylabel="|input|",
        ylim=(0, 1.1 * max(seen)),
        title="the range of a layer's inputs",
    )
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure


def straight_through(scale: float = 0.25, bits: int = 3) -> Figure:
    """Rounding as a staircase, and its gradient: the true one, 0 but at the steps, and the straight-through one."""
    most = 2 ** (bits - 1) - 1
    low, high = (
        (-most - 1.5) * scale,
        (most + 0.5) * scale,
    )  # what is rounded to the last steps is inside
    x = np.linspace(low - 2 * scale, high + 2 * scale, 2001)
    inside = (x >= low) & (x <= high)
    figure, ((stairs, slopes),) = new_figure(1, 2, (9.6, 3.4))
    stairs.plot(x, x, color=NEUTRAL, ls="--", lw=1, label="x")
    stairs.plot(
        x,
        np.clip(np.round(x / scale), -most - 1, most) * scale,
        color=STUDENT,
        lw=2,
        label="rounded and cut off",
    )
    stairs.set(xlabel="x", title=f"{2**bits} values, {scale:g} apart")
    steps = (np.arange(-most - 1, most) + 0.5) * scale
    slopes.vlines(steps, 0, 1.5, color=NEUTRAL, lw=1, label="true: 0, and endless\nat each step")
    slopes.plot(x, np.zeros_like(x), color=NEUTRAL, lw=2)
    slopes.plot(x, inside.astype(float), color=STUDENT, lw=2, label="straight-through")
    slopes.set(xlabel="x", ylim=(-0.1, 1.5), yticks=[0, 1], title="gradient")
    slopes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    stairs.legend(frameon=False, fontsize=8, loc="upper left")
    for ax in (stairs, slopes):
        ax.axvspan(x[0], low, color=GREY, lw=0, zorder=0)
        ax.axvspan(high, x[-1], color=GREY, lw=0, zorder=0)
        ax.set_xlim(x[0], x[-1])
        open_frame(ax)
    return figure


def learning_on_a_grid(paths: dict[str, list[float]], goal: float, scale: float, ax=None) -> Figure:
    """A weight that is rounded before it is used, over the steps of its training: dashed itself, drawn through its rounded value.

    paths: a gradient's name -> the weight before each step · goal: the value that would be best.
    """
    figure, ax = panel(ax, (7.6, 3.2))
    for (name, path), colour in zip(paths.items(), (NEUTRAL, STUDENT)):
        ax.plot(path, color=colour, ls=":", lw=1.4)
        ax.step(
            range(len(path)),
            np.round(np.array(path) / scale) * scale,
            where="mid",
            color=colour,
            lw=2,
            label=f"{name} gradient",
        )
    ax.axhline(goal, color="black", lw=1, ls="--", label="the best value")
    low, high = (
        round(f(np.concatenate([*paths.values(), [goal]])) / scale) for f in (np.min, np.max)
    )
    ax.set_yticks(np.arange(low - 1, high + 2) * scale)
    ax.grid(axis="y", color=GREY)
    ax.set(
        xlabel="step",
        ylabel="weight",
        title="dotted: the weight; drawn through: what it is rounded to",
    )
    ax.title.set_fontsize(10)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure


def fewer_bits(
    scores: dict[str, dict[int, float]], full: float, guess: float, rows: int, ax=None
) -> Figure:
    """Accuracy of a model whose weights are rounded to ever fewer bits; ± 1 standard error.

    scores: a way of rounding -> {bits: accuracy} · full: the model's in floating point · guess: of naming one class always · rows: measured on.
    """
    figure, ax = panel(ax, (7.6, 3.4))
    for (name, found), style, colour in zip(scores.items(), ("o-", "s--"), (STUDENT, NEUTRAL)):
        share = np.array(list(found.values()))
        ax.errorbar(
            list(found),
            share,
            np.sqrt(share * (1 - share) / rows),
            fmt=style,
            color=colour,
            lw=2,
            elinewidth=1,
            capsize=3,
            label=name,
        )
    ax.axhline(full, color="black", lw=1.3, ls=":", label="float32")
    ax.axhline(guess, color=GREY, lw=2, label="guessing")
    ax.invert_xaxis()
    ax.set(xlabel="bits of a weight", ylabel="dev accuracy", title="fewer bits, without training")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure
