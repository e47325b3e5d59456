"""The cost of a model: parameters per block, bytes, multiply-adds, and measured time."""

import time
from collections.abc import Callable
from statistics import median

import torch
from transformers import PreTrainedModel

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.system.products import packed_operator

BLOCKS = ("embeddings", "encoder", "classifier")


def parameters_by_block(model: Encoder | PreTrainedModel) -> dict[str, int]:
    """Count the parameters of a model; the pooler counts to the classifier.

    Projections and the masked-LM head are not counted, since serving does not need them.
    """
    model = model.auto if isinstance(model, Encoder) else model
    found = dict.fromkeys(BLOCKS, 0)
    body = {id(parameter): name for name, parameter in model.base_model.named_parameters()}
    for parameter in model.parameters():
        name = body.get(id(parameter), "pooler")
        if name.startswith("pooler"):
            found["classifier"] += parameter.numel() * (not type(model).__name__.endswith("LM"))
        else:
            found["embeddings" if "embed" in name.split(".")[0] else "encoder"] += parameter.numel()
    return found


def multiply_adds(model: Encoder, length: int) -> int:
    """Count the multiply-adds of an encoder for one row of L = `length` tokens."""
    ones = torch.ones(1, length, dtype=torch.long, device=next(model.parameters()).device)
    row = {"input_ids": ones, "attention_mask": ones, "token_type_ids": 0 * ones}
    return count_multiply_adds(lambda: model(row))


def count_multiply_adds(compute: Callable[[], object]) -> int:
    """Count the multiply-adds of the matrix products in a call of `compute`."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False, custom_mapping={packed_operator(): _of_packed})
    with sdpa_kernel(SDPBackend.MATH), counter:
        compute()
    return counter.get_total_flops() // 2


def _of_packed(x: torch.Size, weight: torch.Size, *more, out_shape=None, **other) -> int:
    """Count the operations of a product with a packed weight, from the shapes."""
    return 2 * x.numel() * weight[0]


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


def cost(model: Encoder, examples) -> dict:
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
