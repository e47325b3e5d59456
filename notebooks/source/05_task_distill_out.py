# %% [markdown]
# # 05 · Task distillation, prediction layer
#
# **Claim: the teacher's doubts teach more than the right answers.** A label says *positive*. The teacher says *positive, but
# only just*. In this last stage the student learns those soft targets, and becomes a classifier.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · **05 prediction layer**
#
# | In this notebook you | |
# |---|---|
# | work out | the soft cross-entropy of two classes |
# | run | stage 5 |
# | compare | teacher and student: accuracy, agreement, margins, size |
# | read | the sentences on which they part |
#
# Reads `1_pre_data/aug.tsv`, `teacher_model/SST-2/` and `4_task_distill_mid/`; writes `5_task_distill_out/`.

# %%
import math
import os
from dataclasses import replace

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
# The stage needs everything that came before. What is missing is made now, with a line for each; if nothing is missing, the
# cell is silent.

# %%
run_all.ensure(workspace, settings, "task_distill_out")

# %% [markdown]
# ## The soft cross-entropy, by hand
#
# With logits $z$ and temperature $t$, the student minimises (Eq. 10)
#
# $$\mathcal{L}_{pred} = -\,\mathrm{softmax}(z^T / t) \cdot \log \mathrm{softmax}(z^S / t)$$
#
# A teacher with logits $(0, 2)$ gives the second class $p = 1/(1 + e^{-2}) \approx 0.88$. A student that has no idea, $(0, 0)$,
# gives each class a half, so whatever $p$ is, its loss is $-\log \tfrac{1}{2} = \log 2$.

# %%
from tinybert_lite.engine.losses import soft_cross_entropy

teacher_logits, clueless = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 0.0]])
assert math.isclose(soft_cross_entropy(clueless, teacher_logits), math.log(2), rel_tol=1e-6)

# %% [markdown]
# And a student with the very logits of the teacher? Its loss is *not* zero. It is the teacher's own entropy, the least that is
# possible. Remember that when you read the loss curve: the floor is not at 0.

# %%
p = 1 / (1 + math.exp(-2))
entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p))
assert math.isclose(soft_cross_entropy(teacher_logits, teacher_logits), entropy, rel_tol=1e-6)
print(f"teacher's probability {p:.3f}, entropy {entropy:.3f}, clueless student {math.log(2):.3f}")

# %% [markdown]
# ## The stage in one call
#
# The order matters: first intermediate layers (stage 4), then this. A widely copied guide has the two swapped. The dev set is
# scored after each epoch, and the best student is kept.

# %%
result = task_distill.run_out(workspace, settings)
pd.Series({"state": result.skipped or "ran", **{name: result.metrics[name] for name in ("rows", "steps", "best_dev")}}).to_frame("stage 5")

# %% [markdown]
# ## Teacher and student
#
# Accuracy against the labels is one number, agreement with the teacher another: a student can agree often and be wrong
# together with its teacher. The last column of the table is what it was all for.

# %%
from tinybert_lite.cost import parameters_by_block
from tinybert_lite.data.tasks import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.evaluate import agreement, chance, predict
from tinybert_lite.models import load_bert

teacher, student = load_bert(workspace.task_teacher), load_bert(workspace.final_student)
rows = read_table(workspace.data_file(task.dev_files[0]), task)
dev = encode_table(rows, task, teacher.tokenizer, settings.task_distill_out.max_seq_length)
logits = {"teacher": predict(teacher.model, dev), "student": predict(student.model, dev)}
pd.DataFrame([{"": name, "dev accuracy": round((found.argmax(1) == dev.labels).mean(), 3), "agrees with the teacher": round(agreement(found, logits["teacher"]), 3),
               "parameters, millions": round(sum(parameters_by_block(m.model).values()) / 1e6, 2)} for (name, found), m in zip(logits.items(), (teacher, student))]).set_index("")

# %% [markdown]
# Guessing the more frequent label scores this much, and a difference within the error behind it is no difference on so few dev
# sentences:

# %%
guess, error = chance(task, dev.labels)
print(f"guessing: {guess:.3f}; standard error of a score on {len(dev)} sentences: about {error:.3f}")

# %% [markdown]
# ## How the loss fell
#
# The dashed line is the floor: the teacher's mean entropy on every eighth of the rows the student was trained on. A single
# batch may well lie below it, since its sentences can be easier than most; the curve as a whole cannot.

# %%
from tinybert_lite.engine.train import read_history

trained_on = read_table(workspace.augmented_rows, task)
sample = encode_table(replace(trained_on, rows=trained_on.rows[::8]), task, teacher.tokenizer, settings.task_distill_out.max_seq_length)
targets = torch.tensor(predict(teacher.model, sample))
floor = float(soft_cross_entropy(targets, targets))
figure = plots.loss_curves(read_history(workspace.final_student / "history.jsonl"), "stage 5")
figure.axes[0].axhline(floor, color=plots.TEACHER, ls="--", lw=1.2, label="teacher's entropy")
figure.axes[0].legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## Margins
#
# With two classes, all that a classifier says is its **margin** $z_1 - z_0$: the sign is the answer, the size how sure it is.
# Each point is a dev sentence. On red ground the two models answer differently.

# %%
plots.margins(logits["student"], logits["teacher"], dev.labels)

# %% [markdown]
# **What you should see.** A cloud along the dashed diagonal, densest in the two corners where both are sure, and most points
# outside the red. Red points near the centre are harmless, for there the teacher itself was unsure. Red points far to the left
# or right are sentences that the teacher can read and the student cannot; you meet them next. If the cloud is flat, the student
# answers alike whatever the teacher says: it was trained too briefly, or its teacher knew nothing (in the smoke profile both).

# %% [markdown]
# ## Where they part
#
# Numbers hide what sentences show. These are the dev sentences with the largest distance between the two margins.

# %%
pd.set_option("display.max_colwidth", None)
margin = {name: found[:, 1] - found[:, 0] for name, found in logits.items()}
table = pd.DataFrame({"sentence": [row.text_a for row in rows.rows], "gold": dev.labels.astype(int), **{name: values.round(2) for name, values in margin.items()}})
table.loc[abs(margin["teacher"] - margin["student"]).argsort()[::-1][:6]]

# %% [markdown]
# ## One knob to turn
#
# The temperature $t$ decides how soft the targets are: below 1 they come closer to plain labels, far above 1 every answer comes
# close to one half. Here are the teacher's surest answer on the dev set and its median one. The paper takes $t = 1$. To train
# with another, write `settings = settings.override(["task_distill_out.temperature=2"])` and call the stage again.

# %%
order = abs(margin["teacher"]).argsort()
chosen = {"median margin": margin["teacher"][order[len(order) // 2]], "largest margin": margin["teacher"][order[-1]]}
pd.DataFrame({f"t = {t}": {name: 1 / (1 + math.exp(-value / t)) for name, value in chosen.items()} for t in (0.5, 1, 2, 4, 8)}).round(3).rename_axis("soft target of class 1")

# %% [markdown]
# ## In three sentences
#
# In the last stage the student learns the teacher's soft targets, and their doubts with them. The loss cannot fall below the
# teacher's entropy, and accuracy alone does not tell whether the student thinks like its teacher. The folder
# `5_task_distill_out/` now holds a classifier that Hugging Face's `AutoModelForSequenceClassification` can load.
#
# **The way on:** `python -m tinybert_lite.run_all` runs all of this with one command, skips what is done, and writes a report
# with these pictures; `--profile paper` with a real BERT in `teacher_model/` is the real thing.
