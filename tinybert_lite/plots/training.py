"""What the losses do over the steps of a history."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
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


def terms(events: list[dict]) -> tuple[list[dict], list[str]]:
    """The events of training steps, and the names of the loss terms in them: attention/1, hidden/0, prediction, …"""
    steps = [event for event in events if "loss" in event]
    other = {"step", "lr", "loss", "grad_norm", "epoch", "dev"}
    return steps, [name for name in steps[-1] if name not in other] if steps else []


def _layer(name: str) -> str:
    kind, _, layer = name.partition("/")
    return {"": kind, "0": "embeddings"}.get(layer, f"layer {layer}")


def relative_to_start(events: list[dict]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the terms, steps (S,), and each term over its first value (terms, S); NaN where that is 0 or a term is not noted."""
    steps, names = terms(events)
    values = np.array(
        [[event.get(name, np.nan) for event in steps] for name in names], float
    ).reshape(len(names), len(steps))
    first = np.where(values[:, :1] > 0, values[:, :1], np.nan)
    return names, np.array([event["step"] for event in steps]), values / first


def loss_anatomy(events: list[dict], title: str = "", ax=None) -> Figure:
    """Every loss term and layer over the steps of a history, as a multiple of its first value: blue has fallen, red has risen.

    The scale is logarithmic, centred at 1; behind each row stands where it ended, the mean of its last tenth.
    """
    names, steps, values = relative_to_start(events)
    figure, ax = panel(ax, (8.4, 1.3 + 0.3 * max(1, len(names))))
    ax.set(
        title=f"{title}: loss terms, relative to the first step".removeprefix(": "), xlabel="step"
    )
    if not names:
        return figure
    shown = np.where(values > 0, values, np.nan)
    bound = max(1.1, np.nanmax(np.exp(np.abs(np.log(shown))), initial=1))
    edges = np.concatenate([steps[:1] - 0.5, (steps[1:] + steps[:-1]) / 2, steps[-1:] + 0.5])
    mesh = ax.pcolormesh(
        edges, np.arange(len(names) + 1), shown, cmap=DIFFERENCE, norm=LogNorm(1 / bound, bound)
    )
    ends = values[:, -max(1, len(steps) // 10) :].mean(1)
    ax.set_yticks(
        np.arange(len(names)) + 0.5,
        [f"{name.split('/')[0]}, {_layer(name)}" if "/" in name else name for name in names],
        fontsize=8,
    )
    for row, end in enumerate(ends):
        ax.text(
            1.01,
            row + 0.5,
            f"× {end:.2g}",
            transform=ax.get_yaxis_transform(),
            fontsize=8,
            va="center",
        )
    ax.invert_yaxis()
    ax.set_facecolor(GREY)
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.09, label="× first value", format=_PlainLog())
    bar.ax.yaxis.set_minor_formatter(_PlainLog())
    return figure


def loss_curves(events: list[dict], title: str = "") -> Figure:
    """Every loss term and layer over the steps of a history, one panel a kind of term. Logarithmic, for they differ in size;
    a layer has the same colour in all panels."""
    steps, names = terms(events)
    last = max((int(name.split("/")[1]) for name in names if "/" in name), default=0)
    kinds = list(dict.fromkeys(name.split("/")[0] for name in names))
    figure, axes = new_figure(1, max(1, len(kinds)), (4.6 * max(1, len(kinds)), 3.4))
    for ax, kind in zip(axes[0], kinds):
        own = [name for name in names if name.split("/")[0] == kind]
        for name in own:
            shade = (
                plt.cm.viridis(0.15 + 0.7 * int(name.split("/")[1]) / max(1, last))
                if "/" in name
                else STUDENT
            )
            ax.plot(
                [e["step"] for e in steps],
                [e[name] for e in steps],
                color=shade,
                label=_layer(name),
                lw=1.6,
            )
        ax.set(
            title=f"{title}: {kind.replace('_', ' ')} loss",
            xlabel="step",
            ylabel="loss",
            yscale="log",
        )
        ax.yaxis.set_major_formatter(_PlainLog())
        ax.yaxis.set_minor_formatter(_PlainLog())
        ax.legend(frameon=False, fontsize=8)
        open_frame(ax)
    return figure


def pretraining(runs: list[list[dict]]) -> Figure:
    """Masked LM over the steps of one history or of several, each going on from the one before: the loss on training text and
    on held-out text, and the accuracy there."""
    figure, (axes,) = new_figure(1, 2, (9.2, 3.4))
    start = 0
    for number, events in enumerate(runs):
        steps, measured = [e for e in events if "loss" in e], [e for e in events if "dev" in e]
        axes[0].plot(
            [start + e["step"] for e in steps],
            [e["loss"] for e in steps],
            ".",
            ms=3,
            color=NEUTRAL,
            alpha=0.5,
            label="a training batch" if not number else None,
        )
        axes[0].plot(
            [start + e["step"] for e in measured],
            [np.log(e["dev"]["perplexity"]) for e in measured],
            color=TEACHER,
            lw=2,
            label=None if number else "held-out text",
        )
        axes[1].plot(
            [start + e["step"] for e in measured],
            [100 * e["dev"]["accuracy"] for e in measured],
            color=TEACHER,
            lw=2,
        )
        if number:
            for ax in axes:
                ax.axvline(start, color=NEUTRAL, ls=":", lw=1)
        start += max((e["step"] for e in events), default=0)
    axes[0].set(title="masked-LM loss", xlabel="step", ylabel="nats a masked piece")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set(
        title="masked pieces guessed right, held-out text",
        xlabel="step",
        ylabel="%",
        ylim=(0, None),
    )
    for ax in axes:
        open_frame(ax)
    return figure


class _PlainLog(LogFormatterSciNotation):
    """A logarithmic axis labelled 0.2 rather than 2 × 10⁻¹, as sparsely as matplotlib does."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
