"""Inputs of every stage, made once for each file of tests."""

import pytest
import torch

from tests.fault_harness import make_inputs


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    found = tmp_path_factory.mktemp("inputs")
    torch.set_num_threads(1)
    make_inputs(found)
    return found
