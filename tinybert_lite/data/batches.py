"""Token sequences in flat arrays, and batches of sequences of similar length."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch


@dataclass(frozen=True)
class Examples:
    """n token sequences, stored one after the other in a flat array: 4 bytes per token."""

    ids: np.ndarray  # (tokens,) int32
    starts: np.ndarray  # (n + 1,) int64; row i is ids[starts[i]:starts[i + 1]]
    first: np.ndarray  # (n,) int32, number of tokens in segment A
    labels: np.ndarray | None = None  # (n,) float32: class numbers or regression targets
    soft_targets: np.ndarray | None = None  # (n, K) float32, the teacher's logits

    @classmethod
    def joined(
        cls, blocks: Iterable[tuple[list[list[int]], list[int]]], file: Path | None = None
    ) -> Examples:
        """Join blocks of (rows of ids, number of tokens of segment A in each row).

        Only one block is in memory at a time. With `file` the ids are written to that file and
        memory-mapped, so they may be larger than the memory.
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
        """Return the same rows with these labels, (n,) float32."""
        return replace(self, labels=labels)

    def labelled(self) -> Examples:
        """Return the rows with a label, without soft targets; `self` if every row has a label."""
        kept, lengths = ~np.isnan(self.labels), self.lengths
        if kept.all():
            return self
        starts = np.concatenate([[0], np.cumsum(lengths[kept])])
        ids = self.ids[np.repeat(kept, lengths)]
        return Examples(ids, starts, self.first[kept], self.labels[kept])

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each row, (n,) int64."""
        return np.diff(self.starts)

    def row(self, number: int) -> np.ndarray:
        """Return the ids of one row, (L,) int32."""
        return self.ids[self.starts[number] : self.starts[number + 1]]

    def batch(self, rows) -> dict[str, torch.Tensor]:
        """Return a batch of the given rows, padded to the longest: B rows, L tokens.

        input_ids, attention_mask, token_type_ids: (B, L) int64 · labels: (B,) and soft_targets:
        (B, K), both float32 and only if the examples have them.
        """
        rows = np.asarray(rows)
        starts = self.starts[rows][:, None]
        lengths = self.starts[rows + 1][:, None] - starts
        place = np.arange(lengths.max())
        real = place < lengths
        batch = {  # 0 is [PAD] in a BERT's vocabulary; `Encoder` replaces it by its own
            "input_ids": np.where(real, self.ids[np.where(real, starts + place, 0)], 0),
            "attention_mask": real,
            "token_type_ids": real & (place >= self.first[rows][:, None]),
        }
        tensors = {name: torch.from_numpy(found.astype(np.int64)) for name, found in batch.items()}
        for name in ("labels", "soft_targets"):
            if (found := getattr(self, name)) is not None:
                tensors[name] = torch.from_numpy(np.ascontiguousarray(found[rows]))
        return tensors


class Batches:
    """The batches of each epoch, shuffled by (seed, epoch), with rows of similar length together.

    Every process sees the same batches and takes its share of each one's rows, so the global batch
    does not depend on the number of processes.
    """

    def __init__(self, examples, batch_size: int, seed: int, rows=None):
        """examples: an `Examples`, or a function epoch -> Examples (stage 3: one file per epoch).

        rows: a function that counts an epoch's rows without reading its file.
        """
        self.examples = examples if callable(examples) else lambda epoch: examples
        self.rows = rows or (lambda epoch: len(self.examples(epoch)))
        self.batch_size, self.seed = batch_size, seed

    def steps(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.rows(epoch) // self.batch_size)

    def epoch(self, epoch: int) -> tuple[Examples, list[np.ndarray]]:
        """Return the epoch's examples, and the row numbers of each batch, (B,) each."""
        examples, rng = self.examples(epoch), np.random.default_rng([self.seed, epoch])
        return examples, bucketed(examples.lengths, self.batch_size, rng)


def bucketed(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, pool: int = 50
) -> list[np.ndarray]:
    """Divide the row numbers into batches of rows of similar length, in random order.

    Rows are shuffled, pools of `pool` batches are sorted by length and divided, and the batches are
    shuffled. lengths: (n,). Every row is in one batch; one batch may be smaller.
    """
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), pool * batch_size):
        part = order[start : start + pool * batch_size]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def in_order(
    examples: Examples, batch_size: int, rows: np.ndarray | None = None, similar: float = 0.0
) -> Iterator[tuple[np.ndarray, dict[str, torch.Tensor]]]:
    """Yield (row numbers (B,), batch) for prediction, the longest rows first.

    rows: the rows to read, by default all. As the first batch is the largest, too little memory
    is noticed at once. A batch has no row shorter than `similar` times its longest row.
    """
    rows = np.arange(len(examples)) if rows is None else rows
    lengths = examples.lengths
    order, start = rows[np.argsort(-lengths[rows], kind="stable")], 0
    while start < len(order):
        rows = order[start : start + batch_size]
        rows = rows[lengths[rows] >= similar * lengths[rows[0]]]
        yield rows, examples.batch(rows)
        start += len(rows)
