"""What a model costs: parameters by block, bytes, multiply-adds, and measured time."""

from __future__ import annotations

import time

import torch

from tinybert_lite.data.batches import Examples
from tinybert_lite.engine.encoder import Bert


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


@torch.inference_mode()
def milliseconds_a_row(model: Bert, examples: Examples, batch_size: int = 32, most_rows: int = 128, repeats: int = 5) -> float:
    """Median over repeats of the time a row, in batches of the rows as they are (no sorting by length)."""
    model.eval()
    device = next(model.parameters()).device
    rows = min(len(examples), most_rows)
    batches = [{k: v.to(device) for k, v in examples.batch(range(i, min(i + batch_size, rows))).items()} for i in range(0, rows, batch_size)]
    times = []
    for _ in range(repeats + 1):  # the first is a warm-up
        started = time.perf_counter()
        for batch in batches:
            last = model(batch, logits=True).logits
        float(last.sum())  # waits for the device
        times.append(time.perf_counter() - started)
    return 1000 * sorted(times[1:])[repeats // 2] / rows


def cost(model: Bert, examples: Examples) -> dict:
    """Everything above, and its bytes in float32, for a model with a classifier, on rows like those of `examples`."""
    blocks = parameters_by_block(model)
    length = round(float(examples.lengths.mean()))
    return {"parameters": sum(blocks.values()), "blocks": blocks, "bytes": 4 * sum(blocks.values()),
            "multiply_adds": multiply_adds(model, length), "length": length, "milliseconds_a_row": round(milliseconds_a_row(model, examples), 4)}
