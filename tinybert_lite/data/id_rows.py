"""Rows as token ids from TFRecord files, as BERT's create_pretraining_data.py and run_classifier.py and their ports write them.

Every record has the int64 features input_ids, input_mask and segment_ids, padded to one length; task rows have label_ids (int64, of a
regression also float) and may have is_real_example, 0 for a row that only fills a batch. A `schema.json` beside the file, as MindData
reads it, is held against each record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.tables import holds_ids
from tinybert_lite.data.tfrecord import FLOATS, INTEGERS, Feature, features_of, records
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json

IDS, MASK, SEGMENTS, LABEL, REAL = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "label_ids",
    "is_real_example",
)
SCHEMA = "schema.json"


UNCHECKED = "of the vocabulary that they were made with only its size and its [CLS] can be checked"


@dataclass(frozen=True)
class IdRow:
    """A record without its padding."""

    ids: list[int]
    first: int  # tokens of segment A
    length: int  # with padding
    features: dict[str, Feature]
    where: str  # FILE, record N

    def __str__(self) -> str:
        return self.where

    def values(self, name: str, kinds: tuple[str, ...] = (INTEGERS,)) -> list:
        return _values(self.features, name, self.where, kinds)


def id_rows(path: Path, tokenizer, padding: list[str] | None = None) -> Iterator[IdRow]:
    """The rows of a file as they are asked for, without those that only fill a batch: they go to `padding`, or are refused.

    Raises UserError with the record for a damaged file, other features, shapes than the schema's, lengths that differ, a mask or
    segments that are none, ids beyond the vocabulary, and a row that does not begin with its [CLS].
    """
    schema, size, length = _read_schema(path.with_name(SCHEMA)), len(tokenizer), 0
    for number, data in enumerate(records(path), 1):
        where = f"{path}, record {number}"
        features = features_of(data, where)
        _check_schema(features, schema, where, path.with_name(SCHEMA))
        ids, mask, segments = (_values(features, name, where) for name in (IDS, MASK, SEGMENTS))
        length = length or len(ids)
        if not len(ids) == len(mask) == len(segments) == length:
            raise UserError(
                f"{where}: has {len(ids)} {IDS}, {len(mask)} {MASK} and {len(segments)} {SEGMENTS}, but every record of a file has "
                f"as many of each as the first, {length}; make the file again"
            )
        if REAL in features and _values(features, REAL, where) == [0]:
            if padding is None:
                raise UserError(
                    f"{where}: only fills a batch ({REAL} 0), which is for rows with labels; name a file of sequences"
                )
            padding.append(where)
            continue
        tokens = mask.count(1)
        if not tokens or mask != [1] * tokens + [0] * (length - tokens):
            raise UserError(
                f"{where}: its {MASK} is not ones for the tokens and then zeros for the padding; make the file again"
            )
        ids, segments = ids[:tokens], segments[:tokens]
        first = segments.count(0)
        if segments != [0] * first + [1] * (tokens - first):
            raise UserError(
                f"{where}: its {SEGMENTS} are not zeros for text A and then ones for text B; make the file again"
            )
        if min(ids) < 0 or max(ids) >= size:
            wrong = next(i for i in ids if not 0 <= i < size)
            raise UserError(
                f"{where}: the id {wrong} is not below {size}, the size of the model's vocabulary; use the model whose vocabulary made it"
            )
        if ids[0] != tokenizer.cls_token_id:
            raise UserError(
                f"{where}: begins with the id {ids[0]}, but [CLS] is {tokenizer.cls_token_id} in the model's vocabulary; use the model "
                f"whose vocabulary made it"
            )
        yield IdRow(ids, first, length, features, where)


def _values(
    features: dict[str, Feature], name: str, where: str, kinds: tuple[str, ...] = (INTEGERS,)
) -> list:
    if name not in features:
        raise UserError(
            f"{where}: has no feature {name!r}, it has {short(sorted(features))}; rows are what BERT's create_pretraining_data.py "
            f"and run_classifier.py write"
        )
    kind, values = features[name]
    if kind not in kinds:
        raise UserError(
            f"{where}: the feature {name!r} is a {kind}, but has to be {' or '.join(kinds)}; make the file again"
        )
    return values


def _read_schema(path: Path) -> dict[str, dict]:
    """MindData's columns: {"input_ids": {"type": "int64", "rank": 1, "shape": [128]}, …}; empty where there is no such file."""
    if not path.is_file():
        return {}
    columns = read_json(path).get("columns")
    if (
        not isinstance(columns, dict)
        or not columns
        or not all(isinstance(column, dict) for column in columns.values())
    ):
        raise UserError(
            f'{path}: has no "columns" such as {{"input_ids": {{"type": "int64", "rank": 1, "shape": [128]}}}}; mend or remove it'
        )
    for name, column in columns.items():
        shape = column.get("shape", [])
        if (
            not isinstance(shape, list)
            or not all(type(size) is int and 0 <= size < 1 << 20 for size in shape)
            or len(shape) > 4
        ):
            raise UserError(
                f"{path}: the shape {short(shape)} of the column {name!r} is no list of sizes; mend or remove it"
            )
    return columns


def _check_schema(
    features: dict[str, Feature], schema: dict[str, dict], where: str, path: Path
) -> None:
    for name, column in schema.items():
        if name not in features:
            raise UserError(
                f"{where}: has no feature {name!r}, but {path} names it as a column; mend the one or the other"
            )
        kind, values = features[name]
        wanted = next(
            (
                kind
                for sort, kind in (("int", INTEGERS), ("uint", INTEGERS), ("float", FLOATS))
                if str(column.get("type")).startswith(sort)
            ),
            kind,
        )
        shape = column.get("shape")
        if kind != wanted or shape is not None and prod(shape) != len(values):
            raise UserError(
                f"{where}: {name!r} is {len(values)} values of a {kind}, but {path} says {short(column.get('type'))} of shape {shape}; "
                f"mend the one or the other"
            )


def record_files(place: Path) -> list[Path]:
    """A TFRecord file itself, or those of a folder by their names, in which numbers count as numbers."""
    if place.is_file():
        return [place] if holds_ids(place) else []
    found = [path for path in place.glob("*") if path.is_file() and holds_ids(path)]
    return sorted(
        found,
        key=lambda path: [
            int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", path.name))
        ],
    )
