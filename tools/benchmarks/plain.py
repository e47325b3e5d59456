"""The plain implementation that `speed.py` compares with: what the original scripts do.

Batches of 32 rows padded to the full length in float32; the teacher in train mode, with its graph
and the attention scores of all layers; a loop of PyTorch's AdamW over the tensors; the teacher
computes in each epoch; augmentation masks one word per forward pass, with the sentence twice, and
sorts the whole vocabulary. The first steps are slower than the rest and are not counted.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch.nn.functional import pad

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.tokens import encode
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate

ROWS, WARM_UP = 32, 2  # rows of a batch; steps that are not counted


def padded(examples: Examples, rows: list[int], length: int, device) -> dict[str, torch.Tensor]:
    """Return a batch of these rows without labels, (B, length)."""
    batch = examples.batch(rows)
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
    steps: int = 5,
) -> float:
    """Return the seconds per row of stages 3 and 4 (`intermediate`) or of stage 5.

    It is the median of `steps` steps after WARM_UP ones.
    """
    device = next(student.parameters()).device
    objective = Intermediate(student, teacher, padding="reference") if intermediate else None
    teacher = teacher.requires_grad_(True).to(device).train()
    optimizer = torch.optim.AdamW(student.parameters(), foreach=False, fused=False)
    rows, times = min(ROWS, len(examples)), []
    for step in range(WARM_UP + steps):
        started = time.perf_counter()
        chosen = [(step * rows + row) % len(examples) for row in range(rows)]
        batch = padded(examples, chosen, length, device)
        if objective:
            learning = student(batch, scores=range(1, student.layers + 1))
            teaching = teacher(batch, scores=range(1, teacher.layers + 1))
            loss = sum(objective.terms(learning, teaching, batch["attention_mask"]).values())
        else:
            targets = teacher(batch, logits=True).logits
            loss = -(
                targets.softmax(-1) * student(batch, logits=True).logits.log_softmax(-1)
            ).mean()
        loss.backward()
        optimizer.step()
        student.zero_grad()
        teacher.zero_grad()
        loss.item()  # waits for the device
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:]) / rows


@torch.no_grad()
def masked_words(model: Encoder, pairs: list[tuple[str, str]], tokenizer, device: str) -> float:
    """Return the seconds per masked word, the median over the words.

    pairs: a text and its copy with a mask, which go through the model together, one pair at a time.
    """
    times, model = [], model.to(device)
    for text, copy in pairs:
        started = time.perf_counter()
        batch = padded(encode([text], [copy], tokenizer, 512), [0], 0, device)
        at = int((batch["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0])
        everywhere = torch.ones_like(batch["input_ids"], dtype=torch.bool)
        scores = model(batch, masked_lm=everywhere).masked_lm
        scores[at].argsort(descending=True).tolist()
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])
