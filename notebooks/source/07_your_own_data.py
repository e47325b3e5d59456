# %% [markdown]
# # 07 · Your own data
#
# **Claim: three hundred rows in a spreadsheet are enough to begin, and a classifier that you already have can be the teacher.** So far the rows and the
# teacher came with the course. Now you use your own file, with your own columns and labels, and get a small model that classifies new texts. Then you
# also use your own fine-tuned classifier, which is not a BERT, and distil it with one command.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · **07 your own data** · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | import | a CSV with four classes, and check how it was read |
# | work out | why accuracy is misleading if the classes are imbalanced, and what macro-F1 measures |
# | run | all stages on it, and read the confusion matrix |
# | predict | new texts with the finished student |
# | try | pairs and numbers, with the same commands |
# | distil | a RoBERTa classifier with one command, and open the student in transformers |
#
# About 4 minutes. Reads `notebooks/data/desk.csv` and the general student of stage 3; writes `desk/`, `desk-fewer/`, `same_topic/` and `length/`,
# sub-folders of these names in the stages' folders (your earlier results are left unchanged), `my_classifier/` and `my_run/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import json

import pandas as pd

from tinybert_lite import data_augmentation, own_data, run_all, task_distill
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace

workspace, settings = lessons.setup()

# %% [markdown]
# ## The file
#
# Messages to the help desk of a city library, invented for this course. Most of them are labelled with one of four topics; the others have no label.
# You can open the file in a spreadsheet: it is an ordinary CSV, with one column that has nothing to do with the task.

# %%
DESK = SHIPPED / "notebooks" / "data" / "desk.csv"
pd.set_option("display.max_colwidth", None)
rows = pd.read_csv(DESK)
rows.fillna("").head(6)

# %% [markdown]
# ## Making a task of it
#
# You name the file and its columns; the labels are found in the file. In a terminal the next cell is
# `python -m tinybert_lite.own_data notebooks/data/desk.csv --text message --label topic --metric macro_f1 --dev_share 0.2`.

# %%
TABLE = dict(text="message", label="topic", metric="macro_f1", dev_share=0.2)
folder = own_data.make(workspace.root, DESK, **TABLE)

# %% [markdown]
# A fifth of each class was drawn as `dev`, and no text is in both sets. Rows without a label are in `train`: the student can learn the teacher's soft
# targets for them. Input that cannot be used is refused with a message that says how to fix it:

# %%
from tinybert_lite.system.errors import UserError

try:
    own_data.make(workspace.root, DESK, "mesage", "topic")
except UserError as error:
    print(str(error).replace(str(DESK), DESK.name))

# %% [markdown]
# ## Imbalanced classes
#
# The dashed line is the length that the four blue bars would have if the classes were balanced.

# %%
counts = rows["topic"].value_counts()
plots.class_balance(counts.to_dict(), int(rows["topic"].isna().sum()))

# %% [markdown]
# A model that always predicts *loans* is right on $90$ of $240$ rows, an accuracy of $0.375$, although it has learnt nothing. **Macro-F1** is the mean
# over the classes of $F_1 = 2\,TP / (2\,TP + FP + FN)$. Here $F_1$ is $180/330$ for *loans* and $0$ for the other three classes: the mean is $0.136$.
# So with `--metric macro_f1` the best step of a training is chosen by macro-F1. Check the numbers with the package's function:

# %%
import numpy as np

from tinybert_lite.stages.metrics import scores

desk = Workspace.find(workspace.root, "desk")
gold = np.repeat(np.arange(4), [counts[label] for label in desk.task.labels])
always_loans = np.tile(np.eye(4)[desk.task.labels.index("loans")], (len(gold), 1))
found = scores(desk.task, always_loans, gold)
assert abs(found["accuracy"] - 90 / 240) < 1e-9
assert abs(found["macro_f1"] - 180 / 330 / 4) < 1e-9

# %% [markdown]
# ## All stages, as before
#
# The stages are the same, on other rows: `python -m tinybert_lite.run_all --task desk --set finetune_teacher.num_train_epochs=15`. The general student
# of stage 3 does not depend on the task, so it is used here too. One setting is changed: with so few rows an epoch has few steps, so the teacher is
# trained for more epochs. First guess:

# %%
lessons.predict("macro", "the student's macro-F1 on the dev rows", "of 1")

# %% [markdown]
# The dev score is printed while the teacher and the student learn:

# %%
settings = profile(settings.profile, desk.task, desk.teacher_is_grown)
settings = settings.override(["finetune_teacher.num_train_epochs=15"])
results = {stage.name: stage.run(desk, settings) for stage in run_all.needed(desk, "report")}
pd.Series({name: result.skipped or "ran" for name, result in results.items()}).to_frame("desk")

# %% [markdown]
# ## Results
#
# Both scores of both models, on the dev rows.

# %%
from tinybert_lite.data.tables import read_table
from tinybert_lite.pipeline.prediction import Predictor

dev = read_table(desk.data_file("dev"), desk.task).rows
texts, labels = [row.text_a for row in dev], [desk.task.labels.index(row.label) for row in dev]
folders = {"teacher": desk.task_teacher, "student": desk.final_student}
models = {name: Predictor(folder, "cpu") for name, folder in folders.items()}
sure = {name: model.predict(texts) for name, model in models.items()}
table = {name: scores(desk.task, found, np.array(labels)) for name, found in sure.items()}
pd.DataFrame(table).T.round(3)

# %% [markdown]
# Compare with your guess:

# %%
lessons.reveal("macro", table["student"]["macro_f1"])

# %% [markdown]
# ## The confusion matrix
#
# The confusion matrix shows which classes a model confuses. A row is a gold class, a column a predicted class; correct predictions are on the diagonal.
# The shade is the share of the gold class.

# %%
answers = {name: found.argmax(1) for name, found in sure.items()}
plots.confusion(answers, labels, desk.task.labels)

# %% [markdown]
# **What you should see.** A dark diagonal, with a few messages beside it; the teacher is weakest on *events*, the smallest class. The student can be
# better than its teacher by a few messages, since it was trained on more texts: the augmented ones and those without a label. A dark column is a class
# that is predicted too often. In the smoke profile you see only such columns, since almost nothing is learnt in twelve steps.
#
# The next cell shows the messages that the student gets wrong. Which of them would you have labelled differently?

# %%
wrong = [i for i, label in enumerate(labels) if answers["student"][i] != label]
names = np.array(desk.task.labels)
both = {"gold": names[labels], "predicted": names[answers["student"]]}
pd.DataFrame({"message": texts, **both}).iloc[wrong].head(6)

# %% [markdown]
# ## New texts
#
# Only the student's folder is needed: it contains the weights, the vocabulary and, in `config.json`, the names of the labels. In a terminal:
# `python -m tinybert_lite.predict --task desk "My card is gone."`; for a file of texts use `--file` and `--output`. Write your own messages below.

# %%
new = [
    "My card does not open the door.",
    "The room we booked has no chairs.",
    "May I keep the atlas until June?",
    "Who reads at the festival?",
    "Good morning!",
]
student = models["student"]
pd.DataFrame(student.predict(new), index=new, columns=student.labels).round(2)

# %% [markdown]
# Look at the last row: a text that fits no class also gets a prediction, since a classifier can only predict the classes it was trained on. So look at
# the probability too, and let a person decide uncertain texts.

# %% [markdown]
# ## One setting to change
#
# What do the 60 rows without a label add? `KEPT` is the number of them that are used. The dev rows and the teacher are the same; only the rows that the
# student learns from differ, and with them the number of steps. Guess first, then try 0, 20 and 60.

# %%
KEPT = 0
without = rows[rows["topic"].isna()].head(KEPT)
fewer = folder / "fewer.csv"
pd.concat([rows[rows["topic"].notna()], without]).to_csv(fewer, index=False)
other_folder = own_data.make(workspace.root, fewer, name="desk-fewer", **TABLE)
assert (other_folder / "dev.tsv").read_bytes() == (folder / "dev.tsv").read_bytes()
other = Workspace.find(workspace.root, "desk-fewer", task_teacher=desk.task_teacher)
for run in (data_augmentation.run, task_distill.run_mid, task_distill.run_out):
    run(other, profile(settings.profile, other.task, other.teacher_is_grown))
found = Predictor(other.final_student, "cpu").predict(texts)
kept = {f"{KEPT} rows without a label": scores(desk.task, found, np.array(labels))}
pd.DataFrame({"60 rows without a label": table["student"], **kept}).T.round(3)

# %% [markdown]
# The result is not precise: there are 48 dev rows, so one row is two points of accuracy. In the classroom profile the two scores with 0 and 60 rows
# differ by four of the 48 rows: try another seed before you believe it. Rows without a label help most if there are many more of them than labelled
# rows. And they help only in distillation: training on labels cannot use them.
#
# ## Pairs, in JSON Lines
#
# With `--text_b` two texts belong to one label: a question and an answer, a claim and a source. Here the pairs are two messages, and the label says
# whether both have the same topic. The JSON file has one object per line; its `true` and `false` become the names of the labels.

# %%
labelled = rows[rows["topic"].notna()]
neighbours = zip(labelled.values, labelled.values[1:])
lines = [{"one": a[1], "other": b[1], "same": bool(a[2] == b[2])} for a, b in neighbours]
path = folder / "same_topic.jsonl"
path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
made = own_data.make(workspace.root, path, "one", "same", "other")

# %% [markdown]
# ## Numbers, on any scale
#
# With `--regression` the label is a number: a price, a grade, minutes. Here the label is the number of words of a message, which is easy to check. In
# training the numbers are scaled to mean 0 (`offset` and `scale` in `task.json`); predictions are in your unit.

# %%
path = folder / "length.csv"
rows.assign(words=rows["message"].str.split().str.len()).to_csv(path, index=False)
made = own_data.make(workspace.root, path, "message", "words", regression=True)

# %% [markdown]
# Both tasks use the same stages. To save time they are run in the smoke profile, with twelve steps per stage: this shows that everything runs.
# The pairs are not learnt: an accuracy of 0.739 is the share of *false*. The lengths are learnt in part.

# %%
finished = {}
for name in ("same_topic", "length"):
    place = Workspace.find(workspace.root, name)
    for stage in run_all.needed(place, "report"):
        if stage.folder(place).name == name:  # the others serve all tasks and are there
            stage.run(place, profile("smoke", place.task, place.teacher_is_grown))
    finished[name] = Predictor(place.final_student, "cpu")

# %% [markdown]
# For a pair the model gives a probability per label; for a regression it gives a number in your unit, here words.

# %%
pair = finished["same_topic"].predict(["My card is lost."], ["I need a new card."])
words = finished["length"].predict(["My card is lost."])
print(dict(zip(finished["same_topic"].labels, pair[0].round(2).tolist())))
print(f"{words[0, 0]:.1f} words; the message has 4")

# %% [markdown]
# ## Distil my classifier
#
# You may already have a classifier, fine-tuned and saved with `transformers`, and want a smaller model with the same behaviour. That folder and the
# rows are enough. Many such classifiers are not BERTs, so this one is a RoBERTa: a byte-level BPE tokenizer, no segments, and positions that are
# counted from the padding id + 1. `tools/make_teacher.py` makes it: it trains the BPE and a masked LM on the course's text, fine-tunes the model on the
# messages, and saves it. The model has a fifth of the parameters of the teacher above and is weaker; it only serves to show the steps. The rows are put
# into a separate workspace, `my_run`, so that the course's general student, which was distilled from another teacher, is left unchanged. In a terminal:
# `python tools/make_teacher.py --task desk --workspace my_run --output_dir my_classifier`.

# %%
tool = SHIPPED / "tools" / "make_teacher.py"
my_run, mine = workspace.root / "my_run", workspace.root / "my_classifier"
made = own_data.make(my_run, DESK, **TABLE)
%run "{tool}" --task desk --workspace "{my_run}" --output_dir "{mine}" --profile {settings.profile}

# %% [markdown]
# What is in the folder? There is no `vocab.txt`, and the model has a classifier but no masked-LM head. Pieces include the space before a word, written
# Ġ:

# %%
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(mine)
original = AutoModelForSequenceClassification.from_pretrained(mine).eval()
names = {name.split(".")[0] for name in original.state_dict()}
assert names == {"roberta", "classifier"} and original.config.type_vocab_size == 1
print(*sorted(path.name for path in mine.iterdir()), sep=", ")
print(type(original).__name__, tokenizer.tokenize("May I keep the atlas?"))

# %% [markdown]
# ## The plan
#
# The command gets the classifier as its only model. With `--dry-run` it opens and checks the model, prints the plan and stops. In a terminal:
# `python -m tinybert_lite.run_all --workspace my_run --task desk --task_teacher my_classifier --dry-run`.
#
# Find three things in the plan: where the candidates of stage 1 come from, which student is derived, and which two stages are not needed. Then guess
# what share of the teacher's macro-F1 the student will reach.

# %%
task_flags = ["--workspace", str(my_run), "--task", "desk"]
run_flags = [*task_flags, "--task_teacher", str(mine), "--profile", settings.profile]
code = run_all.main([*run_flags, "--dry-run"])
lessons.predict("kept", "the student's share of its teacher's macro-F1", "%")

# %% [markdown]
# - **Stage 1** has no masked LM, so the candidates for a word are the words with the nearest vectors. `--augmentation_model` names a model with a
#   masked-LM head, for example `teacher_model/classroom`.
# - **The general teacher** is the classifier's encoder: stages 2 and 3 use it, and no fine-tuning is needed.
# - **The student** is derived: the teacher's family and tokenizer, two layers instead of four, half of the width, as many attention heads. The plan
#   also prints its number of parameters and how many times as many the teacher has. `--student layers=2,width=96` chooses another size.
#
# Now the same command without `--dry-run`:

# %%
code = run_all.main(run_flags)
assert code == 0

# %% [markdown]
# The measured scores are in `results.json`; one of 48 dev rows is two points of accuracy.

# %%
distilled = Workspace.find(my_run, "desk").final_student
found = json.loads((distilled / "results.json").read_text(encoding="utf-8"))
lessons.reveal("kept", 100 * found["student"]["macro_f1"] / found["teacher"]["macro_f1"])
pd.DataFrame({name: {**found[name], "parameters": found["parameters"][name]}
              for name in ("teacher", "student")}).T.round(3)

# %% [markdown]
# ## Back to transformers
#
# Here `predict` uses the student (`python -m tinybert_lite.predict --workspace my_run --task desk "…"`). Exported, it is a RoBERTa with the same
# tokenizer and label names, which transformers opens like its teacher. Both must give the same probabilities:

# %%
from tinybert_lite import export

out = my_run / "out"
code = export.main([*task_flags, "--format", "huggingface", "--output_dir", str(out)])
assert code == 0
exported = AutoModelForSequenceClassification.from_pretrained(out).eval()
batch = AutoTokenizer.from_pretrained(out)(new, padding=True, return_tensors="pt")
theirs = exported(**batch).logits.softmax(-1).detach().numpy()
assert np.allclose(theirs, Predictor(distilled, "cpu").predict(new), atol=1e-5)
pd.DataFrame(theirs, index=new, columns=exported.config.id2label.values()).round(2)

# %% [markdown]
# ## Summary
#
# For a task of your own you need a file and the names of its columns; the stages are the same. If classes are imbalanced, use macro-F1, and read the
# confusion matrix. Rows without a label are useful, since the student learns the teacher's soft targets. A fine-tuned classifier of a
# [listed family](../docs/families.md) is enough for a whole run: its student keeps the tokenizer and, for most families, the architecture, and opens
# with the same classes of transformers.
#
# **Exercises:** [three exercises](exercises/07_your_own_data.ipynb).
#
# **Next:** your own file, and [your own classifier](../docs/own_classifier.md). If the predictions are poor, label more rows of the classes that
# are confused, put a real BERT into `teacher_model/`, and add all the unlabelled text you have. Then [08 · Eight bits](08_q8bert.ipynb) makes the
# student smaller and faster to serve.
