"""Word vectors in GloVe's text format, and the nearest neighbours of many words at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinybert_lite.runtime import UserError


class WordVectors:
    """words: list of W · matrix: (W, d) float32, rows of length 1."""

    def __init__(self, words: list[str], matrix: np.ndarray):
        self.words = words
        self.matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        self.place = {word: i for i, word in enumerate(words)}

    @classmethod
    def read(cls, path: Path, most: int = 400_000) -> WordVectors:
        """The first `most` rows `word v1 … vd`; a word may hold spaces. Raises UserError with the line that is wrong."""
        if not path.is_file():
            raise UserError(f"{path} is missing: put a GloVe file there, or name another with --glove_embs")
        found: dict[str, np.ndarray] = {}
        width = 0
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if not line.isprintable() and any("\udc80" <= c <= "\udcff" for c in line):
                    raise UserError(f"{path}, line {number}: not UTF-8 text; save the file as UTF-8")
                cells = line.rstrip("\r\n").split(" ")
                if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
                    continue  # word2vec's "count width" line
                width = width or len(cells) - 1
                try:
                    row = np.asarray(cells[-width:], dtype=np.float32)
                except ValueError:
                    row = np.empty(0)
                if width < 2 or len(cells) <= width or len(row) != width or not np.isfinite(row).all():
                    raise UserError(f"{path}, line {number}: not a word and {max(width, 2)} numbers; is this a GloVe text file?")
                found.setdefault(" ".join(cells[:-width]), row)  # the first, most frequent, of two that are spelt alike
                if len(found) == most:
                    break
        if not found:
            raise UserError(f"{path} is empty: it needs lines of a word and its numbers")
        return cls(list(found), np.stack(list(found.values())))

    def neighbours(self, words: list[str], k: int, block: int = 256) -> dict[str, list[str]]:
        """The k nearest words by cosine for each known word, itself left out: one matrix product a block of words."""
        known = list(dict.fromkeys(word for word in words if word in self.place))
        found = {}
        for start in range(0, len(known), block):
            part = known[start:start + block]
            rows = [self.place[word] for word in part]
            cosines = self.matrix[rows] @ self.matrix.T
            cosines[np.arange(len(rows)), rows] = -np.inf
            k_here = min(k, len(self.words) - 1)
            nearest = np.argpartition(-cosines, k_here - 1, axis=1)[:, :k_here]
            for word, cosine, places in zip(part, cosines, nearest):
                found[word] = [self.words[i] for i in sorted(places, key=lambda i: (-cosine[i], i))]
        return found
