# %% [markdown]
# # 03 · General distillation
#
# **Claim: a student that matches the teacher's attention scores and hidden states on plain text has learnt language without
# one label.** This is the first of the two learning phases, and the one that gives the student a start.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · **03 general distillation** ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb)
#
# | In this notebook you | |
# |---|---|
# | work out | the attention loss of a 2 × 2 example, with and without padding |
# | run | stage 3, and see its hand-off to the next stage |
# | compare | a student before and after, in numbers and in pictures |
#
# Reads `2_pregenerate_data/`, the teacher and `student_model/`; writes `3_general_distill/`.

# %%
import os

import pandas as pd
import torch

from tinybert_lite import general_distill, run_all
from tinybert_lite.classroom import plots
from tinybert_lite.settings import profile
from tinybert_lite.workspace import Workspace

workspace = Workspace.find()
settings = profile(os.environ.get("TINYBERT_PROFILE", "classroom"), teacher_width=workspace.teacher_width)

# %% [markdown]
# The stage needs a teacher and the sequences of stage 2. What is missing is made now, with a line for each; if nothing is
# missing, the cell is silent.

# %%
run_all.ensure(workspace, settings, "general_distill")

# %% [markdown]
# ## The attention loss, by hand
#
# In each head a layer computes **attention scores** $A = QK^\top / \sqrt{d_k}$, and from them, by softmax, **attention
# probabilities**. TinyBERT matches the scores, *before* the softmax (Eq. 7), over $h$ heads:
#
# $$\mathcal{L}_{attn} = \frac{1}{h} \sum_{i=1}^{h} \mathrm{MSE}(A_i^S, A_i^T)$$
#
# Take one head and two words. Teacher and student differ in one of four places, by 1. The mean square is $1/4$.

# %%
from tinybert_lite.engine.losses import attention_loss

teacher_scores = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])  # (rows, heads, queries, keys)
student_scores = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]])
by_hand = 1 / 4
assert attention_loss(student_scores, teacher_scores, mask=torch.tensor([[1, 1]])) == by_hand

# %% [markdown]
# In a batch, short sentences are padded. What stands in the padded rows and columns must not count. Add a padded third word
# with a wild score, and the loss stays the same to the digit:

# %%
from torch.nn.functional import pad

wild = pad(student_scores, (0, 1, 0, 1), value=99.0)
assert attention_loss(wild, pad(teacher_scores, (0, 1, 0, 1)), mask=torch.tensor([[1, 1, 0]])) == by_hand

# %% [markdown]
# Why scores, and not probabilities? Add 5 to the teacher's first row and take 3 from its second. The probabilities do not move,
# since softmax only sees differences within a row. The scores do: the loss is $(5^2 + 3^2)/2 = 17$. Scores say more than
# softmax lets through, and the paper found that they train faster and better.

# %%
shifted = teacher_scores + torch.tensor([[5.0], [-3.0]])
assert torch.allclose(shifted.softmax(-1), teacher_scores.softmax(-1), atol=1e-6)
assert attention_loss(shifted, teacher_scores, mask=torch.tensor([[1, 1]])) == 17

# %% [markdown]
# ## Teacher and student
#
# The student is made from a configuration. It may be narrower than the teacher, so a learnt
# projection $W_h$ takes its hidden states to the teacher's width before they are compared (Eqs. 8 and 9).

# %%
from tinybert_lite.engine.files import load_model
from tinybert_lite.engine.objectives import Intermediate
from tinybert_lite.models import load_bert

torch.manual_seed(settings.seed)
teacher, options = load_bert(workspace.teacher), settings.general_distill
untrained, _ = load_model(workspace.student_source, from_scratch=True, vocab_size=teacher.model.config.vocab_size,
                          projection=options.projection, teacher_width=teacher.model.config.hidden_size)
objective = Intermediate(untrained, teacher.model, options.mapping, options.padding, options.heads)
sizes = ["num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"]
pd.DataFrame({name: [getattr(m.config, size) for size in sizes] for name, m in (("teacher", teacher.model), ("student", untrained))}, index=sizes)

# %% [markdown]
# This student learns from these layers of this teacher:

# %%
plots.layer_map(objective.mapping, teacher.model.layers)

# %% [markdown]
# Both must have the same number of attention heads, because head $i$ of the student learns from head $i$ of the teacher.

# %% [markdown]
# ## Where it starts
#
# The paper's student starts from random weights and a corpus that shows every word many times. Here the text is short: most of
# the vocabulary never comes up, and its embeddings would stay noise. But the embedding loss, $E^S W_e \approx E^T$, has a best
# answer that needs no training at all (Eckart and Young, 1936): turn the teacher's embeddings to their principal directions and
# keep as many as the student is wide. So with `start=embeddings`, the classroom's setting, the student begins there, and
# the layers alone are random. How much of the teacher's embeddings is that?

# %%
embeddings = teacher.model.bert.embeddings.word_embeddings.weight.detach()
directions = torch.linalg.svd(embeddings, full_matrices=False).Vh[: untrained.config.hidden_size]
lost = (embeddings - embeddings @ directions.T @ directions).square().sum() / embeddings.square().sum()
print(f"{len(directions)} of {embeddings.shape[1]} directions keep {100 * (1 - lost):.0f} % of the squares; this run starts from: {options.start}")

# %% [markdown]
# ## The stage in one call
#
# Every step: one batch through the teacher, the same through the student, the mean squares of all matched pairs added up, one
# update of the student. The teacher stays as it is.

# %%
result = general_distill.run(workspace, settings)
pd.Series({"state": result.skipped or "ran", "steps": result.metrics["steps"], "mapping": result.metrics["mapping"]}).to_frame("stage 3")

# %% [markdown]
# The curves come from `history.jsonl`, which every stage leaves beside its weights. The axes are logarithmic, and each kind of
# loss has its own.

# %%
from tinybert_lite.engine.train import read_history

plots.loss_curves(read_history(workspace.general_student / "history.jsonl"), "stage 3")

# %% [markdown]
# ## The hand-off
#
# The stage writes `model_epoch_N.bin` after each epoch, and the next stage reads `pytorch_model.bin`. With the original scripts
# you had to rename the file by hand, and many forgot. Here `hand_off` does it at the end of the stage: it takes the newest
# epoch, checks names, shapes and finite values against `config.json`, and only then puts it in place. Calling it again changes
# nothing.

# %%
from tinybert_lite.engine.files import hand_off, latest_epoch, sha256

newest = latest_epoch(workspace.general_student)
handed_on = hand_off(workspace.general_student)
assert sha256(newest) == sha256(handed_on)
print(newest.name, "→", handed_on.name)

# %% [markdown]
# Where there is nothing to hand on, it says so in one sentence, with the cure:

# %%
from tinybert_lite.runtime import UserError

try:
    hand_off(workspace.sequences)
except UserError as error:
    print(error)

# %% [markdown]
# ## Before and after, on sentences it never saw
#
# Training loss can flatter. So we take sentences from the dev set, which neither model was trained on here, and compute the
# same losses for the untrained student and for the distilled one.

# %%
from tinybert_lite.data.tasks import read_table
from tinybert_lite.data.tokens import encode

student = load_bert(workspace.general_student)
dev = read_table(workspace.data_file(workspace.task.dev_files[0]), workspace.task)
batch = encode([row.text_a for row in dev.rows[:64]], None, teacher.tokenizer, max_length=64).batch(range(64))
with torch.inference_mode():
    before, after = ({name: float(value) for name, value in objective(m.eval(), batch).items()} for m in (untrained, student.model))
pd.DataFrame({"before": before, "after": after}).assign(ratio=lambda t: t["after"] / t["before"]).round(4)

# %% [markdown]
# The same as bars for the hidden states. "Before" is what random weights and a random projection give.

# %%
layers = range(len(objective.mapping))
plots.hidden_match([before[f"hidden/{m}"] for m in layers], [after[f"hidden/{m}"] for m in layers], objective.mapping)

# %% [markdown]
# ## Attention, matched
#
# One head of the last matched pair, on one sentence. Rows are queries (who looks), columns are keys (who is looked at). Teacher
# and student share one colour scale, so equal colours are equal scores; in the difference, white is zero.

# %%
sentence = encode(["The harbour fills with water twice a day."], None, teacher.tokenizer, max_length=64).batch([0])
tokens = teacher.tokenizer.convert_ids_to_tokens(sentence["input_ids"][0])
m, head = student.model.layers, 0
g = objective.mapping[m]
with torch.inference_mode():
    theirs, mine = teacher.model(sentence, scores=[g]).scores[g][0, head], student.model(sentence, scores=[m]).scores[m][0, head]
plots.attention_match(mine, theirs, tokens, f"student layer {m} ↔ teacher layer {g}, head {head + 1}")

# %% [markdown]
# **What you should see.** In the bars, the distilled student well below the untrained one. In the triptych, columns and stripes
# of the teacher that appear in the student too, and a difference paler than either would suggest. If teacher and student look
# unrelated, look at the curves: still falling means too few steps (the smoke profile takes a dozen, which shows the wiring and
# no learning).

# %% [markdown]
# ## One knob to turn
#
# Set `m` and `head` above to another pair and run that cell again: the early layers are easier. For a run with another mapping
# write `settings = settings.override(["general_distill.mapping=top"])` and call the stage again; below is what the student
# would then learn from.

# %%
from tinybert_lite.engine.mapping import layer_mapping

pd.DataFrame({name: layer_mapping(name, untrained.layers, teacher.model.layers) for name in ("uniform", "top", "bottom")}).rename_axis("student layer")

# %% [markdown]
# ## In three sentences
#
# General distillation makes the student's attention scores and projected hidden states equal to the teacher's, on plain text.
# Scores are matched before the softmax, over real places only. The result is handed on as `pytorch_model.bin`, checked.
#
# **The way on:** [04 · Intermediate layers](04_task_distill_mid.ipynb) does the same once more, with a teacher that knows the task.
