"""Checks of the exercises on stage 3, general distillation."""

import torch

from tinybert_lite.classroom.checking import attempt, check, expect, expect_close, number
from tinybert_lite.plots.layers import layer_map
from tinybert_lite.plots.panels import new_figure

BY_HAND = {(4, 12): [0, 3, 6, 9, 12], (3, 6): [0, 2, 4, 6]}


@check
def layer_mapping(yours, seed: int = 0) -> None:
    """yours(M, N) -> M + 1 teacher layers, uniform; ValueError where M does not divide N."""
    (M, N), wanted = list(BY_HAND.items())[seed % 2]

    def draw(found):
        figure, (axes,) = new_figure(1, 2, (6.8, 0.8 + 0.3 * (N + 1)))
        for ax, mapping, name in zip(axes, (wanted, found), ("expected", "yours")):
            ax.set_axis_off()
            if mapping and len(mapping) == M + 1:
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
        f"layers are integers, as they index a list: expected {wanted}, yours are {found}",
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
        "a mapping that does not fit is refused: 4 layers cannot be spread over 6, yours gave "
        f"{uneven} instead of a ValueError"
    )


@check
def attention_loss(yours, seed: int = 0) -> None:
    """yours(student, teacher, mask) -> the mean square over real query-key pairs.

    student, teacher: scores (B, H, L, L); mask: (B, L).
    """
    B, H, L = 2, 3, 4
    student, teacher = torch.randn(2, B, H, L, L)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    pairs = zip(student, teacher, (4, 2))
    wanted = mean_square(mine[:, :n, :n] - theirs[:, :n, :n] for mine, theirs, n in pairs)
    real = torch.where(mask[1, :, None] * mask[1] > 0, 1.0, torch.nan)
    inputs = {
        "student, row 2, head 1": student[1, 0] * real,
        "teacher, row 2, head 1": teacher[1, 0] * real,
    }
    found = attempt(yours, student, teacher, mask, like=wanted, inputs=inputs, title="loss")
    one, zero = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    both, first = torch.tensor([[1, 1]]), torch.tensor([[1, 0]])
    expect_close(yours(zero, zero, both), 0, "equal scores have a loss of 0: both are zeros")
    expect_close(
        yours(zero + torch.tensor([[3.0], [0.0]]), zero, both),
        4.5,
        "scores, not probabilities: [[3, 3], [0, 0]] against zeros is (9 + 9 + 0 + 0) / 4 = 4.5, "
        "and softmax removes this difference",
    )
    expect_close(
        yours(one.repeat(1, 2, 1, 1), zero.repeat(1, 2, 1, 1), both),
        1,
        "the mean runs over heads too: two heads that are off by 1 everywhere give 1",
    )
    for query, key, what in ((0, 1, "padded keys"), (1, 0, "padded queries")):
        wild = zero.clone()
        wild[0, 0, query, key] = 99
        expect_close(
            yours(wild, zero, first),
            0,
            f"{what} must not count: mask [1, 0] with a 99 at query {query}, key {key} gives 0",
        )
    expect_close(
        yours(one, zero, first),
        1,
        "padding must not lower the mean: mask [1, 0] leaves one pair, off by 1, so 1",
    )
    expect_close(
        found,
        wanted,
        "the mean over all real pairs of the batch, not over sentences first: the sentences "
        f"without their padding give {number(wanted)}",
    )


def mean_square(differences) -> torch.Tensor:
    """Return the mean square over several tensors, one per sentence without its padding."""
    return torch.cat([each.flatten() for each in differences]).square().mean()


@check
def hidden_loss(yours, seed: int = 0) -> None:
    """yours(student, teacher, W, mask) -> the mean square over real tokens and D.

    student: (B, L, d); teacher: (B, L, D); W: (d, D); mask: (B, L).
    """
    B, L, d, D = 2, 4, 2, 3
    student, teacher, W = torch.randn(B, L, d), torch.randn(B, L, D), torch.randn(d, D)
    mask = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]])
    pairs = zip(student, teacher, (4, 1))
    wanted = mean_square(mine[:n] @ W - theirs[:n] for mine, theirs, n in pairs)
    real = torch.where(mask[1, :, None] > 0, 1.0, torch.nan)
    inputs = {"student · W, row 2": student[1] @ W * real, "teacher, row 2": teacher[1] * real}
    found = attempt(yours, student, teacher, W, mask, like=wanted, inputs=inputs, title="loss")
    zero, one, half = torch.zeros(1, 2, 1), torch.ones(1, 1), torch.tensor([[1, 0]])
    expect_close(
        yours(zero + 1, torch.zeros(1, 2, 2), torch.ones(1, 2), torch.tensor([[1, 1]])),
        1,
        "the mean runs over the width too: off by 1 in both of 2 numbers is 1",
    )
    expect_close(
        yours(torch.tensor([[[0.0], [99.0]]]), zero, one, half),
        0,
        "padded tokens must not count: mask [1, 0] with a 99 at the second token gives 0",
    )
    expect_close(
        yours(zero + 1, zero, one, half),
        1,
        "padding must not lower the mean: mask [1, 0] leaves one token, off by 1, so 1",
    )
    expect_close(
        found, wanted, f"the mean over all real tokens of the batch: expected {number(wanted)}"
    )
    learning, projecting = student.clone().requires_grad_(), W.clone().requires_grad_()
    loss = yours(learning, teacher, projecting, mask)
    if loss.requires_grad:
        loss.backward()
    for tensor, what in (
        (projecting, "the projection gets a gradient: after loss.backward() W"),
        (learning, "the student gets a gradient: after loss.backward() its hidden states"),
    ):
        expect(tensor.grad is not None, f"{what} must have one, and yours has none")
