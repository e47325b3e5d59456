"""Predict new texts with a finished model: a label and its probability, or a regression's number.

`python -m tinybert_lite.predict` and notebooks use this file.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tinybert_lite.data.own_files import columns_of, read_own_rows
from tinybert_lite.data.tables import stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode
from tinybert_lite.exports.serving import MODELS, Served
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.labels import OutputLabels
from tinybert_lite.models.loading import load_bert
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import written_beside
from tinybert_lite.system.lines import PACKED, lines_of

BLOCK = 1000  # rows read, predicted and written at once
Texts = tuple[str, str | None]
Answer = tuple[
    Texts, str, float | None
]  # the texts, the predicted label or number, its probability


class Predictor:
    """Predicts texts with the model of a finished model folder or a serving folder.

    labels: the K labels in the order of the outputs; empty for a regression.
    """

    def __init__(
        self,
        folder: ModelFolder | Path,
        device: str = "auto",
        max_length: int = 128,
        batch_size: int = 64,
        runtime: str | None = None,
    ):
        """runtime: pytorch, or onnx or int8 for a serving folder; default: the fastest there is.

        Raises UserError for a folder without a fine-tuned model.
        """
        self.max_length, self.batch_size = max_length, batch_size
        folder = ModelFolder.at(folder)
        if runtime in MODELS or runtime is None and folder.served_file:
            self.model = found = Served(folder, runtime)
            self.outputs = found.labels
        else:
            found = _fine_tuned(folder)
            self.model = found.model.to(choose_device(device).name).eval()
            self.outputs = OutputLabels.of(self.model)
        self.tokenizer, self.labels = found.tokenizer, self.outputs.words

    def predict(self, texts_a: list[str], texts_b: list[str] | None = None) -> np.ndarray:
        """Return probabilities (n, K) in the order of `labels`; for a regression numbers (n, 1)."""
        if not texts_a:
            return np.zeros((0, max(1, len(self.labels))))
        examples = encode(texts_a, texts_b, self.tokenizer, self.max_length)
        logits = predict(self.model, examples, self.batch_size).astype(float)
        if not self.labels:
            return logits * self.outputs.scale + self.outputs.offset
        return torch.from_numpy(logits).softmax(1).numpy()

    def answers(self, texts: Iterable[Texts]) -> Iterator[Answer]:
        """Yield a label and its probability, or a number and None, for each text or pair.

        A text or pair is (text a, text b or None). Texts are read and predicted block by block.
        """
        texts = iter(texts)
        while block := list(islice(texts, BLOCK)):
            texts_a, texts_b = zip(*block)
            found = self.predict(list(texts_a), None if None in texts_b else list(texts_b))
            for pair, row, best in zip(block, found, found.argmax(1)):
                if self.labels:
                    yield pair, self.labels[best], row[best]
                else:
                    yield pair, f"{row[0]:.6g}", None


def _fine_tuned(folder: ModelFolder):
    if folder.weights_file is None:
        raise UserError(
            f"{folder} holds no {'PyTorch ' if folder.served_file else ''}model: name a finished "
            "model with --student_model, or make one with run_all"
        )
    found = load_bert(folder, projection="none")
    if found.model.classifier is None:
        raise UserError(
            f"{folder} holds a model without a classifier, so it cannot predict; name a "
            "model of stage 5"
        )
    return found


def cells(answer: Answer) -> list[str]:
    """The columns of a prediction: label or number, probability (of a label), and the texts."""
    texts, said, probability = answer
    sure = [] if probability is None else [f"{probability:.4f}"]
    return [said, *sure, *(text for text in texts if text is not None)]


def write_answers(path: Path, answers: Iterable[Answer], regression: bool, pairs: bool) -> int:
    """Write predictions to a `.csv` or `.tsv` in one step; return the number of rows."""
    header = ["prediction", *["probability"] * (not regression), "text_a", *["text_b"] * pairs]
    rows = -1  # the header is not a row
    with written_beside(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        quoted = csv.writer(file, lineterminator="\n")
        for line in chain([header], map(cells, answers)):
            if path.suffix == ".csv":
                quoted.writerow(line)
            else:
                file.write("\t".join(line) + "\n")
            rows += 1
    return rows


def texts_of(
    path: Path, task: Task, text: str | None = None, text_b: str | None = None
) -> Iterator[Texts]:
    """Yield a file's texts row by row, from the named columns or else from the task's columns.

    Raises UserError with file and line if a column is missing or a row does not fit.
    """
    if text:
        yield from (row.texts for row in read_own_rows(path, text, text_b))
        return
    plain = path.suffix in (".tsv", ".txt")
    header = next(lines_of(path), "").split("\t") if plain else columns_of(path)
    wanted = [names for role, names in task.columns.items() if role != "label"]
    columns = [next((n for n in names.split("|") if n in header), None) for names in wanted]
    if None in columns and not (task.places and plain):
        raise UserError(
            f"{path} has no column {wanted[columns.index(None)].replace('|', ' or ')!r}, as "
            f"{task.name}'s rows have: name its column of texts with --text"
            f"{', and that of the second texts with --text_b' if task.text_b else ''}"
        )
    if not plain:
        yield from (row.texts for row in read_own_rows(path, *columns))
        return
    # GLUE's rules: some files have no header, some have rows to skip
    table = stream_table(path, task, labelled=None in columns)
    yield from ((row.text_a, row.text_b) for row in table.rows)
    if table.skipped:
        remark(
            f"{path}: {len(table.skipped)} rows skipped, the first in line {table.skipped[0]}: a "
            "field is missing"
        )


def count_lines(path: Path) -> int | None:
    """Count the lines below a header, about the number of rows; None for a packed file."""
    if path.suffix in PACKED or not path.is_file():
        return None
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1


def answering_folder(given: str | None, runtime: str | None, workspace: Workspace) -> ModelFolder:
    """Return the model folder to predict with: `given`, else that of the task's finished student.

    For the runtimes onnx and int8 it is the student's serving folder, with a warning if it is
    stale.
    """
    if given:
        return local_folder(given)
    finished = ModelFolder(workspace.final_student)
    if runtime not in MODELS:
        return finished
    student, served = finished.weights_file, workspace.serving / MODELS[runtime]
    if student and served.is_file() and student.stat().st_mtime > served.stat().st_mtime:
        remark(
            f"warning: {served} is older than {student}; "
            "update it with python -m tinybert_lite.export --format serving"
        )
    return ModelFolder(workspace.serving)


def say_answers(answers: Iterable) -> None:
    """Print one prediction per line, above a progress bar."""
    for answer in answers:
        with tqdm.external_write_mode():
            say("\t".join(cells(answer)))
