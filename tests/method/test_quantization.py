"""8 bits: the grid, the straight-through gradient, ranges that follow, layers that compute what
int8 hardware does.
"""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from tests.makers import make_bert_folder, random_batch
from tests.makers.loops import bert, loop, rows
from tinybert_lite.method import quantization
from tinybert_lite.method.objectives import Labels
from tinybert_lite.method.quantization import (
    DECAY,
    QuantizedEmbedding,
    QuantizedLinear,
    calibrate,
    fake_quantize,
    follow_ranges,
    is_quantized,
    quantize,
    quantized_layers,
    weight_scale,
    whole_numbers,
)
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.saving import save_config, save_weights
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.errors import UserError

matrices = arrays(np.float32, (4, 6), elements=st.floats(-100, 100, width=32))


def eight_bits(seed=1, batches=2, **parts):
    """A small random model in 8 bits, its biases random too, calibrated."""
    model = quantize(bert(seed, dropout=0, num_labels=2, **parts))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
    return calibrate(model, [random_batch([9, 5, 12], seed=i) for i in range(batches)])


# Numbers


@pytest.mark.parametrize("scale", [0.013, 0.5, 3.0])
def test_numbers_and_gradients_are_those_of_torch(scale):
    """PyTorch's own fake quantization, which is written in C++, is the oracle; inputs reach far
    beyond the range.
    """
    x = (200 * scale * torch.randn(5000)).requires_grad_()
    other, weights = x.detach().clone().requires_grad_(), torch.randn(5000)
    found, wanted = (
        fake_quantize(x, torch.tensor(scale)),
        torch.fake_quantize_per_tensor_affine(other, scale, 0, -128, 127),
    )
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert torch.equal(x.grad, other.grad) and 0.1 < (x.grad == 0).float().mean() < 0.9


@given(matrices)
def test_a_number_moves_by_half_a_step_at_most_and_only_once(x):
    x = torch.from_numpy(x.copy())
    scale = weight_scale(x)
    rounded = fake_quantize(x, scale)
    assert (rounded - x).abs().max() <= scale / 2 * (1 + 1e-4)
    torch.testing.assert_close(fake_quantize(rounded, scale), rounded, rtol=1e-6, atol=0)
    whole = whole_numbers(x, scale)
    assert whole.dtype == torch.int8 and torch.equal(whole.float() * scale, rounded)
    assert whole.abs().max() == 127 or x.abs().max() <= 1e-12  # the largest uses the whole range


def test_halves_go_to_the_even_number_as_onnx_says():
    assert whole_numbers(
        torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 300.0, -300.0]), torch.tensor(1.0)
    ).tolist() == [0, 2, 2, 0, -2, 127, -128]


def worst_sum(whole: np.ndarray) -> int:
    """The largest sum, up or down, of two products of neighbours with any unsigned 8-bit inputs, in
    Python's whole numbers.
    """
    worst = 0
    for row in whole.tolist():
        row = [*row, 0]
        for a, b in zip(row[::2], row[1::2]):
            worst = max(worst, 255 * (max(a, 0) + max(b, 0)), 255 * (max(-a, 0) + max(-b, 0)))
    return worst


@given(arrays(np.float32, (3, 7), elements=st.floats(-1, 1, width=32)))
def test_no_two_neighbours_products_exceed_16_bits(weight):
    weight = torch.from_numpy(weight.copy())
    assert (
        worst_sum(whole_numbers(weight, weight_scale(weight, neighbours=True)).numpy()) <= 2**15 - 1
    )


def test_without_the_rule_for_neighbours_they_would():
    weight = torch.tensor([[1.0, 0.9, -0.2, 0.1]])
    assert worst_sum(whole_numbers(weight, weight_scale(weight)).numpy()) > 2**15 - 1
    assert weight_scale(weight, neighbours=True) == pytest.approx(1.9 / 127)
    assert weight_scale(torch.tensor([[1.0, -0.9, -0.2, 0.1]]), neighbours=True) == pytest.approx(
        1 / 127
    )  # signs differ: nothing to pay


# Ranges


def test_ranges_follow_as_worked_out_by_hand():
    layer = quantize(bert(1, num_labels=2)).output_layer
    layer.train()
    by_hand = None
    for most in (4.0, 2.0, 10.0):
        layer(torch.tensor([[most if i == 3 else -most / 2 for i in range(16)]]))
        layer(torch.tensor([[-most / 3] * 16]))  # a second part of the same batch has smaller ones
        layer.follow(layer.seen)
        by_hand = most if by_hand is None else DECAY * by_hand + (1 - DECAY) * most
        assert layer.input_range.item() == pytest.approx(by_hand, rel=1e-6) and layer.seen == 0


def test_ranges_stay_in_eval_mode():
    model = eight_bits().eval()
    before = [layer.input_range.clone() for layer in quantized_layers(model)]
    model(random_batch([20], seed=9), logits=True)
    assert all(
        layer.seen == 0 and torch.equal(layer.input_range, was)
        for layer, was in zip(quantized_layers(model), before, strict=True)
    )
    model.train()(random_batch([20], seed=9), logits=True)
    follow_ranges(model)
    assert not any(
        torch.equal(layer.input_range, was)
        for layer, was in zip(quantized_layers(model), before, strict=True)
    )


def test_calibration_sees_floating_point_and_learns_no_weight():
    model = bert(1, dropout=0, num_labels=2)
    plain, batch, inputs = copy.deepcopy(model).eval(), random_batch([9, 5, 12]), {}
    for name, layer in plain.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(
                lambda _, x, name=name: inputs.__setitem__(name, x[0].abs().max().item())
            )
    plain.body.embeddings = quantize(
        copy.deepcopy(model)
    ).body.embeddings  # tables are rounded from the start
    plain(batch, logits=True)
    calibrate(quantize(model.train()), [batch])
    assert model.training and all(
        torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True)
    )
    for name, layer in model.named_modules():
        if isinstance(layer, QuantizedLinear):
            assert (
                layer.input_range.item() == pytest.approx(inputs[name], rel=1e-6)
                and not layer.calibrating
            )


# Layers


def test_a_layer_computes_what_whole_numbers_would():
    """The oracle: int64 products and sums, rescaled once."""
    layer = eight_bits().body.encoder.layer[0].intermediate.dense.eval()
    x = layer.input_range * torch.randn(4, 16)
    of_input, of_weight = (scale.item() for scale in layer.scales())
    k_x = np.clip(np.rint(x.numpy() / np.float32(of_input)), -128, 127).astype(np.int64)
    k_w = np.clip(np.rint(layer.weight.detach().numpy() / np.float32(of_weight)), -128, 127).astype(
        np.int64
    )
    k_b = np.rint(layer.bias.detach().double().numpy() / (of_input * of_weight)).astype(np.int64)
    wanted = (k_x @ k_w.T + k_b) * (of_input * of_weight)
    np.testing.assert_allclose(
        layer(x).detach().numpy(), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max()
    )


def test_gradients_of_a_layer_are_those_of_the_rounded_product():
    layer = eight_bits().body.encoder.layer[0].intermediate.dense.eval()
    x = (0.9 * layer.input_range * (2 * torch.rand(4, 16) - 1)).requires_grad_()
    out = torch.randn(4, 32)
    (layer(x) * out).sum().backward()
    of_input, of_weight = layer.scales()
    rounded_x, rounded_w = (
        torch.round(x.detach() / of_input) * of_input,
        torch.round(layer.weight.detach() / of_weight) * of_weight,
    )
    torch.testing.assert_close(x.grad, out @ rounded_w, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(layer.weight.grad, out.T @ rounded_x, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(layer.bias.grad, out.sum(0), rtol=1e-4, atol=1e-6)


def test_what_becomes_8_bits_and_what_stays():
    model = quantize(bert(1, num_labels=2, projection="per_layer", teacher_width=24))
    kinds = {
        name: type(layer)
        for name, layer in model.named_modules()
        if isinstance(layer, (nn.Linear, nn.Embedding))
    }
    assert {kind for name, kind in kinds.items() if name.startswith("fit_denses")} == {nn.Linear}
    assert {kind for name, kind in kinds.items() if not name.startswith("fit_denses")} == {
        QuantizedLinear,
        QuantizedEmbedding,
    }
    assert [name for name, _ in model.named_parameters()] == [
        name
        for name, _ in bert(
            1, num_labels=2, projection="per_layer", teacher_width=24
        ).named_parameters()
    ]
    assert is_quantized(model) and not is_quantized(bert(1))


@pytest.mark.parametrize(
    "kind", ["word_embeddings", "position_embeddings", "token_type_embeddings"]
)
def test_a_table_is_rounded_on_its_own_grid(kind):
    table = getattr(eight_bits().body.embeddings, kind)
    ids = torch.tensor([[0, 1, 1]])
    scale = table.weight.detach().abs().max() / 127
    assert torch.equal(table(ids), torch.round(table.weight.detach() / scale)[ids] * scale)


def test_more_padding_changes_nothing():
    model = eight_bits().eval()
    short, long = (
        model(random_batch([9, 5], longest=longest), logits=True).logits for longest in (9, 30)
    )
    torch.testing.assert_close(short, long, rtol=0, atol=1e-5)


# Training and folders


def test_training_mends_what_rounding_broke(monkeypatch):
    """With five levels instead of 255, so that something breaks in so small a model."""
    monkeypatch.setattr(quantization, "LARGEST_INT8", 2)
    model, examples = bert(1, dropout=0, num_labels=2), rows(40)
    loop(
        model,
        Labels(),
        Training(learning_rate=1e-2, num_train_epochs=60, train_batch_size=40),
        examples=examples,
    ).run()
    batch = examples.batch(range(40))

    def loss():
        with torch.no_grad():
            return sum(Labels()(model.eval(), batch).values()).item()

    plain = loss()
    calibrate(quantize(model), [batch])
    broken = loss()
    loop(
        model,
        Labels(),
        Training(learning_rate=1e-2, num_train_epochs=100, train_batch_size=40),
        examples=examples,
    ).run()
    assert broken > plain + 0.2 and loss() < plain + 0.2 * (broken - plain)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_loop_moves_every_range_once_a_step_over_all_parts_of_the_batch(parts):
    model = eight_bits()
    first = model.body.encoder.layer[0].attention.self.query
    before, batch = first.input_range.clone(), rows(8).batch(range(8))
    most = (
        model.eval()
        .body.embeddings(input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"])
        .abs()
        .max()
    )
    loop(
        model,
        Labels(),
        Training(num_train_epochs=1, train_batch_size=8, gradient_accumulation_steps=parts),
        examples=rows(8),
    ).run()
    assert (
        first.input_range.item()
        == pytest.approx((DECAY * before + (1 - DECAY) * most).item(), rel=1e-6)
        and first.input_range != before
    )


def test_8_bits_survive_a_folder(tmp_path):
    model, batch = eight_bits(), random_batch([9, 5])
    make_bert_folder(tmp_path, num_labels=2)
    save_config(model, tmp_path)
    save_weights(model, tmp_path)
    loaded, new = load_model(tmp_path)
    assert (
        not new
        and is_quantized(loaded)
        and torch.equal(
            loaded.eval()(batch, logits=True).logits, model.eval()(batch, logits=True).logits
        )
    )
    fresh, _ = load_model(tmp_path, from_scratch=True, num_labels=2)
    assert not is_quantized(fresh) and not quantized_layers(fresh)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    folder = make_bert_folder(tmp_path / "plain", num_labels=2)
    config = (folder / "config.json").read_text()
    for bits, says in ((8, "lacks bert.embeddings|lacks .*input_range"), (4, "bits 4 is unknown")):
        (folder / "config.json").write_text(config.replace("{", f'{{"bits": {bits},', 1))
        with pytest.raises(UserError, match=says):
            load_model(folder)
    save_weights(eight_bits(), folder)
    (folder / "config.json").write_text(config)
    with pytest.raises(
        UserError, match="input_range, which is not a parameter of the model in .*config.json"
    ):
        load_model(folder)
