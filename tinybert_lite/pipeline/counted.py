"""The number of rows of a file, with the lengths of a sample of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tinybert_lite.data.tables import Row

MOST_TOKENS = 512  # as many as most models have positions


@dataclass(frozen=True)
class Rows:
    """Rows of texts or of tokens."""

    count: int
    lengths: np.ndarray  # (n,) int, tokens of n sampled rows, special ones included
    sample: list[Row] = field(default_factory=list)  # the sampled rows, if they are texts
    seconds_per_row: float = 0.0  # to read and tokenise a row, or to make a sequence
    bytes_per_row: float = 0.0  # in the file

    def first(self, most: int) -> Rows:
        """Return the first `most` rows; 0: all."""
        return replace(self, count=min(self.count, most or self.count))

    def mean_length(self, limit: int) -> int:
        """Return the mean number of tokens if rows are cut at `limit`, at least 3."""
        return max(3, round(float(np.minimum(self.lengths, limit).mean())))

    def max_length(self, limit: int) -> int:
        """Return the largest number of tokens if rows are cut at `limit`."""
        return int(min(self.lengths.max(), limit))
