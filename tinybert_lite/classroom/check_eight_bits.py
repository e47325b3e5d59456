"""Checks of the exercises on 8 bits: rounding, ranges, the gradient of rounding, products."""

import torch

from tinybert_lite.classroom.checking import (
    attempt,
    bars,
    check,
    close,
    expect,
    expect_close,
    expect_unlike,
    need_kind,
    number,
    numbers,
)


@check
def to_whole_numbers(yours, seed: int = 0) -> None:
    """yours(x, bits) -> (integers k of the shape of x, the scale max |x| / (2^(bits − 1) − 1))."""
    x = torch.tensor([[3.0, -63.5, 32.4], [-15.3, 25.0, 50.0]])[:, torch.randperm(3)]
    k = torch.tensor([[nearest(value, 0.5) for value in row] for row in x.tolist()])

    def draw(found):
        return bars(k, found and found[0], inputs={"x": x}, title="k (row, column)")

    found = attempt(yours, x, 8, like=(), draw=draw)
    expect(len(found) == 2, f"two things are wanted, k and the scale: yours are {len(found)}")
    whole, scale = found
    need_kind(whole, k)
    need_kind(scale, 0.0)
    for wrong, why in (
        (50 / 127, "negative numbers count too: -63.5 has the largest absolute value, not 50"),
        (63.5 / 128, "the largest number is 127: divided by 128, 63.5 would become 128 itself"),
        (63.5 / 255, "half of the numbers are negative: 8 bits go up to 127, not to 255"),
    ):
        expect_unlike(scale, wrong, f"{why}; the scale is 63.5 / 127 = 0.5")
    expect_close(scale, 0.5, "the scale is max |x| / 127: here 63.5 / 127 = 0.5")
    expect(
        close(whole, numbers(whole).round()), f"whole numbers are wanted: yours are {number(whole)}"
    )
    low = yours(torch.tensor([32.4, 63.5]), 8)[0][0]
    expect_unlike(low, 64, "round to the nearest: 32.4 / 0.5 = 64.8 is 65, not cut off to 64")
    expect_close(whole, k, f"k is round(x / scale): expected {number(k)}")
    three, step = yours(torch.tensor([0.3, -0.11]), 3)
    expect(
        close(step, 0.1) and close(three, [3, -1]),
        "3 bits go up to 3: for 0.3 and -0.11 the scale is 0.1 and k is 3, -1; "
        f"yours are {number(step)} and {number(three)}",
    )
    zeros = torch.zeros(2)
    expect_close(
        yours(zeros, 8)[0], zeros, "a matrix of zeros stays zero: avoid the division 0 / 0"
    )


def nearest(value: float, scale: float) -> int:
    """Return the integer k whose k · scale is nearest to `value`, found by trying all."""
    return min(range(-128, 128), key=lambda k: abs(k * scale - value))


@check
def follow(yours, seed: int = 0) -> None:
    """yours(range, batch, decay) -> the new range: decay · range + (1 − decay) · max |batch|.

    The first range is 0, and then the result is max |batch|.
    """
    batches = [torch.randn(4, 5) * size - 1 for size in (2.0, 1.0, 3.0, 0.5)]
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

    found = attempt(run, 0.0, batches, like=wanted, title="range after each batch")
    (first,) = run(0.0, [torch.tensor([1.5, -4.0])])
    for wrong in (1.5, 1.5 * (1 - decay)):
        expect_unlike(first, wrong, "the absolute value counts: of 1.5 and -4 the largest is 4")
    expect_unlike(
        first,
        4 * (1 - decay),
        "the first batch sets the range: from no range (0) to a batch with 4 it is 4, or most of "
        "the next batch is cut off",
    )
    expect_unlike(first, 2.75, "the largest, not the mean: of |1.5| and |-4| it is 4")
    expect_close(first, 4, "the first batch's range is its largest |x|: 4 for 1.5 and -4")
    (down,), (up,) = (run(8.0, [torch.tensor([value])]) for value in (4.0, 16.0))
    case = "after the range 8, a batch with 4 gives 0.75 · 8 + 0.25 · 4 = 7"
    for wrong, why in (
        (8, "a range can shrink, or one outlier would set it for good"),
        (4, "the range remembers past batches"),
        (6, "decay is the weight of the past, which is not the plain average of both"),
        (5, "the past has the weight decay, the batch 1 − decay, not the other way round"),
    ):
        expect_unlike(down, wrong, f"{why}: {case}")
    expect(
        close([down, up], [7, 10]),
        "decay · range + (1 − decay) · max |x|: after the range 8, batches with 4 and 16 give 7 "
        f"and 10; yours are {number(down)} and {number(up)}",
    )
    expect_close(found, wanted, f"over four batches: expected {number(wanted)}")


@check
def rounded_gradient(yours, seed: int = 0) -> None:
    """yours(gradient, x, scale, bits) -> the straight-through gradient for x, of its shape."""
    x = torch.tensor([-3.0, -1.09, -0.7, -0.1, 0.0, 0.3, 0.8, 0.97, 2.0])
    gradient = torch.randn(len(x)) + 3
    # 3 bits with scale 0.25 are -1 … 0.75; values up to half a step beyond are rounded to them.
    inside = torch.tensor([0.0, 1, 1, 1, 1, 1, 1, 0, 0])
    wanted = gradient * inside
    found = attempt(
        yours,
        gradient,
        x,
        0.25,
        3,
        like=wanted,
        names=[f"{value:g}" for value in x.tolist()],
        inputs={"incoming gradient": gradient},
        title="returned, by x",
    )
    for wrong, why in (
        (0 * wanted, "rounding's own gradient is 0, and nothing would train: pass it on inside"),
        (gradient, "no gradient passes outside the range: -3 is cut off to -1, so it gets 0"),
        (inside, "the incoming gradient is passed on: not 1, but what came in"),
        (wanted / 0.25, "dividing by the scale and multiplying by it cancel: not 4 times as much"),
        (wanted * 0.25, "dividing by the scale and multiplying by it cancel: not a quarter"),
    ):
        expect_unlike(found, wrong, f"{why}; expected {number(wanted)}")
    expect_close(
        found[1],
        wanted[1],
        "what rounds to the last value is inside: -1.09 becomes -1, a value of the grid; "
        f"expected {number(wanted[1])}",
    )
    expect_close(
        found[7],
        wanted[7],
        "3 bits go from -4 to 3: 0.97 is 3.88 steps of 0.25, rounds to 4 and is cut off to 3; "
        "expected 0",
    )
    expect_close(found, wanted, f"1 inside the range, 0 outside: expected {number(wanted)}")


@check
def whole_product(yours, seed: int = 0) -> None:
    """yours(kx, of_x, kw, of_w, bias) -> a linear layer's output (B, O), computed in integers.

    kx: int8 (B, I), kw: int8 (O, I), with the scales of_x and of_w; bias: float32 (O,).
    """
    kx, kw = (torch.randint(-128, 128, (rows, 300)).to(torch.int8) for rows in (2, 3))
    bias = torch.tensor([1.00004, -20.3, 0.0])
    # float64 holds these integers exactly; one step is 0.05 · 0.002.
    wanted = 1e-4 * (kx.double() @ kw.double().T + (bias / 1e-4).round())
    found = attempt(
        yours,
        kx,
        0.05,
        kw,
        0.002,
        bias,
        like=wanted,
        inputs={"bias": bias},
        title="output (row, output)",
    )

    def one(x: list[int], w: list[int], bias: float = 0.0, scales=(0.5, 0.25)) -> float:
        x, w = (torch.tensor([values], dtype=torch.int8) for values in (x, w))
        return float(yours(x, scales[0], w, scales[1], torch.tensor([bias])))

    two = one([100, 100], [1, 1], scales=(1.0, 1.0))
    expect_close(two, 200, "8 bits do not hold a sum: 100 + 100 is 200")
    many = one([127] * 4, [127] * 4, scales=(1.0, 1.0))
    expect_close(many, 64516, "16 bits do not hold a sum either: 4 · 127 · 127 is 64516")
    scaled, case = one([10], [10]), "10 · 10 with scales of 0.5 and 0.25 is 12.5"
    expect_unlike(scaled, 100, f"the product needs its scales: {case}")
    for wrong in (50, 25):
        expect_unlike(scaled, wrong, f"both scales count: {case}")
    expect_close(scaled, 12.5, f"the product is multiplied by both scales: {case}")
    step = "one step of the product is of_x · of_w = 0.125"
    for bias, wrong, why in (
        (3.0, 0, "the bias is added: 0 · 0 with a bias of 3 is 3"),
        (
            3.0,
            0.375,
            f"the bias is divided by the scales before it is added: 3 is 24 steps; {step}",
        ),
        (3.1, 3.1, f"the bias becomes an integer too: 3.1 is 24.8 steps, rounded to 25; {step}"),
    ):
        expect_unlike(one([0], [0], bias), wrong, why)
    large = one([0], [0], 30.0)
    expect_close(large, 30, f"a bias needs 32 bits: 30 is 240 steps, more than 127; {step}")
    exact = one([0], [0], 3.1)
    expect_close(exact, 3.125, f"the bias is counted in steps of the product: 3.1 is 25; {step}")
    expect_close(found, wanted, f"in integers throughout: expected {number(wanted)}", 1e-5)
