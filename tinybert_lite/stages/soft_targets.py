"""The teacher's logits for every row of a task, asked for once: stage 5 trains on them for as many epochs as it likes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.method.encoder import Bert
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.console import say
from tinybert_lite.system.files import write_atomically
from tinybert_lite.system.outputs import SOFT_TARGETS


def first_alike(examples: Examples) -> np.ndarray:
    """For each row the number of the first that holds the same tokens, (n,)."""
    keys = [
        hashlib.blake2b(
            examples.ids[start:end].tobytes() + first.tobytes(), digest_size=16
        ).digest()
        for start, end, first in zip(examples.starts, examples.starts[1:], examples.first)
    ]
    _, first, place = np.unique(
        np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    return first[place.reshape(-1)]


def asking(teacher: Bert, batch_size: int) -> Callable[[Examples], np.ndarray]:
    """A BERT's logits (n, K) for examples; it reads rows that are alike once."""

    def logits(examples: Examples) -> np.ndarray:
        alike = first_alike(examples)
        chosen = np.unique(alike)
        say(
            f"soft targets: the teacher reads {len(chosen)} different rows of {len(examples)}, once"
        )
        return predict(teacher, examples, batch_size, chosen)[alike]

    return logits


def with_soft_targets(
    examples: Examples, ask: Callable[[Examples], np.ndarray], made_from: str, folder: Path
) -> Examples:
    """The examples with the teacher's logits, from `folder`/soft_targets.npz where that is of this teacher and these rows.

    `ask` gives logits (n, K); `made_from` tells the teacher, and what it reads beside the examples, from others.
    """
    digest = hashlib.sha256(made_from.encode())
    for part in (examples.ids, examples.starts, examples.first):
        digest.update(np.ascontiguousarray(part))
    path, identity = folder / SOFT_TARGETS, digest.hexdigest()
    try:
        with np.load(path) as stored:
            if str(stored["identity"]) == identity:
                say(f"soft targets: the teacher's logits for these rows are in {path}")
                return replace(examples, soft_targets=stored["logits"])
    except Exception:  # none there, or a damaged one: np.load raises many kinds
        pass
    logits = ask(examples)
    buffer = io.BytesIO()
    np.savez(buffer, identity=identity, logits=logits)
    write_atomically(path, buffer.getvalue())
    return replace(examples, soft_targets=logits)
