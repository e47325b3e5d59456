"""The cost of a model: parameters per block, bytes, multiply-adds, and measured time."""

import time
from collections.abc import Callable
from statistics import median

import torch

from tinybert_lite.method.encoder import Bert

BLOCKS = {
    "bert.embeddings": "embeddings",
    "bert.encoder": "encoder",
    "bert.pooler": "classifier",
    "classifier": "classifier",
}


def parameters_by_block(model: Bert) -> dict[str, int]:
    """Count the parameters per block that serving needs: without projections and masked-LM head."""
    found = dict.fromkeys(BLOCKS.values(), 0)
    for start, block in BLOCKS.items():
        found[block] += sum(
            parameter.numel()
            for name, parameter in model.named_parameters()
            if name.startswith(start)
        )
    return found


def multiply_adds(model: Bert, length: int) -> int:
    """Count the multiply-adds for one sentence of L = `length` tokens, summed over all layers.

    Per layer: 4·L·D² (projections) + 2·L²·D (attention) + 2·L·D·I (feed-forward of width I).
    """
    config, L = model.config, length
    D, intermediate = config.hidden_size, config.intermediate_size
    return config.num_hidden_layers * (4 * L * D * D + 2 * L * L * D + 2 * L * D * intermediate)


def parts_of(rows: int, batch_size: int = 32, most_rows: int = 128) -> list[range]:
    """Divide the first rows of a file, at most `most_rows`, into batches to measure time on."""
    most = min(rows, most_rows)
    return [range(i, min(i + batch_size, most)) for i in range(0, most, batch_size)]


@torch.inference_mode()
def milliseconds_a_row(
    logits: Callable, batches: list[dict[str, torch.Tensor]], repeats: int = 5
) -> float:
    """Measure milliseconds per row, the median over repeats; `logits(batch)` returns (B, K)."""
    times = []
    for _ in range(repeats + 1):  # the first is a warm-up
        started = time.perf_counter()
        for batch in batches:
            last = logits(batch)
        float(last.sum())  # waits for the device
        times.append(time.perf_counter() - started)
    return 1000 * median(times[1:]) / sum(len(batch["input_ids"]) for batch in batches)


def cost(model: Bert, examples) -> dict:
    """Return the `card` of a model with a classifier, measured on rows of `examples`."""
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
    """Return a model's cost as in results.json; bytes are those of float32 weights."""
    parameters = sum(blocks.values())
    return {
        "parameters": parameters,
        "blocks": blocks,
        "bytes": 4 * parameters,
        "multiply_adds": multiply_adds,
        "length": length,
        "milliseconds_a_row": round(milliseconds, 4),
    }
