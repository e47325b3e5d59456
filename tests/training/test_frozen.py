"""A teacher whose weights are cast once gives the outputs of autocast."""

import torch

from tests.makers import make_bert_folder
from tinybert_lite.data.tokens import encode
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.training.frozen import cast_once


def test_outputs_are_those_of_autocast_to_the_bit(tmp_path):
    folder = make_bert_folder(tmp_path / "bert")
    loaded = load_with_tokenizer(folder, num_labels=2)
    rows = encode(["a b c", "d e"], None, loaded.tokenizer, 16)
    float32 = predict(loaded.model, rows)
    expected = predict(loaded.model, rows, precision="bf16")
    assert (expected != float32).any() and abs(expected - float32).max() < 0.05
    assert cast_once(loaded.model, "no").auto.classifier.weight.dtype == torch.float32
    assert (predict(loaded.model, rows) == float32).all()
    cast_once(loaded.model, "bf16")
    assert (predict(loaded.model, rows, precision="bf16") == expected).all()
    assert loaded.model.body.embeddings.word_embeddings.weight.dtype == torch.float32
