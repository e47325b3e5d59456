"""Inputs that several stages' tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.makers.workspaces import (
    make_student_config,
    make_toy_teacher,
    write_toy_corpus,
    write_toy_data,
)
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import Pregenerating


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    """Read-only inputs: a raw and a fine-tuned teacher, sequences, task data."""
    root = tmp_path_factory.mktemp("distill")
    make_toy_teacher(root / "raw")
    make_toy_teacher(root / "tuned", classifier=True)
    make_student_config(
        root / "student", width=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    write_toy_data(root / "data", train=96, dev=40)
    write_toy_corpus(root / "corpus.txt", documents=10)
    pregenerate(
        root / "corpus.txt",
        root / "raw/vocab.txt",
        root / "sequences",
        Pregenerating(epochs_to_generate=2, max_seq_len=32),
        seed=1,
    )
    return root
