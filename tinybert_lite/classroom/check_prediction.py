"""Checks of the exercises on stage 5, prediction-layer distillation, and on its checkpoints."""

import math

import torch
from torch.autograd.functional import jacobian
from torch.nn.functional import cross_entropy

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    chips,
    expect,
    expect_close,
    expect_unlike,
    number,
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
    """yours(names) -> the `model_epoch_N.bin` of the largest N, None if there is none."""
    names, wanted = FOLDERS[seed % 2], NEWEST[seed % 2]

    def draw(found):
        expected, answer = (
            (names, [i for i, name in enumerate(names) if name == chosen])
            for chosen in (wanted, found)
        )
        return chips("folder", names, expected=expected, yours=found and answer)

    found = attempt(yours, names, like="", draw=draw)
    expect(
        found.startswith("model_epoch_"), f"only model_epoch_N.bin is an epoch: yours is {found}"
    )
    expect(
        found != max(name for name in names if name.startswith("model_")),
        "numbers are compared as numbers: 10 comes after 9, although the text '10' comes before; "
        f"yours is {found}",
    )
    expect(
        found == wanted,
        f"the largest N is wanted, wherever it is in the list: expected {wanted}, yours is {found}",
    )
    half = ["model_epoch_1.bin", "model_epoch_2.bin.part"]
    expect(
        yours(list(half)) == half[0],
        f"a half-written file does not count: of {half} the first is wanted, "
        f"yours is {yours(list(half))}",
    )
    try:
        none = yours(["config.json", "pytorch_model.bin"])
    except Exception as error:
        none = f"a {type(error).__name__}"
    expect(none is None, f"a folder without an epoch gives None: yours gives {none}")


@check
def soft_cross_entropy(yours, seed: int = 0) -> None:
    """yours(student, teacher, t) -> −softmax(z_T / t) · log softmax(z_S / t), the mean over rows.

    student, teacher: logits (B, K).
    """
    student, teacher = 2 * torch.randn(2, 3, 4)
    t = 2.0
    wanted = torch_loss(student, teacher, t)
    inputs = {"student's logits": student, "teacher's logits": teacher}
    found = attempt(yours, student, teacher, t, like=wanted, inputs=inputs, title="loss")
    far, undecided = torch.tensor([[1000.0, 0.0]]), torch.zeros(1, 2)
    loss = yours(far, undecided, 1.0)
    expect(
        math.isfinite(loss),
        "large logits stay finite: a student with (1000, 0) and a teacher with (0, 0) give 500; "
        f"yours is {number(loss)}",
    )
    loss, log2 = yours(undecided.repeat(3, 1), far.repeat(3, 1), 1.0), math.log(2)
    expect_unlike(loss, 3 * log2, "the mean over rows: three rows of log 2 = 0.6931 have that mean")
    expect_close(
        loss,
        log2,
        "the sum over classes: a certain teacher and a student with (0, 0) give log 2 = 0.6931",
    )
    leaning = torch.tensor([[0.0, 1.0]])
    certain, unsure = (yours(leaning, z * leaning, 1.0) for z in (3.0, 0.5))
    expect_unlike(
        certain,
        unsure,
        "soft targets: teachers with (0, 3) and with (0, 0.5) must give different losses",
    )
    p = 1 / (1 + math.exp(-1))
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    expect_close(
        yours(leaning, leaning, 1.0),
        entropy,
        "the smallest loss is the teacher's entropy, not zero: equal logits (0, 1) give "
        f"{number(entropy)}",
    )
    loss, by_hand = yours(2 * leaning, undecided, 2.0), -0.5 * math.log(p * (1 - p))
    case = f"(0, 2) at t = 2 against (0, 0) gives {number(by_hand)}"
    expect_unlike(loss, 4 * by_hand, f"Eq. 10 has no factor t²: {case}")
    expect_close(loss, by_hand, f"the student's logits are divided by t: {case}")
    expect_close(
        found,
        wanted,
        f"the teacher's logits are divided by t: torch's own cross_entropy gives {number(wanted)}",
    )


def torch_loss(student, teacher, t: float) -> torch.Tensor:
    """Compute torch's own cross-entropy with soft targets."""
    return cross_entropy(student / t, torch.softmax(teacher / t, -1))


@check
def soft_gradient(yours, seed: int = 0) -> None:
    """yours(student, teacher, t) -> the gradient of t² times the loss above, (B, K).

    The gradient is the one for the student's logits; student, teacher: logits (B, K).
    """
    student, teacher = (2 * torch.randn(2, 2, 3)).double()
    t = 3.0
    wanted = jacobian(lambda logits: t**2 * torch_loss(logits, teacher, t), student)
    inputs = {"student's logits": student, "teacher's logits": teacher}
    found = attempt(
        yours, student, teacher, t, like=wanted, inputs=inputs, title="gradient (row, class)"
    )
    expect_close(
        yours(student, student, t),
        torch.zeros(2, 3),
        "equal logits give no gradient: where the student equals the teacher it is 0",
    )
    expect_close(
        found.sum(1), torch.zeros(2), "each row of the gradient sums to 0: softmax sums to 1"
    )
    for factor, why in (
        (-1, "the gradient points uphill: the update subtracts it, so the signs are swapped"),
        (2, "the loss is a mean over rows: divide by B, yours is twice the expected for two rows"),
        (1 / t**2, "the factor t² is missing: yours is a ninth of the expected at t = 3"),
        (1 / t, "both factors count, t² outside and 1/t inside: yours is a third of the expected"),
        (t, "the chain rule gives a factor 1/t: yours is 3 times the expected"),
    ):
        expect_unlike(found, factor * wanted, f"{why}; expected {number(wanted)}")
    expect_close(
        found,
        wanted,
        f"teacher and student are both divided by t: autograd gives {number(wanted)}",
        1e-3,
    )
