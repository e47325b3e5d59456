"""What a model costs: parameters by block, bytes, multiply-adds, and measured time."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from tinybert_lite.method.encoder import Bert


def parameters_by_block(model: Bert) -> dict[str, int]:
    """Trainable numbers that serving needs: embeddings, encoder, pooler and classifier; no projection, no masked LM."""
    found = {"embeddings": 0, "encoder": 0, "classifier": 0}
    for name, parameter in model.named_parameters():
        if name.startswith("bert.embeddings"):
            found["embeddings"] += parameter.numel()
        elif name.startswith("bert.encoder"):
            found["encoder"] += parameter.numel()
        elif name.startswith(("bert.pooler", "classifier")):
            found["classifier"] += parameter.numel()
    return found


def multiply_adds(model: Bert, length: int) -> int:
    """Of one sentence of `length` tokens: a layer has 4·L·D² (projections) + 2·L²·D (attention) + 2·L·D·I (feed-forward)."""
    c, L = model.config, length
    D, intermediate = c.hidden_size, c.intermediate_size
    return c.num_hidden_layers * (4 * L * D * D + 2 * L * L * D + 2 * L * D * intermediate)


def parts_of(rows: int, batch_size: int = 32, most_rows: int = 128) -> list[range]:
    """The rows that time is measured on: the first ones, in batches as they are (no sorting by length)."""
    return [
        range(i, min(i + batch_size, rows, most_rows))
        for i in range(0, min(rows, most_rows), batch_size)
    ]


@torch.inference_mode()
def milliseconds_a_row(
    logits: Callable, batches: list[dict[str, torch.Tensor]], repeats: int = 5
) -> float:
    """Median over repeats of the time a row; `logits(batch)` gives (B, K)."""
    times = []
    for _ in range(repeats + 1):  # the first is a warm-up
        started = time.perf_counter()
        for batch in batches:
            last = logits(batch)
        float(last.sum())  # waits for the device
        times.append(time.perf_counter() - started)
    return (
        1000 * sorted(times[1:])[repeats // 2] / sum(len(batch["input_ids"]) for batch in batches)
    )


def cost(model: Bert, examples) -> dict:
    """Everything above, and its bytes in float32, for a model with a classifier, on rows like those of `examples`."""
    model.eval()
    device = next(model.parameters()).device
    batches = [
        {k: v.to(device) for k, v in examples.batch(rows).items()}
        for rows in parts_of(len(examples))
    ]
    length = round(float(examples.lengths.mean()))
    return card(
        parameters_by_block(model),
        multiply_adds(model, length),
        length,
        milliseconds_a_row(lambda batch: model(batch, logits=True).logits, batches),
    )


def card(blocks: dict[str, int], multiply_adds: int, length: int, milliseconds: float) -> dict:
    """A model's cost as results.json holds it."""
    return {
        "parameters": sum(blocks.values()),
        "blocks": blocks,
        "bytes": 4 * sum(blocks.values()),
        "multiply_adds": multiply_adds,
        "length": length,
        "milliseconds_a_row": round(milliseconds, 4),
    }
