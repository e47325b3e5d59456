"""Pictures for notebooks and reports. Each returns a Figure, takes an `ax` where it is one panel, and never shows or saves.

Teacher blue, student orange; differences on a diverging map centred at 0; one shared scale; padding greyed.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

TEACHER, STUDENT, NEUTRAL = "#2f6fb2", "#e07b28", "#8a8f98"


def close(figures: Iterable[Figure]) -> None:
    for figure in figures:
        plt.close(figure)


def loss_curves(events: list[dict], title: str = "") -> Figure:
    """Every loss term and layer over the steps of a history, one panel a kind of term. Logarithmic, for they differ in size."""
    steps = [event for event in events if "loss" in event]
    other = {"step", "lr", "loss", "grad_norm", "epoch", "dev"}
    names = [name for name in steps[-1] if name not in other] if steps else []
    kinds = list(dict.fromkeys(name.split("/")[0] for name in names))
    figure, axes = plt.subplots(1, max(1, len(kinds)), figsize=(4.6 * max(1, len(kinds)), 3.4), squeeze=False, layout="constrained")
    for ax, kind in zip(axes[0], kinds):
        own = [name for name in names if name.split("/")[0] == kind]
        for i, name in enumerate(own):
            shade = plt.cm.viridis(0.15 + 0.7 * i / max(1, len(own) - 1)) if len(own) > 1 else STUDENT
            layer = name.split("/")[1] if "/" in name else ""
            label = {"": kind, "0": "embeddings"}.get(layer, f"layer {layer}")
            ax.plot([e["step"] for e in steps], [e[name] for e in steps], color=shade, label=label, lw=1.6)
        ax.set(title=f"{title}: {kind.replace('_', ' ')} loss", xlabel="step", ylabel="loss", yscale="log")
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def along_the_stages(results: dict, ax=None) -> Figure:
    """Probe accuracy after each stage, and the finished models' own dev score."""
    figure, ax = _panel(ax, (7.2, 3.8))
    probes = results["probe_along_the_stages"]
    labels = ["3 general\ndistillation", "4 intermediate\nlayers", "5 prediction\nlayer"]
    ax.plot(labels, [probes["3"], probes["4"], probes["5"]], "o-", color=STUDENT, lw=2, label="student, probe on frozen states")
    ax.axhline(probes["teacher"], color=TEACHER, ls=":", lw=1.5, label="teacher, the same probe")
    ax.axhline(results["teacher"][results["metric"]], color=TEACHER, lw=1.8, label="teacher, own classifier")
    ax.plot(labels[-1:], [results["student"][results["metric"]]], "D", color=STUDENT, ms=9, label="student, own classifier")
    if "undistilled" in results:
        ax.axhline(results["undistilled"][results["metric"]], color=NEUTRAL, ls="--", lw=1.5, label="same student, no teacher")
    ax.set(ylabel=f"dev {results['metric'].replace('_', ' ')}", title=f"{results['task']}: along the stages")
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def cost_card(results: dict) -> Figure:
    """Parameters by block, bytes, multiply-adds and time of teacher and student."""
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    costs = [results["cost"]["teacher"], results["cost"]["student"]]
    colours, names = [TEACHER, STUDENT], ["teacher", "student"]
    bottom = np.zeros(2)
    for block, alpha in (("embeddings", 1.0), ("encoder", 0.65), ("classifier", 0.35)):
        sizes = np.array([c["blocks"][block] / 1e6 for c in costs])
        for x in range(2):
            axes[0].bar(names[x], sizes[x], bottom=bottom[x], color=colours[x], alpha=alpha, edgecolor="white")
            if sizes[x] > 0.08 * sum(costs[x]["blocks"].values()) / 1e6 and sizes[x] > 0.06 * costs[0]["parameters"] / 1e6:
                axes[0].text(x, bottom[x] + sizes[x] / 2, block, ha="center", va="center", fontsize=8)
        bottom += sizes
    axes[0].set_title("parameters (millions)")
    length = costs[0]["length"]
    for ax, (key, scale, title) in zip(axes[1:], (("bytes", 1e6, "on disk (MB)"), ("multiply_adds", 1e6, f"multiply-adds (millions, {length} tokens)"),
                                                  ("milliseconds_a_row", 1, "time a row (ms)"))):
        values = [c[key] / scale for c in costs]
        ax.bar(names, values, color=colours)
        ax.set_title(title + (f"\n{values[0] / values[1]:.1f} × less" if values[1] else ""), fontsize=10)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def attention_match(student, teacher, tokens: list[str], title: str = "") -> Figure:
    """Teacher | student | difference of one head's scores, (L, L) each, on one scale; the difference centred at 0."""
    student, teacher = np.asarray(student), np.asarray(teacher)
    low, high = min(student.min(), teacher.min()), max(student.max(), teacher.max())
    size = 2.4 + 0.16 * len(tokens)
    figure, axes = plt.subplots(1, 3, figsize=(3 * size, size), sharey=True, layout="constrained")
    for ax, values, name, colour in ((axes[0], teacher, "teacher", TEACHER), (axes[1], student, "student", STUDENT)):
        image = ax.imshow(values, vmin=low, vmax=high, cmap="viridis")
        ax.set_title(name, color=colour)
    figure.colorbar(image, ax=axes[:2], shrink=0.8, label="attention score")
    difference = student - teacher
    bound = max(1e-9, np.abs(difference).max())
    figure.colorbar(axes[2].imshow(difference, vmin=-bound, vmax=bound, cmap="RdBu_r"), ax=axes[2], shrink=0.8, label="difference")
    axes[2].set_title("student − teacher")
    for ax in axes:
        ax.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=7)
        ax.set_yticks(range(len(tokens)), tokens, fontsize=7)
        ax.set_xlabel("key")
    axes[0].set_ylabel("query")
    figure.suptitle(title)
    return figure


def hidden_match(errors_before: list[float], errors_after: list[float], mapping: list[int], ax=None) -> Figure:
    """The hidden loss of every matched pair, before and after distillation."""
    figure, ax = _panel(ax, (6.4, 3.4))
    x = np.arange(len(mapping))
    ax.bar(x - 0.2, errors_before, 0.4, color=NEUTRAL, label="before")
    ax.bar(x + 0.2, errors_after, 0.4, color=STUDENT, label="after")
    names = ["embeddings" if m == 0 else f"student {m}\n↔ teacher {g}" for m, g in enumerate(mapping)]
    ax.set_xticks(x, names, fontsize=8)
    ax.set(ylabel="mean squared error", title="hidden states, projected to the teacher's width")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _panel(ax, size) -> tuple[Figure, plt.Axes]:
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(figsize=size, layout="constrained")
