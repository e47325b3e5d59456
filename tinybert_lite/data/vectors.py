"""Word vectors as text (GloVe, word2vec, fastText), and the nearest neighbours of words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from tinybert_lite.system.console import counted, remark
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of

SPACES = re.compile("[ \t]+")
HALF = re.compile("[\ud800-\udfff]")  # surrogates, into which invalid UTF-8 is decoded
CURE = (
    "put word vectors there, name others with --glove_embs, or run "
    "python -m tinybert_lite.download glove.6B"
)


class WordVectors:
    """W word vectors. words: W words · matrix: (W, D) float32, rows of Euclidean length 1."""

    def __init__(self, words: list[str], matrix: np.ndarray):
        self.words = words
        self.matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        self.place = {word: i for i, word in enumerate(words)}
        self._found: dict[tuple[str, int], list[str]] = {}

    @classmethod
    @np.errstate(over="ignore")  # a number too large for 32 bits becomes infinity, an error
    def read(cls, path: Path, most: int = 400_000) -> WordVectors:
        """Read the first `most` lines `word v1 … vD`, in GloVe's, word2vec's and fastText's form.

        Spaces and tabs separate; a word may contain spaces. If a word is duplicate, its first
        vector is used; words that are not UTF-8 are left out and counted. Raises UserError with
        file and line for a line that is not a word and its numbers, and for an empty file.
        """
        found: dict[str, np.ndarray] = {}
        broken: list[int] = []  # numbers of lines whose word is not UTF-8
        width = 0
        for number, line in enumerate(lines_of(path, CURE, errors="surrogateescape"), 1):
            cells = SPACES.sub(" ", line.rstrip(" \t")).split(" ")
            if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
                continue  # word2vec's "count width" line
            width = width or len(cells) - 1
            try:
                row = np.asarray(cells[-width:], dtype=np.float32)
            except ValueError:
                row = np.empty(0)
            if width < 2 or len(cells) <= width or len(row) != width or not np.isfinite(row).all():
                raise UserError(
                    f"{path}, line {number}: is not a word and {max(width, 2)} finite numbers; use "
                    "word vectors as text: a word and its numbers per line (GloVe, word2vec, "
                    "fastText)"
                )
            word = " ".join(cells[:-width])
            if HALF.search(word):
                broken.append(number)
                continue
            found.setdefault(word, row)
            if len(found) == most:
                remark(f"{path}: only its first {most:,} words are used")
                break
        if broken:
            remark(
                f"{path}: {counted(len(broken), 'word')} left out, not UTF-8 text; the first is in "
                f"line {broken[0]}"
            )
        if not found:
            raise UserError(f"{path} is empty: it needs lines of a word and its numbers")
        return cls(list(found), np.stack(list(found.values())))

    def neighbours(self, words: list[str], k: int, block: int = 64) -> dict[str, list[str]]:
        """Return for each known word the k nearest other words by cosine.

        Words with equal cosines are in the order of the file. `block` words are multiplied at once.
        """
        known = [word for word in dict.fromkeys(words) if word in self.place]
        new = [word for word in known if (word, k) not in self._found]
        matrix = torch.from_numpy(self.matrix)
        for start in range(0, len(new), block):
            part = new[start : start + block]
            rows = [self.place[word] for word in part]
            cosines = matrix[rows] @ matrix.T
            cosines[range(len(rows)), rows] = -torch.inf
            nearest = cosines.topk(min(k, len(self.words) - 1))
            for word, *found in zip(part, (-nearest.values).tolist(), nearest.indices.tolist()):
                self._found[word, k] = [self.words[i] for _, i in sorted(zip(*found))]
        return {word: self._found[word, k] for word in known}
