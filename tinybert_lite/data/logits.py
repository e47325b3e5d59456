"""Read a teacher's logits from a file with one row per training row, in the same order."""

from pathlib import Path
from reprlib import repr as short

import numpy as np

from tinybert_lite.data.tables import LARGEST_NUMBER, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.system.errors import UserError, listed
from tinybert_lite.system.lines import lines_of


def read_logits(path: Path, task: Task, rows: Path) -> np.ndarray:
    """Return the logits (n, K) in `path`, one row for each row of the table `rows`.

    path: an .npy file, or a TSV whose header names the labels, in any order. Raises UserError with
    the line for a wrong number of rows or columns, an unknown label, NaN, infinity, or text.
    """
    is_array = path.suffix == ".npy"
    found = (_from_array if is_array else _from_tsv)(path, task)
    count = sum(1 for _ in stream_table(rows, task).rows)
    if len(found) != count:
        last = f"row {len(found)}" if is_array else f"line {len(found) + 1}"
        raise UserError(
            f"{path}, {last}: the file ends after {len(found)} rows of logits, but {rows} has "
            f"{count} rows; write one row of logits for each, in the same order"
        )
    return on_the_scale(found, task)


def on_the_scale(outputs: np.ndarray, task: Task) -> np.ndarray:
    """Return a teacher's outputs (n, K) as the student learns them.

    Logits are unchanged; a regression's outputs, in the labels' unit, become (output - offset) /
    scale.
    """
    return (outputs - task.offset) / task.scale if task.is_regression else outputs


def _from_array(path: Path, task: Task) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        shape, kind = found.shape, found.dtype.kind
    except Exception as error:  # NumPy raises many kinds of errors for a file that is no array
        raise UserError(
            f"{path} is not an array that NumPy can read without running code "
            f"({short(str(error))}); write it with numpy.save"
        ) from None
    if kind != "f" or shape[1:] != (task.num_labels,):
        raise UserError(
            f"{path} holds an array of shape {shape} and type {found.dtype}, but logits for "
            f"{task.name} are floats of shape (rows, {task.num_labels}); save such an array"
        )
    good = (np.abs(found.astype(np.float64)) < LARGEST_NUMBER).all(axis=1)
    if not good.all():
        raise UserError(
            f"{path}, row {int(np.argmin(good)) + 1}: holds NaN or infinity; use a teacher whose "
            f"logits are finite"
        )
    return np.array(found, np.float32)


def _from_tsv(path: Path, task: Task) -> np.ndarray:
    lines, width = lines_of(path), task.num_labels
    names = next(lines, "").split("\t")
    order = task.order_of(names) if task.labels else [0]
    if not order or len(names) != width:
        unknown = [name for name in names if task.labels and name not in task.labels]
        what = (
            f"unknown label {short(unknown[0])}"
            if unknown
            else f"{len(names)} columns {short(names)}"
        )
        raise UserError(
            f"{path}, line 1: {what}; name "
            f"{listed(task.labels) or 'one column of numbers'} in the header, in any order, "
            f"separated by tabs"
        )
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            values = [float(cell) for cell in line.split("\t")]
            if len(values) != width or not all(abs(value) < LARGEST_NUMBER for value in values):
                raise ValueError
        except ValueError:
            raise UserError(
                f"{path}, line {number}: {short(line)} is not {width} finite numbers separated by "
                f"tabs; write a logit for each label"
            ) from None
        found.append([values[place] for place in order])
    return np.array(found, np.float32).reshape(-1, width)
