# %% [markdown]
# # 04 · Task distillation, intermediate layers
#
# **Claim: before the student copies the teacher's answers, it should copy how the teacher gets there.** The losses are those of
# stage 3. Two things are new: the teacher has been fine-tuned on the task, and the text is the task's own, augmented.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# **04 intermediate layers** · [05 prediction layer](05_task_distill_out.ipynb)
#
# | In this notebook you | |
# |---|---|
# | check | that the teacher really knows the task |
# | work out | the hidden loss of a small example, projection included |
# | run | stage 4 |
# | compare | student and teacher on a sentence of the task, head by head |
#
# Reads `1_pre_data/aug.tsv`, `teacher_model/SST-2/` and `3_general_distill/`; writes `4_task_distill_mid/`.

# %%
import math
import os

import pandas as pd
import torch

from tinybert_lite import run_all, task_distill
from tinybert_lite.classroom import plots
from tinybert_lite.settings import profile
from tinybert_lite.workspace import Workspace

workspace = Workspace.find()
settings = profile(os.environ.get("TINYBERT_PROFILE", "classroom"), teacher_width=workspace.teacher_width)
task = workspace.task

# %% [markdown]
# The stage needs augmented rows, the student of stage 3, and a teacher that was **fine-tuned on the task**. What is missing is
# made now, with a line for each; if nothing is missing, the cell is silent.

# %%
run_all.ensure(workspace, settings, "task_distill_mid")

# %% [markdown]
# ## Does the teacher know the task?
#
# A common mistake is to distil from a raw, pre-trained teacher. Its classifier is random, and so is what it teaches. Compare,
# on the dev set: the fine-tuned teacher, the raw teacher with a classifier drawn at random, and always guessing the more
# frequent label.

# %%
from tinybert_lite.data.tasks import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.evaluate import chance, predict
from tinybert_lite.models import load_bert

torch.manual_seed(settings.seed)
teacher, raw = load_bert(workspace.task_teacher), load_bert(workspace.teacher, num_labels=task.num_labels)
dev_rows = read_table(workspace.data_file(task.dev_files[0]), task)
dev = encode_table(dev_rows, task, teacher.tokenizer, settings.task_distill_mid.max_seq_length)
found = {name: (predict(m.model, dev).argmax(1) == dev.labels).mean() for name, m in (("teacher, fine-tuned", teacher), ("teacher, raw", raw))}
pd.Series({**found, "guessing": chance(task, dev.labels)[0]}).round(3).to_frame("dev accuracy")

# %% [markdown]
# **What you should see.** The first line clearly above the other two. If it is not, stop: nothing that follows can be better
# than its teacher. (The package stops by itself then; only the smoke profile, whose teacher has had a dozen steps, goes on with
# a warning.)

# %% [markdown]
# ## The hidden loss, by hand
#
# The student's hidden states $H^S$ are projected to the teacher's width and compared with the teacher's (Eq. 8):
#
# $$\mathcal{L}_{hidn} = \mathrm{MSE}(H^S W_h, H^T)$$
#
# Two words; a student of width 1, a teacher of width 2. With $W_h = (1, -1)$ the student's states 1 and 2 become $(1, -1)$ and
# $(2, -2)$. The teacher has $(1, 0)$ and $(2, -2)$. One of four numbers differs, by 1: the loss is $1/4$.

# %%
from tinybert_lite.engine.losses import hidden_loss

H_student, W, H_teacher = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1.0, -1.0]]), torch.tensor([[[1.0, 0.0], [2.0, -2.0]]])
by_hand = 1 / 4
assert hidden_loss(H_student @ W, H_teacher, mask=torch.tensor([[1, 1]])) == by_hand
assert hidden_loss(H_student @ W, H_teacher, mask=torch.tensor([[0, 1]])) == 0  # the word that differs is padding: it does not count

# %% [markdown]
# ## The stage in one call
#
# No label is used here: `aug.tsv` has them, but this stage only reads its sentences.

# %%
result = task_distill.run_mid(workspace, settings)
pd.Series({"state": result.skipped or "ran", **{name: result.metrics[name] for name in ("rows", "steps", "mapping")}}).to_frame("stage 4")

# %% [markdown]
# Its learning curves, a panel for each kind of loss:

# %%
from tinybert_lite.engine.train import read_history

plots.loss_curves(read_history(workspace.mid_student / "history.jsonl"), "stage 4")

# %% [markdown]
# Where a curve starts tells how far fine-tuning has moved the teacher in that layer, for the student arrives knowing the teacher
# as it was before. Later layers were moved most, so in the classroom profile their curves start highest.

# %% [markdown]
# ## Before and after
#
# The same losses against the task's teacher, on sentences of the dev set, for the student as stage 3 left it and as stage 4
# left it.

# %%
from tinybert_lite.engine.objectives import Intermediate

options = settings.task_distill_mid
general, student = load_bert(workspace.general_or_given_student), load_bert(workspace.mid_student)
objective = Intermediate(student.model, teacher.model, options.mapping, options.padding, options.heads)
batch = dev.batch(range(min(64, len(dev))))
with torch.inference_mode():
    before, after = ({name: float(value) for name, value in objective(m.model.eval(), batch).items()} for m in (general, student))
pd.DataFrame({"after stage 3": before, "after stage 4": after}).assign(ratio=lambda t: t["after stage 4"] / t["after stage 3"]).round(4)

# %% [markdown]
# As bars, for the hidden states:

# %%
layers = range(len(objective.mapping))
plots.hidden_match([before[f"hidden/{m}"] for m in layers], [after[f"hidden/{m}"] for m in layers], objective.mapping)

# %% [markdown]
# ## Head by head
#
# The attention loss is a mean over heads, and heads differ. Here is the mean square of each, over real pairs of words.

# %%
mask = batch["attention_mask"]
pairs = (mask[:, :, None] * mask[:, None, :])[:, None]
with torch.inference_mode():
    theirs, mine = teacher.model(batch, scores=objective.mapping[1:]).scores, student.model(batch, scores=layers[1:]).scores
errors = {f"layer {m}": ((mine[m] - theirs[objective.mapping[m]]).square() * pairs).sum((0, 2, 3)) / pairs.sum() for m in layers[1:]}
for m in layers[1:]:
    assert math.isclose(errors[f"layer {m}"].mean(), after[f"attention/{m}"], rel_tol=1e-4)
pd.DataFrame(errors).rename(index=lambda i: f"head {i + 1}").astype(float).round(4)

# %% [markdown]
# The assertion closes the circle: the mean over the heads of a layer is exactly the term that the package's objective reported
# above.
#
# Now look at one of them, on one sentence of the task.

# %%
m, head = student.model.layers, 0
row = int((mask.sum(1) - 14).abs().argmin())  # a short sentence
length, g = int(mask[row].sum()), objective.mapping[m]
tokens = teacher.tokenizer.convert_ids_to_tokens(batch["input_ids"][row, :length])
plots.attention_match(mine[m][row, head, :length, :length], theirs[g][row, head, :length, :length], tokens,
                      f"student layer {m} ↔ teacher layer {g}, head {head + 1}")

# %% [markdown]
# **What you should see.** The ratios of the table below 1 and the bars of the later layers shrinking most, since those are
# where fine-tuning changed the teacher. In the triptych, the teacher's pattern in the student, paler here and there. If the
# ratios are near 1, the stage was too short.

# %% [markdown]
# ## One knob to turn
#
# Take the worst head of the table instead of head 1: change `m`, `head` and `row` in the cell above and run it again. How long
# this stage runs is `task_distill_mid.num_train_epochs`: the paper takes 20 epochs here and only 3 for the next stage. What do
# the curves above say, would more epochs help?

# %%
worst = max(((float(error.max()), name, int(error.argmax()) + 1) for name, error in errors.items()))
print(f"the worst match is in {worst[1]}, head {worst[2]}: {worst[0]:.4f}")

# %% [markdown]
# ## In three sentences
#
# Stage 4 repeats the lesson of stage 3 with a teacher that knows the task and with the task's sentences. It needs no labels and
# trains no classifier. A teacher that was never fine-tuned would teach noise, so its score is checked first.
#
# **The way on:** [05 · Prediction layer](05_task_distill_out.ipynb), where the student learns to answer.
