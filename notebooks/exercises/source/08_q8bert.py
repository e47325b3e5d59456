# %% [markdown]
# # Exercises 08 · Eight bits
#
# Whole numbers and their scale, a range that follows its data, the gradient of a staircase, and a layer in whole numbers. They go with the lesson
# [08 · Eight bits](../08_q8bert.ipynb), and need neither a model nor a run.
#
# Write your answer where it says `raise NotImplementedError`, then run the check below it. The check draws what went in, what is
# expected (blue) and what you found (orange), and names the property that broke. **Run the next cell first.**

# %%
import torch
from torch import Tensor

# %% [markdown]
# ## 8.1 · Whole numbers and their scale
#
# *warm-up · 10 minutes · difficulty ●○○ · importance ●●●*
#
# A number of $b$ bits goes from $-2^{b-1}$ to $2^{b-1} - 1$: for 8 bits from -128 to 127. Choose the scale so that the number farthest from 0 falls on the last one above or its mirror below,
#
# $$s = \frac{\max|x|}{2^{b-1} - 1}, \qquad k = \mathrm{round}(x / s)$$
#
# and think of a matrix of zeros.

# %% [solution to_whole_numbers]
def to_whole_numbers(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """The whole numbers k that stand for x, and their scale. x: any shape · k: the same shape, any type · scale: a scalar, above 0."""
    ### BEGIN SOLUTION
    scale = x.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale), scale
    ### END SOLUTION

# %% [check to_whole_numbers: 1 point]
from tinybert_lite.classroom import check_eight_bits

check_eight_bits.to_whole_numbers(to_whole_numbers)
### BEGIN HIDDEN TESTS
check_eight_bits.to_whole_numbers(to_whole_numbers, seed=1)
### END HIDDEN TESTS

# %% [wrong: negative numbers count too]
def to_whole_numbers(x, bits):
    scale = x.max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale), scale

# %% [wrong: the largest number is 127]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / 2 ** (bits - 1)
    return torch.round(x / scale), scale

# %% [wrong: half of the numbers are negative]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / (2**bits - 1)
    return torch.round(x / scale), scale

# %% [wrong: the scale is max |x| / 127]
def to_whole_numbers(x, bits):
    scale = (x.max() - x.min()) / (2**bits - 1)
    return torch.round((x - x.min()) / scale), scale

# %% [wrong: whole numbers are wanted]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return x / scale, scale

# %% [wrong: to the nearest]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return (x / scale).int(), scale

# %% [wrong: k is round(x / scale)]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return torch.round(x / scale).clamp(0, 255), scale

# %% [wrong: 3 bits go up to 3]
def to_whole_numbers(x, bits):
    scale = x.abs().max().clamp(min=1e-12) / 127
    return torch.round(x / scale), scale

# %% [wrong: a matrix of zeros stays zero]
def to_whole_numbers(x, bits):
    scale = x.abs().max() / (2 ** (bits - 1) - 1)
    return torch.round(x / scale), scale

# %% [markdown]
# <details><summary>Hint</summary>
#
# `x.abs().max()`, and `clamp(min=1e-12)` against a division by zero. With this scale nothing has to be cut off.
# </details>
#
# <details><summary>Why it matters</summary>
#
# A scale of max |x| / 128 makes 128 of the largest number, and 128 in eight bits is -128: the largest weight changes its sign.
# </details>

# %% [markdown]
# ## 8.2 · A range that follows
#
# *warm-up · 10 minutes · difficulty ●○○ · importance ●●○*
#
# The range of a layer's inputs is a moving average of what each batch brings:
#
# $$r \leftarrow d \cdot r + (1 - d) \cdot \max|x|$$
#
# A range of 0 says that nothing was seen yet; then the first batch's own is taken as it is.

# %% [solution follow]
def follow(input_range: float, batch: Tensor, decay: float) -> float:
    """The range after a batch. input_range: before it, 0 where nothing was seen · batch: any shape · decay: the weight of the past, 0 to 1."""
    ### BEGIN SOLUTION
    largest = float(batch.abs().max())
    return decay * input_range + (1 - decay) * largest if input_range else largest
    ### END SOLUTION

# %% [check follow: 1 point]
from tinybert_lite.classroom import check_eight_bits

check_eight_bits.follow(follow)
### BEGIN HIDDEN TESTS
check_eight_bits.follow(follow, seed=1)
### END HIDDEN TESTS

# %% [wrong: the absolute value counts]
def follow(input_range, batch, decay):
    return decay * input_range + (1 - decay) * float(batch.max()) if input_range else float(batch.max())

# %% [wrong: the first batch sets the range]
def follow(input_range, batch, decay):
    return decay * input_range + (1 - decay) * float(batch.abs().max())

# %% [wrong: the largest, not the mean]
def follow(input_range, batch, decay):
    return decay * input_range + (1 - decay) * float(batch.abs().mean()) if input_range else float(batch.abs().mean())

# %% [wrong: a range can shrink]
def follow(input_range, batch, decay):
    return max(input_range, float(batch.abs().max()))

# %% [wrong: the range remembers past batches]
def follow(input_range, batch, decay):
    return float(batch.abs().max())

# %% [wrong: the plain average of both]
def follow(input_range, batch, decay):
    return (input_range + float(batch.abs().max())) / 2 if input_range else float(batch.abs().max())

# %% [wrong: the other way round]
def follow(input_range, batch, decay):
    return (1 - decay) * input_range + decay * float(batch.abs().max()) if input_range else float(batch.abs().max())

# %% [wrong: give 7 and 10]
def follow(input_range, batch, decay):
    largest = float(batch.abs().max())
    return min(input_range, decay * input_range + (1 - decay) * largest) if input_range else largest

# %% [markdown]
# <details><summary>Hint</summary>
#
# `float(batch.abs().max())`, then two cases.
# </details>
#
# <details><summary>Why it matters</summary>
#
# The largest of all would let one strange batch set the step for ever. And an average that starts at 0 cuts off nearly everything in the first hundred steps, in which the model learns from it.
# </details>

# %% [markdown]
# ## 8.3 · The gradient of a staircase
#
# *core · 15 minutes · difficulty ●●○ · importance ●●●*
#
# `fake_quantize` goes forward through a staircase: $\hat{x} = s \cdot \mathrm{clamp}(\mathrm{round}(x / s), -2^{b-1}, 2^{b-1} - 1)$. Write its way back: of the gradient that comes for $\hat{x}$, the straight-through
# estimator hands on to $x$ all where $\mathrm{round}(x / s)$ is one of the whole numbers of $b$ bits, and nothing where it had to be cut off.

# %% [solution rounded_gradient]
def rounded_gradient(gradient: Tensor, x: Tensor, scale: float, bits: int) -> Tensor:
    """The gradient for x, of its shape. gradient: that for x rounded, the same shape · scale: above 0 · bits: of the whole numbers."""
    ### BEGIN SOLUTION
    k, most = torch.round(x / scale), 2 ** (bits - 1) - 1
    return gradient * ((k >= -most - 1) & (k <= most))
    ### END SOLUTION

# %% [check rounded_gradient: 2 points]
from tinybert_lite.classroom import check_eight_bits

check_eight_bits.rounded_gradient(rounded_gradient)
### BEGIN HIDDEN TESTS
check_eight_bits.rounded_gradient(rounded_gradient, seed=1)
### END HIDDEN TESTS

# %% [wrong: rounding's own gradient is 0]
def rounded_gradient(gradient, x, scale, bits):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((torch.round(x / scale) * scale * gradient).sum(), x)[0]

# %% [wrong: no gradient passes outside the range]
def rounded_gradient(gradient, x, scale, bits):
    return gradient

# %% [wrong: the incoming gradient is passed on]
def rounded_gradient(gradient, x, scale, bits):
    k, most = torch.round(x / scale), 2 ** (bits - 1) - 1
    return ((k >= -most - 1) & (k <= most)).float()

# %% [wrong: dividing by the scale and multiplying by it cancel]
def rounded_gradient(gradient, x, scale, bits):
    k, most = torch.round(x / scale), 2 ** (bits - 1) - 1
    return gradient * ((k >= -most - 1) & (k <= most)) / scale

# %% [wrong: what rounds to the last value is inside]
def rounded_gradient(gradient, x, scale, bits):
    most = 2 ** (bits - 1) - 1
    return gradient * ((x >= (-most - 1) * scale) & (x <= most * scale))

# %% [wrong: 3 bits go from -4 to 3]
def rounded_gradient(gradient, x, scale, bits):
    k = torch.round(x / scale)
    return gradient * (k.abs() <= 2 ** (bits - 1))

# %% [markdown]
# <details><summary>Hint</summary>
#
# Compute `torch.round(x / scale)` again and ask where it lies between the two ends; a comparison times a gradient is 0 or that gradient.
# </details>
#
# <details><summary>Why it matters</summary>
#
# With the true gradient no weight moves, and the run goes on without an error: the loss stays where it was. With a gradient outside of the range a weight that was cut off walks on and on, since its steps change nothing.
# </details>

# %% [markdown]
# ## 8.4 · A layer in whole numbers
#
# *stretch · 20 minutes · difficulty ●●● · importance ●●○*
#
# What an 8-bit Linear layer really computes: products of 8-bit numbers, added up in 32 bits, together with the bias as a whole number of the product's own scale $s_x s_w$, and one multiplication at the end,
#
# $$y = s_x s_w \left( \sum_i k^x_i\, k^w_i + \mathrm{round}\!\left( \frac{b}{s_x s_w} \right) \right)$$

# %% [solution whole_product]
def whole_product(kx: Tensor, of_x: float, kw: Tensor, of_w: float, bias: Tensor) -> Tensor:
    """The layer's output, float32 (B, O). kx: int8 (B, I) inputs of scale of_x · kw: int8 (O, I) weights of scale of_w · bias: float32 (O,)."""
    ### BEGIN SOLUTION
    step = of_x * of_w
    return step * (kx.int() @ kw.int().T + torch.round(bias / step).int())
    ### END SOLUTION

# %% [check whole_product: 3 points]
from tinybert_lite.classroom import check_eight_bits

check_eight_bits.whole_product(whole_product)
### BEGIN HIDDEN TESTS
check_eight_bits.whole_product(whole_product, seed=1)
### END HIDDEN TESTS

# %% [wrong: 8 bits do not hold a sum]
def whole_product(kx, of_x, kw, of_w, bias):
    step = of_x * of_w
    return step * ((kx[:, None] * kw[None]).sum(-1, dtype=torch.int8) + torch.round(bias / step).int())

# %% [wrong: 16 bits do not hold a sum either]
def whole_product(kx, of_x, kw, of_w, bias):
    step = of_x * of_w
    return step * ((kx.short()[:, None] * kw.short()[None]).sum(-1, dtype=torch.int16) + torch.round(bias / step).int())

# %% [wrong: the product needs its scales]
def whole_product(kx, of_x, kw, of_w, bias):
    return (kx.int() @ kw.int().T + bias).float()

# %% [wrong: both scales count]
def whole_product(kx, of_x, kw, of_w, bias):
    return of_x * (kx.int() @ kw.int().T) + bias

# %% [wrong: the bias is added]
def whole_product(kx, of_x, kw, of_w, bias):
    return of_x * of_w * (kx.int() @ kw.int().T)

# %% [wrong: the bias is divided by the scales before it is added]
def whole_product(kx, of_x, kw, of_w, bias):
    return of_x * of_w * (kx.int() @ kw.int().T + torch.round(bias))

# %% [wrong: a bias needs 32 bits]
def whole_product(kx, of_x, kw, of_w, bias):
    step = of_x * of_w
    return step * (kx.int() @ kw.int().T + torch.round(bias / step).clamp(-128, 127))

# %% [wrong: the bias becomes an integer too]
def whole_product(kx, of_x, kw, of_w, bias):
    return of_x * of_w * (kx.int() @ kw.int().T) + bias

# %% [wrong: steps of the product]
def whole_product(kx, of_x, kw, of_w, bias):
    return of_x * of_w * (kx.int() @ kw.int().T) + of_w * torch.round(bias / of_w)

# %% [markdown]
# <details><summary>Hint 1</summary>
#
# `kx.int() @ kw.int().T` multiplies and adds in 32 bits.
# </details>
#
# <details><summary>Hint 2</summary>
#
# `torch.round(bias / step).int()` with `step = of_x * of_w`; then everything in brackets is whole, and one multiplication by `step` is left.
# </details>
#
# <details><summary>Why it matters</summary>
#
# This is where the speed comes from: one multiplication in floating point an output instead of one a product. And it is where it goes wrong in silence: a sum that does not fit wraps around, or is cut off, and no error is raised.
# </details>
