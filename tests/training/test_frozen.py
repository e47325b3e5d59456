"""A frozen teacher gives the outputs of autocast, and of float32."""

import pytest
import torch

from tests.makers import make_bert_folder
from tests.makers.families import make_family
from tinybert_lite.data.tokens import encode
from tinybert_lite.models.cost import multiply_adds
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.training.frozen import FrozenLinear, prepare_linears

FAMILIES = ["bert", "mobilebert", "modernbert", "distilbert", "albert", "xlm-roberta"]


def layers(model) -> int:
    return sum(isinstance(part, FrozenLinear) for part in model.modules())


@pytest.mark.parametrize("packed", [False, True])
def test_outputs_are_those_of_autocast_to_the_bit(tmp_path, packed):
    folder = make_bert_folder(tmp_path / "bert")
    loaded = load_with_tokenizer(folder, num_labels=2)
    rows = encode(["a b c", "d e"], None, loaded.tokenizer, 16)
    float32 = predict(loaded.model, rows)
    expected = predict(loaded.model, rows, precision="bf16")
    assert (expected != float32).any() and abs(expected - float32).max() < 0.05
    assert not layers(prepare_linears(loaded.model, "no"))
    prepare_linears(loaded.model, "bf16", packed)
    assert (predict(loaded.model, rows, precision="bf16") == expected).all()
    assert loaded.model.body.embeddings.word_embeddings.weight.dtype == torch.float32


def test_packed_weights_give_the_outputs_of_float32_up_to_rounding(tmp_path):
    loaded = load_with_tokenizer(make_bert_folder(tmp_path / "bert"), num_labels=2)
    rows = encode(["a b c", "d e"], None, loaded.tokenizer, 16)
    expected, count = predict(loaded.model, rows), multiply_adds(loaded.model, 5)
    assert layers(prepare_linears(loaded.model, "no", packed=True)) > 5
    assert multiply_adds(loaded.model, 5) == count
    assert abs(predict(loaded.model, rows) - expected).max() < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_masked_lms_share_their_embeddings_unchanged(tmp_path, family):
    loaded = load_with_tokenizer(make_family(tmp_path / family, family), masked_lm=True)
    batch = encode(["the cat saw it", "a dog"], None, loaded.tokenizer, 16).batch([0, 1])
    at = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    at[:, 1] = True
    model = loaded.model.eval()

    def scores():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return model(batch, masked_lm=at).masked_lm

    expected = scores()
    assert layers(prepare_linears(model, "bf16", packed=True))
    assert torch.equal(scores(), expected)
