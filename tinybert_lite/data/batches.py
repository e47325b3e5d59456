"""Token sequences in flat arrays, and batches of similar length made from them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Examples:
    """Sequences end to end in one array: 4 bytes a token, however many rows.

    ids: (tokens,) int32 · starts: (n + 1,) int64, row i is ids[starts[i]:starts[i + 1]] · first: (n,) int32, tokens of
    segment A · labels: (n,) float32 or None · soft_targets: (n, K) float32, the teacher's logits, or None
    """

    ids: np.ndarray
    starts: np.ndarray
    first: np.ndarray
    labels: np.ndarray | None = None
    soft_targets: np.ndarray | None = None

    @classmethod
    def joined(
        cls, blocks: Iterable[tuple[list[list[int]], list[int]]], file: Path | None = None
    ) -> Examples:
        """From blocks of (rows, tokens of segment A in each), as they come: one block's lists are held at a time.

        With `file` the ids lie there, mapped into memory, and may be more than fit.
        """
        ids, starts, first = array("i"), array("q", [0]), array("i")
        with open(file, "wb") if file else nullcontext() as on_disk:
            for rows, first_here in blocks:
                first.fromlist(first_here)
                for row in rows:
                    ids.fromlist(row)
                    starts.append(starts[-1] + len(row))
                if file and len(ids) > 1_000_000:
                    ids.tofile(on_disk)
                    ids = array("i")
            if file:
                ids.tofile(on_disk)
        mapped = np.memmap(file, np.int32, "r") if file and starts[-1] else np.asarray(ids)
        return cls(mapped, np.asarray(starts), np.asarray(first))

    def with_labels(self, labels: np.ndarray) -> Examples:
        return replace(self, labels=labels)

    def labelled(self) -> Examples:
        """The rows that have a label; itself where all do."""
        kept = np.flatnonzero(~np.isnan(self.labels))
        if len(kept) == len(self):
            return self
        ids = [self.ids[self.starts[row] : self.starts[row + 1]] for row in kept]
        return Examples(
            np.concatenate([*ids, np.empty(0, np.int32)]),
            np.concatenate([[0], np.cumsum(self.lengths[kept])]),
            self.first[kept],
            self.labels[kept],
        )

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def batch(self, rows) -> dict[str, torch.Tensor]:
        """Rows padded to their longest: input_ids, attention_mask, token_type_ids (B, L), labels (B,), soft_targets (B, K)."""
        rows = np.asarray(rows)
        lengths = self.starts[rows + 1] - self.starts[rows]
        place = np.arange(lengths.max())[None, :]
        real = place < lengths[:, None]
        where = np.where(real, self.starts[rows][:, None] + place, 0)
        batch = {
            "input_ids": np.where(real, self.ids[where], 0).astype(
                np.int64
            ),  # 0 is [PAD] in every BERT vocabulary
            "attention_mask": real.astype(np.int64),
            "token_type_ids": (real & (place >= self.first[rows][:, None])).astype(np.int64),
        }
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        if self.soft_targets is not None:
            batch["soft_targets"] = self.soft_targets[rows]
        return {
            name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.items()
        }


class Batches:
    """The batches of each epoch: shuffled by (seed, epoch), rows of similar length together.

    `examples(epoch)` gives the epoch's data: the same each time for a task, a new file each epoch in stage 3.
    Every process sees the same batches and takes every `processes`-th row, so the global batch does not depend on them.
    """

    def __init__(self, examples, batch_size: int, seed: int, rows=None):
        """`rows(epoch)` counts an epoch's rows where `examples` would have to read a file for that."""
        self.examples = examples if callable(examples) else lambda epoch: examples
        self.rows = rows or (lambda epoch: len(self.examples(epoch)))
        self.batch_size, self.seed = batch_size, seed

    def steps(self, epoch: int) -> int:
        return -(-self.rows(epoch) // self.batch_size)

    def epoch(self, epoch: int) -> tuple[Examples, list[np.ndarray]]:
        examples = self.examples(epoch)
        return examples, bucketed(
            examples.lengths, self.batch_size, np.random.default_rng([self.seed, epoch])
        )


def bucketed(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, pool: int = 50
) -> list[np.ndarray]:
    """Row numbers in batches: shuffle, sort pools of `pool` batches by length, cut, shuffle the batches.

    Every row comes once; the last, partial batch counts.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def in_order(
    examples: Examples, batch_size: int, rows: np.ndarray | None = None, alike: float = 0.0
):
    """Batches for prediction, of all rows or some: longest first, so that memory peaks at once. Yields (row numbers, batch).

    A batch ends early where rows get shorter than `alike` times its longest.
    """
    rows = np.arange(len(examples)) if rows is None else rows
    lengths = examples.lengths
    order, start = rows[np.argsort(-lengths[rows], kind="stable")], 0
    while start < len(order):
        rows = order[start : start + batch_size]
        rows = rows[lengths[rows] >= alike * lengths[rows[0]]]
        yield rows, examples.batch(rows)
        start += len(rows)
