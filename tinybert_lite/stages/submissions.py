"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from pathlib import Path

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import has_labels, holds_ids, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.method.encoder import Bert
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import scores
from tinybert_lite.system.files import write_atomically


def write_test_predictions(
    model: Bert, task: Task, files: dict[str, Path], tokenizer, max_length: int, folder: Path
) -> None:
    """GLUE submission files (`index⇥prediction`) for the test files there are; the index is the file's own, or counts from 0."""
    names = {"test_matched": "MNLI-m", "test_mismatched": "MNLI-mm"}
    tests = {
        split: _test_rows(files[split], task, tokenizer, max_length)
        for split in task.test_files
        if files[split].is_file()
    }
    for split, (examples, numbers) in tests.items():
        logits = predict(model, examples)
        answers = (
            [f"{task.offset + task.scale * value:.3f}" for value in logits[:, 0]]
            if task.is_regression
            else [task.labels[i] for i in logits.argmax(1)]
        )
        text = "index\tprediction\n" + "".join(
            f"{number}\t{answer}\n" for number, answer in zip(numbers, answers)
        )
        write_atomically(folder / f"{names.get(split, task.name)}.tsv", text.encode("utf-8"))


def _test_rows(path: Path, task: Task, tokenizer, max_length: int) -> tuple[Examples, Iterable]:
    """The rows without labels, and what they are numbered by."""
    if holds_ids(path):
        return task_examples(path, task, tokenizer, max_length, labelled=False), count()
    table = read_table(path, task, labelled=False)
    place = next(
        (table.header.index(name) for name in ("index", "id") if name in table.header), None
    )
    return encode_table(table, task, tokenizer, max_length), count() if place is None else [
        row.fields[place] for row in table.rows
    ]


def scores_on_test(
    models: dict[str, Bert], task: Task, files: dict[str, Path], tokenizer, max_length: int
) -> dict[str, dict]:
    """Scores by test file and model, on the rows of the test files that carry labels; GLUE's own do not."""
    found = {}
    for split in task.test_files:
        if (
            files[split].is_file()
            and not holds_ids(files[split])
            and has_labels(read_table(files[split], task, labelled=False), task)
        ):
            examples = encode_table(
                read_table(files[split], task), task, tokenizer, max_length
            ).labelled()
            if len(examples):
                found[split] = {
                    name: scores(task, predict(model, examples), examples.labels)
                    for name, model in models.items()
                }
    return found


def write_eval_results(folder: Path, scores: dict[str, float], steps: int) -> None:
    """`eval_results.txt` as the original's `key = value` lines."""
    lines = [f"{key} = {value}" for key, value in sorted({**scores, "global_step": steps}.items())]
    write_atomically(folder / "eval_results.txt", ("\n".join(lines) + "\n").encode("utf-8"))
