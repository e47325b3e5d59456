# %% [markdown]
# # Exercises 06 · Evaluate and compare
#
# How good is the student, how much like its teacher, and is that difference real? These go with the lesson
# [06 · Evaluate and compare](../06_evaluate_and_compare.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import math

import torch
from torch import Tensor

# %% [markdown]
# ## 6.1 · Accuracy, agreement, retention
#
# *warm-up · 10 minutes · difficulty ●○○ · importance ●●●*
#
# Three numbers about a student. **Accuracy**: the share of rows where it is right. **Agreement**: the share of rows where it
# answers as its teacher does, right or wrong. **Retention**: how much of the teacher's accuracy it has kept, as a ratio.

# %% [solution compare]
def compare(teacher: Tensor, student: Tensor, labels: Tensor) -> dict[str, float]:
    """{"accuracy": …, "agreement": …, "retention": …}, each a share of 1. teacher, student: (n, K) logits · labels: (n,)."""
    ### BEGIN SOLUTION
    theirs, mine = teacher.argmax(1), student.argmax(1)
    accuracy = (mine == labels).double().mean().item()
    return {"accuracy": accuracy, "agreement": (mine == theirs).double().mean().item(),
            "retention": accuracy / (theirs == labels).double().mean().item()}
    ### END SOLUTION

# %% [check compare: 1 point]
from tinybert_lite.classroom import check_evaluation

check_evaluation.compare(compare)
### BEGIN HIDDEN TESTS
check_evaluation.compare(compare, seed=1)
### END HIDDEN TESTS

# %% [wrong: accuracy is the student's]
def compare(teacher, student, labels):
    theirs, mine = teacher.argmax(1), student.argmax(1)
    right, their_right = ((answers == labels).double().mean().item() for answers in (mine, theirs))
    return {"accuracy": their_right, "agreement": (mine == theirs).double().mean().item(), "retention": right / their_right}

# %% [wrong: agreement does not use the labels]
def compare(teacher, student, labels):
    theirs, mine = teacher.argmax(1), student.argmax(1)
    right, their_right = ((answers == labels).double().mean().item() for answers in (mine, theirs))
    both = ((mine == theirs) & (mine == labels)).double().mean().item()
    return {"accuracy": right, "agreement": both, "retention": right / max(their_right, 1e-9)}

# %% [wrong: agreement is counted row by row]
def compare(teacher, student, labels):
    theirs, mine = teacher.argmax(1), student.argmax(1)
    right, their_right = ((answers == labels).double().mean().item() for answers in (mine, theirs))
    shares = [(answers == 1).double().mean().item() for answers in (mine, theirs)]
    return {"accuracy": right, "agreement": 1 - abs(shares[0] - shares[1]), "retention": right / max(their_right, 1e-9)}

# %% [wrong: retention is a ratio of accuracies]
def compare(teacher, student, labels):
    theirs, mine = teacher.argmax(1), student.argmax(1)
    right, their_right = ((answers == labels).double().mean().item() for answers in (mine, theirs))
    return {"accuracy": right, "agreement": (mine == theirs).double().mean().item(), "retention": 1 - (their_right - right)}

# %% [markdown]
# <details><summary>Hint</summary>
#
# `logits.argmax(1)` is the answer of each row. `(a == b).double().mean()` is a share.
# </details>
#
# <details><summary>Why it matters</summary>
#
# A student of 80 % may agree with a teacher of 82 % on nearly all rows, mistakes too, or be right on quite other rows.
# Accuracy cannot tell them apart, and only the first has learnt what was taught.
# </details>

# %% [markdown]
# ## 6.2 · The Matthews correlation
#
# *core · 15 minutes · difficulty ●●○ · importance ●●○*
#
# In CoLA, 70 % of the sentences are acceptable, so *acceptable* for every sentence scores 70 % accuracy and has learnt nothing.
# The Matthews correlation counts all four cells of the table of predictions:
#
# $$\frac{TP \cdot TN - FP \cdot FN}{\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}}$$
#
# It is 1 when all is right, 0 for guessing, −1 when all is wrong. Where the root is 0, say 0.

# %% [solution matthews]
def matthews(predicted: Tensor, gold: Tensor) -> float:
    """The Matthews correlation, from −1 to 1; 0 where it is undefined. predicted, gold: (n,), each 0 or 1."""
    ### BEGIN SOLUTION
    tp, tn, fp, fn = (int(((predicted == p) & (gold == g)).sum()) for p, g in ((1, 1), (0, 0), (1, 0), (0, 1)))
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / root if root else 0.0
    ### END SOLUTION

# %% [check matthews: 2 points]
from tinybert_lite.classroom import check_evaluation

check_evaluation.matthews(matthews)
### BEGIN HIDDEN TESTS
check_evaluation.matthews(matthews, seed=1)
### END HIDDEN TESTS

# %% [wrong: all wrong is −1]
def matthews(predicted, gold):
    return (predicted == gold).double().mean().item()

# %% [wrong: guessing is 0]
def matthews(predicted, gold):
    tp, tn, fp, fn = (int(((predicted == p) & (gold == g)).sum()) for p, g in ((1, 1), (0, 0), (1, 0), (0, 1)))
    return 2 * (2 * tp / (2 * tp + fp + fn)) - 1

# %% [wrong: the correlation is 0 / 0]
def matthews(predicted, gold):
    return torch.corrcoef(torch.stack([predicted, gold]).double())[0, 1]

# %% [wrong: however often it is right]
def matthews(predicted, gold):
    tp, tn, fp, fn = (int(((predicted == p) & (gold == g)).sum()) for p, g in ((1, 1), (0, 0), (1, 0), (0, 1)))
    root = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / root if root else (tp + tn) / len(gold)

# %% [wrong: it is the correlation of two rows]
def matthews(predicted, gold):
    return 2 * (predicted == gold).double().mean().item() - 1

# %% [wrong: all right is 1]
def matthews(predicted, gold):
    tp, tn, fp, fn = (int(((predicted == p) & (gold == g)).sum()) for p, g in ((1, 1), (0, 0), (1, 0), (0, 1)))
    return (tp * tn - fp * fn) / max(1, (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))

# %% [markdown]
# <details><summary>Hint</summary>
#
# `((predicted == 1) & (gold == 0)).sum()` counts the false positives. Ask whether the root is 0 before you divide.
# </details>
#
# <details><summary>Why it matters</summary>
#
# It is GLUE's measure for CoLA. A negative value is worth a look too: often the two labels have been swapped.
# </details>

# %% [markdown]
# ## 6.3 · Is the difference real?
#
# *stretch · 20 minutes · difficulty ●●● · importance ●●●*
#
# Two models were tried on the same $n$ rows, and one has the higher accuracy. By luck? On each row take the difference
# $d_i = a_i - b_i$, which is −1, 0 or 1. The difference of the accuracies is the mean of the $d_i$, and the standard error of
# that mean is $s / \sqrt{n}$, where $s^2$ is the variance of the $d_i$, with $n - 1$ below. A margin within two standard errors
# may well be luck.

# %% [solution margin]
def margin(first: Tensor, second: Tensor) -> tuple[float, float]:
    """(accuracy of the first − accuracy of the second, the standard error of that), both as shares of 1.

    first, second: (n,), 1 where that model is right on a row and 0 where it is wrong; the same rows in both
    """
    ### BEGIN SOLUTION
    differences = (first - second).double()
    return differences.mean().item(), (differences.std() / math.sqrt(len(differences))).item()
    ### END SOLUTION

# %% [check margin: 3 points]
from tinybert_lite.classroom import check_evaluation

check_evaluation.margin(margin)
### BEGIN HIDDEN TESTS
check_evaluation.margin(margin, seed=1)
### END HIDDEN TESTS

# %% [wrong: rows are paired]
def margin(first, second):
    return (first.mean() - second.mean()).item(), math.sqrt((first.var() / len(first) + second.var() / len(second)).item())

# %% [wrong: the error of a mean shrinks with √n]
def margin(first, second):
    return (first - second).mean().item(), (first - second).std().item()

# %% [wrong: the error is the root of a variance]
def margin(first, second):
    return (first - second).mean().item(), ((first - second).var() / len(first)).item()

# %% [wrong: the difference is first minus second]
def margin(first, second):
    return (second - first).mean().item(), ((first - second).std() / math.sqrt(len(first))).item()

# %% [wrong: the variance uses the sample's own mean]
def margin(first, second):
    return (first - second).mean().item(), ((first - second).std(correction=0) / math.sqrt(len(first))).item()

# %% [wrong: the standard error is the standard deviation by √n]
def margin(first, second):
    return (first - second).mean().item(), (first - second).abs().mean().item() / math.sqrt(len(first))

# %% [markdown]
# <details><summary>Hint</summary>
#
# `tensor.std()` already divides by $n - 1$. The rest is one square root.
# </details>
#
# <details><summary>Why it matters</summary>
#
# On 872 sentences of SST-2's dev set, two models near 90 % that err independently need a margin of almost three points. Two
# that err on mostly the same rows need much less: pairing tells them apart, and two separate error bars do not.
# </details>
