# %% [markdown]
# # Exercises 04 · Task distillation, intermediate layers
#
# A teacher that stands still, terms that meet the right layers, and a mean that stays the same when a batch is cut up. They go
# with the lesson [04 · Intermediate layers](../04_task_distill_mid.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import torch
from torch import Tensor, nn

# %% [markdown]
# ## 4.1 · Asking the teacher
#
# *warm-up · 5 minutes · difficulty ●○○ · importance ●●●*
#
# A teacher teaches; it does not learn. Its dropout is off, so that it says the same twice. And autograd keeps no graph of it:
# that would cost memory and time, and a careless optimizer would change it.

# %% [solution teach]
def teach(teacher: nn.Module, x: Tensor) -> Tensor:
    """teacher(x) with dropout off and outside autograd. x: (B, D)."""
    ### BEGIN SOLUTION
    teacher.eval()
    with torch.no_grad():
        return teacher(x)
    ### END SOLUTION

# %% [check teach: 1 point]
from tinybert_lite.classroom import check_intermediate

check_intermediate.teach(teach)
### BEGIN HIDDEN TESTS
check_intermediate.teach(teach, seed=1)
### END HIDDEN TESTS

# %% [wrong: two calls give the same output]
def teach(teacher, x):
    with torch.no_grad():
        return teacher(x)

# %% [wrong: no graph is kept for the teacher]
def teach(teacher, x):
    return teacher.eval()(x)

# %% [wrong: no gradient flows to the input either]
def teach(teacher, x):
    return teacher.eval().requires_grad_(False)(x)

# %% [wrong: the teacher's output is returned unchanged]
def teach(teacher, x):
    with torch.no_grad():
        return teacher.eval()(x).softmax(-1)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Two different switches: `teacher.eval()` turns dropout off, `with torch.no_grad():` turns the graph off. Neither does the
# other's work.
# </details>
#
# <details><summary>Why it matters</summary>
#
# The original code of general distillation leaves the teacher's dropout on and builds its graph: a lesson with a tenth of the
# numbers blotted out at random, and more memory and time for it.
# </details>

# %% [markdown]
# ## 4.2 · One term a pair
#
# *core · 15 minutes · difficulty ●●○ · importance ●●●*
#
# Now put the losses of all mapped pairs together, by name. Attention scores come from layers 1, 2, …, so their lists begin with
# layer **1**. Hidden states come from layers 0, 1, …, so theirs begin with the **embeddings**. Each term is a plain mean square;
# there is no padding in this one, and every pair counts in full.

# %% [solution layer_terms]
def layer_terms(student_scores: list[Tensor], teacher_scores: list[Tensor], student_states: list[Tensor], teacher_states: list[Tensor],
                mapping: list[int]) -> dict[str, Tensor]:
    """{"attention/m": mean square for m = 1 … M, "hidden/m": mean square for m = 0 … M}; student layer m learns from mapping[m].

    scores: M and N tensors (L, L), of layers from 1 on · states: M + 1 and N + 1 tensors (L, D), from the embeddings on
    """
    ### BEGIN SOLUTION
    terms = {}
    for m, g in enumerate(mapping):
        if m > 0:
            terms[f"attention/{m}"] = (student_scores[m - 1] - teacher_scores[g - 1]).square().mean()
        terms[f"hidden/{m}"] = (student_states[m] - teacher_states[g]).square().mean()
    return terms
    ### END SOLUTION

# %% [check layer_terms: 2 points]
from tinybert_lite.classroom import check_intermediate

check_intermediate.layer_terms(layer_terms)
### BEGIN HIDDEN TESTS
check_intermediate.layer_terms(layer_terms, seed=1)
### END HIDDEN TESTS

# %% [wrong: scores begin with layer 1]
def layer_terms(student_scores, teacher_scores, student_states, teacher_states, mapping):
    terms = {f"hidden/{m}": (student_states[m] - teacher_states[g]).square().mean() for m, g in enumerate(mapping)}
    pairs = [(m, (g + 1) % len(teacher_scores)) for m, g in enumerate(mapping)]
    return terms | {f"attention/{m}": (student_scores[m - 1] - teacher_scores[g]).square().mean() for m, g in pairs[1:]}

# %% [wrong: states begin with the embeddings]
def layer_terms(student_scores, teacher_scores, student_states, teacher_states, mapping):
    terms = {f"attention/{m}": (student_scores[m - 1] - teacher_scores[mapping[m] - 1]).square().mean() for m in range(1, len(mapping))}
    return terms | {f"hidden/{m}": (student_states[m] - teacher_states[max(0, g - 1)]).square().mean() for m, g in enumerate(mapping)}

# %% [wrong: the mapping is followed]
def layer_terms(student_scores, teacher_scores, student_states, teacher_states, mapping):
    terms = {f"attention/{m + 1}": (s - t).square().mean() for m, (s, t) in enumerate(zip(student_scores, teacher_scores))}
    return terms | {f"hidden/{m}": (s - t).square().mean() for m, (s, t) in enumerate(zip(student_states, teacher_states))}

# %% [wrong: the embeddings are matched too]
def layer_terms(student_scores, teacher_scores, student_states, teacher_states, mapping):
    terms = {}
    for m in range(1, len(mapping)):
        terms[f"attention/{m}"] = (student_scores[m - 1] - teacher_scores[mapping[m] - 1]).square().mean()
        terms[f"hidden/{m}"] = (student_states[m] - teacher_states[mapping[m]]).square().mean()
    return terms

# %% [wrong: every pair has the weight λ = 1]
def layer_terms(student_scores, teacher_scores, student_states, teacher_states, mapping):
    M = len(mapping) - 1
    terms = {f"attention/{m}": (student_scores[m - 1] - teacher_scores[mapping[m] - 1]).square().mean() / M for m in range(1, M + 1)}
    return terms | {f"hidden/{m}": (student_states[m] - teacher_states[g]).square().mean() / M for m, g in enumerate(mapping)}

# %% [markdown]
# <details><summary>Hint</summary>
#
# One loop, `for m, g in enumerate(mapping)`. Layer 5 is at index 4 among the scores and at index 5 among the states. Where
# $m = 0$ there are no scores.
# </details>
#
# <details><summary>Why it matters</summary>
#
# A library hands out `attentions` without the embeddings and `hidden_states` with them: an index off by one raises no error,
# the loss falls, and the student learns from the wrong floor of the house.
# </details>

# %% [markdown]
# ## 4.3 · A batch in parts
#
# *stretch · 20 minutes · difficulty ●●● · importance ●●○*
#
# A batch that is too large for memory is cut into parts: the gradients of their losses are added up, and then comes one update.
# That should be the same update as without cutting. Given the error at each token of each part, find the parts' losses: their
# sum must be the mean over **all** real tokens of the batch. Each part is padded on its own.

# %% [solution part_losses]
def part_losses(parts: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """A scalar loss a part; their sum is the mean error over the real tokens of all parts.

    parts: (errors (b, L), mask (b, L)) each, the mask 1 at real tokens; b and L differ from part to part
    """
    ### BEGIN SOLUTION
    tokens = sum(mask.sum() for _, mask in parts)
    return [(errors * mask).sum() / tokens for errors, mask in parts]
    ### END SOLUTION

# %% [check part_losses: 3 points]
from tinybert_lite.classroom import check_intermediate

check_intermediate.part_losses(part_losses)
### BEGIN HIDDEN TESTS
check_intermediate.part_losses(part_losses, seed=1)
### END HIDDEN TESTS

# %% [wrong: padding neither counts nor lowers the mean]
def part_losses(parts):
    places = sum(mask.numel() for _, mask in parts)
    return [(errors * mask).sum() / places for errors, mask in parts]

# %% [wrong: splitting a batch changes nothing]
def part_losses(parts):
    return [(errors * mask).sum() / mask.sum() for errors, mask in parts]

# %% [wrong: a part with fewer tokens has a smaller weight]
def part_losses(parts):
    return [(errors * mask).sum() / mask.sum() / len(parts) for errors, mask in parts]

# %% [wrong: tokens are counted, not rows]
def part_losses(parts):
    rows = sum(len(mask) for _, mask in parts)
    return [((errors * mask).sum(1) / mask.sum(1)).sum() / rows for errors, mask in parts]

# %% [wrong: each part's loss comes from its own tokens]
def part_losses(parts):
    total = sum((errors * mask).sum() for errors, mask in parts) / sum(mask.sum() for _, mask in parts)
    return [total / len(parts) for _ in parts]

# %% [wrong: each loss carries a gradient]
def part_losses(parts):
    tokens = sum(mask.sum() for _, mask in parts)
    return [((errors * mask).sum() / tokens).item() for errors, mask in parts]

# %% [markdown]
# <details><summary>Hint</summary>
#
# Sums add up, means do not. What must be known before the first part is worked on?
# </details>
#
# <details><summary>Why it matters</summary>
#
# With a mean of means a token in a small part weighs more than one in a large part, and the result depends on how much memory
# your machine has. Large training libraries had this very mistake for years.
# </details>
