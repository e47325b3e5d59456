# %% [markdown]
# # Exercises 05 · Task distillation, prediction layer
#
# The right file to start from, the loss of soft targets, and what a temperature does to its gradient. They go with the lesson
# [05 · Prediction layer](../05_task_distill_out.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import re

import torch
from torch import Tensor

# %% [markdown]
# ## 5.1 · The newest checkpoint
#
# *warm-up · 5 minutes · difficulty ●○○ · importance ●●○*
#
# Each epoch leaves a file: `model_epoch_1.bin`, `model_epoch_2.bin`, … The next stage starts from the newest. Find it in a list
# of file names, which come in any order and among others.

# %% [solution newest_checkpoint]
def newest_checkpoint(names: list[str]) -> str | None:
    """The name `model_epoch_N.bin` with the largest N; None where there is none."""
    ### BEGIN SOLUTION
    numbered = [(int(match[1]), name) for name in names if (match := re.fullmatch(r"model_epoch_(\d+)\.bin", name))]
    return max(numbered)[1] if numbered else None
    ### END SOLUTION

# %% [check newest_checkpoint: 1 point]
from tinybert_lite.classroom import check_prediction

check_prediction.newest_checkpoint(newest_checkpoint)
### BEGIN HIDDEN TESTS
check_prediction.newest_checkpoint(newest_checkpoint, seed=1)
### END HIDDEN TESTS

# %% [wrong: numbers are compared as numbers]
def newest_checkpoint(names):
    return max((name for name in names if re.fullmatch(r"model_epoch_\d+\.bin", name)), default=None)

# %% [wrong: only model_epoch_N.bin is an epoch]
def newest_checkpoint(names):
    return sorted(names)[-1]

# %% [wrong: the largest N is wanted]
def newest_checkpoint(names):
    epochs = [name for name in names if re.fullmatch(r"model_epoch_\d+\.bin", name)]
    return epochs[-1] if epochs else None

# %% [wrong: a folder without an epoch gives None]
def newest_checkpoint(names):
    return max((name for name in names if re.fullmatch(r"model_epoch_\d+\.bin", name)), key=lambda name: int(re.search(r"\d+", name)[0]))

# %% [wrong: a half-written file does not count]
def newest_checkpoint(names):
    numbered = [(int(match[1]), name) for name in names if (match := re.match(r"model_epoch_(\d+)", name))]
    return max(numbered)[1] if numbered else None

# %% [markdown]
# <details><summary>Hint</summary>
#
# `re.fullmatch(r"model_epoch_(\d+)\.bin", name)` matches the whole name or gives None, and `match[1]` is the number as text.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Sorted as text, epoch 9 is the newest of ten. The run goes on, and the last epoch of training is lost without a word.
# </details>

# %% [markdown]
# ## 5.2 · The soft cross-entropy
#
# *core · 15 minutes · difficulty ●●○ · importance ●●●*
#
# Eq. 10, with a temperature $t$ that softens both sides:
#
# $$\mathcal{L}_{pred} = -\sum_k \mathrm{softmax}(z^T / t)_k \, \log \mathrm{softmax}(z^S / t)_k$$
#
# The **sum** over classes, and the **mean** over the rows of a batch.

# %% [solution soft_cross_entropy]
def soft_cross_entropy(student: Tensor, teacher: Tensor, t: float) -> Tensor:
    """The loss of soft targets, a scalar. student, teacher: (B, K) logits · t: temperature, above 0."""
    ### BEGIN SOLUTION
    targets = torch.softmax(teacher / t, dim=-1)
    return -(targets * torch.log_softmax(student / t, dim=-1)).sum(-1).mean()
    ### END SOLUTION

# %% [check soft_cross_entropy: 2 points]
from tinybert_lite.classroom import check_prediction

check_prediction.soft_cross_entropy(soft_cross_entropy)
### BEGIN HIDDEN TESTS
check_prediction.soft_cross_entropy(soft_cross_entropy, seed=1)
### END HIDDEN TESTS

# %% [wrong: large logits stay finite]
def soft_cross_entropy(student, teacher, t):
    return -((teacher / t).softmax(-1) * (student / t).softmax(-1).log()).sum(-1).mean()

# %% [wrong: the sum over classes]
def soft_cross_entropy(student, teacher, t):
    return -((teacher / t).softmax(-1) * (student / t).log_softmax(-1)).mean()

# %% [wrong: the mean over rows]
def soft_cross_entropy(student, teacher, t):
    return -((teacher / t).softmax(-1) * (student / t).log_softmax(-1)).sum()

# %% [wrong: soft targets]
def soft_cross_entropy(student, teacher, t):
    return torch.nn.functional.cross_entropy(student / t, teacher.argmax(-1))

# %% [wrong: the smallest loss is the teacher's entropy, not zero]
def soft_cross_entropy(student, teacher, t):
    targets = (teacher / t).softmax(-1)
    return (targets * (targets.clamp_min(1e-30).log() - (student / t).log_softmax(-1))).sum(-1).mean()

# %% [wrong: Eq. 10 has no factor t²]
def soft_cross_entropy(student, teacher, t):
    return -t**2 * ((teacher / t).softmax(-1) * (student / t).log_softmax(-1)).sum(-1).mean()

# %% [wrong: the student's logits are divided by t]
def soft_cross_entropy(student, teacher, t):
    return -((teacher / t).softmax(-1) * student.log_softmax(-1)).sum(-1).mean()

# %% [wrong: the teacher's logits are divided by t]
def soft_cross_entropy(student, teacher, t):
    return -(teacher.softmax(-1) * (student / t).log_softmax(-1)).sum(-1).mean()

# %% [markdown]
# <details><summary>Hint</summary>
#
# `torch.log_softmax` in one step, for the logarithm of a softmax that has become 0 is minus infinity. Then `sum(-1)`, then `mean()`.
# </details>
#
# <details><summary>Why it matters</summary>
#
# The original code takes the mean over classes as well: half of Eq. 10 for two classes. And a loss that
# stops at 0.4 is not stuck: it cannot fall below the teacher's own entropy.
# </details>

# %% [markdown]
# ## 5.3 · What the temperature does to the gradient
#
# *stretch · 20 minutes · difficulty ●●● · importance ●●○*
#
# A high temperature makes soft targets softer, and gradients smaller. Hinton's remedy, of 2015, is to multiply the loss by
# $t^2$, so that the gradient keeps about the same size. (TinyBERT has $t = 1$ and needs none.) Work out on paper the gradient of
# $t^2 \cdot \mathcal{L}_{pred}$ with respect to the student's logits, and write it down without autograd.

# %% [solution soft_gradient]
def soft_gradient(student: Tensor, teacher: Tensor, t: float) -> Tensor:
    """The gradient of t² · soft_cross_entropy(student, teacher, t) for each of the student's logits, (B, K).

    student, teacher: (B, K) logits · t: temperature, above 0. The loss is a mean over the B rows.
    """
    ### BEGIN SOLUTION
    return t * (torch.softmax(student / t, dim=-1) - torch.softmax(teacher / t, dim=-1)) / len(student)
    ### END SOLUTION

# %% [check soft_gradient: 3 points]
from tinybert_lite.classroom import check_prediction

check_prediction.soft_gradient(soft_gradient)
### BEGIN HIDDEN TESTS
check_prediction.soft_gradient(soft_gradient, seed=1)
### END HIDDEN TESTS

# %% [wrong: the gradient points uphill]
def soft_gradient(student, teacher, t):
    return t * ((teacher / t).softmax(-1) - (student / t).softmax(-1)) / len(student)

# %% [wrong: the factor t² is missing]
def soft_gradient(student, teacher, t):
    return ((student / t).softmax(-1) - (teacher / t).softmax(-1)) / t / len(student)

# %% [wrong: both factors count]
def soft_gradient(student, teacher, t):
    return ((student / t).softmax(-1) - (teacher / t).softmax(-1)) / len(student)

# %% [wrong: the chain rule gives a factor 1/t]
def soft_gradient(student, teacher, t):
    return t**2 * ((student / t).softmax(-1) - (teacher / t).softmax(-1)) / len(student)

# %% [wrong: the loss is a mean over rows]
def soft_gradient(student, teacher, t):
    return t * ((student / t).softmax(-1) - (teacher / t).softmax(-1))

# %% [wrong: teacher and student are both divided by t]
def soft_gradient(student, teacher, t):
    return t * (student.softmax(-1) - teacher.softmax(-1)) / len(student)

# %% [wrong: equal logits give no gradient]
def soft_gradient(student, teacher, t):
    return t * ((student / t).softmax(-1) - torch.nn.functional.one_hot(teacher.argmax(-1), teacher.shape[-1])) / len(student)

# %% [wrong: each row of the gradient sums to 0]
def soft_gradient(student, teacher, t):
    return (student - teacher) / len(student)

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# For $t = 1$ and one row the gradient is softmax$(z^S)$ − softmax$(z^T)$.
# </details>
#
# <details><summary>Hint 2</summary>
#
# The chain rule brings $1/t$, the loss in front $t^2$, and the mean over rows $1/B$.
# </details>
#
# <details><summary>Why it matters</summary>
#
# For a large $t$ the difference of the two softmaxes itself shrinks as $1/t$, to $(z^S - z^T)/(tK)$ for centred logits. Together
# with the chain rule's $1/t$ that makes $1/t^2$. Without the remedy plain gradient descent at $t = 4$ is sixteen times as
# slow, and one blames the temperature.
# </details>
