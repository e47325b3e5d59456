"""Every picture: a Figure that pyplot does not keep, the right axes, one shared scale, and L = 1."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tinybert_lite.classroom import plots

HISTORY = [{"step": s, "lr": 1e-3, "loss": 6 / s, "grad_norm": 1.0, "attention/1": 3 / s, "attention/2": 2 / s, "hidden/0": 1 / s}
           for s in (1, 2, 3)] + [{"step": 3, "epoch": 1, "dev": {"accuracy": 0.7}}]
MASKED_LM = [{"step": 1, "lr": 1e-3, "loss": 6.0, "masked_lm": 6.0}, {"step": 2, "epoch": 1, "dev": {"accuracy": 0.2, "perplexity": 90.0}}]
COST = {"blocks": {"embeddings": 4e6, "encoder": 3e6, "classifier": 1e5}, "parameters": 7.1e6, "bytes": 2.9e7, "multiply_adds": 4e7, "length": 12,
        "milliseconds_a_row": 2.0}
RESULTS = {"task": "SST-2", "metric": "accuracy", "probe_along_the_stages": {"teacher": 0.8, "3": 0.6, "4": 0.7, "5": 0.75},
           "teacher": {"accuracy": 0.8}, "student": {"accuracy": 0.78}, "rows": {"train": 40, "dev": 25}, "cost": {"teacher": COST, "student": COST}}
LOGITS = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.4]])


def scores(length=4, seed=0):
    return np.random.default_rng(seed).normal(size=(length, length))


ALL = {
    "loss_curves": (lambda: plots.loss_curves(HISTORY, "stage"), 2),
    "loss_curves, nothing yet": (lambda: plots.loss_curves([]), 1),
    "pretraining": (lambda: plots.pretraining([MASKED_LM, MASKED_LM]), 2),
    "pretraining, L = 1": (lambda: plots.pretraining([MASKED_LM[:1]]), 2),
    "along_the_stages": (lambda: plots.along_the_stages(RESULTS), 1),
    "along_the_stages, undistilled": (lambda: plots.along_the_stages({**RESULTS, "undistilled": {"accuracy": 0.7}}), 1),
    "cost_card": (lambda: plots.cost_card(RESULTS), 4),
    "attention_match": (lambda: plots.attention_match(scores(), scores(seed=1), list("abcd"), "title"), 5),
    "attention_match, L = 1": (lambda: plots.attention_match([[1.0]], [[1.0]], ["a"]), 5),
    "hidden_match": (lambda: plots.hidden_match([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [0, 3, 6]), 1),
    "layer_map": (lambda: plots.layer_map([0, 3, 6, 9, 12], 12), 1),
    "layer_map, L = 1": (lambda: plots.layer_map([0, 1], 1), 1),
    "word_rows": (lambda: plots.word_rows([[("a", ""), ("[MASK]", "[MASK]", "word")]], ["row"], plots.FATES), 1),
    "word_rows, L = 1": (lambda: plots.word_rows([[("a", "replaced")]], ["row"], plots.REPLACED), 1),
    "margins": (lambda: plots.margins(LOGITS, 2 * LOGITS, [0, 1, 0]), 1),
    "margins, L = 1": (lambda: plots.margins(LOGITS[:1], LOGITS[:1], [1]), 1),
}


@pytest.mark.parametrize("name", ALL)
def test_a_plot_returns_a_figure_that_draws(name, tmp_path):
    make, axes = ALL[name]
    kept = plt.get_fignums()
    figure = make()
    assert isinstance(figure, Figure)
    assert len(figure.axes) == axes
    assert plt.get_fignums() == kept, "pyplot keeps it, and a notebook would show it twice"
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize("draw", [
    lambda ax: plots.along_the_stages(RESULTS, ax=ax), lambda ax: plots.hidden_match([1.0, 2.0], [0.5, 0.5], [0, 3], ax=ax),
    lambda ax: plots.layer_map([0, 3, 6], 6, ax=ax), lambda ax: plots.margins(LOGITS, LOGITS, [0, 1, 0], ax=ax),
])
def test_a_panel_is_drawn_into_a_given_axis(draw):
    figure, ax = plt.subplots()
    assert draw(ax) is figure and ax.get_children()
    plt.close(figure)


def test_attention_shares_one_scale_and_centres_the_difference():
    student, teacher = scores(), scores(seed=1) + 5
    figure = plots.attention_match(student, teacher, list("abcd"))
    first, second, third = (ax.images[0] for ax in figure.axes[:3])
    assert first.get_clim() == second.get_clim() == (min(student.min(), teacher.min()), max(student.max(), teacher.max()))
    low, high = third.get_clim()
    assert low == -high and high == pytest.approx(np.abs(student - teacher).max())
    assert np.array_equal(first.get_array(), teacher) and np.array_equal(second.get_array(), student)
    assert np.allclose(third.get_array(), student - teacher)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["teacher", "student", "student − teacher"]
    assert [to_hex(ax.title.get_color()) for ax in figure.axes[:2]] == [plots.TEACHER, plots.STUDENT]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list("abcd")


def test_attention_greys_padding_and_leaves_it_out_of_the_scale():
    student, teacher = scores(), scores(seed=1)
    student[3, 3] = teacher[0, 3] = 1e6
    figure = plots.attention_match(student, teacher, list("abcd"), mask=[1, 1, 1, 0])
    for ax in figure.axes[:3]:
        shown = np.ma.masked_invalid(ax.images[0].get_array())
        assert shown.mask[3].all() and shown.mask[:, 3].all() and not shown.mask[:3, :3].any()
        assert max(np.abs(ax.images[0].get_clim())) < 100
        assert to_hex(ax.get_facecolor()) == plots.GREY


def test_loss_curves_name_their_layers():
    figure = plots.loss_curves(HISTORY, "stage 3")
    labels = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in figure.axes]
    assert labels == [["layer 1", "layer 2"], ["embeddings"]]
    assert list(figure.axes[0].lines[0].get_ydata()) == [3.0, 1.5, 1.0]


def test_margins_have_one_scale_on_both_axes_and_count_agreement():
    figure = plots.margins(LOGITS * [[1, 1], [1, 1], [-9, 1]], LOGITS, [0, 1, 0])
    (ax,) = figure.axes
    assert ax.get_xlim() == ax.get_ylim() == (-ax.get_xlim()[1], ax.get_xlim()[1])
    assert ax.get_title() == "they agree on 66.7 % of 3 rows"
    points = np.concatenate([collection.get_offsets() for collection in ax.collections])
    assert sorted(points[:, 0]) == pytest.approx([-1.0, -0.1, 2.0]) and sorted(points[:, 1]) == pytest.approx([-1.0, 2.0, 4.9])


def test_the_layer_map_draws_an_edge_for_each_pair():
    (ax,) = plots.layer_map([0, 2, 4, 6], 6).axes
    assert [tuple(line.get_ydata()) for line in ax.lines] == [(0, 0), (2, 2), (4, 4), (6, 6)]
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("embeddings") == 2 and texts.count("layer 6") == 1 and texts.count("layer 3") == 2


def test_word_rows_wrap_within_their_width_and_show_what_stood_there():
    row = [("word", "") for _ in range(60)] + [("[MASK]", "[MASK]", "formerly")]
    (ax,) = plots.word_rows([row], ["a row"], plots.FATES, width=60).axes
    ends = [text.get_position()[0] + len(text.get_text()) for text in ax.texts]
    assert max(ends) <= 60
    lines = [text.get_position()[1] for text in ax.texts if text.get_text() == "word"]
    assert len(lines) == 60 and len(set(lines)) > 3
    assert "formerly" in [text.get_text() for text in ax.texts]


def test_close_is_harmless_for_detached_figures():
    plots.close([plots.hidden_match([1.0], [0.5], [0])])


def test_a_second_run_of_pretraining_starts_where_the_first_one_ended():
    loss, accuracy = plots.pretraining([MASKED_LM, MASKED_LM]).axes
    assert [line.get_xdata()[0] for line in accuracy.lines if len(line.get_xdata()) == 1] == [2, 4]
    assert loss.lines[1].get_ydata()[0] == pytest.approx(np.log(90.0))
