"""Sliders over the pictures of `plots`, for notebooks. Where no kernel runs (GitHub, an HTML export), a few settings as one picture."""

from __future__ import annotations

import base64
import copy
import html
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import ipywidgets
import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from tinybert_lite import plots
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.method.objectives import common_heads
from tinybert_lite.plots.panels import new_figure
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.system.errors import UserError

DPI = 90  # 10 inches fill the width of a notebook


class Explorer(ipywidgets.VBox):
    """Controls above a picture that follows them.

    draw: the controls' values, by name -> Figure; quick where it uses one Figure again · controls: name -> a widget with a
    `value` · still: the settings, each some controls' values, that the still picture shows, in so many columns · moving: where
    `draw` uses one Figure again, the artists that change; all else in it is drawn only once.
    What draw raises is shown as a sentence in the picture's place.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        controls: dict[str, ipywidgets.ValueWidget],
        still: list[dict],
        columns: int = 1,
        moving: Sequence[Artist] = (),
    ):
        self.draw, self.controls, self.still, self.columns, self.moving, self._ground = (
            draw,
            controls,
            still,
            columns,
            moving,
            None,
        )
        self.picture, self.message = (
            ipywidgets.Image(format="png", layout={"max_width": "100%"}),
            ipywidgets.HTML(),
        )
        super().__init__(
            [
                ipywidgets.HBox(list(controls.values()), layout={"flex_flow": "row wrap"}),
                self.message,
                self.picture,
            ]
        )
        for control in controls.values():
            control.observe(self._follow, "value")
        self._follow()

    @property
    def values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _follow(self, change=None) -> None:
        try:
            drawn, sentence = self._pixels(self.draw(**self.values)), ""
        except Exception as error:  # a callback's exception would reach nobody
            drawn, sentence = (
                None,
                str(error)
                if isinstance(error, UserError)
                else f"this cannot be drawn: {type(error).__name__}: {error}",
            )
        self.message.value = (
            sentence and f'<span style="color:#c0392b">{html.escape(sentence)}</span>'
        )
        self.picture.layout.display = "none" if drawn is None else None
        if drawn is not None:
            self.picture.width = str(drawn.shape[1])
            self.picture.value = png(drawn, compress_level=1)

    def still_picture(self) -> bytes:
        """PNG of the settings in `still` side by side, those left out that cannot be drawn."""
        tiles = []
        for setting in self.still:
            try:
                tiles.append(self._pixels(self.draw(**{**self.values, **setting})))
            except UserError:
                continue
        rows = [tiles[i : i + self.columns] for i in range(0, len(tiles), self.columns)]
        return (
            png(_joined([_joined(row, 1) for row in rows], 0), optimize=True)
            if tiles
            else self.picture.value
        )

    def _pixels(self, figure: Figure) -> np.ndarray:
        """The Figure drawn, (height, width, 3) bytes."""
        canvas = figure.canvas if self._ground is not None else FigureCanvasAgg(figure)
        if self._ground is None:
            figure.set_dpi(DPI)
            for artist in self.moving:
                artist.set_animated(True)  # left out of a Figure's own drawing
            canvas.draw()
            self._ground = canvas.copy_from_bbox(figure.bbox) if self.moving else None
        else:
            canvas.restore_region(self._ground)
        for artist in self.moving:
            figure.draw_artist(artist)
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()

    def __repr__(self) -> str:
        return "picture with controls: " + ", ".join(
            f"{name} = {value}" for name, value in self.values.items()
        )

    def _repr_mimebundle_(self, **kwargs) -> dict:
        return {
            **super()._repr_mimebundle_(**kwargs),
            "text/plain": repr(self),
            "image/png": base64.b64encode(self.still_picture()).decode(),
        }


def png(image: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", **options)
    return file.getvalue()


def _joined(tiles: list[np.ndarray], axis: int) -> np.ndarray:
    """Side by side (axis 1) or one above the other (axis 0), filled up with white."""
    most = max(tile.shape[1 - axis] for tile in tiles)
    filled = [
        np.pad(
            tile,
            [(0, 0) if a in (axis, 2) else (0, most - tile.shape[a]) for a in range(3)],
            constant_values=255,
        )
        for tile in tiles
    ]
    return np.concatenate(filled, axis)


def _slider(name: str, low, high, value=None, step=1) -> ipywidgets.ValueWidget:
    kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
    return kind(
        value=low if value is None else value, min=low, max=high, step=step, description=name
    )


@torch.inference_mode()
def matched_scores(
    student: Bert, teacher: Bert, batch: dict[str, Tensor], mapping: list[int]
) -> list[tuple[Tensor, Tensor]]:
    """Attention scores (B, H, L, L) of student layer m and teacher layer g(m), for m = 1 … M; where the numbers of heads
    differ, averaged in groups. The models come back in the mode they were in."""
    modes = student.training, teacher.training
    mine, theirs = (
        student.eval()(batch, scores=range(1, len(mapping))).scores,
        teacher.eval()(batch, scores=set(mapping[1:])).scores,
    )
    student.train(modes[0]), teacher.train(modes[1])
    return [common_heads(mine[m], theirs[mapping[m]]) for m in range(1, len(mapping))]


def attention_explorer(
    student: Bert, teacher: Bert, batch: dict[str, Tensor], tokens: list[str], mapping: list[int]
) -> Explorer:
    """Teacher | student | difference of one sentence, with sliders for layer and head and a switch from scores to probabilities.

    batch: of one row, (1, L) · tokens: its L pieces · mapping: g(m), m = 0 … M. Padding is greyed.
    """
    mask = batch["attention_mask"]
    scores = matched_scores(student, teacher, batch, mapping)
    shown = {
        "scores": scores,
        "probabilities": [
            tuple(plots.probabilities(each, mask) for each in pair) for pair in scores
        ],
    }
    figure = plots.attention_match(*(each[0, 0] for each in scores[0]), tokens, mask=mask[0])

    def draw(layer: int, head: int, show: str) -> Figure:
        mine, theirs = (each[0, head - 1] for each in shown[show][layer - 1])
        title = f"student layer {layer} ↔ teacher layer {mapping[layer]}, head {head}"
        return plots.redraw_attention(figure, mine, theirs, title, mask[0], f"attention {show}")

    last = len(scores)
    controls = {
        "layer": _slider("layer", 1, last, last),
        "head": _slider("head", 1, scores[0][0].shape[1]),
        "show": ipywidgets.ToggleButtons(options=list(shown), description="show"),
    }
    settings = [(1, "scores"), (last, "scores"), (last, "probabilities")]
    return Explorer(
        draw,
        controls,
        [{"layer": layer, "show": show} for layer, show in dict.fromkeys(settings)],
        moving=[
            *(part for ax in figure.axes[:3] for part in (*ax.images, *ax.spines.values())),
            *figure.axes[3:],
            *figure.texts,
        ],
    )


def margins_explorer(student_logits, teacher_logits, labels) -> Explorer:
    """Margins, and beside them the soft targets they become at a temperature.

    student_logits, teacher_logits: (B, 2) · labels: (B,). Raises UserError where there are not two classes.
    """
    figure, (axes,) = new_figure(1, 2, (10, 4.2))
    plots.margins(student_logits, teacher_logits, labels, axes[0]).axes[0].get_legend().remove()
    plots.soft_targets(student_logits, teacher_logits, labels, ax=axes[1])

    def draw(temperature: float) -> Figure:
        plots.redraw_soft_targets(axes[1], student_logits, teacher_logits, labels, temperature)
        return figure

    choice = ipywidgets.SelectionSlider(
        options=[0.5, 1.0, 2.0, 4.0, 8.0], value=1.0, description="t"
    )
    return Explorer(
        draw,
        {"temperature": choice},
        [{"temperature": 1.0}, {"temperature": 4.0}],
        moving=[*axes[1].collections, axes[1].title],
    )


def rounding_explorer(weight) -> Explorer:
    """What rounding to a number of bits does to a matrix, (rows, columns)."""
    figure = plots.rounding(weight)

    def draw(bits: int) -> Figure:
        return plots.redraw_rounding(figure, weight, bits)

    moving = [
        *(part for ax in figure.axes[1:3] for part in (*ax.images, *ax.spines.values())),
        figure.axes[3].patches[-1],
        *(ax.title for ax in figure.axes[:4]),
    ]
    return Explorer(
        draw, {"bits": _slider("bits", 2, 8, 8)}, [{"bits": 8}, {"bits": 3}], moving=moving
    )


def mapping_explorer(student_layers: int = 4, teacher_layers: int = 12) -> Explorer:
    """Which teacher layer each student layer learns from, under each kind of mapping and for students of any depth."""
    figure, ((ax,),) = new_figure(1, 1, (3.6, 1.2 + 0.32 * (teacher_layers + 1)), layout="none")
    ax.set_position((0, 0, 1, 0.92))

    def draw(mapping: str, student_layers: int) -> Figure:
        layers = layer_mapping(mapping, student_layers, teacher_layers)
        ax.clear()
        ax.set_title(f"{mapping}: g = {', '.join(map(str, layers))}", fontsize=10)
        return plots.layer_map(layers, teacher_layers, ax)

    kinds = ["uniform", "top", "bottom"]
    controls = {
        "mapping": ipywidgets.ToggleButtons(options=kinds, description="mapping"),
        "student_layers": _slider("student layers", 1, teacher_layers, student_layers),
    }
    return Explorer(draw, controls, [{"mapping": kind} for kind in kinds], columns=3)


def masking_viewer(
    tokens: list[str], pieces=("moon", "salt"), probability: float = 0.15
) -> Explorer:
    """Draws of the masking of one sequence, with the seed, the share of chosen pieces and a switch to whole words.

    pieces: what a random piece is drawn from, see `data.masking.random_pieces`.
    """

    def draw(seed: int, probability: float, whole_words: bool) -> Figure:
        return plots.masking(tokens, seed, probability, whole_words, pieces, draws=2)

    controls = {
        "seed": _slider("seed", 0, 30),
        "probability": _slider("probability", 0.0, 0.6, probability, 0.05),
        "whole_words": ipywidgets.Checkbox(description="whole words"),
    }
    return Explorer(draw, controls, [{"whole_words": False}, {"whole_words": True}])


def augmentation_viewer(augmenter: Augmenter, texts: list[str], variants: int = 4) -> Explorer:
    """A sentence, the candidates of its words with their source, and variants, with sliders for the sentence, p and the seed."""
    drawing = copy.copy(augmenter)  # its own p and N; the caller's stay
    drawing.join = " ".join  # a picture keeps words apart
    split = [augmenter.words(text) for text in texts]
    candidates = augmenter.candidates(split)

    def draw(sentence: int, p: float, seed: int) -> Figure:
        text, found = split[sentence - 1], candidates[sentence - 1]
        drawing.settings = replace(augmenter.settings, p=p, N=variants)
        return plots.augmentation(
            text,
            found,
            plots.sources(augmenter, text),
            drawing.variants(text, found, random.Random(seed)),
            note=f"p = {p:g}, seed {seed}",
        )

    controls = {
        "sentence": _slider("sentence", 1, len(texts)),
        "p": _slider("p", 0.0, 1.0, augmenter.settings.p, 0.05),
        "seed": _slider("seed", 0, 30),
    }
    return Explorer(draw, controls, [{"sentence": i} for i in range(1, min(2, len(texts)) + 1)])
