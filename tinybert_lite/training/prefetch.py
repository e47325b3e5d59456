"""Make the next batches in a background thread, ready for the device."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch


def ahead(items: Iterator, most: int = 2) -> Iterator:
    """Yield the items of an iterator; a thread makes up to `most` items in advance.

    An error in making an item is raised in place of that item. No item may be None.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, items, None) for _ in range(most))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item


def ready(batch: dict[str, torch.Tensor], pin: bool) -> dict[str, torch.Tensor | bool]:
    """Prepare a batch so that neither copying nor encoding it waits for a GPU.

    pin: put it into page-locked memory, from which a GPU copies while it computes. The new entry
    "padded" says whether the attention mask has zeros, which would be a question to the GPU later.
    """
    found = {name: tensor.pin_memory() if pin else tensor for name, tensor in batch.items()}
    return {**found, "padded": not bool(batch["attention_mask"].all())}
