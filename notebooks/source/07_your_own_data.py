# %% [markdown]
# # 07 · Your own data
#
# **Claim: three hundred rows in a spreadsheet are enough to begin, and a classifier that you already have is a teacher.** So far the rows and
# the teacher came with the course. Now you bring a file of your own, in your own columns and with your own words as labels, and end with a small
# model that answers new texts. Then you bring a fine-tuned classifier too, which is not a BERT, and distil it by one command.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · **07 your own data** · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | import | a CSV with four worded classes, and look at what was understood |
# | work out | why accuracy flatters where classes are uneven, and what macro-F1 does about it |
# | run | all stages on it, and read which class is taken for which |
# | ask | the finished student about new texts |
# | try | pairs and numbers, by the same commands |
# | distil | a RoBERTa classifier in one call, and open the student in transformers |
#
# About 4 minutes. Reads `notebooks/data/desk.csv` and the general student of stage 3; writes `desk/`, sub-folders called `desk` beside
# the results that you have, which stay, and `my_classifier/` and `my_run/`.

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
# Messages to the help desk of a city library, invented for this course. Somebody has sorted most of them into four topics; for the others there was no time.
# Open it in a spreadsheet if you like: it is an ordinary CSV, with a column that has nothing to do with the task.

# %%
DESK = SHIPPED / "notebooks" / "data" / "desk.csv"
pd.set_option("display.max_colwidth", None)
rows = pd.read_csv(DESK)
rows.fillna("").head(6)

# %% [markdown]
# ## What is understood of it
#
# You name the file and its columns; the rest is found out. In a terminal the next cell is
# `python -m tinybert_lite.own_data notebooks/data/desk.csv --text message --label topic --metric macro_f1 --dev_share 0.2`.

# %%
folder = own_data.make(
    workspace.root, DESK, "message", "topic", metric="macro_f1", dev_share=0.2
)

# %% [markdown]
# A fifth of each class was drawn to measure on (`dev`), and no text stands on both sides. Rows without a label went to `train`:
# no label can teach there, but the teacher's answers can. What cannot be used is refused in one sentence, with the cure:

# %%
from tinybert_lite.system.errors import UserError

try:
    own_data.make(workspace.root, DESK, "mesage", "topic")
except UserError as error:
    print(str(error).replace(str(DESK), DESK.name))

# %% [markdown]
# ## Uneven classes
#
# As a picture: the dashed line is where all bars would end if the classes were even.

# %%
counts = rows["topic"].value_counts()
plots.class_balance(counts.to_dict(), int(rows["topic"].isna().sum()))

# %% [markdown]
# A model that says *loans* to everything is right on $90$ of $240$ rows. That is an accuracy of $0.375$, for nothing. **Macro-F1** gives each class its
# own $F_1 = 2\,TP / (2\,TP + FP + FN)$ and takes the plain mean. Here *loans* has $180/330$ and the other three have $0$: together $0.136$. That is
# why `--metric macro_f1` decides which step of a training is kept. Check it with the package's own measure:

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
# The stages are those you know, on other rows: `python -m tinybert_lite.run_all --task desk`. The general student of stage 3 knows
# no task, so it serves this one too. One setting is changed: with so few rows an epoch is soon over, and the teacher gets more of them. First
# your guess:

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
# ## What came of it
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
# And what did you expect?

# %%
lessons.reveal("macro", table["student"]["macro_f1"])

# %% [markdown]
# ## What is taken for what
#
# One number says how good a model is; this picture says what to do about it. A row is a class, a column an answer, and what is right stands on the
# diagonal. The shade is the share of the class.

# %%
answers = {name: found.argmax(1) for name, found in sure.items()}
plots.confusion(answers, labels, desk.task.labels)

# %% [markdown]
# **What you should see.** A dark diagonal, with a few rows beside it; the teacher is weakest on *events*, the smallest class. The student may well be ahead of its
# teacher, by a handful of messages: it has met more texts, the augmented ones and those without a label. A dark column would be a class that is
# said too often. In the smoke profile that is all you get: twelve steps teach next to nothing.
#
# The messages that the student gets wrong. Read them: which would you have sorted otherwise yourself?

# %%
wrong = [i for i, label in enumerate(labels) if answers["student"][i] != label]
names = np.array(desk.task.labels)
columns = {"is": names[labels], "taken for": names[answers["student"]]}
pd.DataFrame({"message": texts, **columns}).iloc[wrong].head(6)

# %% [markdown]
# ## New texts
#
# The finished folder is all that is needed: weights, vocabulary and, in `config.json`, the words of the labels. In a terminal:
# `python -m tinybert_lite.predict --task desk "My card is gone."`; whole files go in with `--file` and come out with `--output`. Write your own messages below.

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
# Look at the last row: a text that fits no class gets an answer all the same. A classifier knows only the classes it was given, so look at the
# probability too, and give doubtful texts to a person.

# %% [markdown]
# ## One knob to turn
#
# What did the 60 rows without a label bring? `KEPT` says how many of them stay. The same dev rows are drawn, and the same teacher answers; only the rows that the
# student learns from differ. Labelling 60 messages would have taken an hour: guess first, then try 0, 20 and 60.

# %%
KEPT = 0
without = rows[rows["topic"].isna()].head(KEPT)
fewer = folder / "fewer.csv"
pd.concat([rows[rows["topic"].notna()], without]).to_csv(fewer, index=False)
columns = dict(text="message", label="topic", metric="macro_f1", dev_share=0.2)
other_folder = own_data.make(workspace.root, fewer, name="desk-fewer", **columns)
assert (other_folder / "dev.tsv").read_bytes() == (folder / "dev.tsv").read_bytes()
other = Workspace.find(workspace.root, "desk-fewer", task_teacher=desk.task_teacher)
for run in (data_augmentation.run, task_distill.run_mid, task_distill.run_out):
    run(other, profile(settings.profile, other.task, other.teacher_is_grown))
found = Predictor(other.final_student, "cpu").predict(texts)
kept = {f"{KEPT} rows without a label": scores(desk.task, found, np.array(labels))}
pd.DataFrame({"60 rows without a label": table["student"], **kept}).T.round(3)

# %% [markdown]
# Do not read too much into it: of 48 dev rows each is two points of accuracy. Rows without a label pay where there are many more of them than
# labelled ones, as in most offices. And they pay only in distillation: a training on labels alone has no use for them.
#
# ## Pairs, in JSON Lines
#
# With `--text_b` two texts belong to one label: a question and an answer, a claim and a source. Here two messages and whether they are about the same thing. A JSON
# file has one object a line, and its `true` and `false` become the labels' words.

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
# With `--regression` the label is a number: a price, a grade, minutes. Here how many words a message has, which is easy to check. It is learnt on a scale of its own, around 0
# (`offset` and `scale` in `task.json`), and answered in your unit.

# %%
path = folder / "length.csv"
rows.assign(words=rows["message"].str.split().str.len()).to_csv(path, index=False)
made = own_data.make(workspace.root, path, "message", "words", regression=True)

# %% [markdown]
# Both go through the same stages. To save your time they do so in the smoke profile, a dozen steps each: it shows that everything runs, and teaches
# next to nothing.

# %%
finished = {}
for name in ("same_topic", "length"):
    place = Workspace.find(workspace.root, name)
    for stage in run_all.needed(place, "report"):
        if stage.folder(place).name == name:  # the others serve all tasks and are there
            stage.run(place, profile("smoke", place.task, place.teacher_is_grown))
    finished[name] = Predictor(place.final_student, "cpu")

# %% [markdown]
# A pair gets a probability for each word, a regression a number in your unit, which here is words.

# %%
pair = finished["same_topic"].predict(["My card is lost."], ["I need a new card."])
words = finished["length"].predict(["My card is lost."])
print(dict(zip(finished["same_topic"].labels, pair[0].round(2).tolist())))
print("within the range of the labels:", bool(1 <= words[0, 0] <= 20))

# %% [markdown]
# ## Distil my classifier
#
# Many people begin elsewhere: they have a classifier, fine-tuned by themselves or a colleague, in a folder as `transformers` saved it, and want the same answers
# from a smaller model. That folder and the rows are enough. Most such classifiers are not BERTs, so this one is a RoBERTa: its tokenizer is a byte-level BPE, it has no
# segments, and its positions begin after that of the padding token. A program of the repository makes it: it learns the BPE and the masked LM from the text of the course, fine-tunes
# the model on the messages, and saves it. It has a fifth of the parameters of the teacher above, and is weaker; only the way matters here. The rows go into a workspace of their own,
# `my_run`, because the general student of the course learnt from another teacher, and it stays. In a terminal:
# `python tools/make_teacher.py --task desk --workspace my_run --output_dir my_classifier`.

# %%
tool = SHIPPED / "tools" / "make_teacher.py"
my_run, mine = workspace.root / "my_run", workspace.root / "my_classifier"
made = own_data.make(my_run, DESK, **columns)
%run "{tool}" --task desk --workspace "{my_run}" --output_dir "{mine}" --profile {settings.profile}

# %% [markdown]
# What is in the folder? No `vocab.txt`, and a classifier where stage 1 had a masked-LM head. The pieces keep the blank before a word, written Ġ:

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
# One command, with the classifier as its only model. `--dry-run` opens and checks the model, prints the plan and stops. In a terminal:
# `python -m tinybert_lite.run_all --workspace my_run --task desk --task_teacher my_classifier --dry-run`.
#
# Read it and find three things: where the candidates of stage 1 come from, which student was derived, and which two stages are not needed. Then guess how much of the
# teacher's macro-F1 the student will keep.

# %%
task = ["--workspace", str(my_run), "--task", "desk"]
models = ["--task_teacher", str(mine), "--profile", settings.profile]
code = run_all.main([*task, *models, "--dry-run"])
lessons.predict("kept", "the student's share of its teacher's macro-F1", "%")

# %% [markdown]
# - **Stage 1** has no masked LM to ask, so every word is replaced by its nearest word vectors. `--augmentation_model` names a model that has
#   one, for example `teacher_model/classroom`.
# - **The general teacher** is the encoder of the classifier: stages 2 and 3 read it, and nothing is fine-tuned.
# - **The student** is derived: the teacher's family and tokenizer, two of its four layers, half of its width, as many heads. Behind it stand its parameters and the factor
#   to the teacher's. `--student layers=2,width=96` chooses another.
#
# Now the same command without `--dry-run`:

# %%
code = run_all.main([*task, *models])
assert code == 0

# %% [markdown]
# What was measured is in `results.json`; one of 48 dev rows is two points of accuracy.

# %%
distilled = Workspace.find(my_run, "desk").final_student
found = json.loads((distilled / "results.json").read_text(encoding="utf-8"))
lessons.reveal("kept", 100 * found["student"]["macro_f1"] / found["teacher"]["macro_f1"])
pd.DataFrame({name: {**found[name], "parameters": found["parameters"][name]}
              for name in ("teacher", "student")}).T.round(3)

# %% [markdown]
# ## Back to transformers
#
# The student answers here (`python -m tinybert_lite.predict --workspace my_run --task desk "…"`), and exported it opens wherever its teacher did: a RoBERTa again, with the same
# tokenizer and the labels' words. Both must give the same probabilities:

# %%
from tinybert_lite import export

out = my_run / "out"
code = export.main([*task, "--format", "huggingface", "--output_dir", str(out)])
assert code == 0
exported = AutoModelForSequenceClassification.from_pretrained(out).eval()
batch = AutoTokenizer.from_pretrained(out)(new, padding=True, return_tensors="pt")
theirs = exported(**batch).logits.softmax(-1).detach().numpy()
assert np.allclose(theirs, Predictor(distilled, "cpu").predict(new), atol=1e-5)
pd.DataFrame(theirs, index=new, columns=exported.config.id2label.values()).round(2)

# %% [markdown]
# ## In four sentences
#
# A task of your own is a file, the names of its columns, and the stages you know. Uneven classes need a measure that counts each of them, and a
# picture of what is taken for what. Rows without a label are of use here, for the student learns from the teacher's answers. A fine-tuned classifier of
# [nearly any family](../docs/families.md) is enough for a whole run: its student has the same family and tokenizer, and opens in the same programs.
#
# **Exercises:** [three of them](exercises/07_your_own_data.ipynb), to do with your own hands.
#
# **The way on:** your own file, and [your own classifier](../docs/own_classifier.md). If the answers stay weak, label more rows of the classes that are mixed up, put a real BERT into `teacher_model/`,
# and bring all the unlabelled text you have. Then [08 · Eight bits](08_q8bert.ipynb) makes of it a file that is small and quick to serve.
