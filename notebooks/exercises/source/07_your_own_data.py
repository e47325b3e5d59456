# %% [markdown]
# # Exercises 07 · Your own data
#
# Which rows to measure on, and how to count what a model does with classes of different size. These go with the lesson
# [07 · Your own data](../07_your_own_data.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import random

import torch
from torch import Tensor

# %% [markdown]
# ## 7.1 · What is taken for what
#
# *warm-up · 10 minutes · difficulty ●○○ · importance ●●●*
#
# The **confusion matrix** of $K$ classes: in row $i$ and column $j$ stands how many rows of class $i$ the model takes for class
# $j$. What is right stands on the diagonal.

# %% [solution confusion]
def confusion(predicted: Tensor, gold: Tensor, K: int) -> Tensor:
    """Counts (K, K), a row for each gold class. predicted, gold: (n,) class numbers from 0 to K − 1."""
    ### BEGIN SOLUTION
    table = torch.zeros(K, K, dtype=torch.long)
    for column, row in zip(predicted, gold):
        table[row, column] += 1
    return table
    ### END SOLUTION

# %% [check confusion: 1 point]
from tinybert_lite.classroom import check_classes

check_classes.confusion(confusion)
### BEGIN HIDDEN TESTS
check_classes.confusion(confusion, seed=1)
### END HIDDEN TESTS

# %% [wrong: a row of the table is a gold class]
def confusion(predicted, gold, K):
    table = torch.zeros(K, K, dtype=torch.long)
    for row, column in zip(predicted, gold):
        table[row, column] += 1
    return table

# %% [wrong: a class without rows has a row and a column too]
def confusion(predicted, gold, K):
    K = int(torch.cat([predicted, gold]).max()) + 1
    return torch.bincount(gold * K + predicted, minlength=K * K).view(K, K)

# %% [wrong: entries are counts, not shares]
def confusion(predicted, gold, K):
    table = torch.bincount(gold * K + predicted, minlength=K * K).view(K, K)
    return table / table.sum()

# %% [wrong: every row of the data counts]
def confusion(predicted, gold, K):
    table = torch.zeros(K, K, dtype=torch.long)
    table[gold, predicted] += 1
    return table

# %% [markdown]
# <details><summary>Hint</summary>
#
# A loop over `zip(predicted, gold)` will do. `table[gold, predicted] += 1` looks clever, but adds one to each cell only once.
# </details>
#
# <details><summary>Why it matters</summary>
#
# One number says how good a model is. The table says what to do about it: two classes that are taken for each other need
# clearer labels or more rows, and not another model.
# </details>

# %% [markdown]
# ## 7.2 · Macro-F1 from the table
#
# *core · 15 minutes · difficulty ●●○ · importance ●●●*
#
# The $F_1$ of class $k$ asks how many of its rows were found, and how many of the answers $k$ were right, in one number:
#
# $$F_1(k) = \frac{2\,TP_k}{2\,TP_k + FP_k + FN_k}$$
#
# $TP_k$ stands on the diagonal; $FN_k$ is the rest of row $k$, $FP_k$ the rest of column $k$. **Macro-F1** is the plain mean over the
# classes, so a class of 40 rows weighs as much as one of 90. Where nothing stands below the line, the class counts as 0.

# %% [solution macro_f1]
def macro_f1(table: Tensor) -> float:
    """The mean of the classes' F1, from 0 to 1. table: (K, K) counts, a row for each gold class, a column for each answer."""
    ### BEGIN SOLUTION
    right = table.diagonal().double()
    below = (table.sum(0) + table.sum(1)).double()  # 2 TP + FP + FN
    return (2 * right / below.clamp(min=1)).mean().item()
    ### END SOLUTION

# %% [check macro_f1: 2 points]
from tinybert_lite.classroom import check_classes

check_classes.macro_f1(macro_f1)
### BEGIN HIDDEN TESTS
check_classes.macro_f1(macro_f1, seed=1)
### END HIDDEN TESTS

# %% [wrong: 0.9 is the accuracy]
def macro_f1(table):
    return (table.diagonal().sum() / table.sum()).item()

# %% [wrong: classes are not weighted by their rows]
def macro_f1(table):
    scores = 2 * table.diagonal() / (table.sum(0) + table.sum(1)).clamp(min=1)
    return (scores * table.sum(1) / table.sum()).sum().item()

# %% [wrong: precision counts, not recall alone]
def macro_f1(table):
    return (table.diagonal() / table.sum(1).clamp(min=1)).double().mean().item()

# %% [wrong: a class that is never predicted and never right has an F1 of 0]
def macro_f1(table):
    precision, recall = table.diagonal() / table.sum(0), table.diagonal() / table.sum(1)
    return (2 * precision * recall / (precision + recall)).mean().item()

# %% [wrong: a class that is never predicted counts as 0]
def macro_f1(table):
    answered = table.sum(0) > 0
    return (2 * table.diagonal() / (table.sum(0) + table.sum(1)).clamp(min=1))[answered].mean().item()

# %% [wrong: first each class's F1, then the mean]
def macro_f1(table):
    precision = (table.diagonal() / table.sum(0).clamp(min=1)).mean()
    recall = (table.diagonal() / table.sum(1).clamp(min=1)).mean()
    return (2 * precision * recall / (precision + recall)).item()

# %% [markdown]
# <details><summary>Hint</summary>
#
# `table.sum(0)` is $TP_k + FP_k$ of every class at once, `table.sum(1)` is $TP_k + FN_k$, and together they are what stands below the line.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Where one class has 90 % of the rows, a model that knows no other has an accuracy of 0.9. Its macro-F1 is below a half with two classes,
# and lower with each one more.
# </details>

# %% [markdown]
# ## 7.3 · Rows to measure on
#
# *stretch · 20 minutes · difficulty ●●● · importance ●●●*
#
# Draw rows for a dev set. Of each class its share, rounded, but one row at least: a class that is not there cannot be measured. And
# no text on both sides, or the model is asked what it has been told: of a text that stands there more than once, every row stays in
# training, and others of its class are drawn in its place.

# %% [solution rows_to_measure_on]
def rows_to_measure_on(texts: list[str], labels: list[str], share: float, rng: random.Random) -> list[int]:
    """The places of the rows that are drawn, in any order. texts, labels: of each row · share: between 0 and 1."""
    ### BEGIN SOLUTION
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label]
        free = [place for place in mine if texts.count(texts[place]) == 1]
        drawn += rng.sample(free, min(len(free), max(1, round(share * len(mine)))))
    return drawn
    ### END SOLUTION

# %% [check rows_to_measure_on: 3 points]
from tinybert_lite.classroom import check_classes

check_classes.rows_to_measure_on(rows_to_measure_on)
### BEGIN HIDDEN TESTS
check_classes.rows_to_measure_on(rows_to_measure_on, seed=1)
### END HIDDEN TESTS

# %% [wrong: a small class gives at least one row]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label and texts.count(texts[place]) == 1]
        drawn += rng.sample(mine, int(share * len(mine)))
    return drawn

# %% [wrong: each class gives its share]
def rows_to_measure_on(texts, labels, share, rng):
    free = [place for place in range(len(texts)) if texts.count(texts[place]) == 1]
    first = {label: labels.index(label) for label in set(labels)}.values()
    rest = [place for place in free if place not in first]
    return [*first, *rng.sample(rest, round(share * len(texts)) - len(first))]

# %% [wrong: no text is on both sides]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label]
        drawn += rng.sample(mine, max(1, round(share * len(mine))))
    return drawn

# %% [wrong: duplicate texts stay in training]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label]
        wanted, groups = max(1, round(share * len(mine))), sorted({texts[place] for place in mine})
        chosen = []
        for text in rng.sample(groups, len(groups)):
            if len(chosen) < wanted:
                chosen += [place for place in mine if texts[place] == text]
        drawn += chosen
    return drawn

# %% [wrong: rows are drawn at random]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label]
        free = [place for place in mine if texts.count(texts[place]) == 1]
        drawn += free[: max(1, round(share * len(mine)))]
    return drawn

# %% [wrong: the same rng draws the same rows]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        mine = [place for place, other in enumerate(labels) if other == label]
        free = [place for place in mine if texts.count(texts[place]) == 1]
        drawn += random.SystemRandom().sample(free, min(len(free), max(1, round(share * len(mine)))))
    return drawn

# %% [wrong: the share is of all rows of a class]
def rows_to_measure_on(texts, labels, share, rng):
    drawn = []
    for label in sorted(set(labels)):
        free = [place for place, other in enumerate(labels) if other == label and texts.count(texts[place]) == 1]
        drawn += rng.sample(free, max(1, round(share * len(free))))
    return drawn

# %% [markdown]
# <details><summary>Hint</summary>
#
# Class by class: which rows are free, how many are wanted, `rng.sample(free, wanted)`. `sorted(set(labels))` and not `set(labels)`: a set
# of words comes in another order in each Python, and then the same `rng` draws other rows.
# </details>
#
# <details><summary>Why it matters</summary>
#
# The same question asked by twenty readers is twenty rows. Drawn row by row, most of them are in training, the rest in dev, and a
# model that only learns by heart looks excellent until it meets a new question.
# </details>
