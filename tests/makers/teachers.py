"""Teachers that are not BERTs."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoTokenizer, DistilBertConfig, DistilBertForSequenceClassification

from tests.makers import VOCABULARY, write_vocabulary
from tests.makers.workspaces import toy_rows


def save(model, folder: Path) -> Path:
    with torch.no_grad():
        for parameter in model.parameters():  # no two outputs alike, none near 0
            parameter += 0.3 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())
            )
    model.save_pretrained(folder)
    return folder


def make_distilbert(folder: Path, labels: int = 2, **config) -> Path:
    """Reads other pieces than the other tests' BERTs: their vocabulary, turned round."""
    size = dict(
        vocab_size=len(VOCABULARY),
        dim=16,
        n_layers=2,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=64,
    )
    write_vocabulary(folder, [*VOCABULARY[:5], *VOCABULARY[:4:-1]])
    return save(
        DistilBertForSequenceClassification(DistilBertConfig(**size, num_labels=labels, **config)),
        folder,
    )


def fine_tune(folder: Path, stock) -> Path:
    """Until it tells good from bad."""
    model, tokenizer = stock.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts, labels = zip(*toy_rows(64, 6))
    batch, optimizer = (
        tokenizer(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False),
        torch.optim.Adam(model.parameters(), lr=5e-3),
    )
    for _ in range(100):
        loss = model(**batch, labels=torch.tensor([int(label) for label in labels])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1, "it did not learn its toy task"
    model.save_pretrained(folder)
    return folder
