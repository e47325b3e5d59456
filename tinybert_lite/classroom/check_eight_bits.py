"""Checks of the exercises on 8 bits: numbers on a grid, ranges that follow, the gradient of a staircase, products of whole numbers."""

from __future__ import annotations

import math

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    check,
    close,
    compared,
    expect,
    need_kind,
    number,
)


@check
def to_whole_numbers(yours, seed: int = 0) -> None:
    """yours(x, bits) -> k, whole numbers of the shape of x, and their scale max |x| / (2^(bits − 1) − 1), a scalar."""
    x = torch.tensor([[3.0, -63.5, 32.4], [-15.3, 25.0, 50.0]])[
        :, torch.randperm(3, generator=torch.Generator().manual_seed(seed))
    ]
    k = torch.tensor([[by_hand(value, 0.5) for value in row] for row in x.tolist()])
    names = [f"{row + 1}, {column + 1}" for row in range(2) for column in range(3)]
    found = attempt(
        yours,
        x,
        8,
        like=(),
        draw=lambda found: compared(names, k, found and found[0], {"x": x}, "k (row, column)"),
    )
    expect(len(found) == 2, f"two things are wanted, k and the scale: yours are {len(found)}")
    need_kind(found[0], k)
    need_kind(found[1], torch.tensor(0.0))
    scale = found[1]
    expect(
        not close(scale, 50 / 127),
        f"a range has two sides: -63.5 is the farthest from 0, so the scale is 63.5 / 127 = 0.5; yours is {number(scale)}, from the largest number",
    )
    expect(
        not close(scale, 63.5 / 128),
        f"127 is the last number up: max |x| / 128 = {number(scale)} would make 128 of it, which 8 bits do not hold; the scale is 0.5",
    )
    expect(
        not close(scale, 63.5 / 255),
        f"half of the numbers are below 0: 8 bits go up to 127, not to 255, so the scale is 0.5; yours is {number(scale)}",
    )
    expect(
        close(scale, 0.5),
        f"the scale is max |x| / 127: here 63.5 / 127 = 0.5; yours is {number(scale)}",
    )
    expect(
        close(found[0], torch.round(found[0].double())),
        f"whole numbers are wanted: yours begin {number(found[0].flatten()[0])}, {number(found[0].flatten()[1])}",
    )
    low = yours(torch.tensor([32.4, 63.5]), 8)[0][0]
    expect(
        not close(low, 64),
        "to the nearest: 32.4 is 64.8 steps of 0.5, and 65 is nearer than 64; yours cuts the rest off",
    )
    expect(
        close(found[0], k),
        f"k is round(x / scale): expected {k.flatten().tolist()}, yours is {found[0].flatten().tolist()}",
    )
    three, step = yours(torch.tensor([0.3, -0.11]), 3)
    expect(
        close(step, 0.1) and close(three, torch.tensor([3, -1])),
        f"3 bits go up to 3: for 0.3 and -0.11 the scale is 0.1 and k is 3, -1; yours are {number(step)} and {three.tolist()}",
    )
    nothing, _ = yours(torch.zeros(2), 8)
    expect(
        close(nothing, torch.zeros(2)),
        f"a matrix of zeros stays one: its largest number is 0, by which nothing can be divided; yours is {nothing.tolist()}",
    )


def by_hand(value: float, scale: float) -> int:
    """The whole number whose place on the grid is nearest, found by trying all."""
    return min(range(-128, 128), key=lambda k: abs(k * scale - value))


@check
def follow(yours, seed: int = 0) -> None:
    """yours(input_range, batch, decay) -> the range after a batch: decay · range + (1 − decay) · max |batch|; after the first batch its own."""
    draws = torch.Generator().manual_seed(seed)
    batches = [torch.randn(4, 5, generator=draws) * size - 1 for size in (2.0, 1.0, 3.0, 0.5)]
    decay, wanted, along = 0.75, [], 0.0
    for batch in batches:
        largest = max(abs(value) for row in batch.tolist() for value in row)
        along = decay * along + (1 - decay) * largest if wanted else largest
        wanted.append(along)

    def run(input_range, given):
        found = []
        for batch in given:
            input_range = yours(input_range, batch, decay)
            need_kind(input_range, 0.0)
            found.append(float(input_range))
        return found

    found = attempt(
        run,
        0.0,
        batches,
        like=[],
        draw=lambda found: compared(
            [f"batch {i + 1}" for i in range(len(batches))],
            wanted,
            found,
            title="range after each batch",
        ),
    )
    first = float(yours(0.0, torch.tensor([1.5, -4.0]), decay))
    expect(
        not close(first, 1.5) and not close(first, 1.5 * (1 - decay)),
        f"below 0 counts too: of 1.5 and -4 the largest is |-4| = 4; yours is {number(first)}",
    )
    expect(
        not close(first, 4 * (1 - decay)),
        f"the first batch is taken as it is: from no range (0) to a batch with 4 the range is 4; yours is {number(first)}, which cuts off most of the next batch",
    )
    expect(
        not close(first, 2.75),
        f"the largest, not the mean: of |1.5| and |-4| it is 4; yours is {number(first)}",
    )
    expect(
        close(first, 4),
        f"the first batch's range is its largest |x|: 4 for 1.5 and -4; yours is {number(first)}",
    )
    down, up = (float(yours(8.0, torch.tensor([value]), decay)) for value in (4.0, 16.0))
    expect(
        not close(down, 8),
        f"a range can shrink: after 8 a batch with 4 brings it to 7; yours stays at {number(down)}, and one outlier would rule for ever",
    )
    expect(
        not close(down, 4),
        f"it remembers: after 8 a batch with 4 brings it to 7, not to that batch's own {number(down)}",
    )
    expect(
        not close(down, 6),
        f"decay is the weight of the past: after 8 a batch with 4 brings it to 0.75 · 8 + 0.25 · 4 = 7; yours is {number(down)}, the plain average of both",
    )
    expect(
        not close(down, 5),
        f"the past weighs decay, the batch the rest: 0.75 · 8 + 0.25 · 4 = 7; yours is {number(down)}, the other way round",
    )
    expect(
        close(down, 7) and close(up, 10),
        f"decay · range + (1 − decay) · max |x|: after 8 batches with 4 and 16 bring 7 and 10; yours are {number(down)} and {number(up)}",
    )
    expect(
        close(found, wanted),
        f"over four batches a loop gives {number(wanted[-1])}, yours is {number(found[-1])}",
    )


@check
def rounded_gradient(yours, seed: int = 0) -> None:
    """yours(gradient, x, scale, bits) -> what the straight-through estimator hands back for x, of its shape."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.tensor([-3.0, -1.09, -0.7, -0.1, 0.0, 0.3, 0.8, 0.97, 2.0])
    gradient = torch.randn(len(x), generator=draws) + 3
    inside = torch.tensor(
        [0.0, 1, 1, 1, 1, 1, 1, 0, 0]
    )  # a grid of 0.25 with 3 bits: -1 … 0.75, and half a step beyond
    wanted = gradient * inside
    names = [f"{value:g}" for value in x.tolist()]
    inputs = {"gradient that comes": gradient[None]}
    found = attempt(
        yours,
        gradient,
        x,
        0.25,
        3,
        like=wanted,
        draw=lambda found: compared(names, wanted, found, inputs, "handed back, by x"),
    )
    first = number(found[0])
    expect(
        not close(found, torch.zeros(len(x))),
        "rounding's own gradient is 0, and so would be every weight's step: inside of the range the gradient passes as it came",
    )
    expect(
        not close(found, gradient),
        f"nothing passes outside: -3 was cut off to -1, and no small change shows; 0 is wanted there, yours is {first}",
    )
    expect(
        not close(found, inside),
        f"the gradient that came is handed on: for x = 0.3 that is {number(gradient[5])}, yours is {number(found[5])}",
    )
    expect(
        not close(found, wanted / 0.25) and not close(found, wanted * 0.25),
        f"divided by the scale and multiplied again: it cancels; for x = 0.3 expected {number(wanted[5])}, yours is {number(found[5])}",
    )
    expect(
        close(found[1], wanted[1]),
        f"what rounds to the last value is inside: -1.09 becomes -1, a step of the grid, as -1.05 does; expected {number(wanted[1])}, yours is {number(found[1])}",
    )
    expect(
        close(found[7], wanted[7]),
        f"3 bits end at 3 above and at -4 below: 0.97 is 3.88 steps of 0.25, rounds to 4 and is cut off to 3; 0 is wanted, yours is {number(found[7])}",
    )
    expect(
        close(found, wanted),
        f"1 inside of the range, 0 outside: expected {[round(value, 3) for value in wanted.tolist()]}, yours is {[round(value, 3) for value in found.tolist()]}",
    )


@check
def whole_product(yours, seed: int = 0) -> None:
    """yours(kx, of_x, kw, of_w, bias): int8 (B, I) and (O, I), a scale each, float32 (O,) -> the layer's output (B, O) by whole numbers."""
    draws = torch.Generator().manual_seed(seed)
    kx, kw = (
        torch.randint(-128, 128, shape, generator=draws).to(torch.int8)
        for shape in ((2, 300), (3, 300))
    )
    of_x, of_w, bias = 0.05, 0.002, torch.tensor([1.00004, -20.3, 0.0])
    wanted = slow_product(kx, of_x, kw, of_w, bias)
    names = [f"{row + 1}, {column + 1}" for row in range(2) for column in range(3)]
    found = attempt(
        yours,
        kx,
        of_x,
        kw,
        of_w,
        bias,
        like=wanted,
        draw=lambda found: compared(
            names, wanted, found, {"bias": bias[None]}, "output (row, output)"
        ),
    )

    def simple(
        x: list[int], w: list[int], b: float = 0.0, of_x: float = 1.0, of_w: float = 1.0
    ) -> float:
        return float(
            yours(
                torch.tensor([x], dtype=torch.int8),
                of_x,
                torch.tensor([w], dtype=torch.int8),
                of_w,
                torch.tensor([b]),
            )[0, 0]
        )

    two = simple([100, 100], [1, 1])
    expect(close(two, 200), f"8 bits do not hold a sum: 100 + 100 is 200, yours is {number(two)}")
    many = simple([127] * 4, [127] * 4)
    expect(
        close(many, 64516),
        f"16 bits are soon full: four products of 127 · 127 add up to 64516, yours is {number(many)}",
    )
    scaled = simple([10], [10], 0.0, 0.5, 0.25)
    expect(
        not close(scaled, 100),
        f"whole numbers stand for something: 10 · 10 with scales of 0.5 and 0.25 is 12.5; yours is {number(scaled)}",
    )
    expect(
        not any(close(scaled, wrong) for wrong in (50, 25)),
        f"both scales count: 10 · 10 with scales of 0.5 and 0.25 is 12.5; yours is {number(scaled)}",
    )
    expect(
        close(scaled, 12.5),
        f"the product is scaled by both: 10 · 10 with scales of 0.5 and 0.25 is 12.5; yours is {number(scaled)}",
    )
    with_bias = simple([0], [0], 3.0, 0.5, 0.25)
    expect(not close(with_bias, 0), "the bias is added: 0 · 0 with a bias of 3 is 3; yours is 0")
    expect(
        not close(with_bias, 0.375),
        f"the bias is divided before it is added: 3 is 24 of the product's steps of 0.125, and they stand for 3 again; yours is {number(with_bias)}",
    )
    large = simple([0], [0], 30.0, 0.5, 0.25)
    expect(
        close(large, 30),
        f"a bias needs 32 bits: 30 is 240 steps of 0.125, more than 127; yours is {number(large)}",
    )
    exact = simple([0], [0], 3.1, 0.5, 0.25)
    expect(
        not close(exact, 3.1),
        f"the bias becomes a whole number too: 3.1 is 24.8 steps of 0.125, so 25 of them, 3.125; yours keeps {number(exact)}",
    )
    expect(
        close(exact, 3.125),
        f"steps of the product: the bias is a whole number of of_x · of_w = 0.125, and 3.1 becomes 25 · 0.125 = 3.125; yours is {number(exact)}",
    )
    expect(
        close(found, wanted, 1e-5),
        f"a loop over all numbers gives {number(wanted[0, 0])} for the first, yours is {number(found[0, 0])}",
    )


def slow_product(kx, of_x: float, kw, of_w: float, bias) -> torch.Tensor:
    """Number by number, in Python's own whole numbers."""
    step = of_x * of_w
    return torch.tensor(
        [
            [
                step * (sum(a * b for a, b in zip(row, column)) + math.floor(b0 / step + 0.5))
                for column, b0 in zip(kw.tolist(), bias.tolist())
            ]
            for row in kx.tolist()
        ]
    )
