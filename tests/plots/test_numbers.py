"""The numbers behind the pictures, each against another way to get it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tinybert_lite import plots
from tinybert_lite.method.losses import attention_loss, hidden_loss
from tinybert_lite.system.errors import UserError


def scores(shape, seed, lengths):
    random = torch.Generator().manual_seed(seed)
    mask = (torch.arange(shape[-1]) < torch.tensor(lengths)[:, None]).long()
    return *(3 * torch.randn(shape, generator=random) for _ in range(2)), mask


@given(st.integers(1, 3), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 99))
def test_seen_and_unseen_error_add_up_to_the_attention_loss(heads, lengths, seed):
    student, teacher, mask = scores((len(lengths), heads, 5, 5), seed, lengths)
    visible, invisible = plots.attention_parts(student, teacher, mask)
    assert visible.shape == invisible.shape == (heads,)
    assert (visible + invisible).mean() == pytest.approx(
        float(attention_loss(student, teacher, mask)), rel=1e-5
    )


def test_the_two_parts_by_hand_over_every_row():
    student, teacher, mask = scores((2, 2, 5, 5), 0, [3, 5])
    visible, invisible = plots.attention_parts(student, teacher, mask)
    for head in range(2):
        rows = [
            (student - teacher)[b, head, q, :n].numpy()
            for b, n in ((0, 3), (1, 5))
            for q in range(n)
        ]
        pairs = sum(len(row) for row in rows)
        assert visible[head] == pytest.approx(
            sum(row.var() * len(row) for row in rows) / pairs, rel=1e-5
        )
        assert invisible[head] == pytest.approx(
            sum(row.mean() ** 2 * len(row) for row in rows) / pairs, rel=1e-5
        )


def test_what_softmax_cannot_see_changes_no_probability():
    _, teacher, mask = scores((2, 3, 5, 5), 1, [2, 5])
    shifted = teacher + torch.randn(2, 3, 5, 1)
    visible, invisible = plots.attention_parts(shifted, teacher, mask)
    assert (visible < 1e-12).all() and (invisible > 0.1).all()
    assert torch.allclose(
        plots.probabilities(shifted, mask), plots.probabilities(teacher, mask), atol=1e-6
    )


def test_probabilities_leave_padded_keys_out():
    student, _, mask = scores((1, 1, 4, 4), 0, [3])
    found = plots.probabilities(student, mask)
    assert (found[..., 3] == 0).all() and torch.allclose(
        found[..., :3], student[..., :3].softmax(-1)
    )


def test_terms_relative_to_the_start():
    events = [
        {"step": 1, "loss": 3.0, "hidden/0": 2.0, "prediction": 0.0},
        {"step": 1, "dev": {}},
        {"step": 5, "loss": 1.0, "hidden/0": 0.5, "prediction": 1.0},
    ]
    names, steps, values = plots.relative_to_start(events)
    assert names == ["hidden/0", "prediction"] and list(steps) == [1, 5]
    assert np.array_equal(values, [[1, 0.25], [np.nan, np.nan]], equal_nan=True)


def lines_of_states(n=60, width=7, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)) * np.arange(1, width + 1) + 5


def test_the_rank_floor_is_the_smallest_eigenvalues():
    teacher = lines_of_states()
    smallest_first = np.linalg.eigvalsh(np.cov(teacher.T, bias=True))
    for width in (1, 3, 7, 9):
        assert plots.rank_floor(teacher, width) == pytest.approx(
            smallest_first[: max(0, 7 - width)].sum() / 7, abs=1e-12
        )
    assert plots.variance_beyond(teacher)[0] == pytest.approx(teacher.var(0).mean())


def test_the_best_student_reaches_the_rank_floor_and_none_gets_below():
    teacher, real = lines_of_states(), torch.ones(1, 60)
    left, values, right = np.linalg.svd(teacher - teacher.mean(0))
    best = left[:, :3] * values[:3] @ right[:3] + teacher.mean(0)

    def loss(states):
        return float(
            hidden_loss(
                torch.tensor(states)[None].double(), torch.tensor(teacher)[None].double(), real
            )
        )

    floor = plots.rank_floor(teacher, 3)
    assert loss(best) == pytest.approx(floor, rel=1e-4)
    for seed in range(20):  # any states of width 3, with the W and b that fit them best
        states = np.column_stack([np.random.default_rng(seed).normal(size=(60, 3)), np.ones(60)])
        assert loss(states @ np.linalg.lstsq(states, teacher, rcond=None)[0]) > floor


def test_too_few_tokens_have_no_floor():
    assert plots.rank_floor(lines_of_states(n=5), 3) > 0
    with pytest.raises(UserError, match="4 tokens always fit into 3 directions"):
        plots.rank_floor(lines_of_states(n=4), 3)


def test_cka_sees_through_turning_scaling_and_shifting():
    states = lines_of_states()
    turned = 3 * states @ np.linalg.qr(np.random.default_rng(1).normal(size=(7, 7)))[0] - 4
    assert plots.cka([states], [states, turned]) == pytest.approx(np.ones((1, 2)))
    assert plots.cka([states], [states * np.arange(7)])[0, 0] < 0.999


def test_cka_of_unrelated_states_is_near_zero_though_they_are_wide():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(80, 200)), random.normal(size=(80, 200))

    def usual(x, y):
        x, y = x - x.mean(0), y - y.mean(0)
        return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))

    assert (
        abs(plots.cka([x], [y])[0, 0]) < 0.05 and usual(x, y) > 0.6
    )  # why the unbiased estimate is taken
    x, y = lines_of_states(3000), lines_of_states(3000) @ random.normal(size=(7, 4))
    assert plots.cka([x], [y])[0, 0] == pytest.approx(
        usual(x, y), abs=2e-3
    )  # they meet where tokens are many


def test_cka_is_the_mean_over_quadruples():
    """The unbiased estimate by its definition: a mean over ordered choices of four tokens."""
    from itertools import permutations

    x, y = lines_of_states(7, 3, 1), lines_of_states(7, 4, 2)

    def hsic(a, b):
        k, q = a @ a.T, b @ b.T
        return np.mean(
            [
                k[i, j] * (q[i, j] + q[r, s] - 2 * q[i, r])
                for i, j, r, s in permutations(range(7), 4)
            ]
        )

    assert plots.cka([x], [y])[0, 0] == pytest.approx(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)))


def test_cka_needs_four_tokens():
    with pytest.raises(UserError, match="3 tokens"):
        plots.cka([np.eye(3)], [np.eye(3)])


def test_real_tokens_leave_padding_out():
    states, mask = torch.arange(12.0).view(2, 3, 2), torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert plots.real_tokens(states, mask).tolist() == [[0, 1], [2, 3], [6, 7]]


def test_cosines_are_taken_from_the_teachers_mean():
    teacher = torch.tensor(
        [[[101.0, 100], [99, 100], [7e5, 7e5]], [[100, 101], [100, 99], [0, 0]]]
    )  # mean of the real: (100, 100)
    student = torch.tensor([[[105.0, 100], [103, 100], [1, 1]], [[105, 100], [100, 0], [1, 1]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 0]])
    found = plots.token_cosines(student, teacher, mask)
    assert np.allclose(found, [[1, -1, np.nan], [0, 1, np.nan]], atol=1e-6, equal_nan=True)


def test_coloured_text_escapes_and_has_a_plain_form():
    text = plots.ColouredText(["<b>", "pad", "good"], {"layer & 1": [1.0, np.nan, -0.25]})
    assert repr(text) == "layer & 1: <b> 1.00  pad  good -0.25"
    shown = text._repr_html_()
    assert "&lt;b&gt;<sub>1.00</sub>" in shown and "<b>" not in shown and "layer &amp; 1" in shown
    assert (
        f"background:{plots.GREY};color:black;padding:2px 4px;border-radius:3px;"
        'white-space:nowrap">pad<' in shown
    )
    assert "background:#053061;color:white" in shown  # the blue end of the map is 1


def test_the_plane_is_fitted_on_the_teacher():
    teacher = np.random.default_rng(0).normal(size=(200, 5)) * [1, 9, 1, 4, 1] + 3
    mean, directions, shares = plots.principal_plane(teacher)
    values, vectors = np.linalg.eigh(np.cov(teacher.T))
    assert np.allclose(
        np.abs(directions @ vectors[:, [-1, -2]]), np.eye(2), atol=1e-6
    ) and np.allclose(mean, teacher.mean(0))
    assert shares == pytest.approx(values[[-1, -2]] / values.sum())


def test_a_plane_needs_three_tokens():
    with pytest.raises(UserError, match="2 tokens"):
        plots.principal_plane(np.eye(2))


def test_fates_have_names():
    assert [plots.fate("[MASK]", "a"), plots.fate("a", "a"), plots.fate("b", "a")] == [
        "[MASK]",
        "kept",
        "random piece",
    ]


def test_a_bar_holds_the_middle_of_the_draws_and_each_bin_can_be_filled():
    draws = {
        "a": 100 * np.random.default_rng(0).binomial(300, 0.1, 2000) / 300,
        "b": 100 * np.random.default_rng(1).binomial(300, 0.02, 2000) / 300,
    }
    (ax,) = plots.bootstrap(draws).axes
    assert [tuple(np.round(line.get_xdata(), 6)) for line in ax.lines[:2]] == [
        tuple(np.round(np.quantile(found, (0.025, 0.975)), 6)) for found in draws.values()
    ]
    heights = [patch.get_height() for patch in ax.patches]
    assert sum(heights) == 4000
    filled = [
        patch.get_height()
        for patch in ax.patches
        if 8 < patch.get_x() < 12 and patch.get_facecolor()[:3] == ax.patches[0].get_facecolor()[:3]
    ]
    assert min(filled) > 20
