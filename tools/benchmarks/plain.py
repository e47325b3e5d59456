"""The plain implementation that `speed.py` compares with: one sentence at a time, always padded.

It runs every teacher layer with autograd, the decoder at every position, and a sort of the whole
vocabulary, and it stores no results.
"""

from __future__ import annotations

import time

import torch
from torch.nn.functional import pad

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.tokens import encode
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate


def one_row(examples: Examples, row: int, length: int, device) -> dict[str, torch.Tensor]:
    """Return a batch of one row, (1, length), without labels."""
    batch = examples.batch([row])
    short = max(0, length - batch["input_ids"].shape[1])
    return {
        name: pad(tensor, (0, short)).to(device)
        for name, tensor in batch.items()
        if name != "labels"
    }


def training_step(
    student: Encoder,
    teacher: Encoder,
    examples: Examples,
    length: int,
    intermediate: bool,
    rows: int = 8,
) -> float:
    """Return the seconds per row of one step of stages 3 and 4 (`intermediate`) or of stage 5."""
    device = next(student.parameters()).device
    objective = Intermediate(student, teacher, padding="reference") if intermediate else None
    teacher = teacher.requires_grad_(True).to(device)
    optimizer = torch.optim.AdamW(student.parameters(), foreach=False, fused=False)
    started = time.perf_counter()
    rows = min(rows, len(examples))
    for row in range(rows):
        batch = one_row(examples, row, length, device)
        if objective:
            learning = student(batch, scores=range(1, student.layers + 1))
            teaching = teacher(batch, scores=range(1, teacher.layers + 1))
            loss = sum(objective.terms(learning, teaching, batch["attention_mask"]).values())
        else:
            targets = teacher(batch, logits=True).logits
            loss = -(targets.softmax(-1) * student(batch, logits=True).logits.log_softmax(-1)).sum()
        (loss / rows).backward()
    optimizer.step()
    loss.item()  # waits for the device
    return (time.perf_counter() - started) / rows


@torch.inference_mode()
def masked_words(model: Encoder, masked: list[str], tokenizer, device: str, length: int) -> float:
    """Return the seconds per masked word: one forward pass each, padded to `length`."""
    started = time.perf_counter()
    for text in masked:
        batch = one_row(encode([text], None, tokenizer, 128), 0, length, device)
        at = int((batch["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0])
        everywhere = torch.ones_like(batch["input_ids"], dtype=torch.bool)
        scores = model(batch, masked_lm=everywhere).masked_lm
        scores[at].argsort(descending=True).tolist()
    return (time.perf_counter() - started) / len(masked)
