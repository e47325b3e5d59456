# %% [markdown]
# # 05 · Task distillation, prediction layer
#
# **Claim: the teacher's probabilities teach the student more than labels do.** A label says *positive*. The teacher's probability also says how certain
# that is. In this last stage the student learns these soft targets, and becomes a classifier.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · **05 prediction layer** ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | the soft cross-entropy of two classes |
# | run | stage 5 |
# | compare | teacher and student: accuracy, agreement, margins, size |
# | read | the sentences on which they disagree most |
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
# The stage needs everything that came before. Missing inputs are made now in the quick smoke profile, with a message; if nothing is missing, the cell
# prints nothing.

# %%
lessons.ensure(workspace, settings, "task_distill_out")

# %% [markdown]
# ## The soft cross-entropy, by hand
#
# With logits $z$ (the classifier's numbers before the softmax) and temperature $t$ (which divides them), the student minimises (Eq. 10)
#
# $$\mathcal{L}_{pred} = -\,\mathrm{softmax}(z^T / t) \cdot \log \mathrm{softmax}(z^S / t)$$
#
# A teacher with logits $(0, 2)$ gives the second class $p = 1/(1 + e^{-2}) \approx 0.88$. A student with logits $(0, 0)$ gives each class the
# probability one half, so for every $p$ its loss is $-\log \tfrac{1}{2} = \log 2$.

# %%
from tinybert_lite.method.losses import soft_cross_entropy

teacher_logits, clueless = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 0.0]])
assert math.isclose(soft_cross_entropy(clueless, teacher_logits), math.log(2), rel_tol=1e-6)

# %% [markdown]
# What is the loss of a student with the same logits as the teacher? It is *not* zero: it is the teacher's entropy, the smallest possible value.
# Remember this when you read the loss curve: its floor is not 0.

# %%
p = 1 / (1 + math.exp(-2))
entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p))
assert math.isclose(soft_cross_entropy(teacher_logits, teacher_logits), entropy, rel_tol=1e-6)
print(f"teacher's probability {p:.3f}, entropy {entropy:.3f}, clueless student {math.log(2):.3f}")

# %% [markdown]
# ## The stage in one call
#
# First guess: on how many of a hundred dev sentences will the student predict the same class as its teacher, right or wrong?

# %%
lessons.predict("agreement", "agreement of student and teacher", "%")

# %% [markdown]
# The order matters: first the intermediate layers (stage 4), then the prediction layer. In a widely copied guide the two are swapped. The student is
# evaluated on the dev set after each epoch, and the best one is kept; `best_dev` is its accuracy.

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
# Accuracy compares predictions with the labels; agreement compares them with the teacher's predictions. A student can agree often and be wrong where
# its teacher is wrong. The last column of the table shows what distillation is for: the number of parameters.

# %%
from tinybert_lite.models.cost import parameters_by_block
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import agreement, chance
from tinybert_lite.models.loading import load_with_tokenizer

teacher = load_with_tokenizer(workspace.task_teacher)
student = load_with_tokenizer(workspace.final_student)
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
# The accuracy of always predicting the more frequent label, and the standard error on this dev set. A smaller difference than the standard error may be
# chance:

# %%
guess, error = chance(task, dev.labels)
print(
    f"guessing: {guess:.3f}; standard error of a score on {len(dev)} sentences: about {error:.3f}"
)

# %% [markdown]
# ## How the loss fell
#
# The dashed line is the floor: the teacher's mean entropy on every eighth training row. The loss of a single batch can be below it, if the teacher is
# more certain of these sentences than of most; the mean over all batches cannot. The axis is logarithmic, and does not begin at 0.

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
# ## A common mistake: the two steps swapped
#
# In a widely copied guide `--pred_distill` is in the wrong one of the two commands: first the prediction layer, then the intermediate layers. Both
# commands run without an error. But the second step changes the layers below a classifier that has already been trained. Here this mistake is made on
# purpose, in a separate folder, to show its effect. (The package prints a warning, which is hidden here.)

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
# With two classes, the prediction depends only on the **margin** $z_1 - z_0$: its sign is the predicted class, its size shows how certain the model is.
# Each point is a dev sentence. In the red areas the two models predict different classes. On the right are the soft targets that follow from the
# margins at the temperature $t$ of the slider. The title gives the mean entropy of both models: near 0 they are certain, and at $\log 2 \approx 0.69$
# every probability is one half.

# %%
widgets.margins_explorer(logits["student"], logits["teacher"], dev.labels)

# %% [markdown]
# **What you should see.** The points lie along the dashed diagonal, densest in the two corners where both models are certain, and most are outside the
# red areas. Red points near the centre matter little, because the teacher itself is uncertain there. Red points far to the left or right are sentences
# of which the teacher is certain and for which the student predicts the opposite; they are shown next. If the points form a horizontal band, the
# student's prediction does not depend on the teacher's: the student was trained too briefly, or its teacher has learnt nothing (in the smoke profile
# both).

# %% [markdown]
# ## Where the two models disagree
#
# These are the dev sentences with the largest difference between the two margins. The columns *teacher* and *student* contain the margins, *gold* the
# label.

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
# ## One setting to change
#
# The temperature $t$ determines how soft the targets are: below 1 they are closer to labels, far above 1 every probability is close to one half. The
# table shows this for the teacher's median margin on the dev set and for its largest one. The paper uses $t = 1$. To train with another temperature,
# write `settings = settings.override(["task_distill_out.temperature=2"])` and call the stage again.

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
# ## Summary
#
# In the last stage the student learns the teacher's soft targets, which include the teacher's uncertainty. The loss cannot fall below the teacher's
# entropy, and accuracy alone does not show whether the student predicts like its teacher. The folder `5_task_distill_out/` now holds a classifier that
# Hugging Face's `AutoModelForSequenceClassification` can load.
#
# **Exercises:** [three exercises](exercises/05_task_distill_out.ipynb).
#
# **Next:** [06 · Evaluate and compare](06_evaluate_and_compare.ipynb) measures what distillation has added.
