# %% [markdown]
# # Exercises 02 · Pregenerated training data
#
# From tokens to what a masked language model is trained on: whole words, masks, and batches that waste no padding. They go with
# the lesson [02 · Pregenerated training data](../02_pregenerate_training_data.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import random

# %% [markdown]
# ## 2.1 · Whole words
#
# *warm-up · 10 minutes · difficulty ●○○ · importance ●●○*
#
# A rare word is cut into pieces: *harbour* becomes `har`, `##bour`. Mask only one of them, and the other gives it away. So
# group the places of a sequence by words: a piece that begins with `##` belongs to the word before it. `[CLS]` and `[SEP]`
# belong to none.

# %% [solution whole_words]
def whole_words(tokens: list[str]) -> list[list[int]]:
    """For each word, in order, the places of its pieces in `tokens`, which count from 0 with [CLS]."""
    ### BEGIN SOLUTION
    words = []
    for place, token in enumerate(tokens):
        if token.startswith("##") and words:
            words[-1].append(place)
        elif token not in ("[CLS]", "[SEP]"):
            words.append([place])
    return words
    ### END SOLUTION

# %% [check whole_words: 1 point]
from tinybert_lite.classroom import check_sequences

check_sequences.whole_words(whole_words)
### BEGIN HIDDEN TESTS
check_sequences.whole_words(whole_words, seed=1)
### END HIDDEN TESTS

# %% [wrong: special tokens belong to no word]
def whole_words(tokens):
    words = [[0]]
    for place, token in enumerate(tokens[1:-1], 1):
        words[-1].append(place) if token.startswith("##") else words.append([place])
    return words[1:]

# %% [wrong: a piece with ## joins the word before it]
def whole_words(tokens):
    return [[place] for place, token in enumerate(tokens) if token not in ("[CLS]", "[SEP]")]

# %% [wrong: places count from [CLS] at 0]
def whole_words(tokens):
    words = []
    for place, token in enumerate(token for token in tokens if token not in ("[CLS]", "[SEP]")):
        words[-1].append(place) if token.startswith("##") else words.append([place])
    return words

# %% [wrong: the last word counts too]
def whole_words(tokens):
    words, word = [], []
    for place, token in enumerate(tokens):
        if token in ("[CLS]", "[SEP]"):
            continue
        if not token.startswith("##") and word:
            words.append(word)
            word = []
        word.append(place)
    return words

# %% [wrong: each word is a list of places]
def whole_words(tokens):
    return [place for place, token in enumerate(tokens) if not token.startswith("##") and token not in ("[CLS]", "[SEP]")]

# %% [markdown]
# <details><summary>Hint</summary>
#
# Walk along with `enumerate`. A piece with `##` is appended to the last list, `words[-1]`; any other begins a new one.
# </details>
#
# <details><summary>Why it matters</summary>
#
# With single pieces masked, the model often needs only to spell. With whole words masked it has to read the sentence.
# </details>

# %% [markdown]
# ## 2.2 · Eighty, ten, ten
#
# *core · 10 minutes · difficulty ●●○ · importance ●●●*
#
# Some places of a sequence were chosen to be guessed. Of these, 80 % become `[MASK]`, 10 % stay as they are, and 10 % become a
# random piece: one draw decides for each place. The labels are what stood there.

# %% [solution mask_tokens]
def mask_tokens(tokens: list[str], chosen: list[int], pieces: list[str], rng: random.Random) -> tuple[list[str], list[str]]:
    """(the masked tokens, the label of each chosen place). pieces: what a random piece is drawn from."""
    ### BEGIN SOLUTION
    masked = list(tokens)
    for place in chosen:
        draw = rng.random()
        if draw < 0.8:
            masked[place] = "[MASK]"
        elif draw < 0.9:
            masked[place] = rng.choice(pieces)
    return masked, [tokens[place] for place in chosen]
    ### END SOLUTION

# %% [check mask_tokens: 2 points]
from tinybert_lite.classroom import check_sequences

check_sequences.mask_tokens(mask_tokens)
### BEGIN HIDDEN TESTS
check_sequences.mask_tokens(mask_tokens, seed=1)
### END HIDDEN TESTS

# %% [wrong: some places keep their token]
def mask_tokens(tokens, chosen, pieces, rng):
    masked = list(tokens)
    for place in chosen:
        masked[place] = "[MASK]"
    return masked, [tokens[place] for place in chosen]

# %% [wrong: one place in ten becomes a random piece]
def mask_tokens(tokens, chosen, pieces, rng):
    masked = list(tokens)
    for place in chosen:
        if rng.random() < 0.8:
            masked[place] = "[MASK]"
        elif rng.random() < 0.1:
            masked[place] = rng.choice(pieces)
    return masked, [tokens[place] for place in chosen]

# %% [wrong: eight places in ten become [MASK]]
def mask_tokens(tokens, chosen, pieces, rng):
    masked = list(tokens)
    for place in chosen:
        draw = rng.random()
        if draw < 0.15:
            masked[place] = "[MASK]"
        elif draw < 0.25:
            masked[place] = rng.choice(pieces)
    return masked, [tokens[place] for place in chosen]

# %% [wrong: labels are the original tokens]
def mask_tokens(tokens, chosen, pieces, rng):
    masked = list(tokens)
    for place in chosen:
        draw = rng.random()
        masked[place] = "[MASK]" if draw < 0.8 else rng.choice(pieces) if draw < 0.9 else tokens[place]
    return masked, [masked[place] for place in chosen]

# %% [wrong: places that were not chosen are unchanged]
def mask_tokens(tokens, chosen, pieces, rng):
    draws = [rng.random() for _ in tokens]
    masked = ["[MASK]" if draw < 0.8 else rng.choice(pieces) if draw < 0.9 else token for token, draw in zip(tokens, draws)]
    return masked, [tokens[place] for place in chosen]

# %% [wrong: each random piece is a new draw from all pieces]
def mask_tokens(tokens, chosen, pieces, rng):
    masked, piece = list(tokens), rng.choice(pieces)
    for place in chosen:
        draw = rng.random()
        masked[place] = "[MASK]" if draw < 0.8 else piece if draw < 0.9 else tokens[place]
    return masked, [tokens[place] for place in chosen]

# %% [markdown]
# <details><summary>Hint</summary>
#
# Draw once a place, `draw = rng.random()`: below 0.8 a mask, below 0.9 a random piece, else nothing. Write into a copy.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Later the model reads sentences without any `[MASK]`. If only masks were ever asked for, it could be careless about every
# other place. The 20 % teach it to have an opinion on each.
# </details>

# %% [markdown]
# ## 2.3 · Batches of like length
#
# *stretch · 15 minutes · difficulty ●●● · importance ●●○*
#
# A batch is padded to its longest row. Put rows of like length together, and little is padded: sort the rows by length and cut
# the line into batches. Then shuffle the batches, for an epoch must not go from short to long. Every row comes once, the last
# and partial batch too.

# %% [solution bucketed]
def bucketed(lengths: list[int], batch_size: int, rng: random.Random) -> list[list[int]]:
    """Row numbers, from 0, in batches of `batch_size` rows of like length; the batches in random order."""
    ### BEGIN SOLUTION
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
    rng.shuffle(batches)
    return batches
    ### END SOLUTION

# %% [check bucketed: 3 points]
from tinybert_lite.classroom import check_sequences

check_sequences.bucketed(bucketed)
### BEGIN HIDDEN TESTS
check_sequences.bucketed(bucketed, seed=1)
### END HIDDEN TESTS

# %% [wrong: row numbers are wanted, not lengths]
def bucketed(lengths, batch_size, rng):
    ordered = sorted(lengths)
    batches = [ordered[start:start + batch_size] for start in range(0, len(ordered), batch_size)]
    rng.shuffle(batches)
    return batches

# %% [wrong: the last, partial batch counts too]
def bucketed(lengths, batch_size, rng):
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    batches = [order[start:start + batch_size] for start in range(0, len(order) - batch_size + 1, batch_size)]
    rng.shuffle(batches)
    return batches

# %% [wrong: rows of similar length share a batch]
def bucketed(lengths, batch_size, rng):
    order = list(range(len(lengths)))
    rng.shuffle(order)
    return [order[start:start + batch_size] for start in range(0, len(order), batch_size)]

# %% [wrong: batches are in random order]
def bucketed(lengths, batch_size, rng):
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    return [order[start:start + batch_size] for start in range(0, len(order), batch_size)]

# %% [wrong: each epoch has a new order]
def bucketed(lengths, batch_size, rng):
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    batches = [order[start:start + batch_size] for start in range(0, len(order), batch_size)]
    random.Random(42).shuffle(batches)
    return batches

# %% [wrong: a batch holds]
def bucketed(lengths, batch_size, rng):
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    batches = [order[start:start + batch_size + 1] for start in range(0, len(order), batch_size + 1)]
    rng.shuffle(batches)
    return batches

# %% [markdown]
# <details><summary>Hint</summary>
#
# `sorted(range(n), key=lambda row: lengths[row])` orders row *numbers* by length. `rng.shuffle` works in place and returns None.
# </details>
#
# <details><summary>Why it matters</summary>
#
# Every padded place is computed like a real one, and in attention it costs by the square. In the check's example random batches
# take half as many places again. Put together by length, not one row is lost or seen twice.
# </details>
