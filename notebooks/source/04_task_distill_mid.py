# %% [markdown]
# # 04 · Task distillation, intermediate layers
#
# **Claim: before the student learns the teacher's predictions, it should learn the teacher's intermediate layers on the task.** The losses are those of
# stage 3. Two things are new: the teacher has been fine-tuned on the task, and the text is the augmented rows of the task.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# **04 intermediate layers** · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | check | that the teacher is fine-tuned on the task |
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
# The stage needs augmented rows, the student of stage 3, and a teacher that was **fine-tuned on the task**. Missing inputs are made now (the rows and
# the student in the quick smoke profile, with a message); if nothing is missing, the cell prints nothing.

# %%
lessons.ensure(workspace, settings, "task_distill_mid")

# %% [markdown]
# ## Is the teacher fine-tuned?
#
# **A common mistake: a teacher that was not fine-tuned.** If a teacher is only pre-trained, its classifier has random weights, and so its predictions
# are random. Compare on the dev set: the pre-trained teacher with a random classifier, the fine-tuned teacher, and the constant prediction of the more
# frequent label. What accuracy will the pre-trained teacher have?

# %%
lessons.predict("raw", "dev accuracy of the raw teacher")

# %% [markdown]
# The accuracies:

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
# **What you should see.** The second line is clearly above the other two. If it is not, stop: a student can hardly be better than its teacher. (In this
# case the package stops with an error; only the smoke profile, whose teacher is trained for twelve steps, continues with a warning.)

# %% [markdown]
# ## The hidden loss, by hand
#
# The student's hidden states $H^S$ are projected to the teacher's width and compared with the teacher's (Eq. 8):
#
# $$\mathcal{L}_{hidn} = \mathrm{MSE}(H^S W_h, H^T)$$
#
# Two words; a student of width 1, a teacher of width 2. With $W_h = (1, -1)$ the student's states 1 and 2 become $(1, -1)$ and $(2, -2)$. The teacher's
# states are $(1, 0)$ and $(2, -2)$. One of four numbers differs, by 1: the loss is $1/4$.

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
# **A common mistake: dropout in the teacher.** The original code leaves its teacher in training mode, so dropout sets a random tenth of its values to
# 0, a different tenth in each step. What is then the loss of a perfect student, one that *is* the teacher? With the teacher in `eval()` mode (*fixed*)
# the loss is 0. In training mode (*broken*) it is the following, and no training can reduce it:

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
# No labels are used: `aug.tsv` has labels, but this stage reads only the sentences.

# %%
result = task_distill.run_mid(workspace, settings)
pd.Series(
    {
        "state": result.skipped or "ran",
        **{name: result.metrics[name] for name in ("rows", "steps", "mapping")},
    }
).to_frame("stage 4")

# %% [markdown]
# The learning curves, one panel per kind of loss:

# %%
from tinybert_lite.training.history import read_history

plots.loss_curves(read_history(workspace.mid_student / "history.jsonl"), "stage 4")

# %% [markdown]
# A curve starts near the loss at the end of stage 3. It starts higher if fine-tuning has changed this layer of the teacher more, since the student has
# learnt from the teacher before fine-tuning. The last layer has changed most: in the classroom profile its hidden loss has the highest initial value.
# (The attention loss of layer 1 starts higher than that of layer 2, but it was also higher at the end of stage 3.) The axes are logarithmic, and each
# panel has its own colours.

# %% [markdown]
# ## Before and after
#
# The same losses to the fine-tuned teacher, on sentences of the dev set, for the student before and after stage 4.

# %%
from tinybert_lite.method.objectives import Intermediate

options = settings.task_distill_mid
general = load_with_tokenizer(workspace.general_or_given_student)
student = load_with_tokenizer(workspace.mid_student)
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
# The hidden losses as bars:

# %%
layers = range(len(objective.mapping))
plots.hidden_match(
    [before[f"hidden/{m}"] for m in layers],
    [after[f"hidden/{m}"] for m in layers],
    objective.mapping,
)

# %% [markdown]
# Are these losses small? A student that is narrower than its teacher cannot reduce its loss to 0: its hidden state has $d'$ numbers, so after the
# projection $W_h$ all its states lie in $d'$ directions. The teacher's variance outside the best $d'$ directions is a **floor** of the loss (left: the
# part of each teacher layer outside the best $k$ directions; right: the losses and their floors).

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
# More training, or a deeper student, can reduce the loss down to the line; only a wider student can get below it.

# %% [markdown]
# ## Which layer is like which?
#
# **CKA** (centred kernel alignment) is the similarity of two sets of states; it does not change with rotation or scale. 1 means the same up to these,
# values near 0 mean no similarity. The lower map shows all pairs of layers of student and teacher. The upper map shows a student with random weights,
# which has some similarity without training, since both models read the same words. The pairs in frames are those that were trained.

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
# The attention loss is a mean over heads, and heads differ. Here is the mean squared error of each, without padding.

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
# The assertion checks that the mean over the heads of a layer equals the term that the package's objective reported above.
#
# Now look at the heads on one sentence of the task: first the worst head, which has a frame, then the best.

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
# And per word piece: how similar are the hidden states of student and teacher? Each number is the cosine of the two states after subtracting the
# teacher's mean over the sentence (without that all of BERT's states are similar to each other). Blue is near 1, white is 0, red is negative.

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
# **What you should see.** The ratios in the table are below 1, and the bars of the later layers shrink most, since fine-tuning changed these layers of
# the teacher most. The pairs in frames are bright in the lower map and dull in the upper one. In the attention maps the student shows the teacher's
# pattern, in some places paler. If the ratios are near 1, the stage was too short.

# %% [markdown]
# ## One setting to change
#
# The length of this stage is set by `task_distill_mid.num_train_epochs`: the paper trains 20 epochs here and only 3 in the next stage. Judging by the
# curves above, would more epochs help? Judging by the floors, would a wider student help?

# %% [markdown]
# ## Summary
#
# Stage 4 repeats the training of stage 3 with a fine-tuned teacher and the task's sentences. It needs no labels and trains no classifier. The
# predictions of a teacher that was not fine-tuned are random, so the teacher's score is checked first.
#
# **Exercises:** [three exercises](exercises/04_task_distill_mid.ipynb).
#
# **Next:** [05 · Prediction layer](05_task_distill_out.ipynb), where the student learns to classify.
