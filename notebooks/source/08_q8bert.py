# %% [markdown]
# # 08 · Eight bits
#
# **Claim: of the 32 bits of a weight a classifier needs eight, and it can learn to live with them.** A number in float32 takes four bytes; one of 256
# whole numbers takes one. The student becomes four times smaller, and a processor that multiplies whole numbers has less to carry and more to do at once.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · **08 eight bits** · [words](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | what a number becomes in 8 bits, and how wrong it can be |
# | see | a matrix rounded, the range of a layer's inputs, and the gradient that passes a staircase |
# | run | 8-bit training, and the same training without rounding |
# | find | the number of bits at which the student breaks |
# | make | the file that computes in whole numbers |
#
# About 3 minutes. Reads what stages 1 to 5 left; writes `5_task_distill_out/int8/` and `5_task_distill_out/float32/`. The method is Q8BERT (Zafrir et al. 2019, arXiv:1910.06188).

# %%
try:
    from tinybert_lite.classroom import lessons, plots, widgets
except ModuleNotFoundError:
    raise SystemExit(
        "No tinybert_lite in this kernel: choose another, Kernel → Change Kernel (docs/ways_in.md)"
    ) from None
import copy

import pandas as pd
import torch

from tinybert_lite import quantize as stage

workspace, settings = lessons.setup()
task = workspace.task

# %% [markdown]
# It starts from a finished student. What is missing is made now in the quick smoke profile, and a sentence says so; if nothing is missing, the cell is silent.

# %%
lessons.ensure(workspace, settings, "report")

# %% [markdown]
# ## A number in 8 bits, by hand
#
# Divide by a **scale**, round, and cut off what 8 bits do not hold; what is kept is the whole number $k$, and it stands for $k \cdot s$:
#
# $$k = \mathrm{clamp}(\mathrm{round}(x / s), -128, 127), \qquad \hat{x} = k \cdot s$$
#
# The scale comes from the largest number: $s = \max|x| / 127$. Of the four numbers below that is 1.27, so $s = 0.01$. Then 0.304 becomes $k = 30$ and
# stands for 0.30: wrong by 0.004. Inside of the range no number is ever wrong by more than $s/2$.

# %%
x = torch.tensor([1.27, 0.304, -0.55, -0.0049])
s = x.abs().max() / 127
k = (x / s).round().clamp(-128, 127)
assert k.tolist() == [127, 30, -55, 0] and ((k * s - x).abs() <= s / 2 + 1e-7).all()

# %% [markdown]
# In training the numbers stay in float32 and are only *rounded as if*: this is called **fake quantization**. Our two lines, the package and PyTorch's own function agree:

# %%
from tinybert_lite.method.quantization import fake_quantize

x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
s = x.abs().max() / 200  # too small a scale, so that some numbers are cut off
ours = (x / s).round().clamp(-128, 127) * s
assert torch.equal(ours, fake_quantize(x, s))
theirs = torch.fake_quantize_per_tensor_affine(x, float(s), 0, -128, 127)
assert torch.allclose(ours, theirs, atol=1e-6)
print(f"cut off: {int((x / s > 127.5).sum() + (x / s < -128.5).sum())} of {len(x)}")

# %% [markdown]
# ## What rounding does to a matrix
#
# One matrix of the trained student: a corner of it, the same rounded, and the difference, all on one scale with zero in white. On the right all of its weights, and how many of them fall on
# each value that is left. Move the slider: at 8 bits nothing is to be seen, at 3 bits there are seven values, and most weights become 0.

# %%
from tinybert_lite.models.loading import load_with_tokenizer

student = load_with_tokenizer(workspace.final_student)
weight = student.model.body.encoder.layer[0].attention.self.query.weight
widgets.rounding_explorer(weight)

# %% [markdown]
# ## The range of what comes in
#
# Weights are known before anything is computed, and so is their scale. The inputs of a layer are not: their range has to be **learnt** from data. In each batch one looks for the largest
# $|x|$, and the range follows it as a moving average (here $r \leftarrow 0.99\, r + 0.01 \max|x|$, from the first batch's own; the paper takes 0.9999, which in a few hundred steps would hardly move). Finding the ranges of a finished model, without training it, is **calibration**.

# %%
from tinybert_lite.data.batches import in_order
from tinybert_lite.method.quantization import calibrate, quantize
from tinybert_lite.data.rows import task_examples

rows, longest = workspace.rows_for_prediction, settings.quantize.max_seq_length
examples = task_examples(rows, task, student.tokenizer, longest, 4096)
rounded = quantize(copy.deepcopy(student.model))
layer = rounded.body.encoder.layer[1].attention.self.query
seen, followed = [], []
hook = layer.register_forward_pre_hook(lambda _, ins: seen.append(float(ins[0].abs().max())))
for _, batch in in_order(examples, 32):
    calibrate(rounded, [batch])
    followed.append(float(layer.input_range))
hook.remove()
plots.range_statistics(seen, followed)

# %% [markdown]
# **What you should see.** Grey dots that jump, and a line that starts at the first of them and forgets it slowly. Dots above the line are inputs that would be cut off. Why not simply the
# largest of all? Because it sets the step for everyone. Here are a thousand ordinary numbers, and the same with a single 40 among them:

# %%
ordinary = torch.randn(1000, generator=torch.Generator().manual_seed(0))
wrong = {}
for name, largest in {"none": ordinary.abs().max(), "one outlier": torch.tensor(40.0)}.items():
    s = largest / 127
    off = (fake_quantize(ordinary, s) - ordinary).square().mean().sqrt()
    wrong[name] = {"scale": float(s), "error of the thousand (root mean square)": float(off)}
pd.DataFrame(wrong).T.round(4)

# %% [markdown]
# ## The gradient that passes a staircase
#
# Rounding is a staircase. Its true gradient is 0 everywhere but at the steps, where there is none, and a weight behind it would never learn. The **straight-through estimator** pretends: 1 for a number
# inside of the range, 0 for one that was cut off (grey), which no small change brings back.

# %%
plots.straight_through(scale=0.25, bits=3)

# %% [markdown]
# Does a lie help? A single weight shall come to 0.6, and is rounded to steps of 0.25 before it is used. Once with the true gradient of `torch.round`, once with ours:

# %%
s, goal, paths = torch.tensor(0.25), 0.6, {}
kinds = {
    "true": lambda w: (w / s).round() * s,
    "straight-through": lambda w: fake_quantize(w, s, bits=3),
}
for name, used in kinds.items():
    w, paths[name] = torch.tensor(0.1, requires_grad=True), []
    for _ in range(30):
        paths[name].append(float(w.detach()))
        (gradient,) = torch.autograd.grad((used(w) - goal) ** 2, w)
        w = (w - 0.1 * gradient).detach().requires_grad_()
assert set(paths["true"]) == {paths["true"][0]}  # not one step
plots.learning_on_a_grid(paths, goal, 0.25)

# %% [markdown]
# **What you should see.** A grey line that never moves. An orange one that climbs to the two values next to 0.6 and then goes to and fro between them, for the dotted weight behind it sits at the
# edge of two steps: it is the best that a grid of 0.25 can do.
#
# ## What do you expect?
#
# How many points of dev accuracy will the student lose when its weights and inputs are rounded to 8 bits, without any training?

# %%
lessons.predict("rounding", "points of dev accuracy lost by rounding to 8 bits", "points")

# %% [markdown]
# ## One batch through
#
# Above, `rounded` got its ranges; now it rounds. What does one of its layers compute? Whole numbers times whole numbers, added up as whole numbers, and scaled once at the end. The bias joins in as a whole number of the
# **product's** scale, in 32 bits. The layer computes in float32, so its answer has to be this one up to float32's own rounding:
#
# $$y = s_x s_w \left( \sum_i k^x_i\, k^w_i + k^b \right)$$

# %%
from tinybert_lite.method.quantization import whole_numbers

x = torch.randn(5, layer.in_features, generator=torch.Generator().manual_seed(0))
of_x, of_w = layer.scales()
kx, kw = whole_numbers(x, of_x).int(), whole_numbers(layer.weight, of_w).int()
kb = whole_numbers(layer.bias, of_x * of_w, bits=32)
by_hand = of_x * of_w * (kx @ kw.T + kb)
rounded.eval()
assert torch.allclose(layer(x), by_hand, atol=1e-5)
print("the first whole numbers:", kx[0, :4].tolist(), "·", kw[0, :4].tolist())

# %% [markdown]
# ## The stage in one call
#
# It calibrates on a few hundred rows, then trains for one epoch with rounded numbers and straight-through gradients, learning the teacher's soft targets as in stage 5: **quantization-aware training**. Embeddings and all Linear layers are rounded; softmax, LayerNorm and GELU stay as they are.

# %%
result = stage.run(workspace, settings)
points = {name: result.metrics[f"{name}dev"] for name in ("before_", "post_training_", "")}
pd.Series(
    {
        "state": result.skipped or "ran",
        "rows": result.metrics["rows"],
        "steps": result.metrics["steps"],
    }
).to_frame("8 bits")

# %% [markdown]
# One more thing is needed for a fair comparison. The student was trained for another epoch, and that alone may help or hurt. So the same once more, without rounding, in a folder of its own:

# %%
floating = settings.override(["quantize.do_quant=false"])
longer = workspace.final_student / "float32"
control = stage.STAGE.execute(stage.reads_of(workspace), longer, floating)

# %% [markdown]
# ## With training and without
#
# Each training keeps the step that was best on dev, so the last two flatter themselves a little; the first two were only measured.

# %%
from tinybert_lite.stages.evaluation import DevSet

dev = DevSet(task, stage.reads_of(workspace), student.tokenizer, longest)
scores = {
    "float32, as stage 5 left it": points["before_"],
    "8 bits, calibrated": points["post_training_"],
    "8 bits, trained": points[""],
    "float32, trained as long": control.metrics["dev"],
}
found = {name: score[task.metric] for name, score in scores.items()}
before, calibrated, *_ = found.values()
lessons.reveal("rounding", 100 * (before - calibrated))
error = (before * (1 - before) / len(dev.first)) ** 0.5
print(f"standard error of a score on {len(dev.first)} sentences: about {error:.3f}")
pd.Series(found).round(3).to_frame(f"dev {task.metric}")

# %% [markdown]
# **What you should see.** Four numbers well within one standard error of each other: on this student, rounding to 8 bits costs nothing that three hundred sentences could show, with training or without. Compare like with like,
# the second with the first, the third with the fourth: what differs there is the rounding, and what differs between the two pairs is the epoch. If the calibrated one (**post-training quantization**) falls far below,
# look at the ranges: calibrated on too few rows, or on others than those it will meet. In the smoke profile all four guess. More seeds, and a page of details: [eight bits](../docs/eight_bits.md).
#
# ## Where it breaks
#
# Then why train at all? Because 8 bits are many. Here the same student with its weights alone rounded to ever fewer bits, without training: with one scale a matrix, and with one for
# each row of it, so that an outlier spoils its own row only.

# %%
def with_bits(bits, by_row):
    model, most = copy.deepcopy(student.model), 2 ** (bits - 1) - 1
    with torch.no_grad():
        for w in model.parameters():
            if w.ndim == 2:
                largest = w.abs().amax(1, keepdim=True) if by_row else w.abs().amax()
                w.copy_(fake_quantize(w, largest.clamp(min=1e-12) / most, bits))
    return dev(model)[task.metric]


ways = {"one scale a matrix": False, "one scale a row": True}
curves = {name: {b: with_bits(b, way) for b in (8, 6, 5, 4, 3, 2)} for name, way in ways.items()}
plots.fewer_bits(curves, before, 0.5, len(dev.first))

# %% [markdown]
# **What you should see.** A plateau down to 4 bits, and then an edge; with a scale for each row it lies one bit further. At 8 bits this student stands far from it, which is why calibrating was enough. On BERT-base the paper
# found that the one that was trained did better than the one that was only rounded: measure yours before you decide.
#
# ## A trap: sums that do not fit
#
# Older processors (AVX2, no VNNI) multiply unsigned inputs (ours plus 128, so 0 to 255) by signed weights, add the products of two **neighbours** in 16 bits, and cut off in silence what is above 32767. With
# two large inputs and two large weights that is soon reached:

# %%
pair, limit = 255 * 127 + 255 * 127, 2**15 - 1
assert pair == 64770 and min(pair, limit) == 32767  # half of the sum is gone, and nobody says so
print(f"wanted {pair}, kept {min(pair, limit)}; while k + k' ≤ 128: at most {255 * 128}")

# %% [markdown]
# The package goes round it by its choice of the scale: two neighbours of one sign count together, so that $k + k' \le 128$ always. The price is a coarser grid.

# %%
from tinybert_lite.method.quantization import weight_scale

rule = {}
for name, together in {"largest weight": False, "largest pair": True}.items():
    s = weight_scale(weight, neighbours=together)
    kw = whole_numbers(weight, s).int().unflatten(1, (-1, 2))
    too_large = (kw.prod(-1) > 0) & (kw.sum(-1).abs() > 128)
    rule[name] = {"scale": float(s), "pairs that do not fit": int(too_large.sum())}
assert rule["largest pair"]["pairs that do not fit"] == 0
pd.DataFrame(rule).T.round(5).astype({"pairs that do not fit": int})

# %% [markdown]
# ## The real speed
#
# So far nothing became faster: rounding in PyTorch computes everything in float32, and rounds besides. What has gained is the file. An export writes the student as ONNX, once in float32 and once in whole numbers
# with the scales that were learnt, beside a tokenizer and a short example that needs neither PyTorch nor this package; then it opens both and compares their answers with PyTorch's.

# %%
from tinybert_lite.exports.formats import export
from tinybert_lite.exports.source import open_source, with_eight_bits
from tinybert_lite.system.errors import UserError

folder, files = workspace.final_student / "serving", {}
try:
    source = with_eight_bits(open_source(workspace.final_student), workspace.int8_student)
    export(source, "serving", folder, pair=task.text_b is not None)
    files = {"float32": folder / "model.onnx", "8 bits": folder / "model.int8.onnx"}
except UserError as missing:  # without the packages the rest of the notebook runs
    print(missing)
sizes = {name: path.stat().st_size / 1e6 for name, path in files.items()}
pd.Series(sizes).round(2).to_frame("megabytes")

# %% [markdown]
# A little more than a quarter: whole numbers of 8 bits are a fourth, while biases keep their 32 bits, and LayerNorms and the graph stay as they are. Do both answer as before? All dev sentences, by ONNX Runtime:

# %%
from tinybert_lite.exports.onnx_runtime import OnnxClassifier, int8_instructions

runtimes = {name: OnnxClassifier(path, threads=1) for name, path in files.items()}
everything = dev.first.batch(range(len(dev.first)))
dev_scores = {
    name: dev.scores_of(lambda part, runtime=runtime: runtime.logits(everything))[task.metric]
    for name, runtime in runtimes.items()
}
pd.Series(dev_scores, dtype=float).round(3).to_frame(f"dev {task.metric}, ONNX Runtime")

# %% [markdown]
# And the time of a single sentence, on your machine. This page shows none, for it would be that of another; run the cell. What was measured, for models of all sizes, stands in [serving](../docs/serving.md).

# %%
from tinybert_lite.models.cost import milliseconds_a_row

trained, one = load_with_tokenizer(workspace.int8_student).model.eval(), dev.first.batch([0])
ways = {
    "PyTorch, float32": lambda batch: student.model(batch, logits=True).logits,
    "PyTorch, 8 bits simulated": lambda batch: trained(batch, logits=True).logits,
    **{f"ONNX Runtime, {name}": runtime.logits for name, runtime in runtimes.items()},
}
for name, way in ways.items():
    print(f"{name} ({int8_instructions()}): {milliseconds_a_row(way, [one], 50):.3f} ms")

# %% [markdown]
# **What you should see.** PyTorch is several times slower with simulated 8 bits than without. ONNX Runtime is far faster than PyTorch on so small a model: no Python runs between its operators, and the exported graph computes the last layer for [CLS] alone. Of its two files the 8-bit
# one is somewhat faster, not four times: softmax, LayerNorm and GELU stay in floating point, and rounding the inputs costs time as well, which in matrices as small as this student's is a large part of the whole.
# In brackets stands what your processor has for products of whole numbers; without VNNI or AMX the gain shrinks. The bytes are saved everywhere.
#
# ## One knob to turn
#
# The range of the inputs, once more. Narrow it on purpose: the step becomes finer, and more is cut off. How far can it be narrowed?

# %%
def narrowed(share):
    model = copy.deepcopy(rounded)
    for layer in model.modules():
        if hasattr(layer, "input_range"):
            layer.input_range *= share
    return dev(model)[task.metric]


shares = (1, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
pd.Series({share: narrowed(share) for share in shares}).round(3).rename_axis(
    "share of the range"
).to_frame(f"dev {task.metric}")

# %% [markdown]
# ## In three sentences
#
# A number becomes a whole number and a scale, and inside of the range it is never wrong by more than half a step. Ranges follow the data, gradients pass the staircase as if it were a ramp, and so a model learns to
# live with its rounding, which at 8 bits it hardly notices. A quarter of the bytes is certain; how much faster it is depends on the processor, the width and the length, so measure.
#
# **Exercises:** [four of them](exercises/08_q8bert.ipynb), to do with your own hands.
#
# **The way on:** `python -m tinybert_lite.predict --runtime int8 "a text"` asks the file that you have made. [09 · Chinese](09_chinese.ipynb) takes all stages to another language.
