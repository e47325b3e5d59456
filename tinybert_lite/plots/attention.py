"""Attention scores of teacher and student."""

from __future__ import annotations

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
    new_figure,
    open_frame,
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
    """Teacher | student | difference of one head's scores, (L, L) each, on one scale; the difference centred at 0.

    mask: (L,), 1 at real tokens; the queries and keys of padding are greyed and do not stretch the scale.
    """
    labels, family, note = lettering(tokens)
    figure, (axes,) = new_figure(
        1, 3, (3.8 + 0.4 * len(tokens), 1.9 + 0.14 * len(tokens)), sharey=True, layout="compressed"
    )
    blank = np.zeros((len(tokens), len(tokens)))
    images = [
        ax.imshow(blank, cmap=cmap) for ax, cmap in zip(axes, ("viridis", "viridis", DIFFERENCE))
    ]
    figure.colorbar(images[1], ax=list(axes[:2]), shrink=0.8)
    figure.colorbar(images[2], ax=axes[2], shrink=0.8)
    for ax in figure.axes[3:]:
        ax.tick_params(labelsize=8)
    figure.get_layout_engine().set(
        rect=(0, 0, 0.97, 1)
    )  # room for longer numbers, should the values change
    for ax, name, colour in zip(
        axes, ("teacher", "student", "student − teacher"), (TEACHER, STUDENT, "black")
    ):
        ax.set_title(name, color=colour)
        ax.set_facecolor(GREY)
        ax.set_xticks(range(len(tokens)), labels, rotation=90, fontsize=8, family=family)
        ax.set_yticks(range(len(tokens)), labels, fontsize=8, family=family)
        ax.set_xlabel("key")
    axes[0].set_ylabel("query")
    if note:
        figure.supxlabel(note, fontsize=8, color=NEUTRAL)
    redraw_attention(figure, student, teacher, title, mask, quantity)
    return settled(figure)


def redraw_attention(
    figure: Figure, student, teacher, title: str = "", mask=None, quantity: str = "attention score"
) -> Figure:
    """Give an `attention_match` other values for the same tokens: much faster than a new one. Returns the figure."""
    student, teacher = (np.asarray(values, float) for values in (student, teacher))
    real = np.ones(len(student), bool) if mask is None else np.asarray(mask, bool)
    student, teacher = (
        np.where(np.outer(real, real), values, np.nan) for values in (student, teacher)
    )
    both = np.stack([student, teacher])
    bound = max(1e-9, np.nanmax(np.abs(student - teacher)))
    shared = np.nanmin(both), np.nanmax(both)
    for ax, values, limits in zip(
        figure.axes, (teacher, student, student - teacher), (shared, shared, (-bound, bound))
    ):
        ax.images[0].set_data(values)
        ax.images[0].set_clim(*limits)
    figure.axes[3].set_title(quantity.replace(" ", "\n"), fontsize=8, loc="left")
    figure.suptitle(
        title, y=0.985
    )  # a place of its own choice would change where the layout is not made again
    return figure


def probabilities(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over real keys. scores: (B, H, L, L) before the mask · mask: (B, L); padded keys get 0."""
    return scores.float().masked_fill(~mask.bool()[:, None, None, :], -torch.inf).softmax(-1)


def attention_parts(
    student: Tensor, teacher: Tensor, mask: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The attention loss of every head in two parts, (H,) each: what softmax sees of it, and what it does not.

    student, teacher: (B, H, L, L) scores before the mask · mask: (B, L), 1 at real tokens. Over the real keys of a query,
    the mean square of a difference is its variance, which softmax sees, plus its squared mean, which it does not: a number
    added to a whole row changes no probability. The two add up to the head's error exactly, and its mean over heads is
    `losses.attention_loss`.
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
    """The mean square of every head and layer as a map with numbers; the worst is framed. errors: (M, H), layer 1 first."""
    errors = np.asarray(errors, float)
    layers, heads = errors.shape
    figure, ax = panel(ax, (max(5, 2.6 + 0.55 * heads), 1.6 + 0.45 * layers))
    image = ax.imshow(errors, cmap="viridis", vmin=0, origin="lower", aspect="auto")
    for m, h in np.ndindex(layers, heads):
        ax.text(
            h,
            m,
            f"{errors[m, h]:.2g}",
            ha="center",
            va="center",
            fontsize=8,
            color="black" if errors[m, h] > 0.6 * errors.max() else "white",
        )
    m, h = np.unravel_index(errors.argmax(), errors.shape)
    ax.add_patch(
        plt.Rectangle((h - 0.5, m - 0.5), 1, 1, fill=False, ec="#c0392b", lw=2.5, clip_on=False)
    )
    ax.set_xticks(range(heads), range(1, heads + 1))
    ax.set_yticks(range(layers), pair_names(mapping, " ")[1:])
    ax.set_xlabel("head")
    ax.set_title(
        f"attention loss, head by head\nthe worst: layer {m + 1}, head {h + 1}", fontsize=10
    )
    figure.colorbar(image, ax=ax, label="mean square")
    return figure


def visible_attention(visible, invisible, mapping: list[int], ax=None) -> Figure:
    """The attention loss of each layer: what softmax sees of the error, and on it what it does not.

    visible, invisible: (M, H) from `attention_parts`, layer 1 first; a bar is the mean over heads.
    """
    visible, invisible = (np.asarray(part, float).mean(1) for part in (visible, invisible))
    figure, ax = panel(ax, (6.4, 3.4))
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
            ax.text(
                m, total, f"{100 * seen / total:.0f} % seen", ha="center", va="bottom", fontsize=8
            )
    ax.set_xticks(x, pair_names(mapping)[1:], fontsize=8)
    ax.set(ylabel="attention loss", title="what the attention loss is made of")
    ax.margins(y=0.12)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    open_frame(ax)
    return figure
