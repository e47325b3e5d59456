"""A small model, random examples and a training loop over them."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator
from transformers import BertConfig

from tests.makers import config_values
from tinybert_lite.data.batches import Batches, Examples
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.training.loop import Loop


def bert(seed, layers=2, width=16, dropout=0.1, **parts):
    torch.manual_seed(seed)
    return Encoder(
        BertConfig(
            **config_values(
                layers, width, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
            )
        ),
        **parts,
    )


def rows(count=15, seed=0):
    """Examples of many lengths with labels 0 and 1 that have no system."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(5, 100, length).tolist() for length in rng.integers(3, 12, count)]
    return Examples.joined([(ids, [2] * count)]).with_labels(
        rng.integers(0, 2, count).astype(np.float32)
    )


def loop(model, objective, settings, folder=None, examples=None, accelerator=None, **more):
    batches = Batches(examples or rows(), settings.train_batch_size, seed=3)
    more = {"identity": "me", "say": lambda text: None, **more}
    return Loop(
        model, objective, batches, settings, accelerator or Accelerator(cpu=True), folder, **more
    )


def same(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )
