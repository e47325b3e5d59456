"""Checks of the exercises on stage 3, general distillation."""

from __future__ import annotations

import torch

from tinybert_lite.classroom.checking import attempt, check, close, compared, expect, number, panels
from tinybert_lite.plots.layers import layer_map

BY_HAND = {(4, 12): [0, 3, 6, 9, 12], (3, 6): [0, 2, 4, 6]}


@check
def layer_mapping(yours, seed: int = 0) -> None:
    """yours(M, N) -> M + 1 teacher layers, uniform; ValueError where M does not divide N."""
    (M, N), wanted = list(BY_HAND.items())[seed % 2]

    def draw(found):
        figure, axes = panels(2, 3.4, 0.8 + 0.3 * (N + 1))
        for ax, mapping, name in zip(
            axes, (wanted, found if found and len(found) == M + 1 else None), ("expected", "yours")
        ):
            if mapping is None:
                ax.set_axis_off()
                continue
            layer_map(mapping, N, ax)
            ax.set_title(name)
        return figure

    found = attempt(yours, M, N, like=wanted, draw=draw)
    expect(
        len(found) == M + 1,
        f"one teacher layer for each m = 0 … {M}: expected {M + 1} numbers, yours are {found}",
    )
    expect(
        all(isinstance(layer, int) for layer in found),
        f"layers are whole numbers: {wanted} are wanted, and yours, {found}, could not index a list",
    )
    expect(
        found[0] == 0, f"the embeddings learn from the embeddings: g(0) = 0, yours is {found[0]}"
    )
    expect(
        found[-1] == N, f"the last layer learns from the last: g({M}) = {N}, yours is {found[-1]}"
    )
    expect(
        found == wanted,
        f"the layers are spread evenly: {M} from {N} gives {wanted}, yours are {found}",
    )
    try:
        uneven = yours(4, 6)
    except ValueError:
        return
    raise AssertionError(
        f"a mapping that does not fit is refused: 4 layers cannot be spread over 6, and yours gave {uneven} where a ValueError is due"
    )


@check
def attention_loss(yours, seed: int = 0) -> None:
    """yours(student, teacher, mask): (B, H, L, L) scores twice, mask (B, L) -> the mean square over real query-key pairs."""
    draws = torch.Generator().manual_seed(seed)
    B, H, L = 2, 3, 4
    student, teacher = torch.randn(2, B, H, L, L, generator=draws)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    wanted = slow_attention_loss(student, teacher, mask)
    real = torch.where(mask[1, :, None] * mask[1] > 0, 1.0, torch.nan)
    inputs = {
        "student, row 2, head 1": student[1, 0] * real,
        "teacher, row 2, head 1": teacher[1, 0] * real,
    }
    found = attempt(
        yours,
        student,
        teacher,
        mask,
        like=torch.tensor(0.0),
        draw=lambda found: compared(["loss"], wanted, found, inputs),
    )
    one, zero, both = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.tensor([[1, 1]])
    shifted = zero + torch.tensor([[3.0], [0.0]])
    expect(
        close(yours(zero, zero, both), 0),
        f"equal scores cost nothing: expected 0, yours is {number(yours(zero, zero, both))}",
    )
    loss = yours(shifted, zero, both)
    expect(
        close(loss, 4.5),
        f"scores, not probabilities: [[3, 3], [0, 0]] against zeros is (9 + 9 + 0 + 0) / 4 = 4.5, and softmax cannot see it; yours is {number(loss)}",
    )
    loss = yours(one.repeat(1, 2, 1, 1), zero.repeat(1, 2, 1, 1), both)
    expect(
        close(loss, 1),
        f"the mean runs over heads too: each of two heads is off by 1 everywhere, so 1; yours is {number(loss)}",
    )
    first = torch.tensor([[1, 0]])
    for place, what in (((0, 1), "padded keys"), ((1, 0), "padded queries")):
        wild = zero.clone()
        wild[0, 0, place[0], place[1]] = 99
        expect(
            close(yours(wild, zero, first), 0),
            f"{what} must not count: mask [1, 0] and a 99 at query {place[0]}, key {place[1]} cost 0; yours is {number(yours(wild, zero, first))}",
        )
    loss = yours(one, zero, first)
    expect(
        close(loss, 1),
        f"padding must not thin the mean: mask [1, 0] leaves one pair, off by 1, so 1; yours is {number(loss)}",
    )
    expect(
        close(found, wanted),
        f"the mean over all real pairs of the batch, long sentences with more of them: a loop over them gives {number(wanted)}, yours is {number(found)}",
    )


def slow_attention_loss(student, teacher, mask) -> float:
    squares = [
        float(student[b, h, q, k] - teacher[b, h, q, k]) ** 2
        for b in range(len(mask))
        for h in range(student.shape[1])
        for q in range(mask.shape[1])
        for k in range(mask.shape[1])
        if mask[b, q] and mask[b, k]
    ]
    return sum(squares) / len(squares)


@check
def hidden_loss(yours, seed: int = 0) -> None:
    """yours(student, teacher, W, mask): (B, L, d), (B, L, D), (d, D), (B, L) -> the mean square over real tokens and D."""
    draws = torch.Generator().manual_seed(seed)
    B, L, d, D = 2, 4, 2, 3
    student, teacher = torch.randn(B, L, d, generator=draws), torch.randn(B, L, D, generator=draws)
    W = torch.randn(d, D, generator=draws)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    wanted = slow_hidden_loss(student, teacher, W, mask)
    real = torch.where(mask[1, :, None] > 0, 1.0, torch.nan)
    inputs = {
        "student · W, row 2": torch.stack(
            [token[0] * W[0] + token[1] * W[1] for token in student[1]]
        )
        * real,
        "teacher, row 2": teacher[1] * real,
    }
    found = attempt(
        yours,
        student,
        teacher,
        W,
        mask,
        like=torch.tensor(0.0),
        draw=lambda found: compared(["loss"], wanted, found, inputs),
    )
    ones, half = torch.ones(1, 2, 1), torch.tensor([[1, 0]])
    two = yours(ones, torch.zeros(1, 2, 2), torch.ones(1, 2), torch.tensor([[1, 1]]))
    expect(
        close(two, 1),
        f"the mean runs over the width too: off by 1 in both of 2 directions is 1; yours is {number(two)}",
    )
    wild = torch.tensor([[[0.0], [99.0]]])
    loss = yours(wild, torch.zeros(1, 2, 1), torch.ones(1, 1), half)
    expect(
        close(loss, 0),
        f"padded tokens must not count: mask [1, 0] and a 99 at the second token cost 0; yours is {number(loss)}",
    )
    loss = yours(ones, torch.zeros(1, 2, 1), torch.ones(1, 1), half)
    expect(
        close(loss, 1),
        f"padding must not thin the mean: mask [1, 0] leaves one token, off by 1, so 1; yours is {number(loss)}",
    )
    expect(
        close(found, wanted),
        f"the mean over all real tokens of the batch: a loop over them gives {number(wanted)}, yours is {number(found)}",
    )
    learning, projecting = student.clone().requires_grad_(), W.clone().requires_grad_()
    loss = yours(learning, teacher, projecting, mask)
    if loss.requires_grad:
        loss.backward()
    expect(
        projecting.grad is not None,
        "the projection learns too: after loss.backward() W has no gradient",
    )
    expect(
        learning.grad is not None,
        "the student learns: after loss.backward() its states have no gradient",
    )


def slow_hidden_loss(student, teacher, W, mask) -> float:
    squares = []
    for b in range(len(mask)):
        for place in range(mask.shape[1]):
            if mask[b, place]:
                for j in range(W.shape[1]):
                    projected = sum(
                        float(student[b, place, i] * W[i, j]) for i in range(W.shape[0])
                    )
                    squares.append((projected - float(teacher[b, place, j])) ** 2)
    return sum(squares) / len(squares)
