"""Sliders for the pictures of `plots`, for notebooks.

If no kernel is running (GitHub, an HTML export), some settings are shown in one static picture.
"""

import copy
import random
from dataclasses import replace

import ipywidgets
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor

from tinybert_lite import plots
from tinybert_lite.classroom.explorer import Explorer
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.layer_mapping import layer_mapping
from tinybert_lite.method.objectives import common_heads
from tinybert_lite.plots.panels import new_figure
from tinybert_lite.stages.data_augmentation import Augmenter


def _slider(name: str, low, high, value=None, step=1) -> ipywidgets.ValueWidget:
    kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
    value = low if value is None else value
    return kind(value=value, min=low, max=high, step=step, description=name)


def _images(axes) -> list[Artist]:
    """Return the images of axes, and the frames on top of them."""
    return [part for ax in axes for part in (*ax.images, *ax.spines.values())]


@torch.inference_mode()
def _scores(model: Encoder, batch: dict[str, Tensor], layers) -> dict[int, Tensor]:
    """Return attention scores (B, H, L, L) by layer, without dropout; the model's mode is kept."""
    training = model.training
    scores = model.eval()(batch, scores=layers).scores
    model.train(training)
    return scores


def matched_scores(
    student: Encoder, teacher: Encoder, batch: dict[str, Tensor], mapping: list[int]
) -> list[tuple[Tensor, Tensor]]:
    """Return attention scores (B, H, L, L) of student layer m and teacher layer g(m), m = 1 … M.

    If the numbers of heads differ, heads are averaged in groups. mapping: g(m), m = 0 … M.
    """
    mine = _scores(student, batch, range(1, len(mapping)))
    theirs = _scores(teacher, batch, set(mapping[1:]))
    return [common_heads(mine[m], theirs[g]) for m, g in enumerate(mapping) if m]


def attention_explorer(
    student: Encoder,
    teacher: Encoder,
    batch: dict[str, Tensor],
    tokens: list[str],
    mapping: list[int],
) -> Explorer:
    """Show teacher, student and difference of one sentence's attention, by layer and head.

    Scores or probabilities may be chosen. batch: one row, (1, L) · tokens: its L word pieces ·
    mapping: g(m), m = 0 … M. Padding is grey.
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
    still = [{"layer": layer, "show": show} for layer, show in dict.fromkeys(settings)]
    moving = [*_images(figure.axes[:3]), *figure.axes[3:], *figure.texts]
    return Explorer(draw, controls, still, moving=moving)


def margins_explorer(student_logits, teacher_logits, labels) -> Explorer:
    """Show the logit margins, and beside them the soft targets at a temperature.

    student_logits, teacher_logits: (B, 2) · labels: (B,). Raises UserError unless there are two
    classes.
    """
    figure, ((left, right),) = new_figure(1, 2, (10, 4.2))
    plots.margins(student_logits, teacher_logits, labels, left)
    left.get_legend().remove()
    plots.soft_targets(student_logits, teacher_logits, labels, ax=right)

    def draw(temperature: float) -> Figure:
        plots.redraw_soft_targets(right, student_logits, teacher_logits, labels, temperature)
        return figure

    options = [0.5, 1.0, 2.0, 4.0, 8.0]
    control = ipywidgets.SelectionSlider(options=options, value=1.0, description="t")
    still = [{"temperature": 1.0}, {"temperature": 4.0}]
    return Explorer(draw, {"temperature": control}, still, moving=[*right.collections, right.title])


def rounding_explorer(weight) -> Explorer:
    """Show a matrix, (rows, columns), rounded to a number of bits."""
    figure = plots.rounding(weight)

    def draw(bits: int) -> Figure:
        return plots.redraw_rounding(figure, weight, bits)

    axes = figure.axes[:4]
    moving = [*_images(axes[1:3]), axes[3].patches[-1], *(ax.title for ax in axes)]
    controls = {"bits": _slider("bits", 2, 8, 8)}
    return Explorer(draw, controls, [{"bits": 8}, {"bits": 3}], moving=moving)


def mapping_explorer(student_layers: int = 4, teacher_layers: int = 12) -> Explorer:
    """Show the layer mapping g(m), by kind of mapping and number of student layers."""
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
    """Show random maskings of one sequence, by seed, share of chosen pieces and whole words.

    pieces: the pieces that may replace a token, see `method.masking.random_pieces`.
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
    """Show a sentence, the candidates of its words with their source, and variants, by p, seed."""
    drawing = copy.copy(augmenter)  # with its own p and N; the caller's are not changed
    drawing.join = " ".join  # the picture shows words separated by spaces
    split = [augmenter.words(text) for text in texts]
    candidates = augmenter.candidates(split)

    def draw(sentence: int, p: float, seed: int) -> Figure:
        text, found = split[sentence - 1], candidates[sentence - 1]
        drawing.settings = replace(augmenter.settings, p=p, N=variants)
        made = drawing.variants(text, found, random.Random(seed))
        sources = plots.sources(augmenter, text)
        return plots.augmentation(text, found, sources, made, note=f"p = {p:g}, seed {seed}")

    controls = {
        "sentence": _slider("sentence", 1, len(texts)),
        "p": _slider("p", 0.0, 1.0, augmenter.settings.p, 0.05),
        "seed": _slider("seed", 0, 30),
    }
    return Explorer(draw, controls, [{"sentence": i + 1} for i in range(min(2, len(texts)))])
