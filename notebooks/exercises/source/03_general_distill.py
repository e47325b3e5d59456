# %% [markdown]
# # Exercises 03 · General distillation
#
# What makes a student learn *inside*: which layer learns from which, and two losses that look only at real words. They go with
# the lesson [03 · General distillation](../03_general_distill.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import torch
from torch import Tensor

# %% [markdown]
# ## 3.1 · Who learns from whom
#
# *warm-up · 5 minutes · difficulty ●○○ · importance ●●●*
#
# A student of $M$ layers learns from a teacher of $N$. The uniform mapping spreads the student's layers evenly over the
# teacher's: $g(m) = m \cdot N / M$. Layers count from 1, and 0 is the embedding output.

# %% [solution layer_mapping]
def layer_mapping(M: int, N: int) -> list[int]:
    """The teacher layer g(m) for each student layer m = 0 … M. Raises ValueError where N is no multiple of M."""
    ### BEGIN SOLUTION
    if N % M:
        raise ValueError(f"{M} layers cannot be spread evenly over {N}")
    return [m * N // M for m in range(M + 1)]
    ### END SOLUTION

# %% [check layer_mapping: 1 point]
from tinybert_lite.classroom import check_general

check_general.layer_mapping(layer_mapping)
### BEGIN HIDDEN TESTS
check_general.layer_mapping(layer_mapping, seed=1)
### END HIDDEN TESTS

# %% [wrong: one teacher layer for each]
def layer_mapping(M, N):
    return [m * N // M for m in range(1, M + 1)]

# %% [wrong: layers are integers, as they index a list]
def layer_mapping(M, N):
    if N % M:
        raise ValueError("uneven")
    return [m * N / M for m in range(M + 1)]

# %% [wrong: the embeddings learn from the embeddings]
def layer_mapping(M, N):
    return [m * N // M - 1 for m in range(M + 1)]

# %% [wrong: the last layer learns from the last]
def layer_mapping(M, N):
    return list(range(M + 1))

# %% [wrong: the layers are spread evenly]
def layer_mapping(M, N):
    return [0] + [m + N - M for m in range(1, M + 1)]

# %% [wrong: a mapping that does not fit is refused]
def layer_mapping(M, N):
    return [m * N // M for m in range(M + 1)]

# %% [markdown]
# <details><summary>Hint</summary>
#
# How many numbers are there for $M = 4$? Count the embeddings. `range(M + 1)` runs over $m = 0 … M$.
# </details>
#
# <details><summary>Why it matters</summary>
#
# A list off by one still trains, with a loss that still falls: every student layer then learns from a neighbour of the layer
# it should learn from, and nothing complains. The paper tried other mappings, the top layers only or the bottom ones, and lost
# between four and five points on average over its tasks with either.
# </details>

# %% [markdown]
# ## 3.2 · The attention loss
#
# *core · 15 minutes · difficulty ●●○ · importance ●●●*
#
# Eq. 7: the mean square of the difference between the student's attention scores and the teacher's. Scores are what stands
# *before* the softmax. A batch holds sentences of different lengths, so some queries (rows) and some keys (columns) are
# padding: neither may count, and neither may thin the mean.

# %% [solution attention_loss]
def attention_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The mean square over heads and all real query-key pairs of the batch, a scalar.

    student, teacher: (B, H, L, L) scores, queries by keys · mask: (B, L), 1 at real tokens and 0 at padding
    """
    ### BEGIN SOLUTION
    real = mask.bool()
    pairs = (real[:, :, None] & real[:, None, :])[:, None].expand_as(student)
    return (student - teacher)[pairs].square().mean()
    ### END SOLUTION

# %% [check attention_loss: 2 points]
from tinybert_lite.classroom import check_general

check_general.attention_loss(attention_loss)
### BEGIN HIDDEN TESTS
check_general.attention_loss(attention_loss, seed=1)
### END HIDDEN TESTS

# %% [wrong: scores, not probabilities]
def attention_loss(student, teacher, mask):
    real = mask.bool()
    pairs = (real[:, :, None] & real[:, None, :])[:, None].expand_as(student)
    return (student.softmax(-1) - teacher.softmax(-1))[pairs].square().mean()

# %% [wrong: the mean runs over heads too]
def attention_loss(student, teacher, mask):
    pairs = (mask[:, :, None] * mask[:, None, :])[:, None]
    return ((student - teacher).square() * pairs).sum() / pairs.sum()

# %% [wrong: padded keys must not count]
def attention_loss(student, teacher, mask):
    return (student - teacher).square().mean()

# %% [wrong: padded queries must not count]
def attention_loss(student, teacher, mask):
    return (student - teacher)[mask.bool()[:, None, None, :].expand_as(student)].square().mean()

# %% [wrong: padding must not lower the mean]
def attention_loss(student, teacher, mask):
    pairs = (mask[:, :, None] * mask[:, None, :])[:, None]
    return ((student - teacher).square() * pairs).mean()

# %% [wrong: the mean over all real pairs of the batch]
def attention_loss(student, teacher, mask):
    pairs = (mask[:, :, None] * mask[:, None, :])[:, None]
    squares = ((student - teacher).square() * pairs).sum((1, 2, 3))
    return (squares / pairs.sum((1, 2, 3)) / student.shape[1]).mean()

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# A pair counts when its query *and* its key are real: a mask of shape (B, 1, L, L) from `mask[:, :, None]` and
# `mask[:, None, :]`.
# </details>
#
# <details><summary>Hint 2</summary>
#
# Choosing with a boolean tensor, `x[pairs]`, leaves a flat list of the real ones. Its mean is the answer, if `pairs` was
# expanded to all heads.
# </details>
#
# <details><summary>Why it matters</summary>
#
# A loss that counts padding depends on who happened to sit in the same batch: the same sentence beside a longer one gets
# another loss. The original code sets the scores of padded keys to 0 in both models, counts padded queries, and divides by all
# places. So short sentences teach less than they could.
# </details>

# %% [markdown]
# ## 3.3 · The hidden loss, through a projection
#
# *stretch · 15 minutes · difficulty ●●○ · importance ●●●*
#
# Eqs. 8 and 9: the student is narrower than the teacher, so a learnt $W$ first takes its states to the teacher's width. Then
# comes the mean square over real tokens and over the width. Student *and* $W$ learn from it.

# %% [solution hidden_loss]
def hidden_loss(student: Tensor, teacher: Tensor, W: Tensor, mask: Tensor) -> Tensor:
    """The mean square of student · W − teacher over real tokens and the width D, a scalar.

    student: (B, L, d) · teacher: (B, L, D) · W: (d, D) · mask: (B, L), 1 at real tokens and 0 at padding
    """
    ### BEGIN SOLUTION
    return (student @ W - teacher)[mask.bool()].square().mean()
    ### END SOLUTION

# %% [check hidden_loss: 3 points]
from tinybert_lite.classroom import check_general

check_general.hidden_loss(hidden_loss)
### BEGIN HIDDEN TESTS
check_general.hidden_loss(hidden_loss, seed=1)
### END HIDDEN TESTS

# %% [wrong: the mean runs over the width too]
def hidden_loss(student, teacher, W, mask):
    return (student @ W - teacher)[mask.bool()].square().sum() / mask.sum()

# %% [wrong: padded tokens must not count]
def hidden_loss(student, teacher, W, mask):
    return (student @ W - teacher).square().mean()

# %% [wrong: padding must not lower the mean]
def hidden_loss(student, teacher, W, mask):
    return ((student @ W - teacher).square() * mask[:, :, None]).mean()

# %% [wrong: the mean over all real tokens of the batch]
def hidden_loss(student, teacher, W, mask):
    squares = (student @ W - teacher).square().mean(-1) * mask
    return (squares.sum(1) / mask.sum(1)).mean()

# %% [wrong: the projection gets a gradient]
def hidden_loss(student, teacher, W, mask):
    return (student @ W.detach() - teacher)[mask.bool()].square().mean()

# %% [wrong: the student gets a gradient]
def hidden_loss(student, teacher, W, mask):
    return (student.detach() @ W - teacher)[mask.bool()].square().mean()

# %% [markdown]
# <details><summary>Hint</summary>
#
# `student @ W` is (B, L, D). Index it with `mask.bool()` and the real tokens remain, one row each.
# </details>
#
# <details><summary>Why it matters</summary>
#
# With $W$ fixed at its random start, the student would have to bend itself to a projection that nobody chose. Learnt, $W$ finds
# the part of the teacher's space that fits into the student. It is thrown away after distillation: the student is used
# without it.
# </details>
