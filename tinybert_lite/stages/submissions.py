"""Predictions and scores for a task's test files, and the original code's `eval_results.txt`."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.clue import submission
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.sheets import IDS
from tinybert_lite.data.split_files import has_rows
from tinybert_lite.data.tables import holds_ids, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import scores
from tinybert_lite.system.console import counted, remark
from tinybert_lite.system.files import write_atomically

GLUE_NAMES = {"test_matched": "MNLI-m", "test_mismatched": "MNLI-mm"}


def write_test_predictions(
    model: Encoder, task: Task, files: dict[str, Path], tokenizer, max_length: int, folder: Path
) -> None:
    """Write a submission file for each test file that exists, in GLUE's form or in CLUE's.

    GLUE: lines `index⇥prediction`; CLUE: objects of id and label. The index is the test file's
    column index or id, else the row number from 0.
    """
    tests = {
        split: _test_rows(files[split], task, tokenizer, max_length)
        for split in task.test_files
        if has_rows(files[split])
    }
    for split, (examples, numbers) in tests.items():
        logits = predict(model, examples)
        if task.is_regression:
            predicted = [f"{task.offset + task.scale * value:.3f}" for value in logits[:, 0]]
        else:
            predicted = [task.labels[i] for i in logits.argmax(1)]
        if task.submission:
            name, text = task.submission, submission(numbers, predicted)
        else:
            name = f"{GLUE_NAMES.get(split, task.name)}.tsv"
            lines = [f"{number}\t{label}\n" for number, label in zip(numbers, predicted)]
            text = "".join(["index\tprediction\n", *lines])
        write_atomically(folder / name, text.encode("utf-8"))


def _test_rows(path: Path, task: Task, tokenizer, max_length: int) -> tuple[Examples, Iterable]:
    """Read a test file: the rows without their labels, and their index."""
    if holds_ids(path):
        return task_examples(path, task, tokenizer, max_length, labelled=False), count()
    table = read_table(path, task, labelled=False)
    examples = encode_table(table, task, tokenizer, max_length)
    for name in IDS:
        if name in (table.header or ()):
            place = table.header.index(name)
            return examples, [row.fields[place] for row in table.rows]
    return examples, count()


def scores_on_test(
    models: dict[str, Encoder], task: Task, files: dict[str, Path], tokenizer, max_length: int
) -> dict[str, dict]:
    """Return scores by test file and model, on test rows with labels; GLUE's have none, or -1."""
    found = {}
    for split in task.test_files:
        path = files[split]
        if not has_rows(path) or holds_ids(path):
            continue
        every = encode_table(read_table(path, task, labelled=None), task, tokenizer, max_length)
        examples = every.labelled()
        if len(every) > len(examples) > 0:
            remark(
                f"{path}: {counted(len(every) - len(examples), 'row')} without a label, not scored"
            )
        if len(examples):
            found[split] = {
                name: scores(task, predict(model, examples), examples.labels)
                for name, model in models.items()
            }
    return found


def write_eval_results(folder: Path, scores: dict[str, float], steps: int) -> None:
    """Write `eval_results.txt` in the original code's `key = value` lines."""
    lines = [
        f"{key} = {value}\n" for key, value in sorted({**scores, "global_step": steps}.items())
    ]
    write_atomically(folder / "eval_results.txt", "".join(lines).encode("utf-8"))
