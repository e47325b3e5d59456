"""The losses against slow loops, numbers worked out by hand, and properties."""

import math
from dataclasses import astuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import random_batch, stock_bert
from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.losses import Sizes
from tinybert_lite.method.objectives import (
    Intermediate,
    Labels,
    MaskedLm,
    Prediction,
    check_heads,
    common_heads,
)
from tinybert_lite.system.errors import UserError

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=4)
paddings = pytest.mark.parametrize("padding", ["exact", "original"])
seeds = st.integers(0, 1000)


def mask_of(lengths, longest=0):
    return (torch.arange(longest or max(lengths)) < torch.tensor(lengths)[:, None]).long()


def draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(found, expected, relative=1e-5):
    assert float(torch.as_tensor(found).detach()) == pytest.approx(
        float(expected), rel=relative, abs=1e-7
    )


# Slow loops


def slow_attention(student, teacher, mask, padding):
    total = count = 0
    B, H, L, _ = student.shape
    for b in range(B):
        for h in range(H):
            for q in range(L):
                for k in range(L):
                    s, t = float(student[b, h, q, k]), float(teacher[b, h, q, k])
                    if padding == "original":
                        masked = -10000.0 if not mask[b, k] else 0.0
                        s, t = (0.0 if score + masked <= -100 else score for score in (s, t))
                    elif not (mask[b, q] and mask[b, k]):
                        continue
                    total += (s - t) ** 2
                    count += 1
    return total / count


def slow_hidden(student, teacher, mask, padding):
    errors = [
        float((student[b, i] - teacher[b, i]).double().square().mean())
        for b in range(student.shape[0])
        for i in range(student.shape[1])
        if padding == "original" or mask[b, i]
    ]
    return sum(errors) / len(errors)


def slow_soft_cross_entropy(student, teacher, t):
    total = 0.0
    for s_row, t_row in zip(student.tolist(), teacher.tolist()):
        s_sum, t_sum = (sum(math.exp(x / t) for x in row) for row in (s_row, t_row))
        total -= sum(
            math.exp(y / t) / t_sum * math.log(math.exp(x / t) / s_sum)
            for x, y in zip(s_row, t_row)
        )
    return total / len(student)


@paddings
@given(lengths, seeds)
def test_attention_loss_equals_the_loop(padding, lengths, seed):
    mask, L = mask_of(lengths), max(lengths)
    student, teacher = (
        draw(len(lengths), 2, L, L, seed=seed, scale=60),
        draw(len(lengths), 2, L, L, seed=seed + 1, scale=60),
    )
    close(
        losses.attention_loss(student, teacher, mask, padding),
        slow_attention(student, teacher, mask, padding),
    )


@paddings
@given(lengths, seeds)
def test_hidden_loss_equals_the_loop(padding, lengths, seed):
    mask, L = mask_of(lengths), max(lengths)
    student, teacher = draw(len(lengths), L, 3, seed=seed), draw(len(lengths), L, 3, seed=seed + 1)
    close(
        losses.hidden_loss(student, teacher, mask, padding),
        slow_hidden(student, teacher, mask, padding),
    )


@given(st.integers(1, 5), st.integers(2, 4), st.sampled_from([0.5, 1.0, 2.0, 4.0]), seeds)
def test_soft_cross_entropy_equals_the_loop(rows, classes, temperature, seed):
    student, teacher = (
        draw(rows, classes, seed=seed, scale=3),
        draw(rows, classes, seed=seed + 1, scale=3),
    )
    expected = slow_soft_cross_entropy(student.double(), teacher.double(), temperature)
    close(losses.soft_cross_entropy(student, teacher, temperature), expected)
    close(losses.soft_cross_entropy(student, teacher, temperature, "original"), expected / classes)


# Worked by hand


def test_attention_by_hand():
    """Two tokens and one padded: a difference of 3 at one of the four real pairs is 9/4; of nine
    places it is 9/9.
    """
    teacher = torch.zeros(1, 1, 3, 3)
    student = teacher.clone()
    student[0, 0, 0, 1] = 3.0
    student[0, 0, :, 2] = 50.0  # a masked key
    mask = torch.tensor([[1, 1, 0]])
    assert losses.attention_loss(student, teacher, mask) == 9 / 4
    assert losses.attention_loss(student, teacher, mask, "original") == 1.0
    student[0, 0, 2, 0] = 6.0  # a padded query: only the original counts it
    assert losses.attention_loss(student, teacher, mask) == 9 / 4
    assert losses.attention_loss(student, teacher, mask, "original") == 5.0


def test_the_original_drops_scores_of_minus_100_and_below():
    student, teacher, mask = (
        torch.tensor([[[[-100.0]]]]),
        torch.tensor([[[[2.0]]]]),
        torch.ones(1, 1),
    )
    assert losses.attention_loss(student, teacher, mask, "original") == 4.0
    assert losses.attention_loss(student + 1, teacher, mask, "original") == 101.0**2
    assert losses.attention_loss(student, teacher, mask) == 102.0**2


def test_hidden_by_hand():
    student, teacher, mask = torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), torch.tensor([[1, 1, 0]])
    student[0, 0] = torch.tensor([1.0, 3.0])
    student[0, 2] = 2.0
    assert losses.hidden_loss(student, teacher, mask) == 10 / 4
    assert losses.hidden_loss(student, teacher, mask, "original") == 18 / 6


def test_long_rows_weigh_more_than_short_ones():
    """A pooled mean over pairs, not a mean of the rows' means: errors 1 on 1 pair and 0 on 9 give
    1/10.
    """
    student, teacher, mask = torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3), mask_of([1, 3])
    student[0] = 1.0
    close(losses.attention_loss(student, teacher, mask), 1 / 10)


def test_prediction_by_hand():
    """Targets 3/4 and 1/4 against a student that knows nothing: ln 2; with t = 2 the targets are √3
    : 1.
    """
    teacher = torch.tensor([[math.log(3.0), 0.0]])
    close(losses.soft_cross_entropy(torch.zeros(1, 2), teacher), math.log(2))
    student = torch.tensor([[0.0, math.log(3.0)]])
    close(losses.soft_cross_entropy(student, teacher), 0.75 * math.log(4) + 0.25 * math.log(4 / 3))
    root = math.sqrt(3)
    close(
        losses.soft_cross_entropy(student, teacher, 2.0),
        (root * math.log(1 + root) + math.log((1 + root) / root)) / (1 + root),
    )


def test_label_losses_by_hand():
    logits, labels = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]]), torch.tensor([0.0, 1.0])
    close(losses.label_loss(logits, labels), (math.log(4 / 3) + math.log(2)) / 2)
    close(losses.label_loss(torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0])), 5.0)
    close(losses.regression_loss(torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0])), 5.0)
    close(
        losses.masked_lm_loss(torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([1])), math.log(4)
    )
    for sizes in (None, Sizes(1, 1, 1, 0)):  # a batch without masked places
        assert (
            losses.masked_lm_loss(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), sizes) == 0
        )


# Properties


@paddings
@given(lengths, seeds)
def test_equal_inputs_give_zero(padding, lengths, seed):
    mask, L = mask_of(lengths), max(lengths)
    scores, states = (
        draw(len(lengths), 2, L, L, seed=seed, scale=80),
        draw(len(lengths), L, 3, seed=seed),
    )
    assert losses.attention_loss(scores, scores, mask, padding) == 0
    assert losses.hidden_loss(states, states, mask, padding) == 0


@given(lengths, st.integers(1, 9), seeds)
def test_more_padding_changes_nothing(lengths, more, seed):
    L, B = max(lengths) + more, len(lengths)
    student, teacher = draw(B, 2, L, L, seed=seed), draw(B, 2, L, L, seed=seed + 1)
    cut = (slice(None), slice(None), slice(L - more), slice(L - more))
    close(
        losses.attention_loss(student, teacher, mask_of(lengths, L)),
        losses.attention_loss(student[cut], teacher[cut], mask_of(lengths)),
    )
    cut = (slice(None), slice(L - more))
    student, teacher = draw(B, L, 3, seed=seed), draw(B, L, 3, seed=seed + 1)
    close(
        losses.hidden_loss(student, teacher, mask_of(lengths, L)),
        losses.hidden_loss(student[cut], teacher[cut], mask_of(lengths)),
    )


def test_garbage_in_the_padding_does_no_harm():
    """A square that overflows would turn a plain product with the mask into NaN."""
    mask, teacher = mask_of([2, 3]), draw(2, 1, 3, 3)
    student = (teacher + 1).masked_fill(~mask.bool()[:, None, None, :], 1e30).requires_grad_()
    loss = losses.attention_loss(student, teacher, mask)
    loss.backward()
    close(loss, 1.0)
    assert student.grad.isfinite().all() and student.grad[0, :, :, 2].eq(0).all()


@given(st.integers(1, 4), st.integers(2, 4), st.sampled_from([0.5, 1.0, 3.0]), seeds)
def test_equal_logits_give_the_teachers_entropy_which_is_the_least(
    rows, classes, temperature, seed
):
    teacher = draw(rows, classes, seed=seed, scale=3)
    entropy = (
        torch.distributions.Categorical(logits=teacher.double() / temperature).entropy().mean()
    )
    close(losses.soft_cross_entropy(teacher, teacher, temperature), entropy)
    assert (
        losses.soft_cross_entropy(draw(rows, classes, seed=seed + 1), teacher, temperature)
        >= entropy - 1e-6
    )


@given(st.sampled_from([0.5, 2.0, 5.0]), seeds)
def test_a_temperature_divides_both_logits(temperature, seed):
    student, teacher = draw(3, 4, seed=seed), draw(3, 4, seed=seed + 1)
    close(
        losses.soft_cross_entropy(student, teacher, temperature),
        losses.soft_cross_entropy(student / temperature, teacher / temperature),
    )


@paddings
@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.data())
def test_parts_with_pooled_sizes_add_up_to_the_whole(padding, lengths, data):
    L, B, split = max(lengths), len(lengths), data.draw(st.integers(1, len(lengths) - 1))
    mask = mask_of(lengths)
    targets = torch.where(mask.bool(), torch.arange(L), -100)
    scores, states, logits = (
        [draw(B, *shape, seed=seed) for seed in (1, 2)] for shape in ((2, L, L), (L, 3), (3,))
    )
    parts = slice(split), slice(split, None)
    sizes = sum((Sizes.of(mask[part], padding, targets[part]) for part in parts), Sizes(0, 0, 0))
    assert astuple(sizes) == astuple(Sizes.of(mask, padding, targets))
    for loss, tensors in ((losses.attention_loss, scores), (losses.hidden_loss, states)):
        close(
            sum(loss(*(x[part] for x in tensors), mask[part], padding, sizes) for part in parts),
            loss(*tensors, mask, padding),
        )
    for loss in (
        losses.soft_cross_entropy,
        lambda s, t, sizes=None: losses.label_loss(s, t.argmax(-1).float(), sizes),
        lambda s, t, sizes=None: losses.regression_loss(s[:, 0], t[:, 0], sizes),
    ):
        close(sum(loss(*(x[part] for x in logits), sizes=sizes) for part in parts), loss(*logits))
    lm = draw(B, L, 8)
    close(
        sum(
            losses.masked_lm_loss(
                lm[part][mask[part].bool()], targets[part][mask[part].bool()], sizes
            )
            for part in parts
        ),
        losses.masked_lm_loss(lm[mask.bool()], targets[mask.bool()]),
    )


def test_sizes_count_what_is_real_or_all_places():
    mask, targets = mask_of([3, 1]), torch.tensor([[5, -100, 0], [-100, -100, -100]])
    assert astuple(Sizes.of(mask, targets=targets)) == (2, 4, 10, 2)
    assert astuple(Sizes.of(mask, "original")) == (2, 6, 18, 0)
    assert Sizes(1, 2, 3, 4) + Sizes(10, 20, 30, 40) == Sizes(11, 22, 33, 44)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    """A difference of 300 squared overflows float16, and bfloat16 knows three digits."""
    mask, odd = mask_of([3]), torch.tensor([0.1, 300.0, -1.7], dtype=dtype)
    scores, states, logits = odd.expand(1, 1, 3, 3), odd.expand(1, 3, 3), odd[None]
    for loss, inputs in (
        (losses.attention_loss, (scores, scores * 0, mask)),
        (losses.hidden_loss, (states, states * 0, mask)),
        (losses.soft_cross_entropy, (logits / 100, logits / 300)),
        (losses.regression_loss, (odd, odd * 0)),
        (losses.label_loss, (logits / 100, torch.tensor([2.0]))),
        (losses.masked_lm_loss, (logits / 100, torch.tensor([2]))),
    ):
        found = loss(*inputs)
        assert found.dtype == torch.float32
        assert torch.equal(found, loss(*(x.float() if x.dtype == dtype else x for x in inputs)))


# Whole models


def bert(layers, width, seed, **parts) -> Encoder:
    """Ours, with a stock random model's weights and random heads."""
    stock = stock_bert(layers=layers, width=width, heads=2, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ours = Encoder(stock.config, **parts)
    ours.body.load_state_dict(stock.bert.state_dict(), strict=False)  # a masked LM has no pooler
    return ours.eval()


def objectives(student, teacher):
    yield Intermediate(student, teacher)
    yield Prediction(teacher)
    yield Labels()


@torch.no_grad()
def test_more_padding_changes_nothing_end_to_end():
    student, teacher = (
        bert(2, 8, 1, num_labels=2, projection="per_layer", teacher_width=16),
        bert(4, 16, 2, num_labels=2),
    )
    for objective in objectives(student, teacher):
        short, long = (objective(student, random_batch([5, 3, 9], longest)) for longest in (9, 30))
        assert short.keys() == long.keys() and all(float(value) > 0 for value in short.values())
        for name in short:
            close(long[name], short[name])


@torch.no_grad()
@paddings
def test_a_model_distilled_from_itself_has_no_loss(padding):
    terms = Intermediate(bert(2, 16, 3), bert(2, 16, 3), padding=padding)(
        bert(2, 16, 3), random_batch([5, 3])
    )
    assert set(terms) == {"hidden/0", "hidden/1", "hidden/2", "attention/1", "attention/2"}
    assert all(value == 0 for value in terms.values())


def test_teachers_take_no_part_in_learning():
    student, teacher = (
        bert(2, 8, 1, num_labels=2, projection="shared", teacher_width=16),
        bert(4, 16, 2, num_labels=2).train(),
    )
    for objective in objectives(student, teacher):
        sum(objective(student, random_batch([5, 3])).values()).backward()
    assert not teacher.training and all(
        p.grad is None and not p.requires_grad for p in teacher.parameters()
    )
    assert (
        student.fit_dense.weight.grad.abs().sum() > 0
        and student.output_layer.weight.grad.abs().sum() > 0
    )


@torch.no_grad()
def test_masked_lm_counts_masked_places_alone():
    model, batch = bert(2, 8, 1, masked_lm=True), random_batch([5, 3])
    batch["targets"] = torch.full_like(batch["input_ids"], -100)
    batch["targets"][0, 2], batch["targets"][1, 1] = 7, 9
    logits = model.auto.cls(model(batch).hidden[-1]).log_softmax(-1)
    close(MaskedLm()(model, batch)["masked_lm"], -(logits[0, 2, 7] + logits[1, 1, 9]) / 2)


def test_heads_that_do_not_match_need_a_choice():
    for student, teacher, heads in ((2, 4, "match"), (3, 4, "average")):
        with pytest.raises(UserError, match="heads=skip"):
            check_heads(student, teacher, heads)
    assert (
        check_heads(4, 4, "match") == "match"
        and check_heads(2, 4, "average") == "average"
        and check_heads(3, 4, "skip") == "skip"
    )
    with torch.no_grad():
        student, teacher = bert(2, 16, 1), bert(2, 16, 2)
        terms = Intermediate(student, teacher, heads="skip")(student, random_batch([4]))
    assert set(terms) == {"hidden/0", "hidden/1", "hidden/2"}


def test_heads_are_averaged_in_neighbouring_groups():
    many = torch.tensor([1.0, 3.0, 10.0, 30.0])[None, :, None, None]
    few = torch.tensor([7.0, 8.0])[None, :, None, None]
    for pair in (common_heads(many, few), common_heads(few, many)[::-1]):
        assert pair[0].flatten().tolist() == [2, 20] and pair[1].flatten().tolist() == [7, 8]
