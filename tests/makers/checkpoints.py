"""Model files as other projects write them, and an unsafe pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from transformers import BertForSequenceClassification

from tests.makers import config_values, random_batch, stock_bert, write_vocabulary


class Touch:
    """Unpickled without care, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


BATCH = random_batch([9, 4, 1])  # padded, with two token types
INPUTS = {name: BATCH[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
LABELS = {0: "bad", 1: "good", 2: "neither"}


def stock(head: str = "huggingface"):
    """A classifier of three, and its logits for BATCH; the original's head by hand."""
    model = stock_bert(BertForSequenceClassification, num_labels=3)
    model.config.id2label, model.config.label2id = (
        LABELS,
        {word: number for number, word in LABELS.items()},
    )
    with torch.no_grad():
        pooled = model.bert(**INPUTS).pooler_output
        return model, model.classifier(torch.relu(pooled) if head == "relu" else pooled)


def originals(folder: Path, state: dict, name: str = "pytorch_model.bin", **config) -> Path:
    write_vocabulary(folder)
    words = {"id2label": LABELS, "label2id": {word: number for number, word in LABELS.items()}}
    (folder / "config.json").write_text(json.dumps({**config_values(), **words, **config}))
    with open(folder / name, "wb") as file:
        torch.save(state, file)
    return folder


def projection(name: str) -> dict:
    draw = torch.Generator().manual_seed(3)
    return {
        f"{name}.weight": torch.randn(24, 16, generator=draw),
        f"{name}.bias": torch.randn(24, generator=draw),
    }


def release_1(folder):
    model, logits = stock("relu")
    return originals(folder, model.state_dict() | projection("fit_dense")), logits
