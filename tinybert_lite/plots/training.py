"""Losses over the steps of a training history."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

from tinybert_lite.plots.panels import (
    DIFFERENCE,
    GREY,
    NEUTRAL,
    STUDENT,
    TEACHER,
    new_figure,
    open_frame,
    panel,
)

NO_TERMS = ["step", "lr", "loss", "grad_norm", "epoch", "dev"]


def terms(events: list[dict]) -> pd.DataFrame:
    """Return a history's loss terms (attention/1, hidden/0, prediction, …), one row per step."""
    steps = [event for event in events if "loss" in event]
    table = pd.DataFrame(steps, index=[event["step"] for event in steps])
    return table.drop(columns=NO_TERMS, errors="ignore")


def _layer(name: str) -> str:
    kind, _, layer = name.partition("/")
    return {"": kind, "0": "embeddings"}.get(layer, f"layer {layer}")


def relative_to_start(events: list[dict]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return terms' names, steps (S,), and each term divided by its first value, (terms, S).

    The quotient is NaN if the first value is 0 or the term is absent.
    """
    table = terms(events)
    first = table[:1].where(table[:1] > 0).to_numpy(float).T
    return list(table), table.index.to_numpy(), table.to_numpy(float).T / first


def loss_anatomy(events: list[dict], title: str = "", ax=None) -> Figure:
    """Draw each loss term and layer over the steps, as a multiple of its first value.

    Blue: smaller than at first, red: larger. The scale is logarithmic, centred at 1; beside each
    row is its final value, the mean of the last tenth of the steps.
    """
    names, steps, values = relative_to_start(events)
    figure, ax = panel(ax, (8.4, 1.3 + 0.3 * max(1, len(names))))
    title = f"{title}: loss terms, relative to the first step".removeprefix(": ")
    ax.set(title=title, xlabel="step")
    if not names:
        return figure
    shown = np.where(values > 0, values, np.nan)
    bound = max(1.1, np.nanmax(np.exp(np.abs(np.log(shown))), initial=1))
    edges = np.concatenate([steps[:1] - 0.5, (steps[1:] + steps[:-1]) / 2, steps[-1:] + 0.5])
    rows, norm = np.arange(len(names) + 1), LogNorm(1 / bound, bound)
    mesh = ax.pcolormesh(edges, rows, shown, cmap=DIFFERENCE, norm=norm)
    labels = [f"{name.split('/')[0]}, {_layer(name)}" if "/" in name else name for name in names]
    ax.set_yticks(rows[:-1] + 0.5, labels, fontsize=8)
    for row, end in enumerate(values[:, -max(1, len(steps) // 10) :].mean(1)):
        place = {"transform": ax.get_yaxis_transform(), "va": "center"}
        ax.text(1.01, row + 0.5, f"× {end:.2g}", fontsize=8, **place)
    ax.invert_yaxis()
    ax.set_facecolor(GREY)
    bar = figure.colorbar(mesh, ax=ax, pad=0.09, label="× first value", format=_PlainLog())
    bar.ax.yaxis.set_minor_formatter(_PlainLog())
    return figure


def loss_curves(events: list[dict], title: str = "") -> Figure:
    """Draw every loss term and layer over the steps, one panel per kind of term.

    The axes are logarithmic, since the terms differ in size; a layer has the same colour in all
    panels.
    """
    table = terms(events)
    last = max((int(name.split("/")[1]) for name in table if "/" in name), default=0)
    kinds = list(dict.fromkeys(name.split("/")[0] for name in table))
    figure, axes = new_figure(1, max(1, len(kinds)), (4.6 * max(1, len(kinds)), 3.4))
    for ax, kind in zip(axes[0], kinds):
        for name in table:
            own, _, layer = name.partition("/")
            if own == kind:
                shade = plt.cm.viridis(0.15 + 0.7 * int(layer) / max(1, last)) if layer else STUDENT
                ax.plot(table[name], color=shade, label=_layer(name), lw=1.6)
        ax.set(title=f"{title}: {kind.replace('_', ' ')} loss")
        ax.set(xlabel="step", ylabel="loss", yscale="log")
        ax.yaxis.set_major_formatter(_PlainLog())
        ax.yaxis.set_minor_formatter(_PlainLog())
        ax.legend(frameon=False, fontsize=8)
        open_frame(ax)
    return figure


def pretraining(runs: list[list[dict]]) -> Figure:
    """Draw the masked-LM loss on training and held-out text, and the accuracy on held-out text.

    runs: histories; each run resumes from the one before.
    """
    figure, ((loss, accuracy),) = new_figure(1, 2, (9.2, 3.4))
    start, labels = 0, ("a training batch", "held-out text")
    for events in runs:
        table = pd.json_normalize(events).set_index("step")
        table.index += start
        batch, perplexity, right = (
            table.get(name, pd.Series(dtype=float)).dropna()
            for name in ("loss", "dev.perplexity", "dev.accuracy")
        )
        loss.plot(batch, ".", ms=3, color=NEUTRAL, alpha=0.5, label=labels[0])
        loss.plot(np.log(perplexity), color=TEACHER, lw=2, label=labels[1])
        accuracy.plot(100 * right, color=TEACHER, lw=2)
        for ax in (loss, accuracy):
            if start:
                ax.axvline(start, color=NEUTRAL, ls=":", lw=1)
        start, labels = table.index.max(), (None, None)
    loss.set(title="masked-LM loss", xlabel="step", ylabel="nats per masked piece")
    loss.legend(frameon=False, fontsize=8)
    title = "masked pieces predicted correctly, held-out text"
    accuracy.set(title=title, xlabel="step", ylabel="%", ylim=(0, None))
    for ax in (loss, accuracy):
        open_frame(ax)
    return figure


class _PlainLog(LogFormatterSciNotation):
    """Labels a logarithmic axis with 0.2 instead of 2 × 10⁻¹, at the same ticks as matplotlib."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
