import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test touches the network
os.environ["MPLBACKEND"] = "Agg"

import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.makers import make_bert_folder, write_vocabulary
from tinybert_lite.models.tokenizers import load_tokenizer

torch.set_num_threads(
    1
)  # the models are tiny: on a busy machine two threads wait for each other, 100 times as long
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def tiny_vocab(tmp_path):
    """A folder that holds nothing but a small uncased vocabulary."""
    return write_vocabulary(tmp_path / "vocabulary").parent


@pytest.fixture
def tokenizer(tiny_vocab):
    return load_tokenizer(tiny_vocab / "vocab.txt")


@pytest.fixture
def bert_folder(tmp_path):
    """A small random BERT with a masked-LM head, as the original project's files."""
    return make_bert_folder(tmp_path / "bert")
