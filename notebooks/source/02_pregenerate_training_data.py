# %% [markdown]
# # 02 · Pregenerated training data
#
# **Claim: before the student learns the task, it learns the language, and any text is suitable for that.** No labels are needed: the student learns the
# outputs of the teacher's layers. This stage cuts a corpus into sequences once, so that they need not be made again during training.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) · **02 pregenerate** ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | read | a corpus of documents |
# | predict | how many pieces of a sequence are chosen for masking, and how they are changed |
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
# This stage needs the teacher's vocabulary. If nothing is missing, the cell prints nothing.

# %%
lessons.ensure(workspace, settings, "pregenerate_training_data")

# %% [markdown]
# ## The corpus
#
# One sentence per line, a blank line between documents. The limits of documents are needed: the two segments of a sequence come from the same document,
# or deliberately from two.

# %%
from tinybert_lite.data.corpus import read_documents

documents = list(read_documents(workspace.corpus))
print(len(documents), "documents,", sum(map(len, documents)), "sentences; the first begins:")
documents[0][:3]

# %% [markdown]
# ## Masking, by hand first
#
# Of a sequence of $n$ pieces, `round(0.15 · n)` are chosen, at least one. Of the chosen pieces, 80 % are replaced by `[MASK]`, 10 % by a random piece,
# and 10 % are left unchanged. The sentence below has 17 pieces with `[CLS]` and `[SEP]`. How many are chosen?

# %%
lessons.predict("chosen", "How many of 17 pieces are chosen?", "pieces")

# %% [markdown]
# $0.15 \cdot 17 = 2.55$, so three. `[CLS]` and `[SEP]` are counted in $n$, but are never chosen. For each chosen piece the cell shows its position, the
# original piece, and the new piece.

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
# Now draw many times, and count how the chosen pieces were changed. We expect 80, 10 and 10 %; with a few thousand draws the shares differ from that by
# one or two percentage points.

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
# One file per epoch, each with new masks, so that the student does not see the same sequence twice.

# %%
result = pregenerate_training_data.run(workspace, settings)
pd.Series({"state": result.skipped or "ran", **result.metrics}).to_frame("stage 2")

# %% [markdown]
# The format is that of the original project, the code of the paper's authors: one JSON object per line. Here is one of them, with the first eight
# entries of each list. `segment_ids` are 0 in segment A and 1 in segment B; `is_random_next` says that B was taken from another document.

# %%
with open(workspace.sequences / "epoch_0.json", encoding="utf-8") as file:
    sequences = [json.loads(line) for line in file]
sequence = next(s for s in sequences if s["is_random_next"])
{key: value if isinstance(value, bool) else value[:8] for key, value in sequence.items()}

# %% [markdown]
# ## One sequence, piece by piece
#
# Segment A, then segment B. The original piece is shown under each chosen piece.

# %%
were = dict(zip(sequence["masked_lm_positions"], sequence["masked_lm_labels"]))
marked = [
    (token, plots.fate(token, were[i]), were[i]) if i in were else (token, "")
    for i, token in enumerate(sequence["tokens"])
]
first = sequence["segment_ids"].count(0)
plots.word_rows([marked[:first], marked[first:]], ["segment A", "segment B"], plots.FATES)

# %% [markdown]
# **What you should see.** About one piece in seven has a coloured background, and four of five of these are `[MASK]`. Segment B has nothing to do with
# A: this sequence was selected because its `is_random_next` is true. Pieces that begin with `##` continue a word; a small vocabulary has many of them.
#
# Note that in general distillation the student does not predict the masked words. Teacher and student read the same masked sequence, and the student
# has to reproduce the teacher's attention scores and hidden states. The original pieces are stored because the file format is BERT's, and a teacher can
# be pre-trained on the file.

# %% [markdown]
# About half of all sequences have a segment B from another document, as in BERT's pre-training. If too few sentences of a document are left, segment B
# also comes from another document, so the share is slightly above one half.

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
# ## One setting to change
#
# Predicting `##ful` after `won ##der` is easy. With **whole-word masking** the pieces of a word are chosen together or not at all. Switch it on, move
# the share (`probability`) and the seed, and watch the pieces of *lighthouse*. (The share shown below the draws is larger than the one you set, because
# it is a share of the pieces that may be chosen, without `[CLS]` and `[SEP]`. At 30 % that is `round(0.3 · 16)` = 5 of 14.) For the stage, write
# `settings.override(["pregenerate_training_data.do_whole_word_mask=true"])`.

# %%
pieces = [
    "[CLS]",
    *"the light ##house keep ##er wait ##ed for a won ##der ##ful mor ##ning".split(),
    "[SEP]",
]
widgets.masking_viewer(pieces, probability=0.3)

# %% [markdown]
# ## Summary
#
# General distillation needs text and no labels. A sequence has two segments and is masked as in BERT's pre-training, with new masks in every epoch.
# Teacher and student will read the same sequences.
#
# **Exercises:** [three exercises](exercises/02_pregenerate_training_data.ipynb).
#
# **Next:** [03 · General distillation](03_general_distill.ipynb), the first training of the student.
