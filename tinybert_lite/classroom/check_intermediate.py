"""Checks of the exercises on stage 4, task distillation of intermediate layers."""

import torch
from torch import nn
from torch.nn.functional import mse_loss

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    close,
    described,
    expect,
    expect_close,
    expect_unlike,
    number,
)


@check
def teach(yours, seed: int = 0) -> None:
    """yours(teacher, x) -> the teacher's output without dropout and outside autograd."""
    first, last = nn.Linear(3, 8), nn.Linear(8, 2)
    teacher = nn.Sequential(first, nn.Dropout(0.5), last).train()
    x = torch.randn(2, 3)
    weights = [parameter.detach().clone() for parameter in teacher.parameters()]
    wanted = last(first(x)).detach()  # without the dropout between the two layers
    found = attempt(
        yours,
        teacher,
        x,
        like=wanted,
        inputs={"x (rows by width)": x},
        title="teacher's output (row, class)",
    )
    again = yours(teacher, x)
    expect_close(
        again, found, f"two calls give the same output: without dropout both are {number(found)}"
    )
    expect_close(
        found, wanted, f"the teacher's output is returned unchanged: expected {number(wanted)}"
    )
    expect(
        not again.requires_grad,
        "no graph is kept for the teacher: your output requires a gradient, so backward() would "
        "go through it",
    )
    expect(
        not yours(teacher, x.clone().requires_grad_()).requires_grad,
        "no gradient flows to the input either: where x requires one, your output does too",
    )
    expect(
        all(map(close, weights, teacher.parameters())),
        "the teacher is not trained: its weights changed",
    )


@check
def layer_terms(yours, seed: int = 0) -> None:
    """yours(student scores, teacher scores, student states, teacher states, mapping) -> terms.

    The terms are {"attention/m": loss, "hidden/m": loss}; layers are the first dimension.
    """
    mapping = [0, 3, 6]
    scores = [torch.randn(count, 2, 2) for count in (2, 6)]
    states = [torch.randn(count, 2, 3) for count in (3, 7)]
    wanted = terms(*scores, *states, mapping)
    same_number = terms(*scores, *states, [0, 1, 2])

    def named(*arguments):
        found = yours(*arguments)
        if isinstance(found, dict):
            expect(
                "hidden/0" in found,
                f"the embeddings are matched too: hidden/0 is wanted, yours is {described(found)}",
            )
        return found

    inputs = {
        "student states (layers)": states[0].flatten(1),
        "teacher states (layers)": states[1].flatten(1),
    }
    arguments = (*map(list, (*scores, *states)), mapping)
    found = attempt(named, *arguments, like=wanted, inputs=inputs)
    off = [name for name in wanted if not close(found[name], wanted[name])]
    expect(
        not off or not all(close(found[name], same_number[name]) for name in off),
        "the mapping is followed: student layer 1 learns from teacher layer 3, yours from layer 1",
    )
    ratios = [float(found[name]) / wanted[name] for name in wanted]
    expect(
        not off or max(ratios) - min(ratios) > 1e-3,
        f"every pair has the weight λ = 1: yours are all {number(ratios[0])} times the expected",
    )
    for kind, why in (
        ("attention", "scores begin with layer 1: layer g is at index g − 1 in their list"),
        ("hidden", "states begin with the embeddings: layer g is at index g in their list"),
    ):
        for name in off:
            expect(
                not name.startswith(kind),
                f"{why}; {name} is {number(wanted[name])}, yours is {number(found[name])}",
            )


def terms(scores, their_scores, states, their_states, mapping) -> dict[str, float]:
    """Return the mean square of each pair of a student layer and its teacher layer."""
    pairs = {f"attention/{m}": (scores[m - 1], their_scores[mapping[m] - 1]) for m in (1, 2)}
    pairs |= {f"hidden/{m}": (states[m], their_states[mapping[m]]) for m in (0, 1, 2)}
    return {name: float(mse_loss(*pair)) for name, pair in pairs.items()}


@check
def part_losses(yours, seed: int = 0) -> None:
    """yours(parts) -> one loss per part; they add up to the mean over all real tokens.

    parts: (errors (b, L), mask (b, L)) each.
    """
    masks = [torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), torch.tensor([[1, 0]])]
    parts = [(torch.rand(mask.shape), mask) for mask in masks]
    real = [errors[mask > 0].tolist() for errors, mask in parts]
    count = sum(map(len, real))
    wanted = [sum(errors) / count for errors in real]
    inputs = {
        f"errors, part {i}": errors.where(mask > 0, torch.nan)
        for i, (errors, mask) in enumerate(parts, 1)
    }
    found = attempt(yours, parts, like=wanted, inputs=inputs, title="loss of each part")
    expect(len(found) == 2, f"one loss per part: expected 2, yours are {len(found)}")
    ones = torch.ones(2, 2)
    expect_close(
        sum(yours([(ones, torch.tensor([[1, 1], [1, 0]]))])),
        1,
        "padding neither counts nor lowers the mean: one part, every error 1, one of four places "
        "padded, gives 1",
    )
    expect_close(
        sum(yours([(ones[:1], ones[:1]), (ones[:1], ones[:1])])),
        1,
        "splitting a batch changes nothing: every error is 1, so both parts add up to 1",
    )
    uneven = sum(yours([(ones * 3, ones), (0 * ones[:1], torch.tensor([[1, 0]]))]))
    case = "four tokens with errors of 3 and one with 0 have the mean 12/5 = 2.4"
    expect_unlike(uneven, 2, f"tokens are counted, not rows: {case}")
    expect_close(uneven, 2.4, f"a part with fewer tokens has a smaller weight: {case}")
    expect_close(
        sum(found),
        sum(wanted),
        f"the parts add up to the mean over all real tokens: expected {number(sum(wanted))}",
    )
    expect_close(
        found,
        wanted,
        "each part's loss comes from its own tokens, so that its gradient does too: expected "
        f"{number(wanted)}",
    )
    losses = yours([(errors.clone().requires_grad_(), mask) for errors, mask in parts])
    expect(
        all(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in losses),
        "each loss carries a gradient: it must be a tensor that backward() can start from",
    )
