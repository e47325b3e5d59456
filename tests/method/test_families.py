"""The encoder of every family against its stock model: hidden states, scores, heads, padding."""

import pytest
import torch

from tests.makers.families import config_of, stock_of
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.families import MATCHED_FAMILIES, WITH_SCORES, WITHOUT_SCORES

LENGTHS = torch.tensor([[12], [7], [4]])


def batch_of(family: str) -> dict[str, torch.Tensor]:
    """Three padded rows; padding is 0, as `Examples.batch` writes it in any family."""
    draw = torch.Generator().manual_seed(0)
    places = torch.arange(12).expand(3, 12)
    ids = torch.randint(5, config_of(family).vocab_size, (3, 12), generator=draw)
    mask = (places < LENGTHS).long()
    segments = (places >= LENGTHS // 2).long() * mask
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": segments}


def both(family: str, kind: str = "encoder", **parts):
    stock = stock_of(family, kind, num_labels=parts.get("num_labels", 2))
    model = Encoder(config_of(family), **parts).eval()
    model.auto.load_state_dict(stock.state_dict())
    return stock, model


@torch.no_grad()
@pytest.mark.parametrize("family", MATCHED_FAMILIES)
def test_hidden_states_are_eager_attentions_to_the_bit(family):
    stock, model = both(family)
    batch = batch_of(family)
    real, layers = batch["attention_mask"].bool(), range(1, 5) if family in WITH_SCORES else ()
    found = model(batch, scores=layers)
    expected = stock(**model.inputs(batch), output_hidden_states=True).hidden_states
    assert len(found.hidden) == len(expected) == 5
    for ours, theirs in zip(found.hidden, expected):
        assert torch.equal(ours[real], theirs[real])
    ones = {**model.inputs(batch), "attention_mask": torch.ones_like(batch["attention_mask"])}
    unmasked = stock(**ones).last_hidden_state
    assert (unmasked[1:][real[1:]] - expected[-1][1:][real[1:]]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("family", WITH_SCORES)
def test_scores_after_the_softmax_are_eager_attentions_probabilities(family):
    stock, model = both(family)
    batch = batch_of(family)
    mask = batch["attention_mask"].bool()
    found = model(batch, scores=range(1, 5)).scores
    expected = stock(**model.inputs(batch), output_attentions=True).attentions
    assert list(found) == [1, 2, 3, 4]
    for layer, probabilities in enumerate(expected, 1):
        visible = mask[:, None, None, :] & (probabilities > 0)  # also inside a local window
        ours = found[layer].masked_fill(~visible, -torch.inf).softmax(-1)
        queries = mask[:, None, :, None].expand_as(ours)
        torch.testing.assert_close(ours[queries], probabilities[queries], rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("family", MATCHED_FAMILIES)
def test_chosen_scores_and_fewer_layers_change_nothing(family):
    _, model = both(family)
    batch, scored = batch_of(family), family in WITH_SCORES
    real = batch["attention_mask"].bool()
    whole = model(batch, scores=range(1, 5) if scored else ())
    for last in (0, 1, 2, 3):
        cut = model(batch, scores={last} - {0} if scored else (), last_layer=last)
        assert len(cut.hidden) == last + 1
        for ours, theirs in zip(cut.hidden, whole.hidden):
            torch.testing.assert_close(ours[real], theirs[real], rtol=1e-4, atol=1e-5)
        for layer, ours in cut.scores.items():
            torch.testing.assert_close(ours[0], whole.scores[layer][0], rtol=1e-4, atol=1e-5)
    assert len(model(batch).hidden) == 5, "the layers are there again"


@torch.no_grad()
@pytest.mark.parametrize(
    "family", [family for family in MATCHED_FAMILIES if family != "bert-generation"]
)
def test_heads_are_the_stock_models(family):
    batch = batch_of(family)
    stock, model = both(family, "classifier", num_labels=3)
    expected = stock(**model.inputs(batch)).logits
    found = model(batch, logits=True).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert model.output_layer.out_features == 3 and not model.has_masked_lm
    stock, model = both(family, "masked_lm", masked_lm=True)
    places = torch.zeros_like(batch["attention_mask"]).bool()
    places[0, 3] = places[2, 1] = True
    expected = stock(**model.inputs(batch)).logits[places]
    torch.testing.assert_close(
        model(batch, masked_lm=places).masked_lm, expected, rtol=1e-4, atol=1e-5
    )
    assert model.output_layer is None and model.has_masked_lm


@pytest.mark.parametrize("family", WITHOUT_SCORES)
def test_a_family_without_scores_says_so(family):
    assert not both(family)[1].has_scores
