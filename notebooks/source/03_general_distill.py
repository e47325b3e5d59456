# %% [markdown]
# # 03 · General distillation
#
# **Claim: a student that is trained to match its teacher's attention scores and hidden states on plain text learns language without any label.** This
# is the first of TinyBERT's two phases; it gives the student its initial weights for the second, task distillation (stages 4 and 5).
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · **03 general distillation** ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [glossary](../docs/glossary.md)
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
# The stage needs a teacher and the sequences of stage 2. Missing inputs are made now in the quick smoke profile, with a message; if nothing is missing,
# the cell prints nothing.

# %%
lessons.ensure(workspace, settings, "general_distill")

# %% [markdown]
# ## The attention loss, by hand
#
# In each head a layer computes **attention scores** $A = QK^\top / \sqrt{d_k}$, and from them, by softmax, **attention probabilities**. $Q$ and $K$
# contain a query and a key for each word piece, vectors of $d_k$ numbers. TinyBERT matches the scores, *before* the softmax (the paper's Eq. 7), over
# $h$ heads; $S$ marks the student, $T$ the teacher, and MSE is the mean squared error:
#
# $$\mathcal{L}_{attn} = \frac{1}{h} \sum_{i=1}^{h} \mathrm{MSE}(A_i^S, A_i^T)$$
#
# Take one head and two words. Teacher and student differ in one of four scores, by 1. The mean squared error is $1/4$.

# %%
from tinybert_lite.method.losses import attention_loss

teacher_scores = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])  # (rows, heads, queries, keys)
student_scores = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]])
by_hand = 1 / 4
assert attention_loss(student_scores, teacher_scores, mask=torch.tensor([[1, 1]])) == by_hand

# %% [markdown]
# In a batch, short sentences are padded. The padded rows and columns must not count in the loss. Add a padded third word with an extreme score: the
# loss is exactly the same.

# %%
from torch.nn.functional import pad

wild = pad(student_scores, (0, 1, 0, 1), value=99.0)
assert (
    attention_loss(wild, pad(teacher_scores, (0, 1, 0, 1)), mask=torch.tensor([[1, 1, 0]]))
    == by_hand
)

# %% [markdown]
# **A common mistake: softmax before the loss.** The "attentions" that libraries return are attention *probabilities*, which contain less information
# than the scores. Take a student whose scores are the teacher's, but with 5 added to the first row and 3 subtracted from the second. The probabilities
# do not change, since softmax depends only on differences within a row, so the loss on probabilities (*broken*) is 0. The loss on scores (*fixed*) is
# $(5^2 + 3^2)/2 = 17$. The paper found that with scores training converges faster and gives better results.

# %%
shifted, both = teacher_scores + torch.tensor([[5.0], [-3.0]]), torch.tensor([[1, 1]])
broken = attention_loss(shifted.softmax(-1), teacher_scores.softmax(-1), both)
fixed = attention_loss(shifted, teacher_scores, both)
assert broken < 1e-12 and fixed == 17

# %% [markdown]
# ## Teacher and student
#
# The student is made from a configuration. It may be narrower than the teacher, so a learnt projection $W_h$ maps its hidden states to the teacher's
# width before they are compared (Eq. 8; notebook 04 has an example by hand), and $W_e$ maps its embeddings (Eq. 9). The projections are used only in
# the loss: the student that stage 5 writes has none.

# %%
from tinybert_lite.models.loading import load_model
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.models.loading import load_with_tokenizer

torch.manual_seed(settings.seed)
teacher, options = load_with_tokenizer(workspace.teacher), settings.general_distill
width = teacher.model.config.hidden_size
untrained, _ = load_model(
    workspace.student_source,
    from_scratch=True,
    like=teacher.model.config,
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
# The layer mapping of this student and this teacher:

# %%
plots.layer_map(objective.mapping, teacher.model.layers)

# %% [markdown]
# Both must have the same number of attention heads, because head $i$ of the student learns from head $i$ of the teacher (other values of the setting
# `general_distill.heads` allow different numbers).

# %% [markdown]
# ## Initial weights
#
# The paper's student starts from random weights, and its corpus contains every word many times. Here the corpus is small: most of the vocabulary never
# occurs in it, so most embeddings would stay random. But for the matrix of word embeddings ($X$: one row per word piece), the best solution of
# $X^S W_e \approx X^T$ is known without training (Eckart and Young, 1936): the principal components (PCA) of the teacher's embeddings, as many as the
# student's width. So with `start=embeddings`, the setting of the classroom profile, the student starts from these, and only its layers are random.
# Which share of the teacher's embeddings do they keep, measured by the sum of squares of all entries?

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
# First a question. After training, what share of the loss of a student with random weights is left, on sentences that the student has never seen? (1 is
# all of it.)

# %%
lessons.predict("left", "loss after training / loss of random weights")

# %% [markdown]
# In every step the same batch goes through teacher and student, the mean squared errors of all matched pairs are added, and the student is updated
# once. The teacher does not change.

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
# The curves are read from `history.jsonl`, which every stage writes beside its weights. There is one panel per kind of loss, with a logarithmic
# vertical axis. A layer has the same colour in both panels. In the classroom profile the lowest curve, of the embeddings, ends at about 0.12.

# %%
from tinybert_lite.training.history import read_history

plots.loss_curves(read_history(workspace.general_student / "history.jsonl"), "stage 3")

# %% [markdown]
# Each term of the loss, divided by its initial value. Blue means that it has fallen, red that it has risen; the number after a row is the final value
# divided by the first. Which layers learn first, and which are still learning at the end?

# %%
plots.loss_anatomy(read_history(workspace.general_student / "history.jsonl"), "stage 3")

# %% [markdown]
# ## The hand-off
#
# The stage writes `model_epoch_N.bin` after each epoch, and the next stage reads `pytorch_model.bin`. With the original scripts one has to copy the
# file by hand, which is easy to forget. Here `hand_off` does it at the end of the stage: it takes the newest epoch, checks that names and shapes agree
# with `config.json` and that all values are finite, and only then copies the file. Calling it again changes nothing.

# %%
from tinybert_lite.models.saving import hand_off, latest_epoch
from tinybert_lite.system.files import sha256

newest = latest_epoch(workspace.general_student)
handed_on = hand_off(workspace.general_student)
assert sha256(newest) == sha256(handed_on)
print(newest.name, "→", handed_on.name)

# %% [markdown]
# **A common mistake: the forgotten copy.** Without the copy, or with a copy of the wrong epoch, the next stage continues with an older student
# without any message. To see the effect, compare the first epoch's file with the last: the sum of the losses below, on the same dev sentences. (In the
# `smoke` profile there is one epoch, so the two lines are equal.)

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
# If there is no file to hand on, the error message says how to fix this:

# %%
from tinybert_lite.system.errors import UserError

try:
    hand_off(workspace.sequences)
except UserError as error:
    print(error)

# %% [markdown]
# ## Before and after, on unseen sentences
#
# The curves above are computed on the training text, with the student's dropout. So we take sentences from the dev set, which neither model was
# trained on here, and compute the same losses without dropout, for the untrained and for the distilled student. In the table `hidden/0` are the
# embeddings, and `hidden/1` and `attention/1` belong to the student's layer 1.

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
# The hidden losses as bars. "Before" is a student with random weights and a random projection. A run with `start=embeddings` starts closer to the
# teacher, so for the embeddings the curve above starts below this bar.

# %%
layers = range(len(objective.mapping))
plots.hidden_match(
    [before[f"hidden/{m}"] for m in layers],
    [after[f"hidden/{m}"] for m in layers],
    objective.mapping,
)

# %% [markdown]
# **A common mistake: padding in the mean.** The original code sets the scores of masked keys to 0, and divides by the number of all positions, padded
# ones included. So its loss depends on the length of the longest sentence in the batch. Compare a batch with the same batch and forty more padded
# positions:

# %%
longer = {name: pad(tensor, (0, 40)) for name, tensor in batch.items()}
rows = {}
for name, padding in (
    ("broken: padding counts", "original"),
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
# ## Hidden states in a plane
#
# A hidden state, projected to the teacher's width, is a point with as many coordinates as that width. The pictures show the plane of the first two
# principal components of the *teacher's* points, one picture per checkpoint. Each arrow points from the student's state of a word piece to the
# teacher's. The plane is computed from the teacher only, so it does not favour the student, but it shows only two of many directions (each axis gives
# its share of the variance); the loss in the title includes all directions. The groups apart from the others are
# the special pieces [CLS] and [SEP] (left), and commas and full stops (below).

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
# Every layer and head, on one sentence. Rows are queries (the piece that attends), columns are keys (the piece that is attended to). Teacher and
# student have the same colour scale, so equal colours are equal scores; the difference has a scale of its own, and white is zero. Move the sliders;
# then switch to probabilities, with which the layer weights the values.

# %%
sentence = encode(
    ["The harbour fills with water twice a day."], None, teacher.tokenizer, max_length=64
).batch([0])
tokens = teacher.tokenizer.convert_ids_to_tokens(sentence["input_ids"][0])
widgets.attention_explorer(student.model, teacher.model, sentence, tokens, objective.mapping)

# %% [markdown]
# Adding the same number to a whole row does not change its softmax. So the attention loss has two parts: differences that are constant within a row,
# and the rest, which alone changes the output of the layer. How large is each part of the remaining loss?

# %%
pairs = widgets.matched_scores(student.model, teacher.model, batch, objective.mapping)
visible, invisible = zip(*(plots.attention_parts(mine, theirs, mask) for mine, theirs in pairs))
plots.visible_attention(visible, invisible, objective.mapping)

# %% [markdown]
# **What you should see.** The bars of the distilled student are well below those of the untrained one, and the arrows become shorter from picture to
# picture. In the attention maps of layer 2, columns and stripes of the teacher also appear in the student, and the differences are smaller than the
# scores (compare the two scales). Layer 1 is matched less well: the teacher's diagonal is hardly visible in the student. In the classroom profile
# softmax sees three quarters of the remaining attention loss of layer 1, and 86 % of layer 2's. If teacher and student look unrelated, look at the
# curves: if they are still falling, there were too few steps (the smoke profile has twelve, which only shows that everything runs).

# %% [markdown]
# ## One setting to change
#
# For a run with another layer mapping write `settings = settings.override(["general_distill.mapping=top"])` and call the stage again. The next cell
# shows this mapping.

# %%
from tinybert_lite.method.layer_mapping import layer_mapping

pd.DataFrame(
    {
        name: layer_mapping(name, untrained.layers, teacher.model.layers)
        for name in ("uniform", "top", "bottom")
    }
).rename_axis("student layer")

# %% [markdown]
# ## Summary
#
# General distillation trains the student to match the teacher's attention scores and hidden states on plain text. Scores are matched before the
# softmax, without padding. The result is checked and handed on as `pytorch_model.bin`.
#
# **Exercises:** [three exercises](exercises/03_general_distill.ipynb).
#
# **Next:** [04 · Intermediate layers](04_task_distill_mid.ipynb) does the same with a teacher that is fine-tuned on the task.
