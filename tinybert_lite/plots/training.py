"""Losses over the steps of a training history."""

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
    """The events of training steps, and the loss terms in them: attention/1, hidden/0, …"""
    steps = [event for event in events if "loss" in event]
    other = {"step", "lr", "loss", "grad_norm", "epoch", "dev"}
    return steps, [name for name in steps[-1] if name not in other] if steps else []


def _split(name: str) -> tuple[str, int | None, str]:
    """The kind of a loss term, its layer (None without one), and the name of the layer."""
    kind, slash, layer = name.partition("/")
    if not slash:
        return kind, None, kind
    return kind, int(layer), f"layer {layer}" if int(layer) else "embeddings"


def relative_to_start(events: list[dict]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the terms, steps (S,), and each term divided by its first value, (terms, S).

    NaN where the first value is 0 or a term is absent.
    """
    steps, names = terms(events)
    values = [[event.get(name, np.nan) for event in steps] for name in names]
    values = np.array(values, float).reshape(len(names), len(steps))
    first = np.where(values[:, :1] > 0, values[:, :1], np.nan)
    return names, np.array([event["step"] for event in steps]), values / first


def loss_anatomy(events: list[dict], title: str = "", ax=None) -> Figure:
    """Every loss term and layer over the steps, as a multiple of its first value.

    Blue has fallen, red has risen. The scale is logarithmic, centred at 1; beside each row is its
    final value, the mean of its last tenth.
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
    labels = [
        kind if layer is None else f"{kind}, {label}" for kind, layer, label in map(_split, names)
    ]
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
    """Every loss term and layer over the steps, one panel per kind of term.

    The axes are logarithmic, as the terms differ in size; a layer has the same colour in all
    panels.
    """
    steps, names = terms(events)
    split = {name: _split(name) for name in names}
    last = max((layer or 0 for _, layer, _ in split.values()), default=0)
    kinds = list(dict.fromkeys(kind for kind, _, _ in split.values()))
    figure, axes = new_figure(1, max(1, len(kinds)), (4.6 * max(1, len(kinds)), 3.4))
    for ax, kind in zip(axes[0], kinds):
        for name, (own, layer, label) in split.items():
            if own == kind:
                shade = (
                    STUDENT if layer is None else plt.cm.viridis(0.15 + 0.7 * layer / max(1, last))
                )
                _line(ax, steps, lambda e, name=name: e[name], color=shade, label=label, lw=1.6)
        title_here = f"{title}: {kind.replace('_', ' ')} loss"
        ax.set(title=title_here, xlabel="step", ylabel="loss", yscale="log")
        ax.yaxis.set_major_formatter(_PlainLog())
        ax.yaxis.set_minor_formatter(_PlainLog())
        ax.legend(frameon=False, fontsize=8)
        open_frame(ax)
    return figure


def _line(ax, events: list[dict], value, *form: str, start: int = 0, **style) -> None:
    """value(event) over the steps of events, counted from `start`."""
    ax.plot([start + e["step"] for e in events], [value(e) for e in events], *form, **style)


def pretraining(runs: list[list[dict]]) -> Figure:
    """Masked LM over the steps: the loss on training and held-out text, and the accuracy there.

    runs: histories, each of a run that resumes from the one before.
    """
    figure, ((loss, accuracy),) = new_figure(1, 2, (9.2, 3.4))
    start, names = 0, ("a training batch", "held-out text")
    for events in runs:
        steps, measured = ([e for e in events if key in e] for key in ("loss", "dev"))
        if start:
            for ax in (loss, accuracy):
                ax.axvline(start, color=NEUTRAL, ls=":", lw=1)
        dots = {"ms": 3, "color": NEUTRAL, "alpha": 0.5, "label": names[0]}
        _line(loss, steps, lambda e: e["loss"], ".", start=start, **dots)
        line = {"start": start, "color": TEACHER, "lw": 2}
        _line(loss, measured, lambda e: np.log(e["dev"]["perplexity"]), label=names[1], **line)
        _line(accuracy, measured, lambda e: 100 * e["dev"]["accuracy"], **line)
        names = (None, None)
        start += max((e["step"] for e in events), default=0)
    loss.set(title="masked-LM loss", xlabel="step", ylabel="nats a masked piece")
    loss.legend(frameon=False, fontsize=8)
    title = "masked pieces guessed right, held-out text"
    accuracy.set(title=title, xlabel="step", ylabel="%", ylim=(0, None))
    for ax in (loss, accuracy):
        open_frame(ax)
    return figure


class _PlainLog(LogFormatterSciNotation):
    """Labels of a logarithmic axis: 0.2 instead of 2 × 10⁻¹, as sparse as matplotlib's."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""
