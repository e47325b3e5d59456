# %% [markdown]
# # 02 · Pregenerated training data
#
# **Claim: before it learns the task, the student learns the language, and for that any text will do.** No labels are needed:
# the teacher's own layers are the lesson. This stage cuts a corpus into sequences, once, so that training need not.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) · **02 pregenerate** ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | read | a corpus of documents |
# | predict | how many pieces of a sequence are chosen, and what becomes of them |
# | run | stage 2 |
# | look at | a training sequence, piece by piece |
#
# Less than a minute. Reads `1_pre_data/documents.txt` and the teacher's vocabulary; writes `2_pregenerate_data/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import json
import random
from collections import Counter

import pandas as pd

from tinybert_lite import pregenerate_training_data

workspace, settings = lessons.setup()

# %% [markdown]
# This stage needs the teacher's vocabulary. If nothing is missing, the cell is silent.

# %%
lessons.ensure(workspace, settings, "pregenerate_training_data")

# %% [markdown]
# ## The corpus
#
# One sentence a line, a blank line between documents. Documents matter: two segments of a sequence come from one document, or
# on purpose from two.

# %%
from tinybert_lite.data.corpus import read_documents

documents = list(read_documents(workspace.corpus))
print(len(documents), "documents,", sum(map(len, documents)), "sentences; the first begins:")
documents[0][:3]

# %% [markdown]
# ## Masking, by hand first
#
# Of a sequence of $n$ pieces, `round(0.15 · n)` are chosen, at least one. Of those chosen, BERT turns 80 % into `[MASK]`,
# replaces 10 % by a random piece, and leaves 10 % as they are. The sentence below has 17 pieces with `[CLS]` and `[SEP]`. How many are chosen?

# %%
lessons.predict("chosen", "How many of 17 pieces are chosen?", "pieces")

# %% [markdown]
# $0.15 \cdot 17 = 2.55$, so three. `[CLS]` and `[SEP]` count in $n$, but are never chosen. The cell shows, for each chosen piece, its place, what it was,
# and what stands there now.

# %%
from tinybert_lite.method.masking import mask_tokens

tokens = [
    "[CLS]",
    *"the tide comes in twice a day and the harbour fills until the boats float".split(),
    "[SEP]",
]
masked, places, were = mask_tokens(
    tokens,
    random.Random(settings.seed),
    probability=0.15,
    most=20,
    whole_words=False,
    random_pieces=["moon", "salt"],
)
assert len(tokens) == 17 and len(places) == 3
lessons.reveal("chosen", len(places))
list(zip(places, were, [masked[place] for place in places]))

# %% [markdown]
# Now draw many times, and count what became of the chosen pieces. 80, 10, 10 is what we expect; a few thousand draws come
# within a percent or two.

# %%
rng, counts = random.Random(0), Counter()
for _ in range(3000):
    masked, places, were = mask_tokens(tokens, rng, 0.15, 20, False, ["moon", "salt"])
    counts.update(plots.fate(masked[place], was) for place, was in zip(places, were))
shares = pd.Series({name: counts[name] / counts.total() for name in plots.FATES})
assert abs(shares["[MASK]"] - 0.8) < 0.02
shares.round(3).to_frame("share of chosen pieces")

# %% [markdown]
# ## The stage in one call
#
# One file an epoch, each masked anew, so that the student does not see the same sequence twice.

# %%
result = pregenerate_training_data.run(workspace, settings)
pd.Series({"state": result.skipped or "ran", **result.metrics}).to_frame("stage 2")

# %% [markdown]
# The format is that of the original project, the code of the paper's authors: a JSON object a line. Here is one of them, each list cut to its first eight entries.
# `segment_ids` are 0 in segment A and 1 in segment B; `is_random_next` says that B was taken from another document.

# %%
with open(workspace.sequences / "epoch_0.json", encoding="utf-8") as file:
    sequences = [json.loads(line) for line in file]
sequence = next(s for s in sequences if s["is_random_next"])
{key: value if isinstance(value, bool) else value[:8] for key, value in sequence.items()}

# %% [markdown]
# ## One sequence, piece by piece
#
# Segment A, then segment B. Under each chosen piece stands what was there before.

# %%
were = dict(zip(sequence["masked_lm_positions"], sequence["masked_lm_labels"]))
marked = [
    (token, plots.fate(token, were[i]), were[i]) if i in were else (token, "")
    for i, token in enumerate(sequence["tokens"])
]
first = sequence["segment_ids"].count(0)
plots.word_rows([marked[:first], marked[first:]], ["segment A", "segment B"], plots.FATES)

# %% [markdown]
# **What you should see.** About one piece in seven on a coloured ground, four of five of those saying `[MASK]`, and a segment B that has
# nothing to do with A: this sequence was picked for its `is_random_next`. Pieces that begin with `##` continue a word; a small
# vocabulary has many of them.
#
# One surprise: general distillation will not ask the student to guess these words. Teacher and student read the same masked
# sequence, and the student has to *think* about it as the teacher does. The labels are kept because the file format is
# BERT's, and a teacher can be pre-trained from it.

# %% [markdown]
# Over all sequences, about half have a segment B from another document, as BERT was trained. A document with too few sentences
# left pushes the share above one half.

# %%
lengths = pd.Series([len(s["tokens"]) for s in sequences])
pd.Series(
    {
        "sequences": len(sequences),
        "pieces, mean": lengths.mean(),
        "pieces, most": lengths.max(),
        "B from another document": sum(s["is_random_next"] for s in sequences) / len(sequences),
        "pieces chosen": sum(len(s["masked_lm_positions"]) for s in sequences) / lengths.sum(),
    }
).round(2).to_frame("epoch 0")

# %% [markdown]
# ## One knob to turn
#
# Guessing `##ful` after `won ##der` is easy. With **whole-word masking** the pieces of a word are chosen together or not at all.
# Switch it on, move the share (`probability`) and the seed, and watch the pieces of *lighthouse*. (Under the draws stands a larger share than you set: it is of the
# pieces that may be chosen, without `[CLS]` and `[SEP]`. At 30 % that is `round(0.3 · 16)` = 5 of 14.) In the stage it is
# `settings.override(["pregenerate_training_data.do_whole_word_mask=true"])`.

# %%
pieces = [
    "[CLS]",
    *"the light ##house keep ##er wait ##ed for a won ##der ##ful mor ##ning".split(),
    "[SEP]",
]
widgets.masking_viewer(pieces, probability=0.3)

# %% [markdown]
# ## In three sentences
#
# General distillation needs text and no labels. Sequences are two segments long and masked as BERT's were, with fresh masks
# every epoch. Both models will read them side by side.
#
# **Exercises:** [three of them](exercises/02_pregenerate_training_data.ipynb), to do with your own hands.
#
# **The way on:** [03 · General distillation](03_general_distill.ipynb), where the student learns for the first time.
