"""Checks of the exercises on a task of your own: confusion matrix, macro-F1, dev rows."""

import random

import torch
from sklearn.metrics import confusion_matrix, f1_score

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
from tinybert_lite.plots.panels import cell_texts, new_figure


@check
def confusion(yours, seed: int = 0) -> None:
    """yours(predicted, gold, K), both (n,) -> (K, K) counts, one row per gold class."""
    gold = torch.randint(4, (30,))
    predicted = torch.where(torch.rand(30) < 0.6, gold, (gold + 1) % 4)
    wanted = torch.tensor(confusion_matrix(gold, predicted))

    def draw(found):
        figure, (axes,) = new_figure(1, 2, (6.4, 2.8))
        for ax, name, table in zip(axes, ("expected", "yours"), (wanted, found)):
            ax.set(title=name, xlabel="predicted", ylabel="gold")
            if table is not None:
                ax.imshow(table, cmap="Blues")
                cell_texts(ax, table.numpy(), "{:g}")
        return figure

    found = attempt(yours, predicted, gold, 4, like=wanted, draw=draw)
    lonely = yours(torch.tensor([0, 0]), torch.tensor([0, 1]), 3)
    expect(
        tuple(lonely.shape) == (3, 3),
        "a class without rows has a row and a column too: 3 classes give a (3, 3) table, "
        f"yours is {tuple(lonely.shape)}",
    )
    expect_close(
        lonely.sum(), 2, "entries are counts, not shares: a table of 2 data rows sums to 2"
    )
    expect_close(
        lonely[1, 0],
        1,
        "a row of the table is a gold class: gold 1 predicted as 0 is 1 at row 1, column 0",
    )
    many = yours(torch.zeros(5).long(), torch.zeros(5).long(), 3)[0, 0]
    expect_close(many, 5, "every row of the data counts: gold 0 predicted as 0 five times is 5")
    expect(
        close(found, wanted),
        "counts equal scikit-learn's: the largest difference in any cell is "
        f"{number((found - wanted).abs().max())}",
    )


@check
def macro_f1(yours, seed: int = 0) -> None:
    """yours(table), (K, K) counts with one row per gold class -> the mean F1 of the classes."""
    gold = torch.tensor([0] * 60 + [1] * 12 + [2] * 8)
    predicted = torch.where(torch.rand(80) < 0.7, gold, torch.randint(3, (80,)))
    table = torch.tensor(confusion_matrix(gold, predicted))
    wanted = float(f1_score(gold, predicted, average="macro"))
    inputs = {"rows (gold by predicted)": table}
    found = attempt(yours, table, like=wanted, inputs=inputs, title="macro-F1")
    expect_close(
        yours(torch.diag(torch.tensor([9, 1]))), 1, "all right is 1: the table is diagonal"
    )
    never = yours(torch.tensor([[9, 0], [1, 0]]))
    case = "always predicting the first class on 9 + 1 rows gives (18/19 + 0) / 2 = 0.474"
    expect(
        never == never,
        "a class that is never predicted and never right has an F1 of 0: its precision is 0 / 0, "
        "and yours is not a number",
    )
    expect_unlike(never, 18 / 19, f"a class that is never predicted counts as 0: {case}")
    expect_unlike(never, 0.9, f"every class has the same weight, and 0.9 is the accuracy: {case}")
    expect_unlike(never, 0.9 * 18 / 19, f"classes are not weighted by their rows: {case}")
    expect_unlike(never, 0.5, f"precision counts, not recall alone: {case}")
    one = yours(torch.tensor([[2, 6], [0, 2]]))
    expect_close(one, 0.4, "first each class's F1, then the mean: [[2, 6], [0, 2]] has 2/5 and 2/5")
    expect_close(found, wanted, f"the mean over classes: scikit-learn gives {number(wanted)}")


@check
def rows_to_measure_on(yours, seed: int = 0) -> None:
    """yours(texts, labels, share, rng) -> the places of the rows that are drawn."""
    labels = ["loans"] * 60 + ["rooms"] * 30 + ["events"] * 4
    random.Random(seed).shuffle(labels)
    texts = [f"text {place}" for place in range(94)]
    wanted = {"loans": 12, "rooms": 6, "events": 1}

    def counted(texts, labels, share, rng):
        found = yours(texts, labels, share, rng)
        expect(isinstance(found, list), f"a list of places is wanted, yours is {described(found)}")
        expect(
            all(isinstance(place, int) for place in found),
            f"places of rows are wanted, not texts: yours are {found[:3]}",
        )
        places.extend(found)
        return {name: sum(labels[place] == name for place in found) for name in wanted}

    places: list[int] = []
    counts = attempt(
        counted, texts, labels, 0.2, random.Random(seed), like=wanted, title="rows drawn"
    )
    expect(
        len(set(places)) == len(places),
        f"a row is drawn once: of your {len(places)} places {len(set(places))} are different",
    )
    expect(
        counts["events"],
        "a small class gives at least one row: 0.2 of 4 events is less than one row, so one is "
        f"drawn; yours are {counts}",
    )
    expect(
        counts == wanted,
        "each class gives its share: 0.2 of 60 loans, 30 rooms and 4 events are 12, 6 and 1; "
        f"yours are {counts}",
    )
    again, other = (
        sorted(yours(texts, labels, 0.2, random.Random(turn))) for turn in (seed, seed + 1)
    )
    places.sort()
    expect(
        again == places,
        f"the same rng draws the same rows: two calls gave {places[:3]} … and {again[:3]} …",
    )
    expect(
        other != places,
        f"rows are drawn at random: another rng drew the very same rows, {places[:4]} …",
    )
    twice = ["same"] * 8 + texts[:12]
    for turn in range(20):
        drawn = yours(twice, ["loans"] * 20, 0.5, random.Random(turn))
        leaks = [place for place in drawn if twice[place] == "same"]
        expect(
            len(leaks) in (0, 8),
            f"no text is on both sides: of 8 rows with the same text {len(leaks)} were drawn",
        )
        expect(
            not leaks,
            f"duplicate texts stay in training: the 8 rows with the same text were drawn, {leaks}",
        )
    expect(
        len(drawn) == 10,
        "the share is of all rows of a class, duplicates included: 0.5 of 20 is 10, "
        f"yours are {len(drawn)}",
    )
