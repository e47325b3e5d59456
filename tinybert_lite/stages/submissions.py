"""Predictions and scores for a task's test files, and the original code's `eval_results.txt`."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import has_labels, holds_ids, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import scores
from tinybert_lite.system.files import write_atomically

GLUE_NAMES = {"test_matched": "MNLI-m", "test_mismatched": "MNLI-mm"}


def write_test_predictions(
    model: Encoder, task: Task, files: dict[str, Path], tokenizer, max_length: int, folder: Path
) -> None:
    """Write a GLUE submission file (`index⇥prediction`) for each test file that exists.

    The index is the test file's column index or id, else the row number from 0.
    """
    tests = {
        split: _test_rows(files[split], task, tokenizer, max_length)
        for split in task.test_files
        if files[split].is_file()
    }
    for split, (examples, numbers) in tests.items():
        logits = predict(model, examples)
        if task.is_regression:
            answers = [f"{task.offset + task.scale * value:.3f}" for value in logits[:, 0]]
        else:
            answers = [task.labels[i] for i in logits.argmax(1)]
        lines = [f"{number}\t{answer}\n" for number, answer in zip(numbers, answers)]
        text = "".join(["index\tprediction\n", *lines])
        write_atomically(folder / f"{GLUE_NAMES.get(split, task.name)}.tsv", text.encode("utf-8"))


def _test_rows(path: Path, task: Task, tokenizer, max_length: int) -> tuple[Examples, Iterable]:
    """Read a test file: the rows without their labels, and their index."""
    if holds_ids(path):
        return task_examples(path, task, tokenizer, max_length, labelled=False), count()
    table = read_table(path, task, labelled=False)
    examples = encode_table(table, task, tokenizer, max_length)
    for name in ("index", "id"):
        if name in table.header:
            place = table.header.index(name)
            return examples, [row.fields[place] for row in table.rows]
    return examples, count()


def scores_on_test(
    models: dict[str, Encoder], task: Task, files: dict[str, Path], tokenizer, max_length: int
) -> dict[str, dict]:
    """Scores by test file and model, on the test rows with labels; GLUE's test files have none."""
    found = {}
    for split in task.test_files:
        path = files[split]
        if not path.is_file() or holds_ids(path):
            continue
        if not has_labels(read_table(path, task, labelled=False), task):
            continue
        examples = encode_table(read_table(path, task), task, tokenizer, max_length).labelled()
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
