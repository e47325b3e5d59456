# %% [markdown]
# # 04 · Task distillation, intermediate layers
#
# **Claim: before the student copies the teacher's answers, it should copy how the teacher gets there.** The losses are those of
# stage 3. Two things are new: the teacher has been fine-tuned on the task, and the text is the task's own, augmented.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# **04 intermediate layers** · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | check | that the teacher really knows the task |
# | work out | the hidden loss of a small example, projection included |
# | run | stage 4 |
# | compare | student and teacher on a sentence of the task, head by head |
#
# About 2 minutes. Reads `1_pre_data/aug.tsv`, `teacher_model/SST-2/` and `3_general_distill/`; writes `4_task_distill_mid/`.

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import math

import pandas as pd
import torch

from tinybert_lite import task_distill

workspace, settings = lessons.setup()
task = workspace.task

# %% [markdown]
# The stage needs augmented rows, the student of stage 3, and a teacher that was **fine-tuned on the task**. What is missing is
# made now (the rows and the student in the quick smoke profile, and a sentence says so); if nothing is missing, the cell is silent.

# %%
lessons.ensure(workspace, settings, "task_distill_mid")

# %% [markdown]
# ## Does the teacher know the task?
#
# **A trap: the teacher that was never fine-tuned.** A common mistake is to distil from a raw, pre-trained teacher. Its classifier is random, and so is what it teaches. Compare,
# on the dev set: the raw teacher with a classifier drawn at random, the fine-tuned one, and always guessing the more
# frequent label. What will the raw one score?

# %%
lessons.predict("raw", "dev accuracy of the raw teacher")

# %% [markdown]
# Now ask them.

# %%
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import chance
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.loading import load_with_tokenizer

torch.manual_seed(settings.seed)
teacher, raw = (
    load_with_tokenizer(workspace.task_teacher),
    load_with_tokenizer(workspace.teacher, num_labels=task.num_labels),
)
dev_rows = read_table(workspace.data_file(task.dev_files[0]), task)
dev = encode_table(dev_rows, task, teacher.tokenizer, settings.task_distill_mid.max_seq_length)
found = {
    name: (predict(m.model, dev).argmax(1) == dev.labels).mean()
    for name, m in (("broken: raw", raw), ("fixed: fine-tuned", teacher))
}
lessons.reveal("raw", found["broken: raw"])
pd.Series({**found, "guessing": chance(task, dev.labels)[0]}).round(3).to_frame("dev accuracy")

# %% [markdown]
# **What you should see.** The second line clearly above the other two. If it is not, stop: nothing that follows can be better
# than its teacher. (The package stops by itself then; only the smoke profile, whose teacher has had a dozen steps, continues with
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
from tinybert_lite.method.losses import hidden_loss

H_student, W, H_teacher = (
    torch.tensor([[[1.0], [2.0]]]),
    torch.tensor([[1.0, -1.0]]),
    torch.tensor([[[1.0, 0.0], [2.0, -2.0]]]),
)
by_hand = 1 / 4
assert hidden_loss(H_student @ W, H_teacher, mask=torch.tensor([[1, 1]])) == by_hand
assert (
    hidden_loss(H_student @ W, H_teacher, mask=torch.tensor([[0, 1]])) == 0
)  # the word that differs is padding: it does not count

# %% [markdown]
# **A trap: dropout in the teacher.** The original code leaves its teacher in training mode, so dropout switches a tenth of it off, another
# tenth at each step. How well could a perfect student do then, one that *is* the teacher? With the fix, the teacher in `eval()`, its loss is 0. Without it, it is
# this much, and no training takes it away:

# %%
batch = dev.batch(range(min(64, len(dev))))
torch.manual_seed(settings.seed)
with torch.inference_mode():
    calm, dropped = (
        teacher.model.eval()(batch).hidden[-1],
        teacher.model.train()(batch).hidden[-1],
    )
teacher.model.eval()
mask = batch["attention_mask"]
same = hidden_loss(calm, teacher.model(batch).hidden[-1], mask)
print(f"broken: {hidden_loss(calm, dropped, mask):.4f}   fixed: {same.item():.4f}")

# %% [markdown]
# ## The stage in one call
#
# No label is used here: `aug.tsv` has them, but this stage only reads its sentences.

# %%
result = task_distill.run_mid(workspace, settings)
pd.Series(
    {
        "state": result.skipped or "ran",
        **{name: result.metrics[name] for name in ("rows", "steps", "mapping")},
    }
).to_frame("stage 4")

# %% [markdown]
# Its learning curves, a panel for each kind of loss:

# %%
from tinybert_lite.training.history import read_history

plots.loss_curves(read_history(workspace.mid_student / "history.jsonl"), "stage 4")

# %% [markdown]
# A curve starts near what stage 3 left over, and higher the more fine-tuning has moved the teacher in that layer, for the student arrives knowing the
# teacher as it was before. The last layer was moved most: in the classroom profile its hidden loss starts highest. (The attention loss of layer 1 starts
# higher than that of layer 2, but so it ended in stage 3.) The axes are logarithmic, and each panel has its own colours.

# %% [markdown]
# ## Before and after
#
# The same losses against the task's teacher, on sentences of the dev set, for the student as stage 3 left it and as stage 4
# left it.

# %%
from tinybert_lite.method.objectives import Intermediate

options = settings.task_distill_mid
general, student = load_with_tokenizer(workspace.general_or_given_student), load_with_tokenizer(workspace.mid_student)
objective = Intermediate(
    student.model, teacher.model, options.mapping, options.padding, options.heads
)
with torch.inference_mode():
    before, after = (
        {name: float(value) for name, value in objective(m.model.eval(), batch).items()}
        for m in (general, student)
    )
pd.DataFrame({"after stage 3": before, "after stage 4": after}).assign(
    ratio=lambda t: t["after stage 4"] / t["after stage 3"]
).round(4)

# %% [markdown]
# As bars, for the hidden states:

# %%
layers = range(len(objective.mapping))
plots.hidden_match(
    [before[f"hidden/{m}"] for m in layers],
    [after[f"hidden/{m}"] for m in layers],
    objective.mapping,
)

# %% [markdown]
# Is that good? A student that is narrower than its teacher cannot bring its loss to 0: from the $d'$ numbers of its hidden state, $W_h$ reaches $d'$ directions and no more. What lies
# beyond the best $d'$ of them is a **floor** (left: what $k$ directions leave of each teacher layer; right: the losses and their floors).

# %%
wide = dev.batch(range(len(dev)))
with torch.inference_mode():
    theirs, mine = teacher.model(wide).hidden, student.model.eval()(wide).projected
states = [plots.real_tokens(theirs[g], wide["attention_mask"]) for g in objective.mapping]
losses = [
    float(hidden_loss(mine[m], theirs[g], wide["attention_mask"]))
    for m, g in enumerate(objective.mapping)
]
plots.rank_floors(states, losses, student.model.config.hidden_size, objective.mapping)

# %% [markdown]
# The gap between bar and line is what more training, or a deeper student, could still win; below the line only a wider one gets.

# %% [markdown]
# ## Which layer is like which?
#
# **CKA** (centred kernel alignment) compares two clouds of points whatever way they are turned: 1 for the same shape, near 0 for nothing in common. Below, all pairs of layers; above, what a
# student of random weights has for nothing, since both read the same words. The framed pairs are those we trained.

# %%
torch.manual_seed(settings.seed)
random_student = load_model(workspace.mid_student, from_scratch=True, projection="none")[0].eval()
few = dev.batch(range(min(40, len(dev))))
with torch.inference_mode():
    clouds = {
        name: [plots.real_tokens(h, few["attention_mask"]) for h in m(few).hidden]
        for name, m in (
            ("teacher", teacher.model),
            ("student", student.model),
            ("random", random_student),
        )
    }
plots.layer_similarity(
    plots.cka(clouds["student"], clouds["teacher"]),
    plots.cka(clouds["random"], clouds["teacher"]),
    objective.mapping,
)

# %% [markdown]
# ## Head by head
#
# The attention loss is a mean over heads, and heads differ. Here is the mean square of each, over pairs of real words, without padding.

# %%
layers, pairs = (
    range(len(objective.mapping)),
    widgets.matched_scores(student.model, teacher.model, batch, objective.mapping),
)
errors = [sum(plots.attention_parts(mine, theirs, mask)) for mine, theirs in pairs]
for m in layers[1:]:
    assert math.isclose(errors[m - 1].mean(), after[f"attention/{m}"], rel_tol=1e-4)
plots.head_errors(errors, objective.mapping)

# %% [markdown]
# The assertion closes the circle: the mean over the heads of a layer is exactly the term that the package's objective reported
# above.
#
# Now look at them, on one sentence of the task. Take the worst head, which is framed, then the best.

# %%
row = int((mask.sum(1) - 14).abs().argmin())  # a short sentence
one = {
    name: tensor[row : row + 1, : int(mask[row].sum())]
    for name, tensor in batch.items()
    if tensor.ndim == 2
}
tokens = teacher.tokenizer.convert_ids_to_tokens(one["input_ids"][0])
widgets.attention_explorer(student.model, teacher.model, one, tokens, objective.mapping)

# %% [markdown]
# And word by word: how close is what the student thinks of each word to what the teacher thinks of it? Each number is a cosine, taken from the teacher's
# mean over all words of the sentence (from the origin all of BERT's states look the same). Blue is near 1, white is 0, red is below.

# %%
with torch.inference_mode():
    theirs, mine = teacher.model(one).hidden, student.model(one).projected
plots.ColouredText(
    tokens,
    {
        f"layer {m}" if m else "embeddings": plots.token_cosines(
            mine[m], theirs[g], one["attention_mask"]
        )[0]
        for m, g in enumerate(objective.mapping)
    },
)

# %% [markdown]
# **What you should see.** The ratios of the table below 1 and the bars of the later layers shrinking most, since those are
# where fine-tuning changed the teacher; the framed pairs bright in the lower map and dull in the upper one. In the three maps of attention, the teacher's pattern in the student, paler here and there. If the
# ratios are near 1, the stage was too short.

# %% [markdown]
# ## One knob to turn
#
# How long this stage runs is `task_distill_mid.num_train_epochs`: the paper takes 20 epochs here and only 3 for the next stage. What do
# the curves above say, would more epochs help? And the floors: would a wider student?

# %% [markdown]
# ## In three sentences
#
# Stage 4 repeats the lesson of stage 3 with a teacher that knows the task and with the task's sentences. It needs no labels and
# trains no classifier. A teacher that was never fine-tuned would teach noise, so its score is checked first.
#
# **Exercises:** [three of them](exercises/04_task_distill_mid.ipynb), to do with your own hands.
#
# **The way on:** [05 · Prediction layer](05_task_distill_out.ipynb), where the student learns to answer.
