# %% [markdown]
# # 08 · Eight bits
#
# **Claim: a classifier needs only 8 of the 32 bits of a weight, and it can be trained with 8-bit weights.** A number in float32 takes four bytes; one
# of 256 integers takes one byte. So the student becomes four times smaller, and a processor with instructions for integers reads less memory and
# multiplies more numbers at once.
#
# *You are here:* [00 start](00_start_here.ipynb) · [01 augment](01_data_augmentation.ipynb) ·
# [02 pregenerate](02_pregenerate_training_data.ipynb) · [03 general distillation](03_general_distill.ipynb) ·
# [04 intermediate layers](04_task_distill_mid.ipynb) · [05 prediction layer](05_task_distill_out.ipynb) ·
# [06 evaluate](06_evaluate_and_compare.ipynb) · **08 eight bits** · [glossary](../docs/glossary.md)
#
# | In this notebook you | |
# |---|---|
# | work out | the 8-bit value of a number, and the largest error |
# | see | a rounded matrix, the range of a layer's inputs, and the gradient of rounding |
# | run | 8-bit training, and the same training without rounding |
# | find | the number of bits at which the student's accuracy drops |
# | make | the file that computes with integers |
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
# This notebook starts from a finished student. Missing results are made now in the quick smoke profile, with a message; if nothing is missing, the cell
# prints nothing.

# %%
lessons.ensure(workspace, settings, "report")

# %% [markdown]
# ## A number in 8 bits, by hand
#
# Divide by a **scale**, round, and clip to the range of 8 bits. The integer $k$ is stored, and it represents $k \cdot s$:
#
# $$k = \mathrm{clamp}(\mathrm{round}(x / s), -128, 127), \qquad \hat{x} = k \cdot s$$
#
# The scale is determined by the largest absolute value: $s = \max|x| / 127$. For the four numbers below it is 1.27, so $s = 0.01$. Then 0.304 becomes
# $k = 30$, which represents 0.30: the error is 0.004. Within the range the error is at most $s/2$.

# %%
x = torch.tensor([1.27, 0.304, -0.55, -0.0049])
s = x.abs().max() / 127
k = (x / s).round().clamp(-128, 127)
assert k.tolist() == [127, 30, -55, 0] and ((k * s - x).abs() <= s / 2 + 1e-7).all()

# %% [markdown]
# In training the numbers stay in float32, but have only the values that 8 bits can represent: this is called **fake quantization**. Our two lines, the
# package and PyTorch's function give the same result:

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
# One matrix of the trained student: a corner of it, the same corner rounded, and the difference, with one colour scale on which zero is white. On the
# right is the distribution of all its weights before and after rounding. Move the slider: at 8 bits no difference is visible; at 3 bits there are seven
# values, and most weights become 0.

# %%
from tinybert_lite.models.loading import load_with_tokenizer

student = load_with_tokenizer(workspace.final_student)
weight = student.model.body.encoder.layer[0].attention.self.query.weight
widgets.rounding_explorer(weight)

# %% [markdown]
# ## The range of the inputs
#
# The weights, and so their scale, are known before anything is computed. The inputs of a layer are not known: their range has to be **estimated** from
# data, as a moving average of the largest $|x|$ of each batch (here $r \leftarrow 0.99\, r + 0.01 \max|x|$, starting from the first batch; the paper
# uses 0.9999, with which the range would hardly change in a few hundred steps). Finding the ranges of a finished model, without training it, is
# **calibration**.

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
# **What you should see.** Grey dots that vary, and a line that starts at the first dot and slowly approaches their mean. Dots above the line are inputs
# that would be clipped. Why not use the largest input of all? Because it determines the step for all numbers. Compare a thousand normally distributed
# numbers with the same numbers and a single outlier of 40:

# %%
ordinary = torch.randn(1000, generator=torch.Generator().manual_seed(0))
wrong = {}
for name, largest in {"none": ordinary.abs().max(), "one outlier": torch.tensor(40.0)}.items():
    s = largest / 127
    off = (fake_quantize(ordinary, s) - ordinary).square().mean().sqrt()
    wrong[name] = {"scale": float(s), "error of the thousand (root mean square)": float(off)}
pd.DataFrame(wrong).T.round(4)

# %% [markdown]
# ## The gradient of rounding
#
# Rounding is a step function. Its gradient is 0 everywhere except at the steps, where it is not defined, so a weight that is rounded would never
# change. The **straight-through estimator** uses another gradient: 1 for a number within the range, and 0 for a clipped number (grey), since a small
# change of it has no effect.

# %%
plots.straight_through(scale=0.25, bits=3)

# %% [markdown]
# Does training work with this wrong gradient? Train a single weight to 0.6, where the weight is rounded to steps of 0.25 before it is used: once with
# the gradient of `torch.round`, once with ours.

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
# **What you should see.** The grey line does not change. The orange line rises to the two values next to 0.6 and then alternates between them, since
# the unrounded weight (dotted) is at the border of two steps. With steps of 0.25 no better result is possible.
#
# ## First guess
#
# How many points of dev accuracy will the student lose if its weights and inputs are rounded to 8 bits without training?

# %%
lessons.predict("rounding", "points of dev accuracy lost by rounding to 8 bits", "points")

# %% [markdown]
# ## One batch through a layer
#
# The model `rounded` was calibrated above; now it rounds. One of its layers computes products of integers, adds them as integers, and multiplies by the
# scales once at the end. The bias is an integer with the scale of the **product**, in 32 bits. Our layer computes in float32, so its output has to
# equal this result up to the rounding of float32:
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
# It calibrates on a few hundred rows, then trains for one epoch with rounded numbers and straight-through gradients, learning the teacher's soft
# targets as in stage 5: **quantization-aware training**. Embeddings and all Linear layers are rounded; softmax, LayerNorm and GELU are not.

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
# For a fair comparison one more run is needed. The 8-bit student was trained for another epoch, which may change its accuracy even without rounding. So
# we run the same training without rounding, in a separate folder:

# %%
floating = settings.override(["quantize.do_quant=false"])
longer = workspace.final_student / "float32"
control = stage.STAGE.execute(stage.reads_of(workspace), longer, floating)

# %% [markdown]
# ## With training and without
#
# In each training the best step on dev is kept, so the last two scores are slightly too high; the first two models were only evaluated.

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
# **What you should see.** The four scores differ by much less than one standard error: for this student, three hundred sentences show no loss from
# rounding to 8 bits, with or without training. Compare the second score with the first, and the third with the fourth: these pairs differ only by the
# rounding; the two pairs differ by the additional epoch. If the calibrated model (**post-training quantization**) is much worse, check the ranges: they
# may have been calibrated on too few rows, or on rows unlike the dev rows. In the smoke profile all four are at chance level. More seeds and details:
# [eight bits](../docs/eight_bits.md).
#
# ## Fewer bits
#
# Why train at all? Here 8 bits were enough without training; with fewer bits they are not. In the next cell only the student's weights are rounded to
# fewer and fewer bits, without training: with one scale per matrix, and with one scale per row, so that an outlier affects only its own row.

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
# **What you should see.** Nearly constant accuracy down to 4 bits, then a drop; with one scale per row the drop comes one bit later. For this student 8
# bits are far from the drop, so calibration was enough. For BERT-base the paper found that the model trained in 8 bits was better than the one that was
# only rounded: measure both for your model.
#
# ## A common mistake: sums that do not fit
#
# Older processors (AVX2, no VNNI) multiply unsigned inputs (ours plus 128, so 0 to 255) by signed weights, add the products of two **neighbouring**
# inputs in 16 bits, and clip sums above 32767 without an error. Two large inputs and two large weights exceed this limit:

# %%
pair, limit = 255 * 127 + 255 * 127, 2**15 - 1
assert pair == 64770 and min(pair, limit) == 32767  # half of the sum is gone, and nobody says so
print(f"wanted {pair}, kept {min(pair, limit)}; while k + k' ≤ 128: at most {255 * 128}")

# %% [markdown]
# The package prevents this by its choice of the scale: for two neighbouring weights of the same sign, always $k + k' \le 128$. The disadvantage is a
# larger step.

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
# So far nothing has become faster: with fake quantization PyTorch computes everything in float32 and rounds in addition. The serving export makes the
# model small and fast. It writes the student as ONNX, once in float32 and once in 8 bits with the learnt scales, beside a tokenizer and a short example
# that needs neither PyTorch nor this package; then it opens both models and compares their logits with PyTorch's.

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
# The size is a little more than a quarter: the weights take a quarter, but biases have 32 bits, and LayerNorms and the graph are unchanged. Are the
# predictions the same? All dev sentences, with ONNX Runtime:

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
# The next cell measures the time of a single sentence. This page shows no result, since the time depends on the machine: run the cell on yours.
# Measurements for models of several sizes are in [serving](../docs/serving.md).

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
# **What you should see.** PyTorch is several times slower with simulated 8 bits than without. ONNX Runtime is far faster than PyTorch on so small a
# model: no Python runs between its operators, and the exported graph computes the last layer for [CLS] alone. Of its two files the 8-bit one is
# somewhat faster, not four times: softmax, LayerNorm and GELU stay in floating point, and rounding the inputs takes time too, a large share of it in
# matrices as small as this student's. The text in brackets names your processor's instructions for products of integers; without VNNI or AMX the gain
# is smaller. The file is smaller on every machine.
#
# ## One setting to change
#
# Make the range of the inputs smaller on purpose: the step becomes smaller, and more inputs are clipped. How far can the range be reduced?

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
# ## Summary
#
# In 8 bits a number is an integer times a scale, and within the range the error is at most half a step. Ranges are estimated from data, and with the
# straight-through gradient a model can be trained with rounding; at 8 bits the loss of accuracy is very small. The model takes a quarter of the bytes;
# the speed-up depends on the processor, the width and the length, so measure it.
#
# **Exercises:** [four exercises](exercises/08_q8bert.ipynb).
#
# **Next:** `python -m tinybert_lite.predict --runtime int8 "a text"` predicts with the 8-bit file. [09 · Chinese](09_chinese.ipynb) runs all
# stages in another language.
