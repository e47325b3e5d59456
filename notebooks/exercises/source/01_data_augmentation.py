# %% [markdown]
# # Exercises 01 · Data augmentation
#
# New sentences from old ones: which words may go, what may stand in their place, and how variants are drawn. They go with the
# lesson [01 · Data augmentation](../01_data_augmentation.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import random

from torch import Tensor

# %% [markdown]
# ## 1.1 · Words that may be replaced
#
# *warm-up · 5 minutes · difficulty ●○○ · importance ●●○*
#
# Not every word of a sentence is worth replacing. Marks and numbers stay, and so do stop words such as *the* and *of*, which
# carry grammar rather than meaning. A word is eligible if it has letters only and is no stop word, in small letters or capitals.

# %% [solution eligible_words]
def eligible_words(words: list[str], stop_words: set[str]) -> list[int]:
    """The places, from 0 and in order, of the words that may be replaced. stop_words: in small letters."""
    ### BEGIN SOLUTION
    return [place for place, word in enumerate(words) if word.isalpha() and word.lower() not in stop_words]
    ### END SOLUTION

# %% [check eligible_words: 1 point]
from tinybert_lite.classroom import check_augmentation

check_augmentation.eligible_words(eligible_words)
### BEGIN HIDDEN TESTS
check_augmentation.eligible_words(eligible_words, seed=1)
### END HIDDEN TESTS

# %% [wrong: places are wanted, not words]
def eligible_words(words, stop_words):
    return [word for word in words if word.isalpha() and word.lower() not in stop_words]

# %% [wrong: a word has letters only]
def eligible_words(words, stop_words):
    return [place for place, word in enumerate(words) if word.isalnum() and word.lower() not in stop_words]

# %% [wrong: a punctuation mark or a number is not a word]
def eligible_words(words, stop_words):
    places = [place for place, word in enumerate(words) if word.lower() not in stop_words]
    return [place for place in places if not words[place][0].isdigit()]

# %% [wrong: a stop word with a capital letter is not replaced either]
def eligible_words(words, stop_words):
    return [place for place, word in enumerate(words) if word.isalpha() and word not in stop_words]

# %% [wrong: every other word may be replaced]
def eligible_words(words, stop_words):
    return sorted({words.index(word) for word in words if word.isalpha() and word.lower() not in stop_words and len(word) > 4})

# %% [markdown]
# <details><summary>Hint</summary>
#
# `"2nd".isalpha()` is false and `"2nd".isalnum()` is true. `enumerate(words)` gives each word with its place.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Replacing *not* or *the* breaks a sentence without saying anything new about its words, and a replaced number says something
# false. Places rather than words: the same word can stand in a sentence twice.
# </details>

# %% [markdown]
# ## 1.2 · Candidates from the masked language model
#
# *core · 10 minutes · difficulty ●●○ · importance ●●●*
#
# Mask a word, and the model gives each piece of its vocabulary a score. The $M$ best may stand in its place. But the best of
# all is often the word itself, and among the others are pieces such as `##ly`, marks and special tokens: none of them may come,
# and none may take the place of one that may.

# %% [solution candidates]
def candidates(scores: Tensor, pieces: list[str], word: str, M: int) -> list[str]:
    """The M best candidates for `word`, best first; fewer where there are not so many.

    scores: (V,), one a piece of the vocabulary · pieces: V strings. Only pieces of letters may come, and not `word`.
    """
    ### BEGIN SOLUTION
    ranked = [pieces[i] for i in scores.argsort(descending=True).tolist()]
    return [piece for piece in ranked if piece.isalpha() and piece != word][:M]
    ### END SOLUTION

# %% [check candidates: 2 points]
from tinybert_lite.classroom import check_augmentation

check_augmentation.candidates(candidates)
### BEGIN HIDDEN TESTS
check_augmentation.candidates(candidates, seed=1)
### END HIDDEN TESTS

# %% [wrong: a word is not a candidate for itself]
def candidates(scores, pieces, word, M):
    return [pieces[i] for i in scores.argsort(descending=True).tolist() if pieces[i].isalpha()][:M]

# %% [wrong: excluded pieces do not use up places]
def candidates(scores, pieces, word, M):
    best = [pieces[i] for i in scores.topk(min(M, len(pieces))).indices.tolist()]
    return [piece for piece in best if piece.isalpha() and piece != word]

# %% [wrong: a piece with ## is the end of a word]
def candidates(scores, pieces, word, M):
    ranked = [pieces[i] for i in scores.argsort(descending=True).tolist()]
    return [piece for piece in ranked if piece[-1].isalpha() and piece != word][:M]

# %% [wrong: special tokens and punctuation are not words]
def candidates(scores, pieces, word, M):
    ranked = [pieces[i] for i in scores.argsort(descending=True).tolist()]
    return [piece for piece in ranked if not piece.startswith("##") and piece != word][:M]

# %% [wrong: the best ones are taken]
def candidates(scores, pieces, word, M):
    ranked = [pieces[i] for i in scores.argsort().tolist()]
    return [piece for piece in ranked if piece.isalpha() and piece != word][:M]

# %% [wrong: the best comes first]
def candidates(scores, pieces, word, M):
    ranked = [pieces[i] for i in scores.argsort(descending=True).tolist()]
    return sorted([piece for piece in ranked if piece.isalpha() and piece != word][:M])

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# Rank all pieces first, strike out second, cut to $M$ last.
# </details>
#
# <details><summary>Hint 2</summary>
#
# `scores.argsort(descending=True).tolist()` is the list of places, best first. `isalpha` is false for `##ly`, `.` and `[MASK]`.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Cut first and strike out after, and a word loses candidates just where the model is sure of it, for there the word itself leads
# the list.
# </details>

# %% [markdown]
# ## 1.3 · Drawing variants
#
# *stretch · 15 minutes · difficulty ●●○ · importance ●●○*
#
# Algorithm 1 of the paper. Each of $N$ times, go through the sentence anew: a word that has candidates is replaced with
# probability $p$, each on its own, by one of them, all equally likely. Variants that come twice count once, and the original
# is none.

# %% [solution variants]
def variants(words: list[str], candidates: dict[int, list[str]], p: float, N: int, rng: random.Random) -> list[list[str]]:
    """At most N different variants, each a list as long as `words`. candidates: by the place of the word."""
    ### BEGIN SOLUTION
    found = {}
    for _ in range(N):
        new = [rng.choice(candidates[i]) if i in candidates and rng.random() < p else word for i, word in enumerate(words)]
        found[tuple(new)] = new
    found.pop(tuple(words), None)
    return list(found.values())
    ### END SOLUTION

# %% [check variants: 3 points]
from tinybert_lite.classroom import check_augmentation

check_augmentation.variants(variants)
### BEGIN HIDDEN TESTS
check_augmentation.variants(variants, seed=1)
### END HIDDEN TESTS

# %% [wrong: the input sentence is not modified]
def variants(words, candidates, p, N, rng):
    for i in candidates:
        if rng.random() < p:
            words[i] = rng.choice(candidates[i])
    return [words]

# %% [wrong: the original is not a variant]
def variants(words, candidates, p, N, rng):
    found = {tuple(rng.choice(candidates[i]) if i in candidates and rng.random() < p else word for i, word in enumerate(words)) for _ in range(N)}
    return [list(variant) for variant in sorted(found)]

# %% [wrong: each variant is returned once]
def variants(words, candidates, p, N, rng):
    made = [[rng.choice(candidates[i]) if i in candidates and rng.random() < p else word for i, word in enumerate(words)] for _ in range(N)]
    return [variant for variant in made if variant != words]

# %% [wrong: every candidate can be drawn]
def variants(words, candidates, p, N, rng):
    found = {tuple(candidates[i][0] if i in candidates and rng.random() < p else word for i, word in enumerate(words)) for _ in range(N)}
    return [list(variant) for variant in sorted(found - {tuple(words)})]

# %% [wrong: each word is drawn on its own]
def variants(words, candidates, p, N, rng):
    found = set()
    for _ in range(N):
        if rng.random() < p:
            found.add(tuple(rng.choice(candidates[i]) if i in candidates else word for i, word in enumerate(words)))
    return [list(variant) for variant in sorted(found - {tuple(words)})]

# %% [wrong: a word is replaced with probability p]
def variants(words, candidates, p, N, rng):
    found = {tuple(rng.choice(candidates[i]) if i in candidates and rng.random() > p else word for i, word in enumerate(words)) for _ in range(N)}
    return [list(variant) for variant in sorted(found - {tuple(words)})]

# %% [wrong: each variant starts from the original]
def variants(words, candidates, p, N, rng):
    found, new = {}, list(words)
    for _ in range(N):
        new = [rng.choice(candidates[i]) if i in candidates and rng.random() < p else word for i, word in enumerate(new)]
        found[tuple(new)] = new
    found.pop(tuple(words), None)
    return list(found.values())

# %% [markdown]
# <details><summary>Hint</summary>
#
# Draw with `rng.random() < p` for each word, and choose with `rng.choice`. The keys of a dict are unique and keep their order; a
# list cannot be a key, a tuple can.
# </details>
#
# <details><summary>Why it matters</summary>
#
# One draw a sentence instead of one a word gives sentences that are wholly new or not new at all: far fewer mixtures. And
# variants of variants drift, until the label no longer fits the words.
# </details>
