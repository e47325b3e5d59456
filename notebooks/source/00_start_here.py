# %% [markdown]
# # 00 · Start here
#
# **Claim: a small BERT can learn more from a large one than its predictions.** It can also learn the large model's attention scores and hidden states,
# in every layer. The small model then does the same task almost as well with a fraction of the parameters. This method is TinyBERT (Jiao et al., 2019);
# in these notebooks you run all of it on your own machine.
#
# The task in all lessons is SST-2, one of nine in the GLUE benchmark: does a sentence about a film praise it (label 1) or not (label 0)? The rows in
# `SST-2/` have its format, but were written for this course.
#
# *You are here:* **00 start** · [01 augment](01_data_augmentation.ipynb) · [02 pregenerate](02_pregenerate_training_data.ipynb) ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [07 your own data](07_your_own_data.ipynb) · [08 eight bits](08_q8bert.ipynb) · [09 Chinese](09_chinese.ipynb)
#
# Before you start: [prerequisites](../docs/prerequisites.md) · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | count | the parameters of BERT and TinyBERT by hand, and find where they are |
# | see | which teacher layer each student layer learns from |
# | read | the plan of the five stages: what each reads and writes |
# | use | the teacher, to predict a masked word |
#
# About 2 minutes. Reads the teacher's folder, `teacher_model/`; writes nothing.

# %% [markdown]
# ## Set-up
#
# Every notebook begins with this cell. A **profile** contains all settings of a run: `classroom` takes minutes on a laptop; `smoke` takes seconds, and
# its models learn almost nothing. Choose one with the environment variable `TINYBERT_PROFILE`, or here: `lessons.setup("smoke")`. The **workspace** has
# the paths of all folders. If something is missing on your computer, `python -m tinybert_lite.doctor` says what it is and how to fix it.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import pandas as pd
import torch

from tinybert_lite import run_all

workspace, settings = lessons.setup()

# %% [markdown]
# The versions and the device with which this page was made. A GPU is used if there is one, but is not needed.

# %%
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.machine import machine, versions

pd.Series(
    {**versions(), "machine": machine(), "device": str(choose_device(settings.device))}
).to_frame("here")

# %% [markdown]
# ## Where the parameters are
#
# A BERT with a vocabulary of $V$ word pieces, width $D$ (the length of each piece's vector), $N$ layers and an intermediate width $I$
# (inside each layer's feed-forward part) has
#
# - embeddings: $(V + 512 + 2)\,D$ for pieces, 512 positions and 2 segments, and $2D$ for a LayerNorm;
# - in each layer: four $D \times D$ matrices (query, key, value, output), two of $D \times I$, their biases, two LayerNorms;
# - a pooler of $D \times D$ above the last layer.
#
# The next cell but one computes this sum. First guess: how many parameters has BERT-base, with $V = 30522$, $D = 768$, $N = 12$ and $I = 3072$? (You
# can answer a question or skip it: the notebook does not wait.)

# %%
lessons.predict("parameters", "How many parameters has BERT-base?", "million")

# %% [markdown]
# The count, term by term:


# %%
def parameters(V, D, N, I):
    attention = 4 * (D * D + D) + 2 * D
    feed_forward = (D * I + I) + (I * D + D) + 2 * D
    return {
        "embeddings": (V + 512 + 2) * D + 2 * D,
        "layers": N * (attention + feed_forward),
        "pooler": D * D + D,
    }


base = sum(parameters(V=30522, D=768, N=12, I=3072).values())
lessons.reveal("parameters", base / 1e6)
base

# %% [markdown]
# 109 million, the number that is usually given for BERT-base. Now build the real model and count its parameters. On PyTorch's `meta` device tensors
# have shapes but no memory, so this costs no memory and almost no time.

# %%
from transformers import BertConfig

from tinybert_lite.models.cost import parameters_by_block
from tinybert_lite.method.encoder import Encoder

with torch.device("meta"):
    tiny = Encoder(
        BertConfig(
            num_hidden_layers=4, hidden_size=312, num_attention_heads=12, intermediate_size=1200
        )
    )
assert (
    sum(parameters_by_block(tiny).values())
    == sum(parameters(V=30522, D=312, N=4, I=1200).values())
    == 14_350_248
)

# %% [markdown]
# The formula gives exactly the model's number of parameters. So we can use it for the paper's students:

# %%
models = {
    "BERT-base": (30522, 768, 12, 3072),
    "TinyBERT6": (30522, 768, 6, 3072),
    "TinyBERT4": (30522, 312, 4, 1200),
}
bill = pd.DataFrame({name: parameters(*sizes) for name, sizes in models.items()}).T
bill["all"] = bill.sum(axis=1)
(bill / 1e6).round(2).assign(
    **{"share of embeddings": (bill["embeddings"] / bill["all"]).round(2)}
).rename_axis("millions of parameters")

# %% [markdown]
# Look at the last column. In TinyBERT4 two thirds of the parameters are embeddings, which only look up a vector for each word piece. The layers shrank
# from 85 to 4.6 million parameters. Most of the memory is used by the embeddings, and most of the time by the layers.

# %% [markdown]
# ## The layer mapping
#
# A student with $M$ layers cannot learn from all $N$ layers of its teacher, layer by layer. The **layer mapping** $g(m)$ says which teacher layer
# student layer $m$ learns from; the paper takes every $N/M$-th: $g(m) = m \cdot N/M$. Layers count from 1; 0 is the embedding output. For 4 and 12
# layers these are 3, 6, 9, 12.

# %%
from tinybert_lite.method.layer_mapping import layer_mapping

mapping = layer_mapping("uniform", student_layers=4, teacher_layers=12)
assert mapping == [0, 3, 6, 9, 12]
plots.layer_map(mapping, teacher_layers=12)

# %% [markdown]
# Each edge connects two layers that are matched: their attention scores (how much each word piece attends to every other one, before the softmax) and
# their hidden states (the layer's output: one vector per word piece). The lowest edge connects the embeddings. No student layer learns from the grey
# layers.

# %% [markdown]
# ## The plan
#
# There are five stages. Each has its own folder and is a function that you will call in its notebook. A stage that is up to date is skipped; one whose
# inputs or settings changed runs again. Two further rows are about the teacher: pre-training one from text ("grow"), which is done only on request, and
# fine-tuning it on the task, which stages 4 and 5 need.

# %%
plan = run_all.make_plan(workspace, settings, [stage.name for stage in run_all.STAGES])
pd.DataFrame(
    [
        {
            "stage": item.stage.title,
            "writes into": str(item.folder.relative_to(workspace.root)),
            "state": item.state,
            "why": item.reason,
        }
        for item in plan
    ]
)

# %% [markdown]
# ## The teacher
#
# All stages need a teacher. If you have put a BERT's files into `teacher_model/`, that BERT is the teacher. Otherwise it is the included one: six
# layers of width 256, pre-trained by masked language modelling on film reviews and other English prose. Its model card,
# `teacher_model/classroom/README.md`, describes the texts and the results.

# %%
from tinybert_lite.models.loading import load_with_tokenizer

teacher = load_with_tokenizer(workspace.teacher, masked_lm=True)
config = teacher.model.config
pd.Series(
    {
        "folder": workspace.teacher.name,
        "layers": config.num_hidden_layers,
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "word pieces": len(teacher.tokenizer),
        "parameters": sum(parameters_by_block(teacher.model).values()),
    }
).to_frame("teacher")

# %% [markdown]
# We mask a word, and the teacher ranks its vocabulary for the masked position.

# %%
from tinybert_lite.data.tokens import encode

batch = encode(
    ["The film is too long and the [MASK] is weak."], None, teacher.tokenizer, max_length=32
).batch([0])
with torch.inference_mode():
    place = batch["input_ids"] == teacher.tokenizer.mask_token_id
    best = teacher.model.eval()(batch, masked_lm=place).masked_lm[0].softmax(-1).topk(5)
pd.DataFrame(
    {
        "guess": teacher.tokenizer.convert_ids_to_tokens(best.indices.tolist()),
        "probability": best.values.numpy().round(3),
    }
)

# %% [markdown]
# **What you should see.** Nouns for parts of a film that can be weak. To see the effect of pre-training, pre-train a teacher yourself on the small
# corpus of the course: run `python -m tinybert_lite.run_all --teacher_model grow --only pretrain` in a terminal, in the course's folder, then replace
# `workspace.teacher` by `workspace.grown_teacher` in the cell that loads the teacher, and run both cells again. This teacher has learnt little more
# than which words are frequent, so it predicts *the*, *and* or a comma. Distillation works in the same way for both teachers; a student can only learn
# what its teacher has learnt.

# %% [markdown]
# ## One setting to change
#
# The mapping is a setting. The paper also tried the teacher's top layers and its bottom layers; each lowered the GLUE score by four to five points, on
# average over four tasks. Switch between the three mappings, and change the number of student layers: for which numbers is there no uniform mapping,
# and why?

# %%
widgets.mapping_explorer()

# %% [markdown]
# ## Summary
#
# A student is small because it has few and narrow layers; most of its parameters are embeddings. Every student layer learns from one teacher layer,
# given by the layer mapping $g(m)$. Five stages make such a student from text and a teacher, and each stage writes its result into a numbered folder.
#
# **Next:** [01 · Data augmentation](01_data_augmentation.ipynb) makes many training rows from few.
