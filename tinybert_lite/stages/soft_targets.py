"""The teacher's logits for the training rows, computed once and stored for stage 5."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import Examples
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.console import say
from tinybert_lite.system.files import write_atomically
from tinybert_lite.system.outputs import SOFT_TARGETS
from tinybert_lite.training.frozen import prepare_linears


def first_identical(examples: Examples) -> np.ndarray:
    """Return for each row the number of the first row with the same tokens and segments, (n,)."""
    ends = zip(examples.starts, examples.starts[1:], examples.first)
    rows = (examples.ids[start:end].tobytes() + first.tobytes() for start, end, first in ends)
    keys = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    pairs = np.frombuffer(keys, np.uint64).reshape(-1, 2)
    _, first, place = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return first[place.reshape(-1)]


def asking(
    teacher: Encoder, batch_size: int, precision: str = "no", packed: bool = False
) -> Callable[[Examples], np.ndarray]:
    """Return a function from n examples to logits (n, K); identical rows are computed once.

    precision, packed: see `prepare_linears`; the teacher can then compute in this way only.
    """

    def logits(examples: Examples) -> np.ndarray:
        identical = first_identical(examples)
        chosen = np.unique(identical)
        say(
            f"soft targets: the teacher predicts {len(chosen)} different rows of {len(examples)}, "
            f"once"
        )
        prepare_linears(teacher, precision, packed)
        return predict(teacher, examples, batch_size, chosen, precision)[identical]

    return logits


def with_soft_targets(
    examples: Examples, ask: Callable[[Examples], np.ndarray], made_from: str, folder: Path
) -> Examples:
    """Add the teacher's logits (n, K) to the examples, and store them in `folder`/soft_targets.npz.

    `ask` computes the logits if those of this teacher for these rows are not stored yet;
    `made_from` identifies the teacher and its other inputs.
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
    except Exception:  # no file, or a damaged one: np.load raises errors of many kinds
        pass
    logits = ask(examples)
    buffer = io.BytesIO()
    np.savez(buffer, identity=identity, logits=logits)
    write_atomically(path, buffer.getvalue())
    return replace(examples, soft_targets=logits)
