"""Read a task's rows from a file of texts or of token ids; every stage reads them here."""

from collections.abc import Callable
from pathlib import Path

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.id_rows import id_examples
from tinybert_lite.data.tables import Table, holds_ids, stream_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode_table


def task_examples(
    path: Path,
    task: Task,
    tokenizer,
    max_length: int,
    max_rows: int = 0,
    labelled: bool = True,
    read: Callable[..., Table] = stream_table,
) -> Examples:
    """Read rows with class numbers or regression targets.

    A TFRecord file, recognised by its name, holds token ids; `read` reads any other file as a table
    of texts. Raises UserError for invalid rows (see `stream_table`, `id_examples`).
    """
    if holds_ids(path):
        return id_examples(path, task, tokenizer, max_length, max_rows, labelled)
    return encode_table(read(path, task, labelled), task, tokenizer, max_length, max_rows)
