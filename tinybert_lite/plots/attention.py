"""Attention scores of teacher and student."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tinybert_lite.plots.fonts import lettering
from tinybert_lite.plots.panels import (
    DIFFERENCE,
    GREY,
    NEUTRAL,
    STUDENT,
    TEACHER,
    WRONG,
    cell_texts,
    finish,
    new_figure,
    pair_names,
    panel,
    settled,
)


def attention_match(
    student,
    teacher,
    tokens: list[str],
    title: str = "",
    mask=None,
    quantity: str = "attention score",
) -> Figure:
    """Draw one head's scores, (L, L), of teacher and student on one scale, and their difference.

    The difference is centred at 0. mask: (L,), 1 at real tokens; the queries and keys of padding
    are grey and do not affect the scale.
    """
    labels, family, note = lettering(tokens)
    L = len(tokens)
    size = 3.8 + 0.4 * L, 1.9 + 0.14 * L
    figure, (axes,) = new_figure(1, 3, size, sharey=True, layout="compressed")
    images = []
    for ax, name, colour, colours in zip(
        axes,
        ("teacher", "student", "student − teacher"),
        (TEACHER, STUDENT, "black"),
        ("viridis", "viridis", DIFFERENCE),
    ):
        images.append(ax.imshow(np.zeros((L, L)), cmap=colours))
        ax.set_title(name, color=colour)
        ax.set(facecolor=GREY, xlabel="key")
        ax.set_xticks(range(L), labels, rotation=90, fontsize=8, family=family)
        ax.set_yticks(range(L), labels, fontsize=8, family=family)
    axes[0].set_ylabel("query")
    for image, beside in ((images[1], axes[:2]), (images[2], axes[2:])):
        bar = figure.colorbar(image, ax=list(beside), shrink=0.8)
        bar.ax.tick_params(labelsize=8)
    # Leaves room for longer numbers in a later `redraw_attention`.
    figure.get_layout_engine().set(rect=(0, 0, 0.97, 1))
    if note:
        figure.supxlabel(note, fontsize=8, color=NEUTRAL)
    redraw_attention(figure, student, teacher, title, mask, quantity)
    return settled(figure)


def redraw_attention(
    figure: Figure, student, teacher, title: str = "", mask=None, quantity: str = "attention score"
) -> Figure:
    """Redraw the figure of `attention_match` with other values, (L, L) each; returns the figure.

    Much faster than a new figure.
    """
    student, teacher = np.asarray(student, float), np.asarray(teacher, float)
    if mask is not None:
        real = np.asarray(mask, bool)
        student, teacher = (
            np.where(np.outer(real, real), values, np.nan) for values in (student, teacher)
        )
    both, difference = np.stack([student, teacher]), student - teacher
    bound = max(1e-9, np.nanmax(np.abs(difference)))
    shared = np.nanmin(both), np.nanmax(both)
    for ax, values, limits in zip(
        figure.axes, (teacher, student, difference), (shared, shared, (-bound, bound))
    ):
        ax.images[0].set_data(values)
        ax.images[0].set_clim(*limits)
    figure.axes[3].set_title(quantity.replace(" ", "\n"), fontsize=8, loc="left")
    # At a fixed place: without a new layout an automatic place would move.
    figure.suptitle(title, y=0.985)
    return figure


def probabilities(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the softmax over real keys, (B, H, L, L).

    scores: (B, H, L, L) before the mask · mask: (B, L); padded keys get 0.
    """
    return scores.float().masked_fill(~mask.bool()[:, None, None, :], -torch.inf).softmax(-1)


def attention_parts(
    student: Tensor, teacher: Tensor, mask: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Split each head's attention loss into two parts, (H,) each: visible and invisible to softmax.

    student, teacher: (B, H, L, L) scores before the mask · mask: (B, L), 1 at real tokens. Over the
    real keys of a query, the mean square of the differences is their variance plus their squared
    mean. The variance changes the softmax; the mean does not, since a number added to all scores of
    a query changes no probability. The two parts add up to the head's loss exactly, and its mean
    over heads is `losses.attention_loss`.
    """
    real = mask.bool()
    pairs = (real[:, :, None] & real[:, None, :])[:, None]
    difference = (student.double() - teacher.double()).masked_fill(~pairs, 0.0)
    keys = real.sum(1).clamp(min=1)[:, None, None, None]
    shift = (difference.sum(-1, keepdim=True) / keys).expand_as(difference).masked_fill(~pairs, 0.0)
    visible, invisible = (
        part.square().sum((0, 2, 3)) / pairs.sum() for part in (difference - shift, shift)
    )
    return visible.cpu().numpy(), invisible.cpu().numpy()


def head_errors(errors, mapping: list[int], ax=None) -> Figure:
    """Draw the mean square of each head and layer as a heat map, with a frame at the largest.

    errors: (M, H), layer 1 first · mapping: g(m), m = 0 … M.
    """
    errors = np.asarray(errors, float)
    layers, heads = errors.shape
    figure, ax = panel(ax, (max(5, 2.6 + 0.55 * heads), 1.6 + 0.45 * layers))
    image = ax.imshow(errors, cmap="viridis", vmin=0, origin="lower", aspect="auto")
    cell_texts(ax, errors, "{:.2g}", errors > 0.6 * errors.max(), ("white", "black"))
    m, h = np.unravel_index(errors.argmax(), errors.shape)
    ax.add_patch(
        plt.Rectangle((h - 0.5, m - 0.5), 1, 1, fill=False, ec=WRONG, lw=2.5, clip_on=False)
    )
    ax.set_xticks(range(heads), range(1, heads + 1))
    ax.set_yticks(range(layers), pair_names(mapping, " ")[1:])
    ax.set_xlabel("head")
    ax.set_title(f"attention loss per head\nthe largest: layer {m + 1}, head {h + 1}", fontsize=10)
    figure.colorbar(image, ax=ax, label="mean square")
    return figure


def visible_attention(visible, invisible, mapping: list[int], ax=None) -> Figure:
    """Draw each layer's attention loss as stacked bars: visible and invisible to softmax.

    visible, invisible: (M, H) from `attention_parts`, layer 1 first; a bar is the mean over heads.
    """
    visible, invisible = (np.asarray(part, float).mean(1) for part in (visible, invisible))
    _, ax = panel(ax, (6.4, 3.4))
    x = np.arange(len(visible))
    ax.bar(x, visible, 0.6, color=STUDENT, label="softmax sees it:\ndifferences within a row")
    ax.bar(
        x,
        invisible,
        0.6,
        bottom=visible,
        color=GREY,
        edgecolor=NEUTRAL,
        hatch="//",
        label="softmax does not:\na number added to a row",
    )
    for m, (seen, total) in enumerate(zip(visible, visible + invisible)):
        if total > 0:
            text = f"{100 * seen / total:.0f} % seen"
            ax.text(m, total, text, ha="center", va="bottom", fontsize=8)
    ax.set_xticks(x, pair_names(mapping)[1:], fontsize=8)
    ax.margins(y=0.12)
    return finish(ax, ylabel="attention loss", title="the two parts of the attention loss")
