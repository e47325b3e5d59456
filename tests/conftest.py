"""What every test starts from, and the fixtures that tests of several rooms share."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test touches the network
os.environ["MPLBACKEND"] = "Agg"

import functools
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.makers import make_bert_folder, write_vocabulary
from tests.makers.workspaces import lay_out, make_toy_teacher, write_toy_data
from tinybert_lite.models.tokenizers import load_tokenizer

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    """Tests that need CUDA are skipped where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.fixture(autouse=True)
def same_start():
    """Every test starts with the same seeds, and with one thread.

    The models are tiny: on a busy machine two threads wait for each other, 100 times as long.
    """
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def tiny_vocab(tmp_path):
    """A folder with only a small uncased vocabulary."""
    return write_vocabulary(tmp_path / "vocabulary").parent


@pytest.fixture
def tokenizer(tiny_vocab):
    return load_tokenizer(tiny_vocab / "vocab.txt")


@pytest.fixture
def bert_folder(tmp_path):
    """A small random BERT with a masked-LM head, as the original project's files."""
    return make_bert_folder(tmp_path / "bert")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function that calls `make(folder, *arguments)` with a new folder, and keeps the result.

    The same call by another test gets the kept result, or the error again. Unlike a parametrized
    fixture it does not depend on the order of the tests, or on which of them are deselected.
    """

    @functools.cache
    def attempt(make, *arguments):
        try:
            return make(tmp_path_factory.mktemp(make.__name__), *arguments), None
        except Exception as error:
            return None, error

    def result(make, *arguments):
        made, error = attempt(make, *arguments)
        if error:
            raise error
        return made

    return result


@pytest.fixture(scope="session")
def toy_workspace(tmp_path_factory) -> Path:
    """The toy workspace that `workspace` copies. Tests do not write into it."""
    return lay_out(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def workspace(toy_workspace, tmp_path, monkeypatch) -> Path:
    """A toy workspace, which is the current folder."""
    root = shutil.copytree(toy_workspace, tmp_path / "workspace")
    monkeypatch.chdir(root)
    monkeypatch.delenv("TINYBERT_WORKSPACE", raising=False)
    return root


@pytest.fixture
def rooms(workspace) -> Path:
    """The toy workspace with a fine-tuned teacher in `tuned` and the results of stages 2 and 3."""
    make_toy_teacher(workspace / "tuned", classifier=True)
    make_bert_folder(workspace / "3_general_distill", layers=1, masked_lm=False)
    line = {
        "tokens": ["[CLS]", "film", "[SEP]"],
        "segment_ids": [0, 0, 0],
        "is_random_next": False,
        "masked_lm_positions": [],
        "masked_lm_labels": [],
    }
    (workspace / "2_pregenerate_data").mkdir()
    (workspace / "2_pregenerate_data/epoch_0.json").write_text(
        json.dumps(line) + "\n", encoding="utf-8"
    )
    return workspace


@pytest.fixture
def task_folder(tmp_path, monkeypatch) -> Path:
    """The current folder: a workspace with task rows and a fine-tuned teacher in `tuned`."""
    make_toy_teacher(tmp_path / "tuned", classifier=True)
    write_toy_data(tmp_path / "SST-2")
    (tmp_path / "student_model").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYBERT_WORKSPACE", raising=False)
    return tmp_path
