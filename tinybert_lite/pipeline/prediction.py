"""What a finished model says of new texts: the label and its probability, or the number of a regression.

python -m tinybert_lite.predict --task topics "When does the reading room close?" "My card is lost."
python -m tinybert_lite.predict --task topics --file new.csv --text title --output answers.csv
python -m tinybert_lite.predict --runtime int8 --file SST-2/test.tsv
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from tinybert_lite.data.records import has_column, read_records
from tinybert_lite.data.tables import stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode
from tinybert_lite.exports.serving import MODELS, Served, fastest
from tinybert_lite.models.loading import load_bert
from tinybert_lite.models.weights import weights_file
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.console import remark
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import written_beside
from tinybert_lite.system.lines import PACKED, lines_of

BLOCK = 1000  # rows read, predicted and written at once
Texts = tuple[str, str | None]


class Predictor:
    """A finished model folder as a function of texts. `labels`: their words, in the order of the columns; none for a regression."""

    def __init__(
        self,
        folder: Path,
        device: str = "auto",
        max_length: int = 128,
        batch_size: int = 64,
        runtime: str | None = None,
    ):
        """runtime: pytorch, or onnx or int8 for a serving folder; None: pytorch, and of a serving folder the fastest there is.

        Raises UserError for a folder without a fine-tuned model.
        """
        self.max_length, self.batch_size = max_length, batch_size
        if runtime in MODELS or runtime is None and fastest(folder):
            self.model = served = Served(folder, runtime)
            self.tokenizer, self.labels, self.offset, self.scale = (
                served.tokenizer,
                served.labels,
                served.offset,
                served.scale,
            )
        else:
            self._load(folder, device)

    def _load(self, folder: Path, device: str) -> None:
        if weights_file(folder) is None:
            raise UserError(
                f"{folder} holds no model{' of PyTorch' if fastest(folder) else ''}: name a finished one with --student_model, or make it with run_all"
            )
        found = load_bert(folder, projection="none")
        if found.model.classifier is None:
            raise UserError(
                f"{folder} holds a model without a classifier, which has no answers; name one that went through stage 5"
            )
        self.model, self.tokenizer = (
            found.model.to(choose_device(device).name).eval(),
            found.tokenizer,
        )
        config, classes = self.model.config, self.model.classifier.out_features
        self.labels = (
            [str(config.id2label.get(i, i)) for i in range(classes)] if classes > 1 else []
        )
        self.offset, self.scale = (
            getattr(config, "label_offset", 0.0),
            getattr(config, "label_scale", 1.0),
        )  # of a regression

    def predict(self, texts_a: list[str], texts_b: list[str] | None = None) -> np.ndarray:
        """Probabilities (n, K) in the order of `labels`; (n, 1) numbers in the labels' unit for a regression."""
        if not texts_a:
            return np.zeros((0, max(1, len(self.labels))))
        logits = predict(
            self.model, encode(texts_a, texts_b, self.tokenizer, self.max_length), self.batch_size
        ).astype(float)
        if not self.labels:
            return logits * self.scale + self.offset
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        return exponents / exponents.sum(1, keepdims=True)

    def answers(self, texts: Iterable[Texts]) -> Iterator[tuple[Texts, str, float | None]]:
        """The texts (b is None where there is one), each with its label and the label's probability; or a number and None. Block by block."""
        texts = iter(texts)
        while block := list(islice(texts, BLOCK)):
            texts_b = [b for _, b in block]
            found = self.predict([a for a, _ in block], None if None in texts_b else texts_b)
            best = found.argmax(1)
            for pair, row, place in zip(block, found, best):
                yield (
                    (pair, self.labels[place], row[place])
                    if self.labels
                    else (pair, f"{row[0]:.6g}", None)
                )


def cells(answer: tuple[Texts, str, float | None]) -> list[str]:
    """An answer's columns: what is said, how sure (not of a number), and the texts."""
    texts, said, probability = answer
    return [
        said,
        *([] if probability is None else [f"{probability:.4f}"]),
        *(text for text in texts if text is not None),
    ]


def write_answers(path: Path, answers: Iterable, regression: bool, pairs: bool) -> int:
    """A table of answers, as `.csv` or `.tsv`, under its name when it is whole. Returns the number of rows."""
    rows = 0
    header = ["prediction", *["probability"] * (not regression), "text_a", *["text_b"] * pairs]
    with (
        written_beside(path) as part,
        open(part, "w", encoding="utf-8", newline="") as file,
    ):
        quoted = csv.writer(file, lineterminator="\n")
        for rows, line in enumerate(chain([header], map(cells, answers))):
            quoted.writerow(line) if path.suffix == ".csv" else file.write("\t".join(line) + "\n")
    return rows


def texts_of(
    path: Path, task: Task, text: str | None = None, text_b: str | None = None
) -> Iterator[Texts]:
    """A file's texts as they are asked for: of the columns that are named, else of the task's own.

    Raises UserError with file and line where a column is missing or a row does not fit.
    """
    if text:
        yield from (row.texts for row in read_records(path, text, text_b))
        return
    names = [column[0] for role, column in task.columns.items() if role != "label"]
    plain = path.suffix in (".tsv", ".txt")
    has = (
        next(lines_of(path), "").split("\t").__contains__
        if plain
        else lambda name: has_column(path, name)
    )
    columns = [next(filter(has, alike.split("|")), None) for alike in names]
    if None in columns and (task.header or not plain):
        raise UserError(
            f"{path} has no column {names[columns.index(None)].replace('|', ' or ')!r}, as {task.name}'s rows have: name its column of texts with "
            f"--text{', and that of the second texts with --text_b' if task.text_b else ''}"
        )
    if not plain:
        yield from (row.texts for row in read_records(path, *columns))
        return
    table = stream_table(
        path, task, labelled=None in columns
    )  # by GLUE's rules: some files have no header, some have rows to leave out
    yield from ((row.text_a, row.text_b) for row in table.rows)
    if table.skipped:
        remark(
            f"{path}: {len(table.skipped)} rows left out, the first in line {table.skipped[0]}: they lack a field"
        )


def count_lines(path: Path) -> int | None:
    """About as many as a file has rows below a header; None for a packed one, which would have to be unpacked for that."""
    if path.suffix in PACKED or not path.is_file():
        return None
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1
