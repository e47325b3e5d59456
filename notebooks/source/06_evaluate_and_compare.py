# %% [markdown]
# # 06 · Evaluate and compare
#
# **Claim: "98 % of the teacher's score" says nothing without the score of the same student trained on labels only, and without an error bar.** You have
# a teacher and a student. Now you measure them as for a paper: compared with each other and with an undistilled student, on test sentences that were
# not used for any choice, and with error bars.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) · **06 evaluate** · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | retention and agreement of two models on six sentences |
# | train | the undistilled student |
# | judge | whether a difference is more than chance, by resampling |
# | read | the cost: parameters, bytes, operations |
#
# About 2 minutes. Reads everything that came before; writes `5_task_distill_out/undistilled/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import numpy as np
import pandas as pd

from tinybert_lite import undistilled

workspace, settings = lessons.setup()
task = workspace.task

# %% [markdown]
# This notebook compares the results of stages 1 to 5. Missing results are made now in the quick smoke profile, with a message; if nothing is missing,
# the cell prints nothing.

# %%
lessons.ensure(workspace, settings, "report")

# %% [markdown]
# ## Two numbers, by hand
#
# Six sentences with their labels, and the predictions of two models. The teacher is right on 5, the student on 4. **Retention** is the student's
# accuracy over the teacher's: $4/5$. **Agreement** is the share of sentences for which both predict the same class, right or wrong: here 5 of 6. A
# student can have the teacher's accuracy and low agreement, if it is wrong on other sentences.

# %%
labels = np.array([1, 1, 1, 0, 0, 0])
teacher_says, student_says = np.array([1, 1, 1, 0, 0, 1]), np.array([1, 1, 0, 0, 0, 1])
right = {"teacher": (teacher_says == labels).sum(), "student": (student_says == labels).sum()}
assert right == {"teacher": 5, "student": 4} and (teacher_says == student_says).sum() == 5

# %% [markdown]
# ## The undistilled student
#
# The same architecture, trained from random weights on the task's rows (without augmentation) and their labels, for more epochs. First guess: how many
# points of accuracy does distillation add on the test sentences?

# %%
lessons.predict("margin", "student minus undistilled student, in points of test accuracy")

# %% [markdown]
# The stage in one call:

# %%
result = undistilled.run(workspace, settings)
pd.Series(
    {
        "state": result.skipped or "ran",
        "rows": result.metrics["rows"],
        "steps": result.metrics["steps"],
    }
).to_frame("undistilled")

# %% [markdown]
# ## On test sentences
#
# In each training the step with the best **dev** score was kept, so the dev scores of all three models are too high, most of all for the model that was
# evaluated most often. The **test** sentences were not used for any choice. This test file has labels because it was written for this course; the
# labels of GLUE's test files are not public.

# %%
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.models.loading import load_with_tokenizer

folders = {
    "teacher": workspace.task_teacher,
    "student": workspace.final_student,
    "undistilled": workspace.baseline,
}
models = {name: load_with_tokenizer(folder) for name, folder in folders.items()}
tokenizer, longest = models["teacher"].tokenizer, settings.task_distill_out.max_seq_length
tables, examples, correct = {}, {}, {}
for split in ("dev", "test"):
    tables[split] = read_table(workspace.data_file(split), task)
    examples[split] = encode_table(tables[split], task, tokenizer, longest)
    answers = {name: predict(m.model, examples[split]).argmax(1) for name, m in models.items()}
    correct[split] = {name: found == examples[split].labels for name, found in answers.items()}
accuracy = pd.DataFrame(correct).map(np.mean)
accuracy.round(3)

# %% [markdown]
# Compare with your guess:

# %%
lessons.reveal("margin", 100 * (accuracy["test"]["student"] - accuracy["test"]["undistilled"]))

# %% [markdown]
# ## Is it more than chance?
#
# Three hundred sentences are few. Draw three hundred of them with replacement, two thousand times, and see how the difference between two models varies
# (a **paired bootstrap**: both models are always evaluated on the same sentences). If the difference has the same sign in nearly all draws, it would
# most likely have the same sign on another three hundred sentences.

# %%
test, rng = correct["test"], np.random.default_rng(0)
draws = rng.integers(0, len(test["student"]), (2000, len(test["student"])))
differences = {
    f"student − {other}": 100 * (test["student"].astype(float) - test[other])[draws].mean(1)
    for other in ("undistilled", "teacher")
}
pd.DataFrame(
    {
        name: {
            "points": found.mean(),
            "from": np.quantile(found, 0.025),
            "to": np.quantile(found, 0.975),
            "share above 0": (found > 0).mean(),
        }
        for name, found in differences.items()
    }
).T.round(2)

# %% [markdown]
# The same as a picture: each histogram shows the difference in the two thousand draws, and the bar above it covers 95 % of them.

# %%
plots.bootstrap(differences)

# %% [markdown]
# **What you should see.** The orange histogram (student minus undistilled student) is to the right of zero. The blue one (student minus teacher)
# includes zero: on these sentences the two are not significantly different. This is one seed. Over five seeds, distillation adds 7 ± 2 points (the
# table and the command are in the README, under *Measured*). In the smoke profile both students are at chance level, and the orange histogram includes
# zero.

# %% [markdown]
# ## Accuracy and agreement after each stage
#
# Before stage 5 the student has no classifier, so a **probe** is used: a logistic regression, fitted on the training rows, on the mean of the frozen
# model's last hidden states. It shows how much of the task these states already contain. The thin bars are one standard error.

# %%
from tinybert_lite.stages.evaluation import probe_answers

dev, train = examples["dev"], read_table(workspace.data_file("train"), task)
train = encode_table(train, task, tokenizer, longest, max_rows=1000)
answers = {
    "3 general\ndistillation": probe_answers(
        load_with_tokenizer(workspace.general_student).model, train, dev
    ),
    "4 intermediate\nlayers": probe_answers(
        load_with_tokenizer(workspace.mid_student).model, train, dev
    ),
    "5 prediction\nlayer": predict(models["student"].model, dev).argmax(1),
}
plots.accuracy_and_agreement(answers, predict(models["teacher"].model, dev).argmax(1), dev.labels)

# %% [markdown]
# ## The probe after each stage
#
# The same probe on all students and on the teacher, with the scores of the classifiers of the finished student, the teacher and the undistilled
# student. The report of `run_all` has the same picture.

# %%
from tinybert_lite.pipeline.results import gather

results = gather(workspace, settings)
plots.along_the_stages(results)

# %% [markdown]
# ## The cost
#
# Parameters determine the memory, and multiply-adds most of the time. The real speed depends on the machine;
# `python -m tinybert_lite.run_all --only report` measures it on yours. In the first panel the pale part of a bar is the encoder, the layers.

# %%
untimed = {name: {**cost, "milliseconds_a_row": None} for name, cost in results["cost"].items()}
plots.cost_card({**results, "cost": untimed})

# %% [markdown]
# The same in numbers.

# %%
bill = {
    name: {
        "parameters, millions": cost["parameters"] / 1e6,
        "megabytes": cost["bytes"] / 1e6,
        "multiply-adds a row, millions": cost["multiply_adds"] / 1e6,
    }
    for name, cost in results["cost"].items()
}
pd.DataFrame(bill).assign(ratio=lambda t: t["teacher"] / t["student"]).round(2)

# %% [markdown]
# ## Where the teacher was right and the student was not
#
# And the sentences where the student is right and the teacher is not. Read them before you trust the numbers above: are these sentences hard, or are
# the labels doubtful?

# %%
pd.set_option("display.max_colwidth", None)
parted = pd.DataFrame(
    {
        "sentence": [row.text_a for row in tables["test"].rows],
        "gold": examples["test"].labels.astype(int),
        **test,
    }
)
parted[parted["teacher"] != parted["student"]][["sentence", "gold", "teacher", "student"]].head(8)

# %% [markdown]
# ## One setting to change
#
# The seed is another source of chance. It determines the student's initial weights, the order of the rows and the augmentation.
# `python -m tinybert_lite.run_all --seed 43 --baseline --workspace another_folder` runs everything with another seed; compare its numbers with those
# above: the differences between seeds are often as large as the difference between two papers. How many sentences are needed to show a difference of
# one point between two independent models? (If the predictions of two models mostly agree, fewer are enough.) For each number of sentences the table
# gives two standard errors: a smaller difference may be chance. 300 is our test set, 872 the dev set of the real SST-2.

# %%
p = accuracy["test"]["teacher"]
pd.Series(
    {n: round(100 * 2 * np.sqrt(2 * p * (1 - p) / n), 1) for n in (300, 872, 10_000, 100_000)}
).rename_axis("test sentences").to_frame("points, two standard errors")

# %% [markdown]
# ## Summary
#
# A distilled student is compared with its teacher and with the same student trained without one. The dev set is for choosing, the test set for the
# final score, and a difference needs an error bar. The result of distillation: nearly the same predictions with a fraction of the parameters.
#
# **Exercises:** [three exercises](exercises/06_evaluate_and_compare.ipynb).
#
# **Next:** [07 · Your own data](07_your_own_data.ipynb) starts from a file of yours, and [08 · Eight bits](08_q8bert.ipynb) makes the student's
# file four times smaller again. `python -m tinybert_lite.run_all` runs all stages with one command; the README, under *Your own teacher, data,
# settings*, lists what you can change. For the paper's settings use `--profile paper` with a real BERT in `teacher_model/`.
