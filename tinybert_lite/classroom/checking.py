"""What the checks of the exercises share: call an answer, draw it beside what is expected, say which property broke.

A check is a function of an answer (and a seed for its inputs). It draws, then raises AssertionError with the property that
broke and a small counter-example. What is expected comes from a slow loop, a number worked out by hand, or a property.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
import torch
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import GREY, NEUTRAL, STUDENT, TEACHER
from tinybert_lite.plots.texts import word_rows


def check(function: Callable) -> Callable:
    """Make a check of a function of (yours, seed): it says so when every property holds.

    Warnings are kept off the standard error, which nbgrader would take for a failure.
    """

    @functools.wraps(function)
    def checked(yours: Callable, seed: int = 0) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(yours, seed)
        print(f"{function.__name__}: every property holds")

    return checked


def attempt(yours: Callable, *arguments, like, draw: Callable[[object], Figure]):
    """Call an answer on copies of `arguments`, show draw(found), and return what it found.

    like: something of the kind that is wanted; AssertionError for another kind. Where there is no answer, or none of that
    kind, draw(None) is shown: the inputs and what is expected.
    """
    try:
        found = yours(*deepcopy(arguments))
        need_kind(found, like)
        figure = draw(found)
    except Exception:
        show(draw(None))
        raise
    show(figure)
    return found


def expect(holds, message: str) -> None:
    """Raise AssertionError with the property and its counter-example unless it holds."""
    if not holds:
        raise AssertionError(message)


def need_kind(found, like) -> None:
    """Raise AssertionError where an answer is not of the kind of `like`: a tensor of its shape, a number, the same keys."""
    if isinstance(like, torch.Tensor) and like.ndim:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        expect(
            shape == tuple(like.shape),
            f"a tensor of shape {tuple(like.shape)} is wanted, yours is {shape}",
        )
    elif isinstance(like, (float, torch.Tensor)):
        one = isinstance(found, (int, float)) or getattr(found, "shape", None) == ()
        expect(one, f"one number is wanted, yours is {described(found)}")
    elif isinstance(like, dict):
        expect(
            isinstance(found, dict) and found.keys() == like.keys(),
            f"the keys {', '.join(like)} are wanted, yours is {described(found)}",
        )
    else:
        expect(
            isinstance(found, type(like)),
            f"a {type(like).__name__} is wanted, yours is {described(found)}",
        )


def described(found) -> str:
    if isinstance(found, torch.Tensor):
        return f"a tensor of shape {tuple(found.shape)}"
    if isinstance(found, dict):
        return f"a dict with the keys {', '.join(map(str, found))}"
    return "None" if found is None else f"a {type(found).__name__}"


def close(found, wanted, tolerance: float = 1e-4) -> bool:
    """Equal up to rounding; not a number is close to nothing."""
    found, wanted = (torch.as_tensor(value).detach().double() for value in (found, wanted))
    return torch.allclose(found, wanted, rtol=tolerance, atol=tolerance)


def number(found) -> str:
    return f"{plain(found):.4g}"


def plain(value) -> float:
    """A number, of a tensor that may be in a graph too."""
    return float(value.detach() if isinstance(value, torch.Tensor) else value)


def show(figure: Figure) -> None:
    """In a notebook the picture of a figure; elsewhere nothing."""
    from IPython import get_ipython
    from IPython.display import Image, display

    if get_ipython() is not None:
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=90)
        display(Image(picture.getvalue(), alt="inputs, expected, yours"))


def panels(count: int, width: float = 3.2, height: float = 2.8) -> tuple[Figure, Sequence]:
    """A figure and its axes, side by side."""
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def compared(
    names: list[str], expected, found, inputs: dict[str, object] | None = None, title: str = ""
) -> Figure:
    """Heat maps of `inputs`, (rows, columns) each, on one scale; then bars: expected in blue, yours in orange.

    Not a number in an input is padding, greyed. found: None where there is no answer.
    """
    inputs = {
        name: np.atleast_2d(np.asarray(values, float)) for name, values in (inputs or {}).items()
    }
    figure, axes = panels(len(inputs) + 1)
    low = min((np.nanmin(values) for values in inputs.values()), default=0)
    high = max((np.nanmax(values) for values in inputs.values()), default=1)
    for ax, (name, values) in zip(axes, inputs.items()):
        image = ax.imshow(values, vmin=low, vmax=high, cmap="viridis", aspect="auto")
        ax.set(facecolor=GREY, xticks=range(values.shape[1]), yticks=range(values.shape[0]))
        ax.set_title(
            name,
            color=TEACHER
            if name.startswith("teacher")
            else STUDENT
            if name.startswith("student")
            else "black",
            fontsize=10,
        )
        for (row, column), value in np.ndenumerate(values if values.size <= 24 else values[:0]):
            ax.text(
                column,
                row,
                "" if np.isnan(value) else f"{value:.2g}",
                ha="center",
                va="center",
                fontsize=8,
                color="black" if value > (low + high) / 2 else "white",
            )
    if inputs:
        figure.colorbar(image, ax=list(axes[:-1]), shrink=0.8)
    beside(axes[-1], names, expected, found)
    axes[-1].set_title(title, fontsize=10)
    return figure


def beside(ax, names: list[str], expected, found) -> None:
    """Bars of what is expected (blue) and, where there is an answer, of yours (orange)."""
    x = np.arange(len(names))
    ax.bar(x - 0.2, flat(expected), 0.4, color=TEACHER, label="expected")
    if found is not None:
        ax.bar(x + 0.2, flat(found), 0.4, color=STUDENT, label="yours")
    ax.axhline(0, color=NEUTRAL, lw=0.8)
    ax.set_xticks(x, names, fontsize=8, rotation=30 if sum(map(len, names)) > 24 else 0)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)


def flat(values) -> np.ndarray:
    """Numbers in a line: of a tensor, of a list of numbers or scalars, of one."""
    values = (
        values.flatten()
        if isinstance(values, torch.Tensor)
        else values
        if isinstance(values, (list, tuple))
        else [values]
    )
    return np.array([plain(value) for value in values])


def chips(rows: dict[str, list[str]], marked: dict[str, set[int] | None]) -> Figure:
    """Rows of words under their names; marked: the places to show on a chip, blue for what is expected, orange for yours."""
    colours = {"expected": TEACHER, "yours": STUDENT}
    shown = {name: words for name, words in rows.items() if marked.get(name, ()) is not None}
    placed = [
        [
            (word, name if name in colours and i in (marked.get(name) or ()) else "word")
            for i, word in enumerate(words)
        ]
        for name, words in shown.items()
    ]
    return word_rows(
        placed, list(shown), {name: colours[name] for name in shown if name in colours}
    )
