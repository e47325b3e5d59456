"""The rows, word vectors and text that a run will read: opened, checked and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from tinybert_lite.data.id_rows import id_examples
from tinybert_lite.data.split_files import has_rows
from tinybert_lite.data.tables import Table, holds_ids, label_ids, read_table, stream_table
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.data.tokens import encode
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.models.tokenizers import has_pieces, load_tokenizer
from tinybert_lite.pipeline.corpus_sample import CorpusSample
from tinybert_lite.pipeline.counted import MOST_TOKENS, Rows
from tinybert_lite.pipeline.folders import CLASSROOM
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import all_labelled
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage
from tinybert_lite.stages.task_training import need_labels
from tinybert_lite.system.outputs import read_manifest

SAMPLE_ROWS = 500  # rows whose tokens are counted


@dataclass(frozen=True)
class Inputs:
    """What the stages and the report read."""

    tokenizer: object
    rows: dict[str, Rows]  # by split, such as "train"
    tests: list[Rows]
    vectors: WordVectors | None = None
    vectors_seconds: float = 0.0  # time to read them
    corpus: CorpusSample | None = None  # None: no stage reads text
    # Whether stage 1 has a masked-LM head; true also if the model is still to be pre-trained.
    masked_lm: bool = True

    def those(self, splits: Iterable[str]) -> list[Rows]:
        """Return the rows of these splits, in order, without those that were not read."""
        return [self.rows[split] for split in splits if split in self.rows]


def read_inputs(
    stages: list[Stage], report: bool, workspace: Workspace, settings: Settings
) -> Inputs:
    """Read the inputs of these stages, and with `report` those of the report.

    Every row of train, dev and test files is checked, every line of word vectors, and of a corpus
    the head, the middle and the tail of each file. Raises UserError as the stages would.
    """
    reads = {name: path for stage in stages for name, path in stage.reads(workspace).items()}
    names = {stage.name for stage in stages}
    reader = Reader(workspace, settings, [*names, *["task_distill_out"] * report])
    rows = _task_rows(reader, reads, "data_augmentation" in names, report)
    started = time.perf_counter()
    vectors = WordVectors.read(reads["vectors"]) if "vectors" in reads else None
    seconds, corpus = time.perf_counter() - started, None
    if names & {"pretrain", "pregenerate_training_data"}:
        split = settings.pregenerate_training_data.split_sentences
        corpus = CorpusSample.read(workspace.corpora, workspace.task.language, split)
    tests = _tests(reader) if report else []
    masked_lm = not workspace.augmentation_model.has_config or (
        workspace.augmentation_model.has_masked_lm
    )
    return Inputs(reader.tokenizer, rows, tests, vectors, seconds, corpus, masked_lm)


def _task_rows(
    reader: Reader, reads: dict[str, Path], augmenting: bool, report: bool
) -> dict[str, Rows]:
    """Read the task's files among `reads`, and the rows of stages 4 and 5 if they exist.

    If they do not exist yet, the training rows are read in their place."""
    workspace, rows = reader.workspace, reads.get("rows")
    own = rows and rows != workspace.data_file("train") and has_rows(rows) and not augmenting
    found = {
        split: reader.rows(path, _dev if split in workspace.task.dev_files else reader.train)
        for split, path in workspace.task_files.items()
        if report or split in reads or split == "train" and rows and not own
    }
    if own:
        found["rows"] = _augmented(reader, rows)
    return found


def _augmented(reader: Reader, path: Path) -> Rows:
    """Read a user's augmented rows; of those of stage 1 only the first 10 × SAMPLE_ROWS."""
    made = (read_manifest(reader.workspace.augmentation) or {"metrics": {}})["metrics"]
    count = made.get("augmented_rows")

    def some(path: Path, task: Task) -> Table:
        table = stream_table(path, task)  # augmented rows repeat their ids
        return replace(table, rows=list(islice(table.rows, 10 * SAMPLE_ROWS if count else None)))

    rows = reader.rows(path, some)
    return replace(rows, count=count or rows.count)


def _tests(reader: Reader) -> list[Rows]:
    workspace, task = reader.workspace, reader.workspace.task
    own = {split: workspace.data_file(split) for split in task.test_files}
    sets = [(task, own), *([workspace.diagnostic] if task.diagnostic else [])]
    return [
        reader.rows(path, _test, its_task, labelled=False)
        for its_task, files in sets
        for path in files.values()
        if has_rows(path)
    ]


@dataclass(frozen=True)
class Reader:
    """Read and count the files of a task, for these stages (names)."""

    workspace: Workspace
    settings: Settings
    stages: list[str]

    @cached_property
    def tokenizer(self):
        return load_tokenizer(known_vocabulary(self.workspace), self.settings.lower_case)

    def train(self, path: Path, task: Task) -> Table:
        """Read training rows. Raises UserError if a stage learns from labels and there are none."""
        table = read_table(path, task)
        for name in {"finetune_teacher", "baseline"} & {*self.stages}:
            first = table.rows[: getattr(self.settings, name).max_rows or None]
            labels = np.array(label_ids(first, task))
            need_labels(labels[~np.isnan(labels)], task, path)
        return table

    def rows(
        self, path: Path, read: Callable, task: Task | None = None, labelled: bool = True
    ) -> Rows:
        """Read all rows of a file with `read`, (path, task) -> Table, and tokenise some of them."""
        task, started = task or self.workspace.task, time.perf_counter()
        texts_needed = read == self.train and "data_augmentation" in self.stages
        if holds_ids(path) and not texts_needed:
            options = (getattr(self.settings, name) for name in self.stages)
            most = min(getattr(each, "max_seq_length", MOST_TOKENS) for each in options)
            examples = id_examples(path, task, self.tokenizer, most, labelled=labelled)
            return Rows(len(examples), examples.lengths)
        rows = read(path, task).rows
        read_at = time.perf_counter()
        some = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, SAMPLE_ROWS).astype(int))]
        texts_b = [row.text_b for row in some] if task.text_b else None
        lengths = encode([row.text_a for row in some], texts_b, self.tokenizer, MOST_TOKENS).lengths
        seconds = (read_at - started) / len(rows) + (time.perf_counter() - read_at) / len(some)
        size = sum(file.stat().st_size for file in [path, *path.glob("*")] if file.is_file())
        return Rows(len(rows), lengths, some, seconds, size / len(rows))


def known_vocabulary(workspace: Workspace) -> Path:
    """Return the run's tokenizer; until a teacher is pre-trained, that of the shipped teacher."""
    own = Path(workspace.vocabulary)
    shipped = workspace.shipped(workspace.teacher_home) / CLASSROOM / "vocab.txt"
    return own if own.is_file() or has_pieces(own) else shipped


def _dev(path: Path, task: Task) -> Table:
    table = all_labelled(path, task)
    if len(table.rows) > 1:
        need_two_classes(label_ids(table.rows, task), task, path)
    return table


def _test(path: Path, task: Task) -> Table:
    """Read a test file, and check its labels if it has any."""
    return read_table(path, task, labelled=None)
