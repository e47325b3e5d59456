"""Checks of the exercises on stage 4, task distillation of intermediate layers."""

from __future__ import annotations

import torch
from torch import nn

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    close,
    compared,
    described,
    expect,
    number,
    plain,
)


@check
def teach(yours, seed: int = 0) -> None:
    """yours(teacher, x) -> the teacher's output without dropout and outside autograd."""
    torch.manual_seed(seed)
    first, last = nn.Linear(3, 8), nn.Linear(8, 2)
    teacher = nn.Sequential(first, nn.Dropout(0.5), last).train()
    x = torch.randn(2, 3)
    weights = [parameter.detach().clone() for parameter in teacher.parameters()]
    wanted = torch.tensor(
        [
            [
                by_hand(last, [by_hand(first, row.tolist(), i) for i in range(8)], k)
                for k in range(2)
            ]
            for row in x
        ]
    )
    names = [f"row {b + 1}, class {k + 1}" for b in range(2) for k in range(2)]
    found = attempt(
        yours,
        teacher,
        x,
        like=wanted,
        draw=lambda found: compared(
            names, wanted, found, {"x (rows by width)": x}, "the teacher's output"
        ),
    )
    again = yours(teacher, x)
    expect(
        close(found, again),
        f"two looks at one sentence agree: with dropout at work the first gave {number(found[0, 0])}, the second {number(again[0, 0])}",
    )
    expect(
        close(found, wanted),
        f"the teacher says what it knows, unchanged: worked out by hand {number(wanted[0, 0])}, yours is {number(found[0, 0])}",
    )
    expect(
        not again.requires_grad,
        "no graph is kept for the teacher: what you return still requires a gradient, so backward() would go through it",
    )
    expect(
        not yours(teacher, x.clone().requires_grad_()).requires_grad,
        "not even through its input: where x requires a gradient, what you return does too",
    )
    expect(
        all(close(was, now) for was, now in zip(weights, teacher.parameters())),
        "the teacher's weights stay as they are",
    )


def by_hand(layer: nn.Linear, row: list[float], i: int) -> float:
    return layer.bias[i].item() + sum(
        layer.weight[i, j].item() * value for j, value in enumerate(row)
    )


@check
def layer_terms(yours, seed: int = 0) -> None:
    """yours(student scores, teacher scores, student states, teacher states, mapping) -> {"attention/m": …, "hidden/m": …}."""
    draws = torch.Generator().manual_seed(seed)
    mapping = [0, 3, 6]
    scores = [torch.randn(count, 2, 2, generator=draws) for count in (2, 6)]
    states = [torch.randn(count, 2, 3, generator=draws) for count in (3, 7)]
    arguments = [list(layers) for pair in (scores, states) for layers in pair] + [mapping]
    wanted = {
        f"attention/{m}": mean_square(arguments[0][m - 1], arguments[1][mapping[m] - 1])
        for m in (1, 2)
    }
    wanted |= {
        f"hidden/{m}": mean_square(arguments[2][m], arguments[3][mapping[m]]) for m in (0, 1, 2)
    }

    def draw(found):
        inputs = {
            "student states (layers)": states[0].flatten(1),
            "teacher states (layers)": states[1].flatten(1),
        }
        return compared(
            list(wanted), list(wanted.values()), found and [found[name] for name in wanted], inputs
        )

    def named(*arguments):
        found = yours(*arguments)
        if isinstance(found, dict):
            expect(
                "hidden/0" in found,
                f"the embeddings are matched too: hidden/0 is wanted, yours is {described(found)}",
            )
        return found

    found = attempt(named, *arguments, like=wanted, draw=draw)
    off = [name for name in wanted if not close(found[name], wanted[name])]
    by_number = all(
        close(found[name], mean_square(*of_the_same_number(name, arguments))) for name in off
    )
    expect(
        not off or not by_number,
        f"the mapping is followed: student layer 1 learns from teacher layer {mapping[1]}, and yours from layer 1",
    )
    shares = [plain(found[name]) / wanted[name] for name in wanted]
    expect(
        not off or max(shares) - min(shares) > 1e-3,
        f"every pair counts in full, λ = 1: yours are all {number(shares[0])} times as much as expected",
    )
    for kind, why in (
        ("attention", "scores begin with layer 1: layer g is at index g − 1 in their list"),
        ("hidden", "states begin with the embeddings: layer g is at index g in their list"),
    ):
        first = next((name for name in off if name.startswith(kind)), "")
        expect(
            not first,
            f"{why}; {first} is {number(wanted.get(first, 0))}, yours {number(found.get(first, 0))}",
        )


def of_the_same_number(name: str, arguments) -> tuple:
    kind, m = name.split("/")
    return (
        (arguments[0][int(m) - 1], arguments[1][int(m) - 1])
        if kind == "attention"
        else (arguments[2][int(m)], arguments[3][int(m)])
    )


def mean_square(student: torch.Tensor, teacher: torch.Tensor) -> float:
    squares = [(a - b) ** 2 for a, b in zip(student.flatten().tolist(), teacher.flatten().tolist())]
    return sum(squares) / len(squares)


@check
def part_losses(yours, seed: int = 0) -> None:
    """yours(parts): (errors (b, L), mask (b, L)) each -> a loss a part; they add up to the mean over all real tokens."""
    draws = torch.Generator().manual_seed(seed)
    masks = [torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), torch.tensor([[1, 0]])]
    parts = [(torch.rand(mask.shape, generator=draws), mask) for mask in masks]
    every = [
        float(errors[b, place])
        for errors, mask in parts
        for b in range(len(mask))
        for place in range(mask.shape[1])
        if mask[b, place]
    ]
    total = sum(every) / len(every)
    wanted = [
        sum(float(e) for e, m in zip(errors.flatten(), mask.flatten()) if m) / len(every)
        for errors, mask in parts
    ]

    def draw(found):
        inputs = {
            f"errors, part {i + 1}": errors.where(mask > 0, torch.nan)
            for i, (errors, mask) in enumerate(parts)
        }
        yours_too = None if found is None or len(found) != 2 else [*found, sum(found)]
        return compared(["part 1", "part 2", "sum"], [*wanted, total], yours_too, inputs)

    found = attempt(yours, parts, like=wanted, draw=draw)
    expect(len(found) == 2, f"a loss for each part: expected 2, yours are {len(found)}")
    ones = torch.ones(2, 2)
    alone = sum(yours([(ones, torch.tensor([[1, 1], [1, 0]]))]))
    expect(
        close(alone, 1),
        f"padding neither counts nor thins the mean: one part, every error 1, one of four places padded, is 1; yours is {number(alone)}",
    )
    halves = sum(yours([(ones[:1], torch.ones(1, 2)), (ones[:1], torch.ones(1, 2))]))
    expect(
        close(halves, 1),
        f"cutting a batch in two changes nothing: every error is 1, so the sum of both parts is 1; yours is {number(halves)}",
    )
    uneven = sum(yours([(ones * 3, torch.ones(2, 2)), (0 * ones[:1], torch.tensor([[1, 0]]))]))
    if close(uneven, 2):
        raise AssertionError(
            "tokens are counted, not rows: two rows of 2 tokens with errors of 3 and one row of 1 with 0 have the mean 12/5 = 2.4; yours is 2"
        )
    expect(
        close(uneven, 2.4),
        f"a small part weighs little: four tokens with errors of 3 and one of 0 have the mean 12/5 = 2.4; yours is {number(uneven)}",
    )
    expect(
        close(sum(found), total),
        f"the parts add up to the mean over all real tokens: a loop over them gives {number(total)}, yours is {number(sum(found))}",
    )
    expect(
        all(map(close, found, wanted)),
        f"each part's loss comes from its own tokens, or its gradient would be another's: part 1 owes {number(wanted[0])}, yours is {number(found[0])}",
    )
    learning = [(errors.clone().requires_grad_(), mask) for errors, mask in parts]
    losses = yours(learning)
    expect(
        all(isinstance(loss, torch.Tensor) and loss.requires_grad for loss in losses),
        "a loss teaches: each must be a tensor that backward() can start from",
    )
