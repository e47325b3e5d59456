# %% [markdown]
# # 03 · General distillation
#
# **Claim: a student that matches the teacher's attention scores and hidden states on plain text has learnt language without
# one label.** This is the first of the two learning phases, and the one that gives the student a start. The second is task distillation, stages 4 and 5.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · **03 general distillation** ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | the attention loss of a 2 × 2 example, with and without padding |
# | run | stage 3, and see its hand-off to the next stage |
# | compare | a student before and after, in numbers and in pictures |
#
# About 2 minutes. Reads `2_pregenerate_data/`, the teacher and `student_model/`; writes `3_general_distill/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import pandas as pd
import torch

from tinybert_lite import general_distill

workspace, settings = lessons.setup()

# %% [markdown]
# The stage needs a teacher and the sequences of stage 2. What is missing is made now in the quick smoke profile, and a sentence says so; if nothing is
# missing, the cell is silent.

# %%
lessons.ensure(workspace, settings, "general_distill")

# %% [markdown]
# ## The attention loss, by hand
#
# In each head a layer computes **attention scores** $A = QK^\top / \sqrt{d_k}$, and from them, by softmax, **attention
# probabilities**. $Q$ and $K$ hold a query and a key for each word, vectors of $d_k$ numbers. TinyBERT matches the scores, *before* the softmax
# (the paper's Eq. 7), over $h$ heads; $S$ marks the student, $T$ the teacher, and MSE is the mean squared error:
#
# $$\mathcal{L}_{attn} = \frac{1}{h} \sum_{i=1}^{h} \mathrm{MSE}(A_i^S, A_i^T)$$
#
# Take one head and two words. Teacher and student differ in one of four places, by 1. The mean square is $1/4$.

# %%
from tinybert_lite.method.losses import attention_loss

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
assert (
    attention_loss(wild, pad(teacher_scores, (0, 1, 0, 1)), mask=torch.tensor([[1, 1, 0]]))
    == by_hand
)

# %% [markdown]
# **A trap: softmaxed scores.** Libraries hand out attention *probabilities* under the name of attentions, and who matches those matches less.
# Take a student whose scores are the teacher's, but with 5 added to the first row and 3 taken from the second. The probabilities do not move,
# since softmax only sees differences within a row: the broken loss is 0. The scores do: fixed, the loss is $(5^2 + 3^2)/2 = 17$. Scores say more than
# softmax lets through, and the paper found that they train faster and better.

# %%
shifted, both = teacher_scores + torch.tensor([[5.0], [-3.0]]), torch.tensor([[1, 1]])
broken = attention_loss(shifted.softmax(-1), teacher_scores.softmax(-1), both)
fixed = attention_loss(shifted, teacher_scores, both)
assert broken < 1e-12 and fixed == 17

# %% [markdown]
# ## Teacher and student
#
# The student is made from a configuration. It may be narrower than the teacher, so a learnt
# projection $W_h$ takes its hidden states to the teacher's width before they are compared (Eq. 8; notebook 04 works it out), and $W_e$ its embeddings
# (Eq. 9). Only the comparison needs them: the finished student has none.

# %%
from tinybert_lite.models.loading import load_model
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.loading import load_with_tokenizer

torch.manual_seed(settings.seed)
teacher, options = load_with_tokenizer(workspace.teacher), settings.general_distill
width, pieces = teacher.model.config.hidden_size, teacher.model.config.vocab_size
untrained, _ = load_model(
    workspace.student_source,
    from_scratch=True,
    vocab_size=pieces,
    projection=options.projection,
    teacher_width=width,
)
objective = Intermediate(
    untrained, teacher.model, options.mapping, options.padding, options.heads
)
both = {"teacher": teacher.model, "student": untrained}
sizes = ["num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"]
pd.DataFrame({name: [getattr(m.config, s) for s in sizes] for name, m in both.items()}, sizes)

# %% [markdown]
# This student learns from these layers of this teacher:

# %%
plots.layer_map(objective.mapping, teacher.model.layers)

# %% [markdown]
# Both must have the same number of attention heads, because head $i$ of the student learns from head $i$ of the teacher (unless the setting `general_distill.heads` says otherwise).

# %% [markdown]
# ## Where it starts
#
# The paper's student starts from random weights and a corpus that shows every word many times. Here the text is short: most of
# the vocabulary never comes up, and its embeddings would stay noise. But for the word table ($E$: a row a word piece), $E^S W_e \approx E^T$ has a best
# answer that needs no training at all (Eckart and Young, 1936): turn the teacher's embeddings to their principal directions and
# keep as many as the student is wide. So with `start=embeddings`, the classroom's setting, the student begins there, and
# the layers alone are random. How much of the teacher's embeddings is that,
# by the sum of the squares of all their numbers?

# %%
embeddings = teacher.model.body.embeddings.word_embeddings.weight.detach()
directions = torch.linalg.svd(embeddings, full_matrices=False).Vh[: untrained.config.hidden_size]
lost = (
    embeddings - embeddings @ directions.T @ directions
).square().sum() / embeddings.square().sum()
kept = f"{len(directions)} of {embeddings.shape[1]} directions keep {100 * (1 - lost):.0f} %"
print(f"{kept} of the squares; this run starts from: {options.start}")

# %% [markdown]
# ## The stage in one call
#
# A question first. After training, on sentences that the student never saw, what is left of the loss of a student with random weights? (1 is all of it.)

# %%
lessons.predict("left", "loss after training / loss of random weights")

# %% [markdown]
# Every step: one batch through the teacher, the same through the student, the mean squares of all matched pairs added up, one
# update of the student. The teacher stays as it is.

# %%
result = general_distill.run(workspace, settings)
pd.Series(
    {
        "state": result.skipped or "ran",
        "steps": result.metrics["steps"],
        "mapping": result.metrics["mapping"],
    }
).to_frame("stage 3")

# %% [markdown]
# The curves come from `history.jsonl`, which every stage leaves beside its weights. The vertical axes are logarithmic, and each kind of
# loss has its own. A layer has the same colour in both panels.

# %%
from tinybert_lite.training.history import read_history

plots.loss_curves(read_history(workspace.general_student / "history.jsonl"), "stage 3")

# %% [markdown]
# Every term for itself, as a multiple of where it started. Blue has fallen, red has risen, and the number behind a row says
# where it ended. Which layers learn first, and which are still learning at the end?

# %%
plots.loss_anatomy(read_history(workspace.general_student / "history.jsonl"), "stage 3")

# %% [markdown]
# ## The hand-off
#
# The stage writes `model_epoch_N.bin` after each epoch, and the next stage reads `pytorch_model.bin`. With the original scripts
# you had to rename the file by hand, and many forgot. Here `hand_off` does it at the end of the stage: it takes the newest
# epoch, checks names, shapes and finite values against `config.json`, and only then puts it in place. Calling it again changes
# nothing.

# %%
from tinybert_lite.models.saving import hand_off, latest_epoch
from tinybert_lite.system.files import sha256

newest = latest_epoch(workspace.general_student)
handed_on = hand_off(workspace.general_student)
assert sha256(newest) == sha256(handed_on)
print(newest.name, "→", handed_on.name)

# %% [markdown]
# **A trap: the forgotten rename.** Whoever forgets it, or renames the wrong epoch, continues with an older student, and no message says so. Here is what the first
# epoch's file would have cost: the same losses as below, added up, on the same dev sentences. (In the `smoke` profile there is one epoch, so the two
# lines are equal.)

# %%
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode

dev = read_table(workspace.data_file(workspace.task.dev_files[0]), workspace.task)
sentences = encode([row.text_a for row in dev.rows[:64]], None, teacher.tokenizer, max_length=64)
batch, loss = sentences.batch(range(64)), {}
forgotten = workspace.general_student / "model_epoch_1.bin"
for name, file in {"broken: the first epoch": forgotten, "fixed: handed on": handed_on}.items():
    model = load_model(workspace.general_student, weights=file)[0].eval()
    with torch.inference_mode():
        loss[name] = float(sum(objective(model, batch).values()))
pd.Series(loss).round(3).to_frame("loss on dev sentences")

# %% [markdown]
# Where there is nothing to hand on, it says so in one sentence, with the cure:

# %%
from tinybert_lite.system.errors import UserError

try:
    hand_off(workspace.sequences)
except UserError as error:
    print(error)

# %% [markdown]
# ## Before and after, on sentences it never saw
#
# Training loss can flatter. So we take sentences from the dev set, which neither model was trained on here, and compute the
# same losses for the untrained student and for the distilled one. In the table `hidden/0` are the embeddings, and `hidden/1` and `attention/1` belong to
# the student's layer 1.

# %%
student = load_with_tokenizer(workspace.general_student)
with torch.inference_mode():
    before, after = (
        {name: float(value) for name, value in objective(m.eval(), batch).items()}
        for m in (untrained, student.model)
    )
lessons.reveal("left", sum(after.values()) / sum(before.values()))
pd.DataFrame({"before": before, "after": after}).assign(
    ratio=lambda t: t["after"] / t["before"]
).round(4)

# %% [markdown]
# The same as bars for the hidden states. "Before" is what random weights and a random projection give. A run with `start=embeddings`
# begins nearer to the teacher, so the curves above start lower than these bars for the embeddings.

# %%
layers = range(len(objective.mapping))
plots.hidden_match(
    [before[f"hidden/{m}"] for m in layers],
    [after[f"hidden/{m}"] for m in layers],
    objective.mapping,
)

# %% [markdown]
# **A trap: padding in the mean.** The original code sets the scores of masked keys to 0, and divides by all places, padded ones
# too. Its loss depends on how long the longest sentence of the batch happens to be. Take the batch as it is, and the same batch with forty more padded places:

# %%
longer = {name: pad(tensor, (0, 40)) for name, tensor in batch.items()}
rows = {}
for name, padding in (
    ("broken: padding counts", "reference"),
    ("fixed: real places only", "exact"),
):
    measure = Intermediate(student.model, teacher.model, options.mapping, padding, options.heads)
    with torch.inference_mode():
        rows[name] = [
            float(sum(measure(student.model, which).values())) for which in (batch, longer)
        ]
assert abs(rows["fixed: real places only"][1] / rows["fixed: real places only"][0] - 1) < 1e-4
pd.DataFrame(rows, index=["the batch", "40 more padded places"]).T.round(3)

# %% [markdown]
# ## Where the words go
#
# A hidden state is a point with as many coordinates as the teacher is wide; here is the plane in which the *teacher's* points spread most. Each
# arrow leads from where the student puts a word to where the teacher has it, along the checkpoints. The plane is the teacher's own, so
# it cannot flatter the student, but it shows two directions of many (each axis says what share of the spread is its own): the loss in the title counts all.

# %%
m, mask = student.model.layers, batch["attention_mask"]
checkpoints = {
    "before": untrained,
    "first epoch": load_model(
        workspace.general_student, weights=workspace.general_student / "model_epoch_1.bin"
    )[0],
    "last epoch": student.model,
}
with torch.inference_mode():
    goal = plots.real_tokens(teacher.model(batch).hidden[objective.mapping[m]], mask)
    points = {
        name: plots.real_tokens(model.eval()(batch).projected[m], mask)
        for name, model in checkpoints.items()
    }
plots.principal_components(goal, points)

# %% [markdown]
# ## Attention, matched
#
# Every layer and head, on one sentence. Rows are queries (who looks), columns are keys (who is looked at). Teacher
# and student share one colour scale, so equal colours are equal scores; in the difference, white is zero. Move the sliders; then switch to
# probabilities, which is what the next layer gets to see.

# %%
sentence = encode(
    ["The harbour fills with water twice a day."], None, teacher.tokenizer, max_length=64
).batch([0])
tokens = teacher.tokenizer.convert_ids_to_tokens(sentence["input_ids"][0])
widgets.attention_explorer(student.model, teacher.model, sentence, tokens, objective.mapping)

# %% [markdown]
# Softmax does not see a number that is added to a whole row. So the attention loss has two parts, and only one of them changes what the
# layer does. How much of what is left is of which kind?

# %%
pairs = widgets.matched_scores(student.model, teacher.model, batch, objective.mapping)
visible, invisible = zip(*(plots.attention_parts(mine, theirs, mask) for mine, theirs in pairs))
plots.visible_attention(visible, invisible, objective.mapping)

# %% [markdown]
# **What you should see.** In the bars, the distilled student well below the untrained one, and arrows that shrink from panel to panel. In the three maps of attention, columns
# and stripes of the teacher that appear in the student too, and a difference paler than either would suggest. If teacher and student look
# unrelated, look at the curves: still falling means too few steps (the smoke profile takes a dozen, which shows the wiring and
# no learning).

# %% [markdown]
# ## One knob to turn
#
# For a run with another mapping write `settings = settings.override(["general_distill.mapping=top"])` and call the stage again; below is what the student
# would then learn from.

# %%
from tinybert_lite.method.layer_mapping import layer_mapping

pd.DataFrame(
    {
        name: layer_mapping(name, untrained.layers, teacher.model.layers)
        for name in ("uniform", "top", "bottom")
    }
).rename_axis("student layer")

# %% [markdown]
# ## In three sentences
#
# General distillation makes the student's attention scores and projected hidden states equal to the teacher's, on plain text.
# Scores are matched before the softmax, over real places only. The result is handed on as `pytorch_model.bin`, checked.
#
# **Exercises:** [three of them](exercises/03_general_distill.ipynb), to do with your own hands.
#
# **The way on:** [04 · Intermediate layers](04_task_distill_mid.ipynb) does the same once more, with a teacher that knows the task.
