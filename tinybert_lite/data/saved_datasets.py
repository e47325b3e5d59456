"""Parquet files and datasets saved with Hugging Face's `save_to_disk`, read by its own package."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tinybert_lite.system.errors import UserError, one_line
from tinybert_lite.system.first_bytes import refuse_stand_in
from tinybert_lite.system.optional import optional

PARQUET = ".parquet"
BLOCK = 1000  # rows that are converted to Python objects at once


def is_dataset(path: Path) -> bool:
    """Whether a folder holds one saved dataset, such as the part `train` of a DatasetDict."""
    return (path / "state.json").is_file() and (path / "dataset_info.json").is_file()


def is_dataset_dict(path: Path) -> bool:
    """Whether a folder holds a saved DatasetDict, with a folder per split."""
    return (path / "dataset_dict.json").is_file()


def dataset_rows(
    path: Path,
) -> tuple[list[str], Iterator[tuple[int, dict[str, object]]], dict[str, list[str]]]:
    """Return the columns, the rows with their numbers from 1, and the names of ClassLabel columns.

    Raises UserError if the package is missing, and for a missing or damaged file.
    """
    datasets = optional("datasets", "datasets", "data", "saved datasets and Parquet files are read")
    if not path.exists():
        raise UserError(f"{path} is missing: put the file there or name another")
    try:
        features, batches = (_parquet if path.is_file() else _saved)(path, datasets)
    except Exception as error:  # of pyarrow and datasets, of many kinds
        raise _damaged(path, error) from None
    names = {
        column: list(feature.names)
        for column, feature in features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return list(features), _numbered(path, batches), names


def _saved(path: Path, datasets: ModuleType):
    for file in path.glob("*.arrow"):
        refuse_stand_in(file)
    found = datasets.load_from_disk(str(path))
    return found.features, (batch.to_pylist() for batch in found.with_format("arrow").iter(BLOCK))


def _parquet(path: Path, datasets: ModuleType):
    from pyarrow.parquet import ParquetFile

    refuse_stand_in(path)
    file = ParquetFile(path)
    features = datasets.Features.from_arrow_schema(file.schema_arrow)
    return features, (batch.to_pylist() for batch in file.iter_batches(BLOCK))


def _numbered(path: Path, batches) -> Iterator[tuple[int, dict[str, object]]]:
    number = 0
    try:
        for batch in batches:
            for row in batch:
                number += 1
                yield number, row
    except (OSError, ValueError) as error:  # pyarrow's errors are these
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    if isinstance(error, UserError):
        return error
    return UserError(
        f"{path} cannot be read ({type(error).__name__}: {one_line(error)}); write it again with "
        "datasets or pandas"
    )
