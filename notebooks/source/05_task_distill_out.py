# %% [markdown]
# # 05 · Task distillation, prediction layer
#
# **Claim: the teacher's doubts teach more than the right answers.** A label says *positive*. The teacher says *positive, but
# only just*. In this last stage the student learns those soft targets, and becomes a classifier.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · **05 prediction layer** ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | the soft cross-entropy of two classes |
# | run | stage 5 |
# | compare | teacher and student: accuracy, agreement, margins, size |
# | read | the sentences on which they part |
#
# About 3 minutes. Reads `1_pre_data/aug.tsv`, `teacher_model/SST-2/` and `4_task_distill_mid/`; writes `5_task_distill_out/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import math
from dataclasses import replace

import pandas as pd
import torch

from tinybert_lite import task_distill

workspace, settings = lessons.setup()
task = workspace.task

# %% [markdown]
# The stage needs everything that came before. What is missing is made now in the quick smoke profile, and a sentence says so; if nothing is missing, the
# cell is silent.

# %%
lessons.ensure(workspace, settings, "task_distill_out")

# %% [markdown]
# ## The soft cross-entropy, by hand
#
# With logits $z$ (the classifier's numbers before the softmax) and temperature $t$ (which divides them), the student minimises (Eq. 10)
#
# $$\mathcal{L}_{pred} = -\,\mathrm{softmax}(z^T / t) \cdot \log \mathrm{softmax}(z^S / t)$$
#
# A teacher with logits $(0, 2)$ gives the second class $p = 1/(1 + e^{-2}) \approx 0.88$. A student that has no idea, $(0, 0)$,
# gives each class a half, so whatever $p$ is, its loss is $-\log \tfrac{1}{2} = \log 2$.

# %%
from tinybert_lite.method.losses import soft_cross_entropy

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
# Before it runs: on how many of a hundred dev sentences will the student answer as its teacher does, right or wrong?

# %%
lessons.predict("agreement", "agreement of student and teacher", "%")

# %% [markdown]
# The order matters: first intermediate layers (stage 4), then this. A widely copied guide has the two swapped. The dev set is
# scored after each epoch, and the best student is kept; `best_dev` is its accuracy there.

# %%
result = task_distill.run_out(workspace, settings)
pd.Series(
    {
        "state": result.skipped or "ran",
        **{name: result.metrics[name] for name in ("rows", "steps", "best_dev")},
    }
).to_frame("stage 5")

# %% [markdown]
# ## Teacher and student
#
# Accuracy against the labels is one number, agreement with the teacher another: a student can agree often and be wrong
# together with its teacher. The last column of the table is what it was all for.

# %%
from tinybert_lite.models.cost import parameters_by_block
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import agreement, chance
from tinybert_lite.models.loading import load_with_tokenizer

teacher, student = load_with_tokenizer(workspace.task_teacher), load_with_tokenizer(workspace.final_student)
rows = read_table(workspace.data_file(task.dev_files[0]), task)
dev = encode_table(rows, task, teacher.tokenizer, settings.task_distill_out.max_seq_length)
logits = {"teacher": predict(teacher.model, dev), "student": predict(student.model, dev)}
lessons.reveal("agreement", 100 * agreement(logits["student"], logits["teacher"]))
rows_of_table = {}
for name, m in (("teacher", teacher), ("student", student)):
    rows_of_table[name] = {
        "dev accuracy": (logits[name].argmax(1) == dev.labels).mean().round(3),
        "agrees with the teacher": round(agreement(logits[name], logits["teacher"]), 3),
        "parameters, millions": round(sum(parameters_by_block(m.model).values()) / 1e6, 2),
    }
pd.DataFrame(rows_of_table).T

# %% [markdown]
# Guessing the more frequent label scores this much; and on so few dev sentences a difference smaller than the standard error printed behind it
# is none:

# %%
guess, error = chance(task, dev.labels)
print(
    f"guessing: {guess:.3f}; standard error of a score on {len(dev)} sentences: about {error:.3f}"
)

# %% [markdown]
# ## How the loss fell
#
# The dashed line is the floor: the teacher's mean entropy on every eighth of the rows the student was trained on. A single
# batch may well lie below it, since its sentences can be easier than most; the curve as a whole cannot. The axis is logarithmic, and does not begin at 0.

# %%
from tinybert_lite.training.history import read_history

trained_on = read_table(workspace.augmented_rows, task)
sample = encode_table(
    replace(trained_on, rows=trained_on.rows[::8]),
    task,
    teacher.tokenizer,
    settings.task_distill_out.max_seq_length,
)
targets = torch.tensor(predict(teacher.model, sample))
floor = float(soft_cross_entropy(targets, targets))
figure = plots.loss_curves(read_history(workspace.final_student / "history.jsonl"), "stage 5")
figure.axes[0].axhline(floor, color=plots.TEACHER, ls="--", lw=1.2, label="teacher's entropy")
figure.axes[0].legend(frameon=False, fontsize=8)
figure

# %% [markdown]
# ## A trap: the two steps swapped
#
# A widely copied guide has `--pred_distill` on the wrong one of the two commands: first the prediction layer, then the intermediate ones. Both commands run, and
# nothing fails. But the second step moves the layers under a classifier that has already been trained. So that you need not lose a week to it,
# here it is done on purpose, in a folder of its own. (The package warns; this page leaves the warning out.)

# %%
first, second = (
    workspace.final_student / "swapped/first",
    workspace.final_student / "swapped/second",
)
reads = task_distill.OUT.reads(workspace)
task_distill.OUT.execute(
    {**reads, "student": workspace.general_or_given_student}, first, settings
)
task_distill.MID.execute({**reads, "student": first}, second, settings)
swapped = load_with_tokenizer(second)
found = {
    "broken: swapped": predict(swapped.model, dev),
    "fixed: intermediate first": logits["student"],
}
pd.Series(
    {name: (answers.argmax(1) == dev.labels).mean() for name, answers in found.items()}
).round(3).to_frame("dev accuracy")

# %% [markdown]
# ## Margins
#
# With two classes, all that a classifier says is its **margin** $z_1 - z_0$: the sign is the answer, the size how sure it is.
# Each point is a dev sentence. On red ground the two models answer differently. On the right, what the margins become as soft targets, at the temperature $t$
# of the slider. Its title gives the mean entropy of both: near 0 they are sure, and at $\log 2 \approx 0.69$ every answer is one half.

# %%
widgets.margins_explorer(logits["student"], logits["teacher"], dev.labels)

# %% [markdown]
# **What you should see.** A cloud along the dashed diagonal, densest in the two corners where both are sure, and most points
# outside the red. Points on red near the centre are harmless, for there the teacher itself was unsure. Points on red far to the left
# or right are sentences of which the teacher is sure and the student says the opposite; you meet them next. If the cloud is flat, the student
# gives the same answer whatever the teacher says: it was trained too briefly, or its teacher knew nothing (in the smoke profile both).

# %% [markdown]
# ## Where they part
#
# Numbers hide what sentences show. These are the dev sentences with the largest distance between the two margins, which stand
# under *teacher* and *student*; *gold* is the label.

# %%
pd.set_option("display.max_colwidth", None)
margin = {name: found[:, 1] - found[:, 0] for name, found in logits.items()}
table = pd.DataFrame(
    {
        "sentence": [row.text_a for row in rows.rows],
        "gold": dev.labels.astype(int),
        **{name: values.round(2) for name, values in margin.items()},
    }
)
table.loc[abs(margin["teacher"] - margin["student"]).argsort()[::-1][:6]]

# %% [markdown]
# ## One knob to turn
#
# The temperature $t$ decides how soft the targets are: below 1 they come closer to plain labels, far above 1 every answer comes
# close to one half. Here are the teacher's median answer on the dev set and its surest one. The paper takes $t = 1$. To train
# with another, write `settings = settings.override(["task_distill_out.temperature=2"])` and call the stage again.

# %%
order = abs(margin["teacher"]).argsort()
chosen = {
    "median margin": margin["teacher"][order[len(order) // 2]],
    "largest margin": margin["teacher"][order[-1]],
}
pd.DataFrame(
    {
        f"t = {t}": {name: 1 / (1 + math.exp(-value / t)) for name, value in chosen.items()}
        for t in (0.5, 1, 2, 4, 8)
    }
).round(3).rename_axis("soft target of class 1")

# %% [markdown]
# ## In three sentences
#
# In the last stage the student learns the teacher's soft targets, and its doubts with them. The loss cannot fall below the
# teacher's entropy, and accuracy alone does not tell whether the student thinks like its teacher. The folder
# `5_task_distill_out/` now holds a classifier that Hugging Face's `AutoModelForSequenceClassification` can load.
#
# **Exercises:** [three of them](exercises/05_task_distill_out.ipynb), to do with your own hands.
#
# **The way on:** [06 · Evaluate and compare](06_evaluate_and_compare.ipynb) asks what the teacher's help was worth.
