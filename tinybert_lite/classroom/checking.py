"""Shared by all checks of exercises: call an answer, draw its result, report what is wrong.

A check is a function of an answer and a seed for its inputs. It draws the inputs, the expected
result and the answer's result, then raises AssertionError with the property that does not hold and
a small counter-example. The expected result comes from another computation (a library, a loop),
from a number worked out by hand, or from a property, never from our own solution.
"""

import functools
import io
import warnings
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from matplotlib.figure import Figure

from tinybert_lite.plots.panels import (
    GREY,
    NEUTRAL,
    STUDENT,
    TEACHER,
    cell_texts,
    legend_beside,
    model_colour,
    new_figure,
    open_frame,
)
from tinybert_lite.plots.texts import word_rows

COLOURS = {"expected": TEACHER, "yours": STUDENT}


def check(function: Callable) -> Callable:
    """Decorate a function of (yours, seed) so that it prints a line if every property holds.

    torch is seeded with `seed`, and its random state is restored afterwards. Warnings are hidden,
    since nbgrader treats any text on standard error as a failure.
    """

    @functools.wraps(function)
    def checked(yours: Callable, seed: int = 0) -> None:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            function(yours, seed)
        print(f"{function.__name__}: every property holds")

    return checked


def attempt(yours: Callable, *arguments, like, draw: Callable | None = None, **shown):
    """Call an answer on copies of `arguments`, show the figure draw(found) and return `found`.

    like: a value of the expected kind; raises AssertionError if `found` has another kind. draw: by
    default `bars(like, found, **shown)`; it is called with None if `found` has another kind.
    """
    draw = draw or functools.partial(bars, like, **shown)
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


def expect_close(found, wanted, message: str, tolerance: float = 1e-4) -> None:
    """Raise AssertionError unless `found` equals `wanted` up to rounding."""
    expect(close(found, wanted, tolerance), f"{message}; yours is {number(found)}")


def expect_unlike(found, wrong, message: str) -> None:
    """Raise AssertionError where `found` equals what a known mistake gives."""
    expect(not close(found, wrong), f"{message}; yours is {number(found)}")


def need_kind(found, like) -> None:
    """Raise AssertionError unless a result has the kind of `like`: shape, keys or type."""
    kind, wanted = described(found), described(like)
    expect(kind == wanted, f"{wanted} is wanted, yours is {kind}")


def described(found) -> str:
    """Return the kind of a value in words."""
    if getattr(found, "shape", None) == () or isinstance(found, (int, float)):
        return "one number"
    if isinstance(found, torch.Tensor):
        return f"a tensor of shape {tuple(found.shape)}"
    if isinstance(found, dict):
        return f"a dict with the keys {', '.join(sorted(map(str, found))) or '(none)'}"
    return "None" if found is None else f"a {type(found).__name__}"


def numbers(values) -> torch.Tensor:
    """Return a number, a list of numbers or a tensor as a float64 tensor outside autograd."""
    return torch.as_tensor(values).detach().double()


def close(found, wanted, tolerance: float = 1e-4) -> bool:
    """Whether two values are equal up to rounding; NaN equals nothing."""
    return torch.allclose(numbers(found), numbers(wanted), rtol=tolerance, atol=tolerance)


def number(found) -> str:
    """Return a number as text with four digits; of several numbers the first six."""
    values = [f"{value:.4g}" for value in numbers(found).flatten().tolist()]
    if len(values) == 1:
        return values[0]
    return f"[{', '.join(values[:6])}{', …' if len(values) > 6 else ''}]"


def show(figure: Figure) -> None:
    """Display a figure in a notebook; elsewhere do nothing."""
    from IPython import get_ipython
    from IPython.display import Image, display

    if get_ipython() is not None:
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=90)
        display(Image(picture.getvalue(), alt="inputs, expected, yours"))


def bars(expected, found, names=None, inputs=None, title: str = "", width: float = 3.2) -> Figure:
    """Draw heat maps of `inputs` on one scale, then bars: expected in blue, yours in orange.

    expected, found: a number, a list, a tensor, or a dict of numbers; found is None if there is no
    result · names: one per bar, by default the keys or the place (row, column) from 1 · inputs:
    name -> (rows, columns), NaN at padding, which is grey.
    """
    if isinstance(expected, dict):
        names, found = list(expected), found and [found[name] for name in expected]
        expected = list(expected.values())
    inputs = (
        {name: np.atleast_2d(np.asarray(values, float)) for name, values in inputs.items()}
        if inputs
        else {}
    )
    figure, (axes,) = new_figure(1, len(inputs) + 1, (width * (len(inputs) + 1), 2.8))
    if inputs:
        every = np.concatenate([values.ravel() for values in inputs.values()])
        low, high = np.nanmin(every), np.nanmax(every)
    for ax, (name, values) in zip(axes, inputs.items()):
        image = ax.imshow(values, vmin=low, vmax=high, cmap="viridis", aspect="auto")
        rows, columns = values.shape
        ax.set(facecolor=GREY, xticks=range(0, columns, 1 + columns // 16), yticks=range(rows))
        ax.set_title(name, color=model_colour(name), fontsize=10)
        if values.size <= 24:
            cell_texts(ax, values, "{:.2g}", values > (low + high) / 2, ("white", "black"))
    if inputs:
        figure.colorbar(image, ax=list(axes[:-1]), shrink=0.8)
    ax = axes[-1]
    for kind, values, shift in (("expected", expected, -0.2), ("yours", found, 0.2)):
        if values is not None:
            heights = numbers(values).flatten().numpy()
            ax.bar(np.arange(len(heights)) + shift, heights, 0.4, color=COLOURS[kind], label=kind)
    places = np.ndindex(np.shape(expected))
    names = names or [", ".join(str(i + 1) for i in place) for place in places]
    ax.set_xticks(range(len(names)), names, fontsize=8, rotation=30 * (sum(map(len, names)) > 24))
    ax.axhline(0, color=NEUTRAL, lw=0.8)
    ax.set_title(title, fontsize=10)
    legend_beside(ax)
    open_frame(ax)
    return figure


def chips(name: str, words: list[str], **marked: tuple | None) -> Figure:
    """Draw a row of words under its name; below it, rows with some words on a coloured background.

    marked: expected (blue) and yours (orange), each (words, places of the coloured words); a row
    that is None or False is left out.
    """
    shown = {kind: row for kind, row in marked.items() if row}
    rows = [
        [(word, kind if i in places else "") for i, word in enumerate(row)]
        for kind, (row, places) in shown.items()
    ]
    first = [(word, "") for word in words]
    return word_rows([first, *rows], [name, *shown], {kind: COLOURS[kind] for kind in shown})
