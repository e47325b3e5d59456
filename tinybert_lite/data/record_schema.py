"""MindData's `schema.json` beside TFRecord files: the kind and size of each feature.

{"columns": {"input_ids": {"type": "int64", "rank": 1, "shape": [128]}, …}}
"""

from math import prod
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.tfrecord import FLOATS, INTEGERS, Record
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json

KINDS = {
    "int": INTEGERS,
    "uint": INTEGERS,
    "float": FLOATS,
}  # type without its number of bits -> kind


def schema_file(folder: Path) -> Path:
    """Return the path of a folder's schema.json."""
    return folder / "schema.json"


def read_schema(folder: Path) -> dict[str, dict]:
    """Return the columns by name, {} without a schema. Raises UserError for an invalid schema."""
    path = schema_file(folder)
    if not path.is_file():
        return {}
    columns = read_json(path).get("columns")
    if (
        not isinstance(columns, dict)
        or not columns
        or not all(isinstance(column, dict) for column in columns.values())
    ):
        raise UserError(
            f'{path}: has no "columns" such as {{"input_ids": {{"type": "int64", "rank": 1, '
            '"shape": [128]}}; fix or remove it'
        )
    for name, column in columns.items():
        shape = column.get("shape", [])
        if (
            not isinstance(shape, list)
            or not all(type(size) is int and 0 <= size < 1 << 20 for size in shape)
            or len(shape) > 4
        ):
            raise UserError(
                f"{path}: the shape {short(shape)} of the column {name!r} is not a list of sizes; "
                "fix or remove it"
            )
    return columns


def check_record(record: Record, columns: dict[str, dict], path: Path) -> None:
    """Raise UserError if a record does not have the columns of the schema in `path`."""
    where, features = record.where, record.features
    for name, column in columns.items():
        if name not in features:
            raise UserError(
                f"{where}: has no feature {name!r}, but {path} lists it as a column; fix one of "
                "the two files"
            )
        (kind, values), of_type = features[name], str(column.get("type"))
        wanted, shape = KINDS.get(of_type.rstrip("0123456789"), kind), column.get("shape")
        if kind != wanted or shape is not None and prod(shape) != len(values):
            raise UserError(
                f"{where}: {name!r} has {len(values)} values in a {kind}, but {path} says "
                f"{short(of_type)} of shape {shape}; fix one of the two files"
            )


def write_schema(folder: Path, columns: dict[str, tuple[str, int]]) -> None:
    """Write schema.json; columns: name -> (type, number of values)."""
    found = {
        name: {"type": kind, "rank": 1, "shape": [size]} for name, (kind, size) in columns.items()
    }
    write_json(schema_file(folder), {"datasetType": "TF", "columns": found})
