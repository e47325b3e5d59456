"""Our encoder against the stock transformers classes, on small random models and padded batches."""

import pytest
import torch
from transformers import BertForMaskedLM, BertForSequenceClassification, BertModel
from transformers.masking_utils import bidirectional_mask_function, eager_mask

from tests.makers import random_batch, stock_bert
from tinybert_lite.method.attention import SCORES_ATTENTION, Scores, padding_mask, scores_attention
from tinybert_lite.method.encoder import Encoder

LAYERS, BATCH = 3, random_batch([9, 4, 6])
REAL = BATCH["attention_mask"].bool()
INPUTS = {name: BATCH[name] for name in ("input_ids", "attention_mask", "token_type_ids")}


def ours(stock, head: str = "huggingface", **parts) -> Encoder:
    """Our model with a stock one's weights, all of them."""
    config = type(stock.config)(**stock.config.to_dict())
    config.classifier_head = head
    model = Encoder(config, **parts).eval()
    kind = model.auto if type(model.auto) is type(stock) else model.body
    missing, unexpected = kind.load_state_dict(stock.state_dict(), strict=False)
    assert not unexpected and all(name.startswith("pooler") for name in missing)
    return model


def close(found, expected, atol=2e-5):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=atol)


@pytest.fixture
def pair():
    stock = stock_bert(BertModel, layers=LAYERS, width=24, heads=3)
    return stock, ours(stock)


@torch.no_grad()
@pytest.mark.parametrize("scores", [(), (2,), (1, 2, 3)])
def test_hidden_states_equal_the_eager_model_whatever_scores_are_asked_for(pair, scores):
    stock, model = pair
    expected, found = (
        stock(**INPUTS, output_hidden_states=True).hidden_states,
        model(BATCH, scores=scores),
    )
    assert len(found.hidden) == len(expected) == LAYERS + 1 and set(found.scores) == set(scores)
    for mine, theirs in zip(found.hidden, expected):
        close(mine[REAL], theirs[REAL])


@torch.no_grad()
def test_masked_scores_after_softmax_are_the_eager_probabilities(pair):
    stock, model = pair
    expected, found = (
        stock(**INPUTS, output_attentions=True).attentions,
        model(BATCH, scores=(1, 2, 3)).scores,
    )
    hidden_keys = ~REAL[:, None, None, :]
    for layer in (1, 2, 3):
        raw = found[layer]
        assert (
            raw.shape == (3, 3, 9, 9) and raw.isfinite().all() and raw.abs().max() < 100
        )  # nothing of the mask in them
        probabilities = raw.masked_fill(hidden_keys, float("-inf")).softmax(-1)
        queries = REAL[:, None, :, None].expand_as(probabilities)
        close(probabilities[queries], expected[layer - 1][queries])


@torch.no_grad()
def test_scores_are_the_scaled_products_of_queries_and_keys(pair):
    stock, model = pair
    attention, state = (
        stock.encoder.layer[1].attention.self,
        stock(**INPUTS, output_hidden_states=True).hidden_states[1],
    )
    query, key = (
        layer(state).unflatten(-1, (3, 8)).transpose(1, 2)
        for layer in (attention.query, attention.key)
    )
    raw = torch.einsum("bhqd,bhkd->bhqk", query, key) / 8**0.5
    both = (REAL[:, :, None] & REAL[:, None, :])[:, None].expand_as(raw)
    close(model(BATCH, scores=[2]).scores[2][both], raw[both])


@torch.no_grad()
@pytest.mark.parametrize("labels", [1, 2, 3])
def test_classifier_logits_equal_the_stock_class(labels):
    stock = stock_bert(BertForSequenceClassification, num_labels=labels)
    close(ours(stock, num_labels=labels)(BATCH, logits=True).logits, stock(**INPUTS).logits)


@torch.no_grad()
def test_the_originals_head_has_relu_between_pooler_and_classifier():
    stock = stock_bert(BertForSequenceClassification, num_labels=2)
    pooled = stock.bert(**INPUTS).pooler_output
    relu = ours(stock, "relu", num_labels=2)(BATCH, logits=True).logits
    close(relu, stock.classifier(torch.relu(pooled)))
    assert (relu - ours(stock, num_labels=2)(BATCH, logits=True).logits).abs().min() > 1e-3


@torch.no_grad()
def test_masked_lm_logits_equal_the_stock_class_at_the_places_asked_for():
    stock = stock_bert(BertForMaskedLM)
    places = torch.zeros_like(REAL)
    places[0, 3] = places[2, 5] = True
    close(
        ours(stock, masked_lm=True)(BATCH, masked_lm=places).masked_lm,
        stock(**INPUTS).logits[places],
    )


def test_masked_lm_shares_the_word_embeddings():
    model = ours(stock_bert(BertForMaskedLM), masked_lm=True)
    decoder = model.auto.cls.predictions.decoder
    assert decoder.weight is model.body.embeddings.word_embeddings.weight
    assert "auto.cls.predictions.decoder.weight" not in dict(model.named_parameters())


@torch.no_grad()
def test_last_layer_stops_early(pair):
    _, model = pair
    model.body.encoder.layer[2].forward = None  # would raise
    found = model(BATCH, last_layer=2)
    assert len(found.hidden) == 3
    assert len(model(BATCH, last_layer=0).hidden) == 1


@torch.no_grad()
def test_the_stock_forward_under_our_attention_respects_the_padding_mask(pair):
    """The trap: without a mask function of the same name transformers drops the mask without a
    word.
    """
    stock, model = pair
    assert model.body.config._attn_implementation == SCORES_ATTENTION
    expected = stock(**INPUTS).last_hidden_state
    close(model.body(**INPUTS).last_hidden_state[REAL], expected[REAL])
    no_mask = stock(
        **{**INPUTS, "attention_mask": torch.ones_like(BATCH["attention_mask"])}
    ).last_hidden_state
    assert (no_mask[REAL] - expected[REAL]).abs().max() > 1e-2  # the batch can tell


@torch.no_grad()
@pytest.mark.parametrize("kind", ["additive", "bool", "none"])
def test_every_kind_of_mask_gives_the_same_attention_on_both_paths(kind):
    class Module:
        layer_idx, training = 0, False

    query, key, value = torch.randn(3, 2, 2, 5, 4)
    real = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()[:, None, None, :]
    mask = {
        "bool": real,
        "additive": torch.zeros(real.shape).masked_fill(~real, torch.finfo(torch.float32).min),
        "none": None,
    }[kind]
    scores = Scores([1])
    slow, fast = (
        scores_attention(Module, query, key, value, mask, scaling=0.5, scores=wanted)[0]
        for wanted in (scores, Scores([2]))
    )
    raw = 0.5 * query @ key.transpose(2, 3)
    close(scores[1], raw)
    expected = (raw if mask is None else raw.masked_fill(~real, float("-inf"))).softmax(-1) @ value
    close(slow, expected.transpose(1, 2))
    close(fast, expected.transpose(1, 2))


@torch.no_grad()
def test_a_batch_may_say_whether_it_is_padded(pair):
    """With the same outputs to the bit; what it says is believed, and the mask is not looked at."""
    _, model = pair
    full = random_batch([5, 5])
    for batch, padded in ((BATCH, True), (full, False)):
        expected, found = model(batch, scores=(2,)), model({**batch, "padded": padded}, scores=(2,))
        assert all(map(torch.equal, found.hidden, expected.hidden))
        assert torch.equal(found.scores[2], expected.scores[2])
    assert model.inputs({**full, "padded": True})["attention_mask"] is full["attention_mask"]
    assert model.inputs({**BATCH, "padded": False})["attention_mask"] is None


def test_the_mask_is_the_eager_one_and_left_out_only_where_there_is_none():
    shape = {"batch_size": 3, "q_length": 9, "kv_length": 9, "dtype": torch.float32}
    shape["mask_function"] = bidirectional_mask_function
    expected = eager_mask(attention_mask=REAL, **shape)
    assert torch.equal(
        padding_mask(attention_mask=REAL, allow_is_bidirectional_skip=True, **shape), expected
    )
    ones = torch.ones_like(REAL)
    found = padding_mask(attention_mask=ones, allow_is_bidirectional_skip=True, **shape)
    assert found is not None and not found.any()
    assert padding_mask(allow_is_bidirectional_skip=True, **shape) is None
    assert not padding_mask(**shape).any()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["original", "per_layer"])
def test_projections_are_linear_maps_of_every_hidden_state(pair, kind):
    model = ours(pair[0], projection=kind, teacher_width=10)
    found = model(BATCH)
    fits = [model.fit_dense] * 4 if kind == "original" else model.fit_denses
    assert len(found.projected) == len(fits) == LAYERS + 1
    for projected, hidden, fit in zip(found.projected, found.hidden, fits):
        close(projected, hidden @ fit.weight.T + fit.bias)


def test_dropout_acts_in_training_alone():
    model = ours(stock_bert(BertForSequenceClassification, num_labels=2), num_labels=2)
    assert torch.equal(model(BATCH, logits=True).logits, model(BATCH, logits=True).logits)
    model.train()
    assert not torch.equal(model(BATCH, scores=[1]).hidden[-1], model(BATCH, scores=[1]).hidden[-1])
    model.body.eval()  # Hugging Face's head drops out as well
    assert not torch.equal(model(BATCH, logits=True).logits, model(BATCH, logits=True).logits)


def test_new_heads_are_drawn_with_the_configs_range():
    config = stock_bert(BertModel, width=64, initializer_range=0.02).config
    model = Encoder(config, num_labels=200, projection="per_layer", teacher_width=200)
    for layer in (model.output_layer, *model.fit_denses):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05) and layer.bias.eq(0).all()
