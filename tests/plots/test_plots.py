"""Every picture: a Figure that pyplot does not keep, the right axes, one scale, and L = 1."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tinybert_lite import plots
from tinybert_lite.method.masking import INNER
from tinybert_lite.method.quantization import fake_quantize
from tinybert_lite.system.errors import UserError

HISTORY = [
    {
        "step": s,
        "lr": 1e-3,
        "loss": 6 / s,
        "grad_norm": 1.0,
        "attention/1": 3 / s,
        "attention/2": 2 / s,
        "hidden/0": 1 / s,
    }
    for s in (1, 2, 3)
] + [{"step": 3, "epoch": 1, "dev": {"accuracy": 0.7}}]
MASKED_LM = [
    {"step": 1, "lr": 1e-3, "loss": 6.0, "masked_lm": 6.0},
    {"step": 2, "epoch": 1, "dev": {"accuracy": 0.2, "perplexity": 90.0}},
]
COST = {
    "blocks": {"embeddings": 4e6, "encoder": 3e6, "classifier": 1e5},
    "parameters": 7.1e6,
    "bytes": 2.9e7,
    "multiply_adds": 4e7,
    "length": 12,
    "milliseconds_a_row": 2.0,
}
RESULTS = {
    "task": "SST-2",
    "metric": "accuracy",
    "probe_along_the_stages": {"teacher": 0.8, "3": 0.6, "4": 0.7, "5": 0.75},
    "teacher": {"accuracy": 0.8},
    "student": {"accuracy": 0.78},
    "rows": {"train": 40, "dev": 25},
    "cost": {"teacher": COST, "student": COST},
}
LOGITS = np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 0.4]])


def scores(length=4, seed=0):
    return np.random.default_rng(seed).normal(size=(length, length))


STATES = [np.random.default_rng(seed).normal(size=(30, 6)) for seed in range(4)]
ANSWERS = {"3": np.array([0, 1, 1]), "5": np.array([0, 1, 0])}

ALL = {
    "loss_anatomy": (lambda: plots.loss_anatomy(HISTORY, "stage"), 2),
    "loss_anatomy, nothing yet": (lambda: plots.loss_anatomy([]), 1),
    "loss_anatomy, L = 1": (lambda: plots.loss_anatomy(HISTORY[:1]), 2),
    "head_errors": (lambda: plots.head_errors([[1.0, 2.0, 0.5], [0.1, 0.2, 0.3]], [0, 3, 6]), 2),
    "head_errors, L = 1": (lambda: plots.head_errors([[0.0]], [0, 1]), 2),
    "visible_attention": (
        lambda: plots.visible_attention(
            [[1.0, 2.0], [0.5, 0.1]], [[0.1, 0.2], [0.0, 0.0]], [0, 3, 6]
        ),
        1,
    ),
    "visible_attention, L = 1": (lambda: plots.visible_attention([[0.0]], [[0.0]], [0, 1]), 1),
    "rank_floors": (lambda: plots.rank_floors(STATES[:3], [1.0, 1.2, 0.9], 4, [0, 3, 6]), 2),
    "layer_similarity": (
        lambda: plots.layer_similarity(
            plots.cka(STATES[:2], STATES), plots.cka(STATES[:2], STATES), [0, 3]
        ),
        3,
    ),
    "principal_components": (
        lambda: plots.principal_components(STATES[0], {"before": STATES[1], "after": STATES[2]}),
        2,
    ),
    "principal_components, L = 3": (
        lambda: plots.principal_components(STATES[0][:3], {"before": STATES[1][:3]}),
        1,
    ),
    "masking": (
        lambda: plots.masking(["[CLS]", "a", "word", "##s", "[SEP]"], seed=3, whole_words=True),
        1,
    ),
    "masking, L = 1": (lambda: plots.masking(["a"]), 1),
    "masking of nothing": (lambda: plots.masking(["a", "b"], probability=0), 1),
    "augmentation": (
        lambda: plots.augmentation(
            ["a", "good", "film"],
            {1: ["fine"]},
            {1: "masked LM", 2: "word vectors"},
            ["a fine film"],
        ),
        1,
    ),
    "augmentation, L = 1": (lambda: plots.augmentation(["a"], {}, {}, []), 1),
    "soft_targets": (lambda: plots.soft_targets(LOGITS, 2 * LOGITS, [0, 1, 0], temperature=2), 1),
    "soft_targets, L = 1": (lambda: plots.soft_targets(LOGITS[:1], LOGITS[:1], [1]), 1),
    "accuracy_and_agreement": (
        lambda: plots.accuracy_and_agreement(ANSWERS, [0, 1, 1], [0, 1, 0]),
        1,
    ),
    "class_balance": (
        lambda: plots.class_balance({"loans": 9, "rooms": 4, "a class of a long name": 1}, 7),
        1,
    ),
    "confusion": (
        lambda: plots.confusion(
            {"teacher": [0, 1, 2], "student": [0, 0, 2]},
            [0, 1, 2],
            ["loans", "rooms", "a class of a long name"],
        ),
        3,
    ),
    "confusion, L = 1": (lambda: plots.confusion({"student": [0]}, [0], ["loans"]), 2),
    "loss_curves": (lambda: plots.loss_curves(HISTORY, "stage"), 2),
    "loss_curves, nothing yet": (lambda: plots.loss_curves([]), 1),
    "rounding": (lambda: plots.rounding(scores(40), 3), 5),
    "rounding, L = 1": (lambda: plots.rounding([[0.0]], 8), 5),
    "range_statistics": (lambda: plots.range_statistics([4.0, 6.0, 5.0], [4.0, 4.1, 4.2]), 1),
    "range_statistics, L = 1": (lambda: plots.range_statistics([4.0], [4.0]), 1),
    "straight_through": (lambda: plots.straight_through(), 2),
    "learning_on_a_grid": (
        lambda: plots.learning_on_a_grid(
            {"true": [0.1, 0.1], "straight-through": [0.1, 0.2]}, 0.6, 0.25
        ),
        1,
    ),
    "fewer_bits": (
        lambda: plots.fewer_bits(
            {"one scale a matrix": {8: 0.79, 2: 0.5}, "one scale a row": {8: 0.8, 2: 0.6}},
            0.8,
            0.5,
            300,
        ),
        1,
    ),
    "pretraining": (lambda: plots.pretraining([MASKED_LM, MASKED_LM]), 2),
    "pretraining, L = 1": (lambda: plots.pretraining([MASKED_LM[:1]]), 2),
    "along_the_stages": (lambda: plots.along_the_stages(RESULTS), 1),
    "along_the_stages, undistilled": (
        lambda: plots.along_the_stages({**RESULTS, "undistilled": {"accuracy": 0.7}}),
        1,
    ),
    "cost_card": (lambda: plots.cost_card(RESULTS), 4),
    "attention_match": (
        lambda: plots.attention_match(scores(), scores(seed=1), list("abcd"), "title"),
        5,
    ),
    "attention_match, L = 1": (lambda: plots.attention_match([[1.0]], [[1.0]], ["a"]), 5),
    "hidden_match": (lambda: plots.hidden_match([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], [0, 3, 6]), 1),
    "layer_map": (lambda: plots.layer_map([0, 3, 6, 9, 12], 12), 1),
    "layer_map, L = 1": (lambda: plots.layer_map([0, 1], 1), 1),
    "word_rows": (
        lambda: plots.word_rows([[("a", ""), ("[MASK]", "[MASK]", "word")]], ["row"], plots.FATES),
        1,
    ),
    "word_rows, L = 1": (
        lambda: plots.word_rows([[("a", "replaced")]], ["row"], plots.REPLACED),
        1,
    ),
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
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    if "L = 1" not in name:
        assert (
            drawn.x0 > -0.05
            and drawn.y0 > -0.05
            and drawn.x1 < width + 0.05
            and drawn.y1 < height + 0.05
        ), "something is cut off at the edge"


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plots.along_the_stages(RESULTS, ax=ax),
        lambda ax: plots.hidden_match([1.0, 2.0], [0.5, 0.5], [0, 3], ax=ax),
        lambda ax: plots.layer_map([0, 3, 6], 6, ax=ax),
        lambda ax: plots.margins(LOGITS, LOGITS, [0, 1, 0], ax=ax),
        lambda ax: plots.loss_anatomy(HISTORY, ax=ax),
        lambda ax: plots.head_errors([[1.0]], [0, 1], ax=ax),
        lambda ax: plots.visible_attention([[1.0]], [[1.0]], [0, 1], ax=ax),
        lambda ax: plots.soft_targets(LOGITS, LOGITS, [0, 1, 0], ax=ax),
        lambda ax: plots.accuracy_and_agreement(ANSWERS, [0, 1, 1], [0, 1, 0], ax=ax),
        lambda ax: plots.range_statistics([4.0], [4.0], ax=ax),
        lambda ax: plots.learning_on_a_grid({"true": [0.1]}, 0.6, 0.25, ax=ax),
        lambda ax: plots.fewer_bits({"a": {8: 0.7}}, 0.8, 0.5, 9, ax=ax),
    ],
)
def test_a_panel_is_drawn_into_a_given_axis(draw):
    figure, ax = plt.subplots()
    assert draw(ax) is figure and ax.get_children()
    plt.close(figure)


def test_attention_shares_one_scale_and_centres_the_difference():
    student, teacher = scores(), scores(seed=1) + 5
    figure = plots.attention_match(student, teacher, list("abcd"))
    first, second, third = (ax.images[0] for ax in figure.axes[:3])
    assert (
        first.get_clim()
        == second.get_clim()
        == (min(student.min(), teacher.min()), max(student.max(), teacher.max()))
    )
    low, high = third.get_clim()
    assert low == -high and high == pytest.approx(np.abs(student - teacher).max())
    assert np.array_equal(first.get_array(), teacher) and np.array_equal(
        second.get_array(), student
    )
    assert np.allclose(third.get_array(), student - teacher)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["teacher", "student", "student − teacher"]
    assert [to_hex(ax.title.get_color()) for ax in figure.axes[:2]] == [
        plots.TEACHER,
        plots.STUDENT,
    ]
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
    assert sorted(points[:, 0]) == pytest.approx([-1.0, -0.1, 2.0]) and sorted(
        points[:, 1]
    ) == pytest.approx([-1.0, 2.0, 4.9])


def test_the_layer_map_draws_an_edge_for_each_pair():
    (ax,) = plots.layer_map([0, 2, 4, 6], 6).axes
    assert [tuple(line.get_ydata()) for line in ax.lines] == [(0, 0), (2, 2), (4, 4), (6, 6)]
    texts = [text.get_text() for text in ax.texts]
    assert (
        texts.count("embeddings") == 2
        and texts.count("layer 6") == 1
        and texts.count("layer 3") == 2
    )


def test_word_rows_wrap_within_their_width_and_show_what_stood_there():
    row = [("word", "") for _ in range(60)] + [("[MASK]", "[MASK]", "formerly")]
    (ax,) = plots.word_rows([row], ["a row"], plots.FATES, width=60).axes
    ends = [text.get_position()[0] + len(text.get_text()) for text in ax.texts]
    assert max(ends) <= 60
    lines = [text.get_position()[1] for text in ax.texts if text.get_text() == "word"]
    assert len(lines) == 60 and len(set(lines)) > 3
    assert "formerly" in [text.get_text() for text in ax.texts]


def test_confusion_counts_rows_and_colours_shares_of_a_class():
    figure = plots.confusion(
        {"teacher": [0, 0, 1, 1, 1], "student": [0, 1, 1, 1, 0]},
        [0, 0, 0, 1, 1],
        ["loans", "rooms"],
    )
    for ax, counts, right in zip(
        figure.axes, ([["2", "1"], ["0", "2"]], [["1", "2"], ["1", "1"]]), (4, 2)
    ):
        assert [text.get_text() for text in ax.texts] == sum(
            counts, []
        ) and f"{right} of 5 right" in ax.get_title()
        assert np.allclose(
            ax.images[0].get_array(),
            [[int(cell) / total for cell in row] for row, total in zip(counts, (3, 2))],
        )
        assert ax.images[0].get_clim() == (0, 1) and (ax.get_ylabel(), ax.get_xlabel()) == (
            "gold label",
            "predicted",
        )


def test_class_balance_shows_the_rows_and_the_mean_of_the_classes():
    (ax,) = plots.class_balance({"loans": 9, "rooms": 3}, unlabelled=7).axes
    assert [bar.get_width() for bar in ax.patches] == [9, 3, 7] and ax.lines[0].get_xdata()[0] == 6
    assert [label.get_text() for label in ax.get_yticklabels()] == ["loans", "rooms", "no label"]


def test_close_is_harmless_for_detached_figures():
    plots.close([plots.hidden_match([1.0], [0.5], [0])])


def test_a_second_run_of_pretraining_starts_where_the_first_one_ended():
    loss, accuracy = plots.pretraining([MASKED_LM, MASKED_LM]).axes
    assert [line.get_xdata()[0] for line in accuracy.lines if len(line.get_xdata()) == 1] == [2, 4]
    assert loss.lines[1].get_ydata()[0] == pytest.approx(np.log(90.0))


def test_another_pair_in_the_same_attention_picture_looks_as_if_drawn_anew():
    pairs = [(scores(seed=seed), scores(seed=seed + 10) * (seed + 1)) for seed in (1, 5)]
    moved = plots.redraw_attention(
        plots.attention_match(*pairs[0], list("abcd"), "one"),
        *pairs[1],
        "two",
        [1, 1, 1, 0],
        "probability",
    )
    anew = plots.attention_match(*pairs[1], list("abcd"), "two", [1, 1, 1, 0], "probability")
    for old, new in zip(moved.axes[:3], anew.axes):
        assert np.array_equal(
            np.ma.filled(old.images[0].get_array(), 9), np.ma.filled(new.images[0].get_array(), 9)
        )
        assert old.images[0].get_clim() == new.images[0].get_clim()
    assert moved.get_suptitle() == "two" and moved.axes[3].get_title(loc="left") == "probability"


def test_loss_anatomy_is_centred_at_the_first_value():
    ax, _ = plots.loss_anatomy(HISTORY).axes
    (mesh,) = ax.collections
    assert mesh.norm.vmin * mesh.norm.vmax == pytest.approx(1) and mesh.norm(1.0) == pytest.approx(
        0.5
    )
    assert np.allclose(mesh.get_array(), [[1, 1 / 2, 1 / 3]] * 3)
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "attention, layer 1",
        "attention, layer 2",
        "hidden, embeddings",
    ]
    assert [text.get_text() for text in ax.texts] == ["× 0.33"] * 3


def test_the_worst_head_is_framed_and_named():
    ax, _ = plots.head_errors([[1.0, 2.0, 0.5], [0.1, 7.0, 0.3]], [0, 3, 6]).axes
    assert "layer 2, head 2" in ax.get_title()
    (frame,) = ax.patches
    assert frame.get_xy() == (0.5, 0.5) and [
        label.get_text() for label in ax.get_yticklabels()
    ] == ["student 1 ↔ teacher 3", "student 2 ↔ teacher 6"]


def test_similarity_has_one_scale_and_frames_the_mapped_pairs():
    random_student, student, _ = plots.layer_similarity(
        np.full((2, 4), 0.9), np.full((2, 4), 0.1), [0, 3]
    ).axes
    for ax, value in ((random_student, "0.10"), (student, "0.90")):
        assert ax.images[0].get_clim() == (0, 1) and {text.get_text() for text in ax.texts} == {
            value
        }
        assert [
            (round(patch.get_x() + 0.46), round(patch.get_y() + 0.46)) for patch in ax.patches
        ] == [(0, 0), (3, 1)]


def test_masking_counts_what_it_draws():
    tokens = ["[CLS]", *"abcdefghijklmnopqr", "[SEP]"]
    (ax,) = plots.masking(tokens, seed=1, draws=2, many=2).axes
    chips = [
        text.get_text()
        for text in ax.texts
        if text.get_bbox_patch() and text.get_text() in ("[MASK]", "moon", "salt", *tokens)
    ]
    assert len(chips) == 1 + 2 * 3  # the legend's own, and 15 % of 20 pieces in each draw
    assert any(
        "16.7 % of the pieces that may be" in text.get_text() for text in ax.texts
    )  # 3 of the 18 that may be chosen


def test_masking_shows_chinese_words_without_the_mark_of_their_characters():
    tokens = ["[CLS]", "a", "b", f"{INNER}c", "[SEP]"]
    (ax,) = plots.masking(tokens, seed=0, probability=0.4, whole_words=True, draws=40, many=40).axes
    drawn = {text.get_text() for text in ax.texts}
    assert {"a", "b", "c"} < drawn and not any(INNER in text for text in drawn)


def test_augmentation_marks_words_by_source_and_lists_candidates():
    (ax,) = plots.augmentation(
        ["a", "good", "film"],
        {1: ["fine", "great"], 2: ["movie"]},
        {1: "masked LM", 2: "word vectors"},
        ["a great film"],
        shown=1,
    ).axes
    chips = [
        (text.get_text(), to_hex(text.get_bbox_patch().get_facecolor()))
        for text in ax.texts
        if text.get_bbox_patch()
    ]
    first, second = plots.SOURCES.values()
    assert chips == [
        ("masked LM", first),
        ("word vectors", second),
        ("good", first),
        ("film", second),
        ("great", first),
    ]
    assert {"good →", "fine …", "film →", "movie"} <= {text.get_text() for text in ax.texts}


def test_soft_targets_are_the_softmax_of_the_logits_over_t():
    (ax,) = plots.soft_targets(LOGITS, 3 * LOGITS, [0, 1, 0], temperature=2).axes
    points = sorted(
        map(tuple, np.concatenate([collection.get_offsets() for collection in ax.collections]))
    )

    def second(logits):
        return np.exp(logits[:, 1] / 2) / np.exp(logits / 2).sum(1)

    assert np.allclose(points, sorted(zip(second(3 * LOGITS), second(LOGITS))))


@pytest.mark.parametrize("draw", [plots.margins, plots.soft_targets])
def test_margins_of_three_classes_are_refused_in_a_sentence(draw):
    with pytest.raises(UserError, match=r"two classes.*\(3, 3\)"):
        draw(np.eye(3), np.eye(3), [0, 1, 2])


def test_accuracy_and_agreement_are_told_apart():
    (ax,) = plots.accuracy_and_agreement(ANSWERS, teacher=[0, 1, 1], labels=[0, 1, 0]).axes
    assert [list(container.lines[0].get_ydata()) for container in ax.containers] == [
        pytest.approx([2 / 3, 1]),
        pytest.approx([1, 2 / 3]),
    ]
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(2 / 3)


def test_principal_components_draw_arrows_from_the_student_to_the_teacher():
    figure = plots.principal_components(
        STATES[0], {"before": STATES[1], "after": STATES[0]}, most=10
    )
    mean, directions, _ = plots.principal_plane(STATES[0])
    for ax, states in zip(figure.axes, (STATES[1], STATES[0])):
        arrows, goals, starts = ax.collections
        assert len(arrows.U) == 10
        ends = np.column_stack([arrows.X + arrows.U, arrows.Y + arrows.V])
        assert np.allclose(ends, goals.get_offsets()) and np.allclose(
            arrows.get_offsets(), starts.get_offsets()
        )
        assert np.allclose(
            starts.get_offsets()[0], directions @ (states[0] - mean)
        ) and np.allclose(goals.get_offsets()[0], directions @ (STATES[0][0] - mean))
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_rounding_shows_a_matrix_its_nearest_values_and_what_is_between_on_one_scale():
    matrix = scores(40)
    values = np.abs(matrix).max() / 3 * np.arange(-3, 4)  # 3 bits: as many above 0 as below
    nearest = values[np.abs(matrix[..., None] - values).argmin(-1)]
    figure = plots.rounding(matrix, 3)
    for ax, expected in zip(figure.axes, (matrix, nearest, nearest - matrix)):
        assert np.allclose(ax.images[0].get_array(), expected[:32, :32], atol=1e-6)
        assert ax.images[0].get_clim() == pytest.approx(
            (-np.abs(matrix).max(), np.abs(matrix).max())
        )
    density, edges, _ = figure.axes[3].patches[-1].get_data()
    shares = [(np.isclose(nearest, value)).mean() for value in values]
    assert np.allclose(density * np.diff(edges), shares) and np.allclose(
        (edges[1:] + edges[:-1]) / 2, values
    )
    assert (
        figure.axes[3].get_title()
        == f"{np.count_nonzero(shares)} of 7 values used,\n{values[1] - values[0]:.2g} apart"
    )


def test_rounding_drawn_again_is_as_if_drawn_at_once():
    again, at_once = (
        plots.redraw_rounding(plots.rounding(scores(40), 3), scores(40), 5),
        plots.rounding(scores(40), 5),
    )
    pixels = []
    for figure in (again, at_once):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels.append(np.asarray(canvas.buffer_rgba()))
    assert np.array_equal(*pixels)


def test_the_staircase_and_its_gradient_are_the_engines():
    stairs, slopes = plots.straight_through(0.5, 4).axes
    x, shown = stairs.lines[1].get_data()
    asked = torch.tensor(x, dtype=torch.float32, requires_grad=True)
    rounded = fake_quantize(asked, torch.tensor(0.5), 4)
    rounded.sum().backward()
    off_the_steps = np.abs((x / 0.5) % 1 - 0.5) > 1e-3
    assert np.allclose(shown[off_the_steps], rounded.detach()[off_the_steps], atol=1e-6)
    assert np.array_equal(slopes.lines[1].get_ydata()[off_the_steps], asked.grad[off_the_steps])


def test_learning_on_a_grid_draws_what_a_weight_is_rounded_to():
    (ax,) = plots.learning_on_a_grid(
        {"true": [0.1, 0.1], "straight-through": [0.3, 0.4]}, 0.6, 0.25
    ).axes
    assert [list(line.get_ydata()) for line in ax.lines[:4]] == [
        [0.1, 0.1],
        [0.0, 0.0],
        [0.3, 0.4],
        [0.25, 0.5],
    ]
    assert list(ax.get_yticks()) == [-0.25, 0, 0.25, 0.5, 0.75]


def test_fewer_bits_have_error_bars_and_run_from_many_to_few():
    (ax,) = plots.fewer_bits({"one scale a matrix": {8: 0.8, 2: 0.5}}, 0.8, 0.5, 100).axes
    assert (
        list(ax.containers[0].lines[0].get_xydata().flatten()) == [8, 0.8, 2, 0.5]
        and ax.xaxis_inverted()
    )
    (bars,) = ax.containers[0].lines[2]
    assert [segment[1][1] - segment[0][1] for segment in bars.get_segments()] == pytest.approx(
        [0.08, 0.1]
    )
