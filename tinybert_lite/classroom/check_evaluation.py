"""Checks of the exercises on evaluating and comparing."""

import math
import statistics

import torch
from sklearn.metrics import accuracy_score, matthews_corrcoef
from torch.nn.functional import one_hot

from tinybert_lite.classroom.checking import (
    COLOURS,
    attempt,
    check,
    expect,
    expect_close,
    expect_unlike,
    number,
)
from tinybert_lite.plots.panels import GREY, new_figure


@check
def compare(yours, seed: int = 0) -> None:
    """yours(teacher, student, labels) -> {"accuracy", "agreement", "retention"}.

    teacher, student: logits (n, K); labels: (n,).
    """
    labels = torch.randint(3, (12,))
    teacher, student = (torch.randn(12, 3) + lift * one_hot(labels, 3) for lift in (2.0, 0.4))
    their_answers, answers = teacher.argmax(1), student.argmax(1)
    accuracy = accuracy_score(labels, answers)
    wanted = {
        "accuracy": accuracy,
        "agreement": accuracy_score(their_answers, answers),
        "retention": accuracy / accuracy_score(labels, their_answers),
    }
    inputs = {
        "teacher's logits (rows by classes)": teacher,
        "student's logits (rows by classes)": student,
    }
    found = attempt(yours, teacher, student, labels, like=wanted, inputs=inputs)

    for name, answers, value, why in (
        (
            "accuracy",
            ("0000", "0111", "0110"),
            0.75,
            "accuracy is the student's, against the labels: 0111 and labels 0110 give 0.75",
        ),
        (
            "agreement",
            ("0111", "0111", "1001"),
            1,
            "agreement does not use the labels: teacher and student both predict 0111, labels are "
            "1001, and the agreement is 1",
        ),
        (
            "agreement",
            ("0011", "0101", "0011"),
            0.5,
            "agreement is counted row by row: 0011 and 0101 agree on 0.5, though both have two 1s",
        ),
        (
            "retention",
            ("0111", "0011", "0110"),
            2 / 3,
            "retention is a ratio of accuracies: the student's 2/4 by the teacher's 3/4 is 0.667",
        ),
    ):
        *logits, gold = (torch.tensor([int(digit) for digit in row]) for row in answers)
        logits = [torch.eye(2)[predicted] for predicted in logits]
        expect_close(yours(*logits, gold)[name], value, why)
    for name, value in wanted.items():
        expect_close(
            found[name], value, f"{name} of three classes: scikit-learn gives {number(value)}"
        )


@check
def matthews(yours, seed: int = 0) -> None:
    """yours(predicted, gold), both (n,) of 0 and 1 -> the Matthews correlation."""
    gold = (torch.rand(40) < 0.7).long()
    predicted = torch.where(torch.rand(40) < 0.75, gold, 1 - gold)
    wanted = float(matthews_corrcoef(gold, predicted))
    table = torch.bincount(2 * gold + predicted, minlength=4).view(2, 2)
    inputs = {"rows (gold by predicted)": table}
    found = attempt(yours, predicted, gold, like=wanted, inputs=inputs, title="Matthews")
    some = torch.tensor([0, 1, 1, 0])
    expect_close(yours(some, some), 1, "all right is 1: both rows are equal")
    expect_close(
        yours(1 - some, some), -1, "all wrong is −1: the sign shows that the labels are swapped"
    )
    chance = yours(torch.tensor([0, 0, 0, 1, 1, 1, 0, 1]), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1]))
    expect_close(chance, 0, "guessing is 0: right on half of each class")
    constant = float(yours(torch.ones(4).long(), some))
    expect(
        not math.isnan(constant),
        "a constant prediction scores 0: the correlation is 0 / 0, and yours is not a number",
    )
    expect_close(
        constant, 0, "a constant prediction scores 0: however often it is right, nothing correlates"
    )
    expect_close(
        found,
        wanted,
        f"it is the correlation of two rows of 0 and 1: scikit-learn gives {number(wanted)}",
    )


@check
def margin(yours, seed: int = 0) -> None:
    """yours(first, second) -> (difference of two accuracies, its standard error).

    first, second: (n,), 1 where a model is right and 0 where it is wrong, on the same rows.
    """
    second = (torch.rand(16) < 0.6).double()
    first = torch.where(torch.rand(16) < 0.75, second, 1 - second)
    first[:3], second[:3] = 1, 0
    differences = (first - second).tolist()
    wanted = statistics.mean(differences), statistics.stdev(differences) / 4

    def draw(found):
        figure, ((rows, result),) = new_figure(1, 2, (7.6, 2.4))
        rows.imshow(torch.stack([first, second]), aspect="auto", cmap="Greys", vmin=0, vmax=1.6)
        rows.set_yticks([0, 1], ["first", "second"])
        rows.set_title("right (dark) or wrong, row by row", fontsize=10)
        for name, answer in (("expected", wanted), ("yours", found)):
            if answer is not None and len(answer) == 2:
                difference, error = map(float, answer)
                colour = COLOURS[name]
                result.errorbar(difference, name, xerr=abs(error), fmt="o", color=colour, capsize=4)
        result.axvline(0, color=GREY, zorder=0)
        result.margins(y=0.5)
        result.set_title("first − second, ± 1 standard error", fontsize=10)
        return figure

    found = attempt(yours, first, second, like=wanted, draw=draw)
    expect(
        len(found) == 2,
        f"two numbers are wanted, the difference and its error: yours are {len(found)}",
    )
    difference, error = map(float, found)
    expect_close(
        difference, wanted[0], f"the difference is first minus second: here {number(wanted[0])}"
    )
    expect_close(
        yours(first, first)[1],
        0,
        "rows are paired: two models that are right on the same rows differ by 0 ± 0",
    )
    for wrong, why in (
        (wanted[1] * 4, "the error of a mean shrinks with √n: for 16 rows divide by √16 = 4"),
        (wanted[1] ** 2, "the error is the root of a variance: take the square root"),
        (
            wanted[1] * math.sqrt(15 / 16),
            "the variance uses the sample's own mean: divide by n − 1, not by n",
        ),
    ):
        expect_unlike(error, wrong, f"{why}; expected {number(wanted[1])}")
    expect_close(
        error,
        wanted[1],
        f"the standard error is the standard deviation by √n: expected {number(wanted[1])}",
    )
