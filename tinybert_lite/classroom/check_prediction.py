"""Checks of the exercises on stage 5, prediction-layer distillation, and on what it is handed."""

from __future__ import annotations

import math

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    chips,
    close,
    compared,
    expect,
    number,
    plain,
)

FOLDERS = (
    [
        "model_epoch_9.bin",
        "config.json",
        "model_epoch_10.bin",
        "model_epoch_2.bin",
        "pytorch_model.bin",
    ],
    ["vocab.txt", "model_epoch_30.bin", "model_epoch_100.bin", "model_epoch_4.bin"],
)
NEWEST = ("model_epoch_10.bin", "model_epoch_100.bin")  # by hand


@check
def newest_checkpoint(yours, seed: int = 0) -> None:
    """yours(names) -> the `model_epoch_N.bin` of the largest N, None where there is none."""
    names, wanted = FOLDERS[seed % 2], NEWEST[seed % 2]

    def draw(found):
        return chips(
            {"folder": names, "expected": names, "yours": names},
            {
                "expected": {names.index(wanted)},
                "yours": None
                if found is None
                else {i for i, name in enumerate(names) if name == found},
            },
        )

    found = attempt(yours, names, like="", draw=draw)
    expect(
        found.startswith("model_epoch_"), f"only model_epoch_N.bin is an epoch: yours is {found}"
    )
    expect(
        found != max(name for name in names if name.startswith("model_")),
        f"numbers are compared as numbers: 10 comes after 9, and as text before it; yours is {found}",
    )
    expect(
        found == wanted,
        f"the largest N is wanted, wherever it stands in the list: expected {wanted}, yours is {found}",
    )
    half = ["model_epoch_1.bin", "model_epoch_2.bin.part"]
    expect(
        yours(list(half)) == half[0],
        f"a half-written file is none: of {half} the first is wanted, yours is {yours(list(half))}",
    )
    try:
        none = yours(["config.json", "pytorch_model.bin"])
    except Exception as error:
        raise AssertionError(
            f"a folder without an epoch gives None: yours raises {type(error).__name__}"
        ) from error
    expect(none is None, f"a folder without an epoch gives None: yours is {none}")


@check
def soft_cross_entropy(yours, seed: int = 0) -> None:
    """yours(student, teacher, t): logits (B, K) twice -> −softmax(z_T / t) · log softmax(z_S / t), the mean over rows."""
    draws = torch.Generator().manual_seed(seed)
    student, teacher = 2 * torch.randn(2, 3, 4, generator=draws)
    t = 2.0
    wanted = slow_cross_entropy(student, teacher, t)
    inputs = {"student's logits": student, "teacher's logits": teacher}
    found = attempt(
        yours,
        student,
        teacher,
        t,
        like=torch.tensor(0.0),
        draw=lambda found: compared(["loss"], wanted, found, inputs),
    )
    far, undecided = torch.tensor([[1000.0, 0.0]]), torch.zeros(1, 2)
    loss = yours(far, undecided, 1.0)
    expect(
        math.isfinite(plain(loss)),
        f"large logits stay finite: a student with (1000, 0) and a teacher with (0, 0) give 500; yours is {number(loss)}",
    )
    loss = yours(undecided.repeat(3, 1), far.repeat(3, 1), 1.0)
    expect(
        not close(loss, 3 * math.log(2)),
        f"the mean over rows: three rows of log 2 = {number(math.log(2))} are that on average; yours is their sum, {number(loss)}",
    )
    expect(
        close(loss, math.log(2)),
        f"the sum over classes: a sure teacher and a student with (0, 0) give log 2 = {number(math.log(2))}; yours is {number(loss)}",
    )
    leaning = torch.tensor([[0.0, 1.0]])
    surer, less_sure = (yours(leaning, torch.tensor([[0.0, z]]), 1.0) for z in (3.0, 0.5))
    expect(
        not close(surer, less_sure),
        f"soft targets: teachers with (0, 3) and with (0, 0.5) ask for different things; both give yours {number(surer)}",
    )
    floor = yours(leaning, leaning, 1.0)
    p = 1 / (1 + math.exp(-1))
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    expect(
        close(floor, entropy),
        f"the floor is the teacher's entropy, not zero: equal logits (0, 1) give {number(entropy)}; yours is {number(floor)}",
    )
    two = torch.tensor([[0.0, 2.0]])
    loss, by_hand = yours(two, undecided, 2.0), -0.5 * math.log(p) - 0.5 * math.log(1 - p)
    expect(
        not close(loss, 4 * by_hand),
        f"Eq. 10 has no t² in it: at t = 2 your loss is 4 times the expected {number(by_hand)}",
    )
    expect(
        close(loss, by_hand),
        f"the student's logits are divided by t: (0, 2) at t = 2 against (0, 0) give {number(by_hand)}; yours is {number(loss)}",
    )
    expect(
        close(found, wanted),
        f"the teacher's logits are divided by t: a loop over rows and classes gives {number(wanted)}, yours is {number(found)}",
    )


def slow_cross_entropy(student, teacher, t: float) -> float:
    """Row by row, class by class, in Python's own numbers."""
    total = 0.0
    for learning, teaching in zip(student.tolist(), teacher.tolist()):
        mine, theirs = ([math.exp(z / t) for z in logits] for logits in (learning, teaching))
        total -= sum(b / sum(theirs) * math.log(a / sum(mine)) for a, b in zip(mine, theirs))
    return total / len(student)


@check
def soft_gradient(yours, seed: int = 0) -> None:
    """yours(student, teacher, t) -> the gradient of t² times the loss above for the student's logits, (B, K)."""
    draws = torch.Generator().manual_seed(seed)
    student, teacher = (2 * torch.randn(2, 2, 3, generator=draws)).double()
    t = 3.0
    wanted = by_differences(student, teacher, t)
    names = [f"{b + 1}, {k + 1}" for b in range(2) for k in range(3)]
    inputs = {"student's logits": student, "teacher's logits": teacher}
    found = attempt(
        yours,
        student,
        teacher,
        t,
        like=wanted,
        draw=lambda found: compared(names, wanted, found, inputs, "gradient (row, class)"),
    )
    equal = yours(student, student, t)
    expect(
        close(equal, 0 * equal),
        f"nothing to learn from an equal: with the teacher's own logits the gradient is 0, yours begins {number(equal.flatten()[0])}",
    )
    expect(
        close(found.sum(1), torch.zeros(2)),
        f"what one class gains the others lose: each row adds up to 0, your first to {number(found[0].sum())}",
    )
    first, expected = number(found[0, 0]), number(wanted[0, 0])
    for factor, why in (
        (-1, "the gradient points uphill: the descent goes the other way, so signs are"),
        (
            2,
            "the loss is a mean over rows, so each row has a B-th: for two rows yours is twice what is",
        ),
        (
            1 / t**2,
            "the t² keeps the gradient's size: without it a gradient shrinks as 1/t², and yours is a ninth of what is",
        ),
        (
            1 / t,
            "both factors count, t² before the loss and 1/t from the inner derivative: yours is a third of what is",
        ),
        (
            t,
            "the chain rule has a 1/t: the logits are divided before the softmax, and yours is 3 times what is",
        ),
    ):
        expect(not close(found, factor * wanted), f"{why} expected: {expected}, yours {first}")
    expect(
        close(found, wanted, 1e-3),
        f"both sides are softened: moving each logit a little and looking gives {expected} for the first, yours is {first}",
    )


def by_differences(student, teacher, t: float, step: float = 1e-5) -> torch.Tensor:
    """The gradient by moving each logit a little up and a little down."""
    gradient = torch.zeros_like(student)
    for b in range(len(student)):
        for k in range(student.shape[1]):
            up, down = student.clone(), student.clone()
            up[b, k] += step
            down[b, k] -= step
            gradient[b, k] = (
                t**2
                * (slow_cross_entropy(up, teacher, t) - slow_cross_entropy(down, teacher, t))
                / (2 * step)
            )
    return gradient
