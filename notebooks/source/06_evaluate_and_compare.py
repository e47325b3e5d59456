# %% [markdown]
# # 06 · Evaluate and compare
#
# **Claim: "98 % of the teacher" says nothing until you know what the same student does without a teacher, and how much of the
# difference is chance.** You have a teacher and a student. Now you measure them as you would for a paper: against each other, against a
# student that never had a teacher, on sentences that chose nothing, and with an error bar.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) · **06 evaluate** · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | retention and agreement of two models on six sentences |
# | train | the student that had no teacher |
# | judge | whether a difference is more than chance, by resampling |
# | read | the bill: parameters, bytes, operations |
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
# It compares what stages 1 to 5 left. What is missing of that is made now in the quick smoke profile, and a sentence says so; if nothing is missing, the cell is silent.

# %%
lessons.ensure(workspace, settings, "report")

# %% [markdown]
# ## Two numbers, by hand
#
# Six sentences with their labels, and what two models answer. The teacher is right on 5, the student on 4. **Retention** is the
# student's accuracy over the teacher's: $4/5$. **Agreement** is how often they give the same answer, right or wrong: here on 5 of 6. A student can keep all of the
# accuracy and agree little, if it is wrong elsewhere.

# %%
labels = np.array([1, 1, 1, 0, 0, 0])
teacher_says, student_says = np.array([1, 1, 1, 0, 0, 1]), np.array([1, 1, 0, 0, 0, 1])
right = {"teacher": (teacher_says == labels).sum(), "student": (student_says == labels).sum()}
assert right == {"teacher": 5, "student": 4} and (teacher_says == student_says).sum() == 5

# %% [markdown]
# ## The student that had no teacher
#
# The same architecture from random weights, the same rows as the task has (no augmentation), their labels, and more epochs. Before you run it: how
# much accuracy, in points, do you think the teacher's help was worth on test sentences?

# %%
lessons.predict("margin", "student minus undistilled student, in points of test accuracy")

# %% [markdown]
# The stage in one call, as always:

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
# ## On sentences that chose nothing
#
# Each training kept the step that was best on **dev**, so dev flatters all three, and most of all the one that was scored most often. The
# **test** sentences chose nothing. The file has labels here because it was written for this course; GLUE keeps its own to itself.

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
# And what did you expect?

# %%
lessons.reveal("margin", 100 * (accuracy["test"]["student"] - accuracy["test"]["undistilled"]))

# %% [markdown]
# ## Is it more than chance?
#
# Three hundred sentences are few. Draw three hundred of them again, with replacement, two thousand times, and look at how the
# difference of two models moves (a **paired bootstrap**: both models always meet the same sentences). If nearly all of the
# draws lie on one side of zero, another three hundred sentences would most likely have said the same.

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
# The same as a picture: each histogram is what the difference might have been, and the bar above it holds 95 % of the draws.

# %%
plots.bootstrap(differences)

# %% [markdown]
# **What you should see.** The orange histogram, against the undistilled student, to the right of zero; the blue one across it: on
# these sentences nobody can tell the student from its teacher. This is one seed. Over five, distillation brought 7 ± 2 points
# (the README, under *Measured*, has the table and the command). In the smoke profile the students guess, and the orange one lies across zero.

# %% [markdown]
# ## Right, and right in the same places
#
# Accuracy and agreement, stage by stage. Before stage 5 the student has no classifier, so there a **probe** answers: it freezes the model, takes the mean of
# its last hidden states, and fits a logistic regression on the training rows. It reads out what is in the student already.
# The thin bars are one standard error.

# %%
from tinybert_lite.stages.evaluation import probe_answers

dev, train = examples["dev"], read_table(workspace.data_file("train"), task)
train = encode_table(train, task, tokenizer, longest, max_rows=1000)
answers = {
    "3 general\ndistillation": probe_answers(
        load_with_tokenizer(workspace.general_student).model, train, dev
    ),
    "4 intermediate\nlayers": probe_answers(load_with_tokenizer(workspace.mid_student).model, train, dev),
    "5 prediction\nlayer": predict(models["student"].model, dev).argmax(1),
}
plots.accuracy_and_agreement(answers, predict(models["teacher"].model, dev).argmax(1), dev.labels)

# %% [markdown]
# ## Along the stages
#
# The same probe on all of them, the finished student and its teacher too, beside the scores of their own classifiers and the student that had no teacher: the picture
# that the report of `run_all` shows.

# %%
from tinybert_lite.pipeline.results import gather

results = gather(workspace, settings)
plots.along_the_stages(results)

# %% [markdown]
# ## The bill
#
# What all of it was for. Parameters take memory and multiply-adds take time. How fast a model really is depends on the machine;
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
# And where it was the other way round. Read them before you trust any number above: are these sentences hard, or are the labels doubtful?

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
# ## One knob to turn
#
# Chance has another door: the seed. It decides the student's first weights, the order of the rows, the augmentation.
# `python -m tinybert_lite.run_all --seed 43 --baseline --workspace another_folder` runs everything with another one; compare its numbers with those above: the spread between
# seeds is often as large as the difference between two papers. How many sentences would a difference of one point need, for two models that share nothing? (Paired answers that mostly agree need fewer.) For each
# number of sentences the table gives two standard errors: a smaller difference may be chance. 300 is our test set, 872 the dev set of the real SST-2.

# %%
p = accuracy["test"]["teacher"]
pd.Series(
    {n: round(100 * 2 * np.sqrt(2 * p * (1 - p) / n), 1) for n in (300, 872, 10_000, 100_000)}
).rename_axis("test sentences").to_frame("points, two standard errors")

# %% [markdown]
# ## In three sentences
#
# A distilled student is measured against its teacher and against itself without one. Dev chooses, test judges, and a difference without an error
# bar is an anecdote. What remains after that is the reason for all of this: nearly the same answers for a fraction of the parameters.
#
# **Exercises:** [three of them](exercises/06_evaluate_and_compare.ipynb), to do with your own hands.
#
# **The way on:** [07 · Your own data](07_your_own_data.ipynb) starts from a file of yours, and [08 · Eight bits](08_q8bert.ipynb) makes the student four times smaller once more. Your own teacher: `python -m tinybert_lite.run_all` runs all of this with one command, and the README, under *Your own teacher, data, settings*, says with what.
# `--profile paper` with a real BERT in `teacher_model/` is the real thing.
