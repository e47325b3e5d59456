"""Find the file of a task's training, dev or test rows in a folder, whatever its kind."""

import re
from collections.abc import Iterator
from pathlib import Path

from tinybert_lite.data.row_files import KINDS
from tinybert_lite.data.saved_datasets import PARQUET, is_dataset
from tinybert_lite.data.tables import TFRECORD_SUFFIXES
from tinybert_lite.data.tasks import Task
from tinybert_lite.system.errors import UserError

SPLITS = ("train", "dev", "test")
OTHER_NAMES = {"dev": ("validation", "valid", "val")}  # other names of the dev split


def has_rows(path: Path) -> bool:
    """Whether the path is a file, or the folder of a saved dataset."""
    return path.is_file() or is_dataset(path)


def split_file(folder: Path, split: str, task: Task | None = None) -> Path:
    """Return the file of a split; if there is none, the path of split.tsv.

    It is the first that exists of split.tsv, the task's published name, the other kinds, TFRecords.
    `validation` is `dev`. A dataset saved with `save_to_disk` has a folder per split. TFRecord
    files have the split's name or that of BERT's run_classifier.py, which writes only the matched
    rows of MNLI. Raises UserError for a Parquet file in several parts.
    """
    return next(filter(has_rows, _candidates(folder, split, task)), folder / f"{split}.tsv")


def splits_in(folder: Path) -> dict[str, Path]:
    """Return the files of the splits that a folder holds, by split."""
    found = {split: split_file(folder, split) for split in SPLITS}
    return {split: path for split, path in found.items() if has_rows(path)}


def _candidates(folder: Path, split: str, task: Task | None) -> Iterator[Path]:
    kind, _, part = split.partition("_")
    names = [split, *("_".join(filter(None, (n, part))) for n in OTHER_NAMES.get(kind, ()))]
    yield folder / f"{split}.tsv"
    yield from (
        folder / name for known, name in (task.other_files if task else ()) if known == split
    )
    for name in names:
        yield from (folder / f"{name}{suffix}" for suffix in KINDS)
        if is_dataset(folder / name):
            yield folder / name
        yield from _shards(folder, name)
    googles = split.replace("dev", "eval").replace("test", "predict")
    for name in dict.fromkeys((split, googles, googles.removesuffix("_matched"))):
        yield from (folder / f"{name}{suffix}" for suffix in TFRECORD_SUFFIXES)


def _shards(folder: Path, name: str) -> Iterator[Path]:
    """Yield files with the Hugging Face hub's names, such as train-00000-of-00001.parquet."""
    for path in sorted(folder.glob(f"{name}-*-of-*{PARQUET}")):
        if re.search(r"-0+-of-0*1\.parquet$", path.name):
            yield path
        else:
            raise UserError(
                f"{path} is one of several parts; write the rows into one file {name}{PARQUET}"
            )
