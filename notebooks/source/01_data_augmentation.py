# %% [markdown]
# # 01 · Data augmentation
#
# **Claim: the student needs many sentences, but no labels for them.** It learns the teacher's outputs, and these can be computed for any sentence. So
# we make new sentences by replacing words in the sentences of the task.
#
# *You are here:* [00 start](00_start_here.ipynb) · **01 augment** · [02 pregenerate](02_pregenerate_training_data.ipynb) ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | find | the words of a sentence that may be replaced, and candidates for each |
# | compute | a nearest neighbour by hand |
# | draw | variants, and see how they change the meaning |
# | run | stage 1 |
#
# About a minute. Reads `SST-2/train.tsv`, the teacher and word vectors; writes `1_pre_data/aug.tsv`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import random
from dataclasses import replace

import pandas as pd

from tinybert_lite import data_augmentation

workspace, settings = lessons.setup()

# %% [markdown]
# This stage needs a teacher that can predict a masked word. The course includes one. The next cell pre-trains one only if you have requested a grown
# teacher; otherwise it prints nothing.

# %%
lessons.ensure(workspace, settings, "data_augmentation")

# %% [markdown]
# ## Which words may be replaced
#
# A word may be replaced if it consists of letters and is not in a list of stop words: replacing *but* or *the* would teach the student nothing. Text is
# split into words by BERT's tokenizer, in lower case for an uncased model. Here we draw four variants per sentence (`N` is the number of variants, not
# of layers).
#
# Before you run it: *The story meanders, but the actors give a wonderful performance.* Of its twelve words, comma and full stop included, how many may
# be replaced?

# %%
lessons.predict("eligible", "How many words of the sentence may be replaced?", "words")

# %% [markdown]
# Now the package's function:

# %%
from tinybert_lite.data.tokens import words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.models.loading import load_with_tokenizer

teacher, vectors = (
    load_with_tokenizer(workspace.teacher, masked_lm=True),
    WordVectors.read(workspace.vectors),
)
options = replace(settings.data_augmentation, N=4)
augmenter = data_augmentation.Augmenter(teacher.model, teacher.tokenizer, vectors, options)
text = words(
    teacher.tokenizer, "The story meanders, but the actors give a wonderful performance."
)
lessons.reveal("eligible", len(augmenter.eligible(text)))
[text[place] for place in augmenter.eligible(text)]

# %% [markdown]
# ## Where candidates come from
#
# The paper's Algorithm 1 has two sources of candidates. A word that is *one* word piece is masked, and the teacher's masked language model predicts
# other words for its position: this method uses the sentence. A word of *several* pieces cannot be predicted in one pass, so its candidates are its
# nearest neighbours among word vectors: this method uses only the word itself. (Word vectors are one fixed vector per word, and words that are used in
# similar contexts have similar vectors; ours are in `1_pre_data/glove.classroom.txt`.) Each word gets at most `M` candidates; the table shows six.

# %%
(candidates,) = augmenter.candidates([text])
pd.set_option("display.max_colwidth", None)
pd.DataFrame(
    [
        {
            "word": text[place],
            "source": "masked LM" if text[place] in augmenter.single_pieces else "word vectors",
            "first candidates": ", ".join(found[:6]),
        }
        for place, found in candidates.items()
    ]
)

# %% [markdown]
# ## Nearest neighbours by hand
#
# "Near" means a large cosine. Take four words in the plane. The vectors of *good* $(3, 4)$ and *fine* $(4, 3)$ both have length
# 5, so their cosine is $(3 \cdot 4 + 4 \cdot 3) / 25 = 0.96$. For *bad* $(-3, 4)$ it is $(-9 + 16) / 25 = 0.28$, for *table*
# $(0, -1)$ it is negative.

# %%
import numpy as np

toy = WordVectors(
    ["good", "fine", "bad", "table"],
    np.array([[3, 4], [4, 3], [-3, 4], [0, -1]], dtype=np.float32),
)
cosines = toy.matrix @ toy.matrix[toy.place["good"]]
assert np.allclose(cosines, [1, 0.96, 0.28, -0.8])
assert toy.neighbours(["good"], k=2) == {"good": ["fine", "bad"]}

# %% [markdown]
# Note the second neighbour. *Good* and *bad* occur in the same contexts, so in real word vectors, too, they are close to each other. Augmentation keeps
# the sentence's label even if *bad* has replaced *good*. For distillation this does little harm: in stages 4 and 5 the student learns the teacher's
# outputs for the **new** sentence, and the label is not used.

# %% [markdown]
# ## Variants
#
# In each variant every word that may be replaced is replaced with probability $p$. Each of its candidates has the same probability.

# %%
variants = [
    variant.split()
    for variant in augmenter.variants(text, candidates, random.Random(settings.seed))
]
rows = [
    [(new, "replaced" if new != old else "") for old, new in zip(text, row)]
    for row in (text, *variants)
]
plots.word_rows(
    rows, ["original", *(f"variant {i}" for i in range(1, len(rows)))], plots.REPLACED
)

# %% [markdown]
# **What you should see.** Word vectors give words of a similar meaning: *meanders* becomes *drags*. The masked language model gives words that fit the
# position grammatically, but not always the meaning; a better teacher gives better ones. Variants need not be true or well written, but they have to be
# similar to real sentences, because only then are the teacher's outputs for them useful. If your variants are poor, use a better teacher.

# %% [markdown]
# ## The stage in one call
#
# The stage processes all rows in batches, with a seed: the same seed gives the same bytes. If you run the cell again, the stage is skipped, since its
# inputs and settings are unchanged. (`skipped_rows` counts lines with missing fields, which only some tasks allow.)

# %%
result = data_augmentation.run(workspace, settings)
pd.Series({"state": result.skipped or "ran", **result.metrics}).to_frame("stage 1")

# %% [markdown]
# The file has the columns of `train.tsv`. It contains each original row once, followed by its variants. We check this:

# %%
from tinybert_lite.data.tables import read_table

original = read_table(workspace.data_file("train"), workspace.task).rows[
    : settings.data_augmentation.max_rows or None
]
augmented = read_table(workspace.augmented_rows, workspace.task).rows
assert len(augmented) == result.metrics["augmented_rows"]
assert {row.fields for row in original} <= {row.fields for row in augmented}

# %% [markdown]
# The first rows:

# %%
pd.DataFrame([{"sentence": row.text_a, "label": row.label} for row in augmented[:9]])

# %% [markdown]
# An original row keeps its capitals and spaces; a variant is written as the words that BERT's tokenizer found, separated by spaces. For the model this
# makes no difference, since the tokenizer splits both into the same word pieces.

# %% [markdown]
# ## One setting to change
#
# $p$ determines how much variants differ from the original. If it is too low, they repeat the original; if it is too high, nothing of the original is
# left. The paper uses 0.4. Move the sliders, and find the $p$ above which the label is often wrong.

# %%
widgets.augmentation_viewer(
    augmenter,
    [
        "The story meanders, but the actors give a wonderful performance.",
        "A dull film with one good joke.",
    ],
)

# %% [markdown]
# The same in numbers. To run the stage with another $p$, write `settings = settings.override(["data_augmentation.p=0.2"])` and call the stage again: it
# runs again, because a setting has changed.

# %%
table = []
for p in (0.1, 0.4, 0.9):
    augmenter.settings = replace(options, p=p, N=200)
    found = [
        variant.split() for variant in augmenter.variants(text, candidates, random.Random(1))
    ]
    swapped = np.mean([sum(a != b for a, b in zip(text, variant)) for variant in found])
    table.append(
        {
            "p": p,
            "different variants of 200": len(found),
            "words replaced, mean": round(swapped, 1),
            "for example": " ".join(found[0]),
        }
    )
pd.DataFrame(table)

# %% [markdown]
# ## Summary
#
# New training rows are made by replacing words with candidates from a masked language model or from word vectors. A variant keeps its row's label,
# which may be wrong, but distillation uses the teacher's outputs instead. The new sentences have to be similar to real ones.
#
# **Exercises:** [three exercises](exercises/01_data_augmentation.ipynb).
#
# **Next:** [02 · Pregenerated training data](02_pregenerate_training_data.ipynb) prepares the text for general distillation.
