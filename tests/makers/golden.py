"""The golden values of the losses, under tests/golden/."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parents[1] / "golden"
SETS = ("public_a", "public_b")
RUNS = [("padded", "reference"), ("unpadded", "reference"), ("unpadded", "exact")]


def golden(name: str, run: str) -> tuple[dict, dict]:
    """What is expected, and the batch."""
    expected = json.loads((GOLDEN / name / "expected.json").read_text())[run]
    batch = {
        key: torch.from_numpy(value) for key, value in np.load(GOLDEN / name / "batch.npz").items()
    }
    if run == "unpadded":
        batch |= {
            "input_ids": batch["unpadded_input_ids"],
            "attention_mask": torch.ones_like(batch["attention_mask"]),
        }
    return expected, batch


def check(found, expected):
    np.testing.assert_allclose(
        np.asarray(torch.as_tensor(found).detach()), expected, rtol=1e-5, atol=1e-6
    )
