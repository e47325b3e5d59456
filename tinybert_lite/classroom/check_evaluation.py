"""Checks of the exercises on evaluating and comparing."""

from __future__ import annotations

import math

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    close,
    compared,
    expect,
    number,
    panels,
    plain,
)
from tinybert_lite.plots.panels import GREY, STUDENT, TEACHER


@check
def compare(yours, seed: int = 0) -> None:
    """yours(teacher, student, labels): logits (n, K) twice, labels (n,) -> {"accuracy", "agreement", "retention"}."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (12,), generator=draws)
    teacher, student = (
        torch.randn(12, 3, generator=draws) + lift * torch.nn.functional.one_hot(labels, 3)
        for lift in (2.0, 0.4)
    )
    right, same, teacher_right = counted(teacher.tolist(), student.tolist(), labels.tolist())
    wanted = {"accuracy": right / 12, "agreement": same / 12, "retention": right / teacher_right}
    inputs = {
        "teacher's logits (rows by classes)": teacher,
        "student's logits (rows by classes)": student,
    }
    found = attempt(
        yours,
        teacher,
        student,
        labels,
        like=wanted,
        draw=lambda found: compared(
            list(wanted), list(wanted.values()), found and [found[name] for name in wanted], inputs
        ),
    )

    def case(first: str, second: str, gold: str) -> dict[str, float]:
        return yours(
            *(torch.eye(2)[[int(letter) for letter in answers]] for answers in (first, second)),
            torch.tensor([int(letter) for letter in gold]),
        )

    accuracy = case("0000", "0111", "0110")["accuracy"]
    expect(
        close(accuracy, 0.75),
        f"accuracy is the student's, against the labels: answers 0111 to labels 0110 are 0.75; yours is {number(accuracy)}",
    )
    agreement = case("0111", "0111", "1001")["agreement"]
    expect(
        close(agreement, 1),
        f"agreement asks no labels: teacher and student both say 0111 to labels 1001, mostly wrong, and agree on 1; yours is {number(agreement)}",
    )
    agreement = case("0011", "0101", "0011")["agreement"]
    expect(
        close(agreement, 0.5),
        f"agreement is row by row: 0011 and 0101 agree on 0.5, though both say 1 twice; yours is {number(agreement)}",
    )
    retention = case("0111", "0011", "0110")["retention"]
    expect(
        close(retention, 2 / 3),
        f"retention is a ratio of accuracies: the student's 2/4 by the teacher's 3/4 is 0.667; yours is {number(retention)}",
    )
    for name, value in wanted.items():
        expect(
            close(found[name], value),
            f"{name} of three classes: counted row by row it is {number(value)}, yours is {number(found[name])}",
        )


def counted(teacher, student, labels) -> tuple[int, int, int]:
    """Rows where the student is right, where both answer alike, where the teacher is right."""
    right = same = teacher_right = 0
    for theirs, mine, gold in zip(teacher, student, labels):
        their_answer, answer = theirs.index(max(theirs)), mine.index(max(mine))
        right, same, teacher_right = (
            right + (answer == gold),
            same + (answer == their_answer),
            teacher_right + (their_answer == gold),
        )
    return right, same, teacher_right


@check
def matthews(yours, seed: int = 0) -> None:
    """yours(predicted, gold), both (n,) of 0 and 1 -> the Matthews correlation."""
    draws = torch.Generator().manual_seed(seed)
    gold = (torch.rand(40, generator=draws) < 0.7).long()
    predicted = torch.where(torch.rand(40, generator=draws) < 0.75, gold, 1 - gold)
    wanted = correlation(predicted.tolist(), gold.tolist())
    table = torch.tensor(
        [
            [int(((gold == row) & (predicted == column)).sum()) for column in (0, 1)]
            for row in (0, 1)
        ]
    )
    found = attempt(
        yours,
        predicted,
        gold,
        like=0.0,
        draw=lambda found: compared(
            ["Matthews"], wanted, found, {"rows (gold by predicted)": table}
        ),
    )
    some = torch.tensor([0, 1, 1, 0])
    perfect, opposite = yours(some, some), yours(1 - some, some)
    expect(close(perfect, 1), f"all right is 1: yours is {number(perfect)}")
    expect(
        close(opposite, -1),
        f"all wrong is −1, for the sign says which way round the labels are: yours is {number(opposite)}",
    )
    chance = yours(torch.tensor([0, 0, 0, 1, 1, 1, 0, 1]), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]))
    expect(
        close(chance, 0), f"guessing is 0: right on half of each class; yours is {number(chance)}"
    )
    constant = plain(yours(torch.ones(4).long(), some))
    expect(
        not math.isnan(constant),
        "one answer for all rows is worth 0: there is nothing to correlate, and yours is not a number",
    )
    expect(
        close(constant, 0),
        f"one answer for all rows is worth 0, however often it is right: yours is {number(constant)}",
    )
    expect(
        close(found, wanted),
        f"it is the correlation of two rows of 0 and 1: a loop gives {number(wanted)}, yours is {number(found)}",
    )


def correlation(a: list[int], b: list[int]) -> float:
    """Pearson's, in loops: for numbers 0 and 1 the same as Matthews'."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    together = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    return together / math.sqrt(
        sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    )


@check
def margin(yours, seed: int = 0) -> None:
    """yours(first, second), both (n,) of 0 and 1, right or not on the same rows -> (difference, its standard error)."""
    draws = torch.Generator().manual_seed(seed)
    second = (torch.rand(16, generator=draws) < 0.6).double()
    first = torch.where(torch.rand(16, generator=draws) < 0.75, second, 1 - second)
    first[:3], second[:3] = 1, 0
    wanted = jackknife(first.tolist(), second.tolist())

    def draw(found):
        figure, axes = panels(2, 3.8, 2.4)
        axes[0].imshow(
            torch.stack([first, second]).numpy(), aspect="auto", cmap="Greys", vmin=0, vmax=1.6
        )
        axes[0].set_yticks([0, 1], ["first", "second"])
        axes[0].set_title("right (dark) or wrong, row by row", fontsize=10)
        for height, answer, name, colour in (
            (1, wanted, "expected", TEACHER),
            (0, found, "yours", STUDENT),
        ):
            if answer is not None and len(answer) == 2:
                axes[1].errorbar(
                    [plain(answer[0])],
                    [height],
                    xerr=[abs(plain(answer[1]))],
                    fmt="o",
                    color=colour,
                    capsize=4,
                )
        axes[1].axvline(0, color=GREY, zorder=0)
        axes[1].set_yticks([0, 1], ["yours", "expected"])
        axes[1].set(ylim=(-0.6, 1.6))
        axes[1].set_title("first − second, ± 1 standard error", fontsize=10)
        return figure

    found = attempt(yours, first, second, like=wanted, draw=draw)
    expect(
        len(found) == 2,
        f"two numbers are wanted, the difference and its error: yours are {len(found)}",
    )
    difference, error = map(plain, found)
    expect(
        close(difference, wanted[0]),
        f"the difference is first minus second: {number(wanted[0])}, yours is {number(difference)}",
    )
    alike = plain(yours(first, first)[1])
    expect(
        close(alike, 0),
        f"rows are paired: two models that are right on the same rows differ by 0 ± 0, yours by ± {number(alike)}",
    )
    expect(
        not close(error, wanted[1] * 4),
        f"the error of a mean shrinks with √n: for 16 rows yours is √16 = 4 times the expected {number(wanted[1])}",
    )
    expect(
        not close(error, wanted[1] ** 2),
        f"the error is the root of a variance: the root of {number(error)} is wanted",
    )
    expect(
        not close(error, wanted[1] * math.sqrt(15 / 16)),
        f"the rows' own mean was used, so divide by n − 1: for 16 rows yours is √(15/16) times the expected {number(wanted[1])}",
    )
    expect(
        close(error, wanted[1]),
        f"the standard error: leaving out one row after the other gives {number(wanted[1])}, yours is {number(error)}",
    )


def jackknife(first: list[float], second: list[float]) -> tuple[float, float]:
    """The difference of two accuracies, and its error from leaving out each row in turn."""
    n = len(first)
    without = [
        sum(a - b for j, (a, b) in enumerate(zip(first, second)) if j != i) / (n - 1)
        for i in range(n)
    ]
    centre = sum(without) / n
    return (sum(first) - sum(second)) / n, math.sqrt(
        (n - 1) / n * sum((value - centre) ** 2 for value in without)
    )
