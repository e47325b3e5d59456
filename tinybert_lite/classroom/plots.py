"""Pictures for notebooks and reports. Each returns a Figure, takes an `ax` where it is one panel, and never shows or saves.

Teacher blue, student orange; differences on a diverging map centred at 0; one shared scale; padding greyed.
A Figure is detached from pyplot at birth, so a notebook shows it once, where a cell ends with it.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

TEACHER, STUDENT, NEUTRAL = "#2f6fb2", "#e07b28", "#8a8f98"
LABELS = (("#8e4585", "v"), ("#2e8b57", "^"))  # colour and marker of the gold labels 0 and 1
FATES = {"[MASK]": "#55606e", "random piece": "#8e4585", "kept": "#2e8b57"}  # of a piece chosen for the masked LM
REPLACED = {"replaced": "#8e4585"}  # words of an augmented text
GREY = "#e4e6ea"


def close(figures: Iterable[Figure]) -> None:
    for figure in figures:
        plt.close(figure)


def loss_curves(events: list[dict], title: str = "") -> Figure:
    """Every loss term and layer over the steps of a history, one panel a kind of term. Logarithmic, for they differ in size."""
    steps = [event for event in events if "loss" in event]
    other = {"step", "lr", "loss", "grad_norm", "epoch", "dev"}
    names = [name for name in steps[-1] if name not in other] if steps else []
    kinds = list(dict.fromkeys(name.split("/")[0] for name in names))
    figure, axes = _figure(1, max(1, len(kinds)), (4.6 * max(1, len(kinds)), 3.4))
    for ax, kind in zip(axes[0], kinds):
        own = [name for name in names if name.split("/")[0] == kind]
        for i, name in enumerate(own):
            shade = plt.cm.viridis(0.15 + 0.7 * i / max(1, len(own) - 1)) if len(own) > 1 else STUDENT
            layer = name.split("/")[1] if "/" in name else ""
            label = {"": kind, "0": "embeddings"}.get(layer, f"layer {layer}")
            ax.plot([e["step"] for e in steps], [e[name] for e in steps], color=shade, label=label, lw=1.6)
        ax.set(title=f"{title}: {kind.replace('_', ' ')} loss", xlabel="step", ylabel="loss", yscale="log")
        ax.yaxis.set_major_formatter(_PlainLog())
        ax.yaxis.set_minor_formatter(_PlainLog())
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def pretraining(runs: list[list[dict]]) -> Figure:
    """Masked LM over the steps of one history or of several, each going on from the one before: the loss on training text and
    on held-out text, and the accuracy there."""
    figure, (axes,) = _figure(1, 2, (9.2, 3.4))
    start = 0
    for number, events in enumerate(runs):
        steps, measured = [e for e in events if "loss" in e], [e for e in events if "dev" in e]
        axes[0].plot([start + e["step"] for e in steps], [e["loss"] for e in steps], ".", ms=3, color=NEUTRAL, alpha=0.5, label="a training batch" if not number else None)
        axes[0].plot([start + e["step"] for e in measured], [np.log(e["dev"]["perplexity"]) for e in measured], color=TEACHER, lw=2, label=None if number else "held-out text")
        axes[1].plot([start + e["step"] for e in measured], [100 * e["dev"]["accuracy"] for e in measured], color=TEACHER, lw=2)
        if number:
            for ax in axes:
                ax.axvline(start, color=NEUTRAL, ls=":", lw=1)
        start += max((e["step"] for e in events), default=0)
    axes[0].set(title="masked-LM loss", xlabel="step", ylabel="nats a masked piece")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set(title="masked pieces guessed right, held-out text", xlabel="step", ylabel="%", ylim=(0, None))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


class _PlainLog(LogFormatterSciNotation):
    """A logarithmic axis labelled 0.2 rather than 2 × 10⁻¹, as sparsely as matplotlib does."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def along_the_stages(results: dict, ax=None) -> Figure:
    """Probe accuracy after each stage, and the finished models' own dev score."""
    figure, ax = _panel(ax, (7.2, 3.8))
    probes = results["probe_along_the_stages"]
    labels = ["3 general\ndistillation", "4 intermediate\nlayers", "5 prediction\nlayer"]
    along = np.array([probes["3"], probes["4"], probes["5"]])
    error = np.sqrt(along.clip(0, 1) * (1 - along.clip(0, 1)) / results["rows"]["dev"]) if results["metric"] == "accuracy" else None
    ax.errorbar(labels, along, error, fmt="o-", color=STUDENT, lw=2, elinewidth=1, capsize=3, label="student, probe on frozen states\n(± 1 standard error)")
    ax.axhline(probes["teacher"], color="black", ls=":", lw=1.3, zorder=3, label="teacher, the same probe")
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
    figure, (axes,) = _figure(1, 4, (12, 3.2))
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
    for ax, (key, scale, title) in zip(axes[1:], (("bytes", 1e6, "float32 (MB)"), ("multiply_adds", 1e6, f"multiply-adds (millions, {length} tokens)"),
                                                  ("milliseconds_a_row", 1, "time a row (ms)"))):
        values = [c[key] / scale for c in costs]
        ax.bar(names, values, color=colours)
        ax.set_title(title + (f"\n{values[0] / values[1]:.1f} × less" if values[1] else ""), fontsize=10)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def attention_match(student, teacher, tokens: list[str], title: str = "", mask=None) -> Figure:
    """Teacher | student | difference of one head's scores, (L, L) each, on one scale; the difference centred at 0.

    mask: (L,), 1 at real tokens; the queries and keys of padding are greyed and do not stretch the scale.
    """
    real = np.ones(len(tokens), bool) if mask is None else np.asarray(mask, bool)
    pairs = np.outer(real, real)
    student, teacher = (np.where(pairs, np.asarray(scores, float), np.nan) for scores in (student, teacher))
    low, high = min(np.nanmin(student), np.nanmin(teacher)), max(np.nanmax(student), np.nanmax(teacher))
    bound = max(1e-9, np.nanmax(np.abs(student - teacher)))
    size = 2.2 + 0.13 * len(tokens)
    figure, (axes,) = _figure(1, 3, (3 * size, size), sharey=True, layout="compressed")
    for ax, values, name, colour in ((axes[0], teacher, "teacher", TEACHER), (axes[1], student, "student", STUDENT)):
        image = ax.imshow(values, vmin=low, vmax=high, cmap="viridis")
        ax.set_title(name, color=colour)
    figure.colorbar(image, ax=list(axes[:2]), shrink=0.8, label="attention score")
    image = axes[2].imshow(student - teacher, vmin=-bound, vmax=bound, cmap="RdBu_r")
    figure.colorbar(image, ax=axes[2], shrink=0.8, label="difference")
    axes[2].set_title("student − teacher")
    for ax in axes:
        ax.set_facecolor(GREY)
        ax.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
        ax.set_yticks(range(len(tokens)), tokens, fontsize=8)
        ax.set_xlabel("key")
    axes[0].set_ylabel("query")
    figure.suptitle(title)
    return _settled(figure)


def hidden_match(errors_before: list[float], errors_after: list[float], mapping: list[int], ax=None) -> Figure:
    """The hidden loss of every matched pair, before and after distillation."""
    figure, ax = _panel(ax, (6.4, 3.4))
    x = np.arange(len(mapping))
    ax.bar(x - 0.2, errors_before, 0.4, color=NEUTRAL, label="before")
    ax.bar(x + 0.2, errors_after, 0.4, color=STUDENT, label="after")
    names = ["embeddings" if m == 0 else f"student {m}\n↔ teacher {g}" for m, g in enumerate(mapping)]
    ax.set_xticks(x, names, fontsize=8)
    ax.set(ylabel="mean squared error", title="hidden states, projected to the teacher's width")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def layer_map(mapping: list[int], teacher_layers: int, ax=None) -> Figure:
    """Which teacher layer each student layer learns from: g(m) as edges, 0 the embedding outputs at the bottom."""
    figure, ax = _panel(ax, (4.6, 0.8 + 0.32 * (teacher_layers + 1)))
    student_layers, box = len(mapping) - 1, {"boxstyle": "round,pad=0.35", "lw": 0}
    heights = [m * teacher_layers / student_layers for m in range(len(mapping))]
    for layer in range(teacher_layers + 1):
        used = layer in mapping
        ax.text(0, layer, f"layer {layer}" if layer else "embeddings", ha="center", va="center", fontsize=9,
                color="white" if used else NEUTRAL, bbox={**box, "fc": TEACHER if used else GREY})
    for m, g in enumerate(mapping):
        ax.plot([0, 1], [g, heights[m]], color=NEUTRAL, lw=1.5, zorder=0)
        ax.text(1, heights[m], f"layer {m}" if m else "embeddings", ha="center", va="center", fontsize=9, color="white",
                bbox={**box, "fc": STUDENT})
    for x, name, colour in ((0, "teacher", TEACHER), (1, "student", STUDENT)):
        ax.text(x, teacher_layers + 0.9, name, ha="center", color=colour, fontsize=11)
    ax.set(xlim=(-0.35, 1.35), ylim=(-0.7, teacher_layers + 1.5))
    ax.set_axis_off()
    return figure


def word_rows(rows: list[list[tuple]], names: list[str], colours: dict[str, str], width: int = 96) -> Figure:
    """Lines of words, the marked ones on a coloured chip. A word is (text, kind) or (text, kind, what stood there).

    names: one a row, written before it · colours: kind -> colour, also the legend; a kind without a colour is plain text.
    """
    margin = max(len(name) for name in names) + 2
    placed, line, legend = [], 0.0, [(kind, kind) for kind in colours]
    for name, row in zip(["", *names], [legend, *rows]):
        x: float = margin
        placed.append((0, line, name, None, ""))
        for text, kind, *below in row:
            length = max(len(text), len("".join(below)))
            if x + length > width and x > margin:
                x, line = margin, line + 1
            placed.append((x, line, text, kind, "".join(below)))
            x += length + 1.6
        line += 1.3
    size, step = 10, 1.0 if any(below for *_, below in placed) else 0.62
    figure, ((ax,),) = _figure(1, 1, (width * 0.602 * size / 72, line * 0.42 * step))
    for x, y, text, kind, below in placed:
        colour = colours.get(kind)
        ax.text(x, y, text, family="monospace", fontsize=size, va="center", color="white" if colour else NEUTRAL if kind is None else "black",
                bbox={"boxstyle": "round,pad=0.18", "fc": colour, "lw": 0} if colour else None)
        ax.text(x, y + 0.46, below, family="monospace", fontsize=size - 2.5, va="center", color=NEUTRAL)
    ax.set(xlim=(-0.5, width + 0.5), ylim=(line - 0.5, -0.6))
    ax.set_axis_off()
    return figure


def margins(student, teacher, labels, ax=None) -> Figure:
    """Logit margins z1 − z0 of two classifiers of two classes, a point a row; on red ground the two decide differently."""
    figure, ax = _panel(ax, (5.4, 4.6))
    teacher, student = (np.asarray(logits)[:, 1] - np.asarray(logits)[:, 0] for logits in (teacher, student))
    labels = np.asarray(labels)
    bound = 1.08 * max(1e-9, np.abs(teacher).max(), np.abs(student).max())
    for x, y in ((-bound, 0), (0, -bound)):
        ax.add_patch(plt.Rectangle((x, y), bound, bound, color="#c0392b", alpha=0.08, lw=0))
    ax.plot([-bound, bound], [-bound, bound], color=NEUTRAL, ls="--", lw=1, label="equal margins")
    for label, (colour, marker) in enumerate(LABELS):
        ax.scatter(teacher[labels == label], student[labels == label], s=22, marker=marker, color=colour, alpha=0.55, lw=0, label=f"gold label {label}")
    agree = ((teacher > 0) == (student > 0)).mean()
    ax.set(xlim=(-bound, bound), ylim=(-bound, bound), aspect="equal", title=f"they agree on {100 * agree:.1f} % of {len(labels)} rows")
    ax.set_xlabel("teacher's margin", color=TEACHER)
    ax.set_ylabel("student's margin", color=STUDENT)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return _settled(figure)


def _panel(ax, size) -> tuple[Figure, plt.Axes]:
    if ax is not None:
        return ax.figure, ax
    figure, axes = _figure(1, 1, size)
    return figure, axes[0, 0]


def _figure(rows: int, columns: int, size, **options) -> tuple[Figure, np.ndarray]:
    """A Figure and its axes (rows, columns); pyplot does not keep it, or notebooks would show it twice."""
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **{"layout": "constrained", **options})
    plt.close(figure)
    return figure, axes


def _settled(figure: Figure) -> Figure:
    """Axes of a fixed aspect need two passes of the layout: the first is made here, the second when it is drawn."""
    figure.draw_without_rendering()
    return figure
