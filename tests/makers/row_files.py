"""The same rows in files of every kind that can be read."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Value, disable_progress_bars

from tests.makers import write_tsv

disable_progress_bars()
KINDS = (
    ".tsv .csv semicolons.csv tabs.csv cr.csv .csv.gz .jsonl .ndjson lines.json array.json "
    "array.jsonl .parquet folder"
).split()


def write_kind(path: Path, kind: str, rows, columns=("sentence", "label"), names=None) -> Path:
    """Write rows as a file `path` + the kind's ending, or as the folder of a saved dataset."""
    path = path.with_name(path.name + "." + kind.rpartition(".")[2]) if "." in kind else path
    objects = [dict(zip(columns, row)) for row in rows]
    if kind == ".tsv":
        return write_tsv(path, [[" ".join(cell.split()) for cell in row] for row in rows], columns)
    if kind.endswith((".csv", ".csv.gz")):
        delimiter = {"semicolons.csv": ";", "tabs.csv": "\t"}.get(kind, ",")
        file = io.StringIO()
        writer = csv.writer(
            file, delimiter=delimiter, lineterminator="\r" if "cr" in kind else "\n"
        )
        writer.writerows([columns, *rows])
        if kind == ".csv.gz":
            path = path.with_name(path.name.replace(".gz", ".csv.gz"))
            path.write_bytes(gzip.compress(file.getvalue().encode()))
        else:
            path.write_bytes(file.getvalue().encode())
    elif "array" in kind:
        path.write_text(json.dumps(objects, indent=1), encoding="utf-8")
    elif kind in (".jsonl", ".ndjson", "lines.json"):
        path.write_text("".join(json.dumps(row) + "\n" for row in objects), encoding="utf-8")
    else:
        values = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
        features = Features({name: Value("string") for name in columns})
        if names:
            features[columns[-1]] = ClassLabel(names=names)
        data = Dataset.from_dict(values, features)
        data.to_parquet(path) if kind == ".parquet" else data.save_to_disk(path)
    return path
