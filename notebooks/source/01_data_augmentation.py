# %% [markdown]
# # 01 · Data augmentation
#
# **Claim: the student needs many sentences more than it needs new labels.** What it copies is the teacher's behaviour, and the
# teacher can be asked about any sentence. So we make new sentences by replacing words in those we have.
#
# *You are here:* [00 start](00_start_here.ipynb) · **01 augment** · [02 pregenerate](02_pregenerate_training_data.ipynb) ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | find | the words of a sentence that may be replaced, and candidates for each |
# | compute | a nearest neighbour by hand |
# | draw | variants, and look at what they do to the meaning |
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
# This stage needs a teacher that can guess a masked word. One comes with the course; only if you asked for a grown one, the next cell makes it. Otherwise it is silent.

# %%
lessons.ensure(workspace, settings, "data_augmentation")

# %% [markdown]
# ## Which words may go
#
# Replaceable are words of letters that are not in a stop list: swapping *but* or *the* teaches nothing. Words are cut as BERT
# cuts them, lower-cased for an uncased model. Four variants a sentence will do for looking (`N` counts variants here, not layers).
#
# Before you run it: *The story meanders, but the actors give a wonderful performance.* Of its twelve words, comma and full stop included, how many may go?

# %%
lessons.predict("eligible", "How many words of the sentence may be replaced?", "words")

# %% [markdown]
# And now let the package decide.

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
# The paper's Algorithm 1 has two sources. A word that is *one* word piece is masked, and the teacher's masked language model
# proposes what else could stand there: this looks at the sentence. A word of *several* pieces cannot be guessed in one go, so
# its nearest neighbours among word vectors are taken: this looks at the word alone. (A word vector is one fixed vector a word, such that words of
# like contexts lie close; ours are in `1_pre_data/glove.classroom.txt`.) Each word gets at most `M` candidates; the table shows six.

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
# Mind the second neighbour. *Good* and *bad* stand in the same contexts, so real vectors place them close together as well.
# Augmentation keeps the sentence's old label even when *bad* replaced *good*. For distillation that hurts less than you would
# think: in stages 4 and 5 the student copies the teacher's answer on the **new** sentence, and never looks at the label.

# %% [markdown]
# ## Variants
#
# In each variant every replaceable word is swapped with probability $p$ for one of its candidates, drawn evenly.

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
# **What you should see.** Word vectors give words of the same kind: *meanders* becomes *drags*. What the masked language model
# gives is as good as the teacher: words that fit the place, though not always the sense. Variants need not be true or pretty,
# but they have to lie near real sentences, so that the teacher's answer to them is worth copying. If yours read badly, a
# better teacher is the cure.

# %% [markdown]
# ## The stage in one call
#
# All rows, batched, with a seed: the same seed gives the same bytes. Run the cell again and the stage is skipped, since nothing
# it reads has changed. (`skipped_rows` counts lines with missing fields, which only some tasks allow.)

# %%
result = data_augmentation.run(workspace, settings)
pd.Series({"state": result.skipped or "ran", **result.metrics}).to_frame("stage 1")

# %% [markdown]
# The file has the columns of `train.tsv`, each original row once, its variants under it. That is checked quickly:

# %%
from tinybert_lite.data.tables import read_table

original = read_table(workspace.data_file("train"), workspace.task).rows[
    : settings.data_augmentation.max_rows or None
]
augmented = read_table(workspace.augmented_rows, workspace.task).rows
assert len(augmented) == result.metrics["augmented_rows"]
assert {row.fields for row in original} <= {row.fields for row in augmented}

# %% [markdown]
# And this is how it begins:

# %%
pd.DataFrame([{"sentence": row.text_a, "label": row.label} for row in augmented[:9]])

# %% [markdown]
# An original keeps its capitals and spacing; a variant is written in BERT's own words. For the model both are the same, since
# its tokenizer splits them into the same word pieces.

# %% [markdown]
# ## One knob to turn
#
# $p$ decides how far variants stray. Too low, and they repeat the original; too high, and nothing of it is left. The paper
# takes 0.4. Move the sliders, and find the $p$ from which on you would no longer sign the label.

# %%
widgets.augmentation_viewer(
    augmenter,
    [
        "The story meanders, but the actors give a wonderful performance.",
        "A dull film with one good joke.",
    ],
)

# %% [markdown]
# The same in numbers. To run the stage with another $p$, write `settings = settings.override(["data_augmentation.p=0.2"])` and call it again: it notices the change.

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
# ## In three sentences
#
# New training rows are made by replacing words with what a masked language model or word vectors propose. Labels are carried
# over and may go wrong, but distillation asks the teacher instead. What matters is that the new sentences lie close to real ones.
#
# **Exercises:** [three of them](exercises/01_data_augmentation.ipynb), to do with your own hands.
#
# **The way on:** [02 · Pregenerated training data](02_pregenerate_training_data.ipynb) prepares the text for general distillation.
