"""Predict new texts with a finished model: a label and its probability, or a regression's number.

`python -m tinybert_lite.predict` and notebooks use this file.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tinybert_lite.data.rows_to_predict import RowToPredict, Texts
from tinybert_lite.data.saved_datasets import PARQUET
from tinybert_lite.data.tokens import encode
from tinybert_lite.exports.serving import MODELS, Served
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.labels import OutputLabels
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.console import counted, remark, say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import written_beside
from tinybert_lite.system.lines import PACKED

BLOCK = 1000  # rows read, predicted and written at once
# The texts, the predicted label or number, and its probability; without texts an empty prediction
Answer = tuple[Texts | None, str, float | None]


class Predictor:
    """Predict texts with the model of a finished model folder or a serving folder.

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

    def answers(self, texts: Iterable[Texts | None]) -> Iterator[Answer]:
        """Yield a label and its probability, or a number and None, for each text or pair.

        A text or pair is (text a, text b or None); for None the prediction is empty. Texts are read
        and predicted in blocks; if reading fails, the error is raised after the predictions of the
        texts read before it.
        """
        texts, failed = iter(texts), None
        while not failed:
            block: list[Texts | None] = []
            try:
                for pair in islice(texts, BLOCK):
                    block.append(pair)
            except UserError as error:
                failed = error
            yield from self._block(block)
            if not block:
                break
        if failed:
            raise failed

    def _block(self, block: list[Texts | None]) -> Iterator[Answer]:
        given = [pair for pair in block if pair]
        texts_a, texts_b = zip(*given) if given else ((), ())
        found = iter(self.predict(list(texts_a), None if None in texts_b else list(texts_b)))
        for pair in block:
            row = next(found) if pair else None
            if row is None:
                yield pair, "", None
            elif self.labels:
                yield pair, self.labels[row.argmax()], row.max()
            else:
                yield pair, f"{row[0]:.6g}", None


def _fine_tuned(folder: ModelFolder):
    if folder.weights_file is None:
        raise UserError(
            f"{folder} holds no {'PyTorch ' if folder.served_file else ''}model: name a finished "
            "model with --student_model, or make one with run_all"
        )
    found = load_with_tokenizer(folder, projection="none")
    if found.model.output_layer is None:
        raise UserError(
            f"{folder} holds a model without a classifier, so it cannot predict; name a "
            "model of stage 5"
        )
    return found


def answered(
    predictor: Predictor, rows: Iterable[RowToPredict]
) -> Iterator[tuple[RowToPredict, Answer]]:
    """Yield each row with its prediction."""
    waiting: deque[RowToPredict] = deque()

    def texts() -> Iterator[Texts | None]:
        for row in rows:
            waiting.append(row)
            yield row.texts

    for answer in predictor.answers(texts()):
        yield waiting.popleft(), answer


def cells(answer: Answer, regression: bool = False) -> list[str]:
    """Return the columns of a prediction: label or number, probability (of a label), texts."""
    texts, said, probability = answer
    sure = "" if probability is None else f"{probability:.4f}"
    return [said, *[sure] * (not regression), *(text for text in texts or () if text is not None)]


def write_answers(
    path: Path,
    found: Iterable[tuple[RowToPredict, Answer]],
    regression: bool,
    pairs: bool,
    others: Sequence[str] = (),
) -> int:
    """Write predictions and the rows' other columns to a `.csv` or `.tsv`; return their number.

    If a row cannot be read, or at Ctrl-C, the predictions so far are kept, and the error says so.
    """
    texts = ["text_a", *["text_b"] * pairs]
    own = ["prediction", *["probability"] * (not regression), *texts]
    names = [f"given_{name}" if name in own else name for name in others]
    rows, failed = 0, None
    with written_beside(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        quoted = csv.writer(file, lineterminator="\n")

        def write(line: list[str]) -> None:
            if path.suffix == ".csv":
                quoted.writerow(line)
            else:
                file.write("\t".join(line) + "\n")

        write([*own, *names])
        try:
            for row, answer in found:
                line = cells(answer, regression)
                line += [""] * (len(own) - len(line))
                write([*line, *(row.others.get(name, "") for name in others)])
                rows += 1
        except (UserError, KeyboardInterrupt) as error:
            if not rows:
                raise
            failed = error
    if failed:
        why = str(failed) or "stopped"
        raise type(failed)(f"{why}; {counted(rows, 'prediction')} written to {path}")
    return rows


def count_lines(path: Path) -> int | None:
    """Return the number of lines below a header, about that of rows; None for a packed file."""
    if path.suffix in (*PACKED, PARQUET) or not path.is_file():
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


def say_answers(answers: Iterable[Answer], regression: bool) -> None:
    """Print one prediction per line, above a progress bar; at Ctrl-C, how many were made."""
    count = 0
    try:
        for answer in answers:
            with tqdm.external_write_mode():
                say("\t".join(cells(answer, regression)))
            count += 1
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped after {counted(count, 'prediction')}; the same command starts again from the "
            "first row"
        ) from None
