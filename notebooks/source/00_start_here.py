# %% [markdown]
# # 00 · Start here
#
# **Claim: a large BERT can teach a small one from the inside.** Not only its answers, but what it attends to and what it
# thinks of every word on the way. The small one then does much of the same work for a fraction of the cost. That is TinyBERT
# (Jiao et al., 2019), and in these notebooks you run all of it on your own machine.
#
# The task throughout is SST-2, one of nine in the GLUE benchmark: does a sentence about a film praise it (label 1) or not (label 0)?
# The rows in `SST-2/` have its format, but were written for this course.
#
# *You are here:* **00 start** · [01 augment](01_data_augmentation.ipynb) · [02 pregenerate](02_pregenerate_training_data.ipynb) ·
# [03 general distillation](03_general_distill.ipynb) · [04 intermediate layers](04_task_distill_mid.ipynb) ·
# [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [07 your own data](07_your_own_data.ipynb) · [08 eight bits](08_q8bert.ipynb) · [09 Chinese](09_chinese.ipynb)
#
# New to this? [What to know before](../docs/prerequisites.md) · [Words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | count | the parameters of BERT and TinyBERT by hand, and find where they are |
# | see | which teacher layer each student layer learns from |
# | read | the plan of the five stages: what each reads and writes |
# | meet | the teacher, and ask it a question |
#
# About 2 minutes. Reads the teacher's folder, `teacher_model/`; writes nothing.

# %% [markdown]
# ## Set-up
#
# Every notebook opens with this cell. A **profile** sets all numbers of a run: `classroom` takes minutes on a laptop, `smoke`
# takes seconds and learns next to nothing. Choose one with the environment variable `TINYBERT_PROFILE`, or here: `lessons.setup("smoke")`. The **workspace**
# knows where every folder is. If something is off with the machine, `python -m tinybert_lite.doctor` says what, and the cure.

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
# What this page was made with. A GPU is used when there is one; none is needed.

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
# - in each layer: four $D \times D$ maps (query, key, value, output), two of $D \times I$, their biases, two LayerNorms;
# - a pooler of $D \times D$ on top.
#
# That is few enough lines to write down. But first a guess: how many are there in BERT-base, with $V = 30522$, $D = 768$, $N = 12$ and
# $I = 3072$? (Where a notebook asks, it waits for nobody: write a number, or go on.)

# %%
lessons.predict("parameters", "How many parameters has BERT-base?", "million")

# %% [markdown]
# The count, line by line:


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
# 109 million: BERT-base, as everybody quotes it. Now build the real thing and count. On PyTorch's `meta` device a model has
# shapes but no memory, so this costs nothing.

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
# The formula and the model agree to the last parameter. So the formula may draw up the bill for the paper's students:

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
# Look at the last column. In TinyBERT4 two thirds of the parameters only look up word pieces: the layers, where the thinking
# happens, shrank from 85 to 4.6 million. Memory is in the embeddings, time is in the layers.

# %% [markdown]
# ## Who learns from whom
#
# A student with $M$ layers cannot copy a teacher with $N$ layers one by one. The **layer mapping** $g(m)$ says which teacher
# layer student layer $m$ learns from; the paper takes every $N/M$-th: $g(m) = m \cdot N/M$. Layers count from 1; 0 is the
# embedding output. For 4 and 12 layers you can do it in your head: 3, 6, 9, 12.

# %%
from tinybert_lite.method.layer_mapping import layer_mapping

mapping = layer_mapping("uniform", student_layers=4, teacher_layers=12)
assert mapping == [0, 3, 6, 9, 12]
plots.layer_map(mapping, teacher_layers=12)

# %% [markdown]
# Along each edge two things are matched: the attention scores of the two layers (how much each word looks at each other one, before the
# softmax), and the hidden states that come out of them (a vector for each word). Along the lowest edge, the embeddings. Grey layers teach nobody.

# %% [markdown]
# ## The plan
#
# Five stages, each with a folder of its own, each a function that you will call in its notebook. A stage that is up to date is
# skipped; one whose inputs or settings changed runs again. Two rows more are about teachers: growing one from text, which is done only when you
# ask for it, and fine-tuning one on the task, which stages 4 and 5 need.

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
# Everything starts from a teacher. If you dropped a BERT's files into `teacher_model/`, that one serves. If not, the one that
# comes with the course does: six layers of width 256, pre-trained by masked language modelling on film reviews and other
# English prose. Its card, `teacher_model/classroom/README.md`, says on what and how well.

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
# Ask it something. We hide a word, and the teacher ranks its vocabulary for the empty place.

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
# **What you should see.** Nouns that films have and that can be weak. To see what pre-training gave it, grow one yourself
# from the few pages at hand: run `python -m tinybert_lite.run_all --teacher_model grow --only pretrain` in a terminal, in the course's folder, then
# write `workspace.grown_teacher` for `workspace.teacher` in the cell that loads the teacher, and ask again. That one
# has learnt which words are frequent and little more, so it offers *the*, *and*, a comma. Distillation works in the same way for
# both; a student can only learn what its teacher knows.

# %% [markdown]
# ## One knob to turn
#
# The mapping is a choice. The paper also tried the teacher's top layers and its bottom layers, and lost between four and five points
# of GLUE score, on average over four tasks, with either. Switch between the three, and change how deep the student is: which depths have no uniform mapping, and why?

# %%
widgets.mapping_explorer()

# %% [markdown]
# ## In three sentences
#
# A student is small because its layers are few and narrow, and what stays large are its embeddings. Every student layer has a
# teacher layer to learn from, given by the mapping $g(m)$. Five stages turn text and a teacher into such a student, and each
# leaves its result in a numbered folder.
#
# **The way on:** [01 · Data augmentation](01_data_augmentation.ipynb) makes many labelled rows out of few.
