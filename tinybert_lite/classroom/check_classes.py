"""Checks of the exercises on a task of your own: what is taken for what, macro-F1, and rows to measure on."""

from __future__ import annotations

import random
from collections import Counter

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    beside,
    check,
    close,
    compared,
    expect,
    number,
    panels,
)


@check
def confusion(yours, seed: int = 0) -> None:
    """yours(predicted, gold, K), both (n,) -> (K, K) counts, a row for each gold class."""
    draws = torch.Generator().manual_seed(seed)
    gold = torch.randint(4, (30,), generator=draws)
    predicted = torch.where(torch.rand(30, generator=draws) < 0.6, gold, (gold + 1) % 4)
    wanted = counted(predicted.tolist(), gold.tolist(), 4)

    def draw(found):
        figure, axes = panels(2 if found is not None else 1)
        for ax, name, table in zip(axes, ("expected", "yours"), (wanted, found)):
            ax.imshow(table, cmap="Blues")
            ax.set(title=name, xlabel="taken for", ylabel="is")
            for row in range(4):
                for column in range(4):
                    ax.text(column, row, number(table[row, column]), ha="center", va="center")
        return figure

    found = attempt(yours, predicted, gold, 4, like=wanted, draw=draw)
    lonely = yours(torch.tensor([0, 0]), torch.tensor([0, 1]), 3)
    expect(
        tuple(lonely.shape) == (3, 3),
        f"a class without rows has its place too: 3 classes want a table of (3, 3), yours is {tuple(lonely.shape)}",
    )
    expect(
        close(lonely.sum(), 2),
        f"rows are counted, not shares: the table of 2 rows sums to 2, yours to {number(lonely.sum())}",
    )
    expect(
        close(lonely[1, 0], 1),
        f"a row of the table is a gold class: gold 1 taken for 0 stands in row 1, column 0, and yours has {number(lonely[1, 0])} there",
    )
    many = yours(torch.zeros(5).long(), torch.zeros(5).long(), 3)[0, 0]
    expect(
        close(many, 5),
        f"every row of the data counts: 0 taken for 0 five times is 5, yours is {number(many)}",
    )
    expect(
        close(found, wanted),
        f"counted one by one: the largest difference of any cell is {number((found - wanted).abs().max())}",
    )


def counted(predicted: list[int], gold: list[int], classes: int) -> torch.Tensor:
    pairs = Counter(zip(gold, predicted))
    return torch.tensor(
        [[pairs[row, column] for column in range(classes)] for row in range(classes)]
    )


@check
def macro_f1(yours, seed: int = 0) -> None:
    """yours(table), (K, K) counts with a row for each gold class -> the mean of the classes' F1."""
    draws = torch.Generator().manual_seed(seed)
    table = torch.randint(1, 9, (3, 3), generator=draws) + torch.diag(torch.tensor([60, 12, 3]))
    wanted = by_hand(table.tolist())
    found = attempt(
        yours,
        table,
        like=0.0,
        draw=lambda found: compared(
            ["macro-F1"], wanted, found, {"rows (gold by taken for)": table}
        ),
    )
    perfect = yours(torch.diag(torch.tensor([9, 1])))
    expect(close(perfect, 1), f"all right is 1: yours is {number(perfect)}")
    never = yours(torch.tensor([[9, 0], [1, 0]]))
    expect(
        never == never,
        "a class that is never answered and never right has an F1 of 0: there is nothing to divide by, and yours is not a number",
    )
    expect(
        not close(never, 18 / 19),
        f"a class that is never answered counts as 0: of 9 + 1 rows all are taken for the first, F1 is (18/19 + 0) / 2, yours is {number(never)}",
    )
    expect(
        not close(never, 0.9),
        f"every class weighs the same, whatever its rows: always the first of 9 + 1 rows is (18/19 + 0) / 2 = 0.474, yours is {number(never)}, the accuracy",
    )
    expect(
        not close(never, 0.9 * 18 / 19),
        f"classes are not weighted by their rows: always the first of 9 + 1 rows is 0.474, yours is {number(never)}",
    )
    expect(
        not close(never, 0.5),
        f"answers that are wrong cost too: always the first of 9 + 1 rows has recalls of 1 and 0, but F1 asks for precision as well; 0.474 is wanted, yours is {number(never)}",
    )
    one = yours(torch.tensor([[2, 6], [0, 2]]))
    expect(
        close(one, (0.4 + 0.4) / 2),
        f"first each class's F1, then the mean: [[2, 6], [0, 2]] has 2/5 and 2/5, the mean 0.4; yours is {number(one)}",
    )
    expect(
        close(found, wanted),
        f"class by class: a loop gives {number(wanted)}, yours is {number(found)}",
    )


def by_hand(table: list[list[int]]) -> float:
    """From the rows that are right, those wrongly taken for a class and those of it that were missed."""
    scores = []
    for k, row in enumerate(table):
        right, missed, wrongly = (
            row[k],
            sum(row) - row[k],
            sum(other[k] for other in table) - row[k],
        )
        scores.append(2 * right / (2 * right + missed + wrongly) if right else 0.0)
    return sum(scores) / len(scores)


@check
def rows_to_measure_on(yours, seed: int = 0) -> None:
    """yours(texts, labels, share, rng) -> the places of the rows that are drawn."""
    labels = ["loans"] * 60 + ["rooms"] * 30 + ["events"] * 4
    order = random.Random(seed).sample(range(94), 94)
    labels = [labels[place] for place in order]
    texts = [f"text {place}" for place in range(94)]
    wanted = {"loans": 12, "rooms": 6, "events": 1}

    def draw(found):
        figure, (ax,) = panels(1, 5, 2.8)
        drawn = (
            None
            if found is None
            else Counter(labels[place] for place in found if isinstance(place, int) and place < 94)
        )
        beside(ax, list(wanted), list(wanted.values()), drawn and [drawn[name] for name in wanted])
        ax.set(title="rows drawn, of 60, 30 and 4", ylabel="rows")
        return figure

    found = attempt(yours, texts, labels, 0.2, random.Random(seed), like=[0], draw=draw)
    expect(
        all(isinstance(place, int) for place in found),
        f"places of rows are wanted, not texts: yours are {found[:3]}",
    )
    expect(
        len(set(found)) == len(found),
        f"a row is drawn once: {len(found)} places of yours, {len(set(found))} of them different",
    )
    counts = Counter(labels[place] for place in found)
    expect(
        counts["events"],
        f"a small class has a row there too: 0.2 of 4 events is less than one row, so one is drawn; yours are {dict(counts)}",
    )
    expect(
        counts == wanted,
        f"each class gives its share: 0.2 of 60 loans, 30 rooms and 4 events are 12, 6 and 1; yours are {dict(counts)}",
    )
    again = yours(texts, labels, 0.2, random.Random(seed))
    expect(
        sorted(again) == sorted(found),
        f"the same rng draws the same rows: two calls gave {sorted(found)[:3]} … and {sorted(again)[:3]} …",
    )
    other = yours(texts, labels, 0.2, random.Random(seed + 1))
    expect(
        sorted(other) != sorted(found),
        f"rows are drawn by chance: another rng drew the very same rows, {sorted(found)[:4]} …",
    )
    twice = ["same"] * 8 + [f"text {place}" for place in range(12)]
    for turn in range(20):
        drawn = yours(twice, ["loans"] * 20, 0.5, random.Random(turn))
        leaks = [place for place in drawn if twice[place] == "same"]
        expect(
            not leaks or len(leaks) == 8,
            f"no text lies on both sides: one stands there 8 times, and {len(leaks)} of these were drawn",
        )
        expect(
            not leaks,
            f"a text that comes twice stays in training: the 8 rows with the same text were drawn, {leaks}",
        )
    expect(
        len(drawn) == 10,
        f"the share is of all rows of a class: 0.5 of 20 is 10, whichever may not be drawn; yours are {len(drawn)}",
    )
