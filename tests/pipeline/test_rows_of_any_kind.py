"""A whole run on rows as people have them: mixed kinds, rows left out, an unlabelled test set."""

from __future__ import annotations

import json

import pytest

from tests.layouts import made_up
from tests.makers.commands import call
from tests.makers.row_files import write_kind
from tests.makers.workspaces import lay_out, write_toy_vectors
from tinybert_lite.data.tasks import TASKS

COLUMNS = ("premise", "hypothesis", "label")
NAMES = ["entailment", "neutral", "contradiction"]  # Hugging Face's order


def rows(count, start, label):
    found = []
    for number in range(start, start + count):
        a, b = made_up("SNLI", number, NAMES[number % 3])
        found.append((a, b, label(number)))
    return found


@pytest.fixture
def finished(tmp_path):
    root, data = lay_out(tmp_path / "ws"), tmp_path / "data"
    data.mkdir()
    train = [*rows(36, 0, lambda n: NAMES[n % 3]), *rows(3, 100, lambda n: "-")]
    write_kind(data / "train", ".csv", train, COLUMNS)
    dev = [*rows(12, 200, lambda n: n % 3), *rows(2, 300, lambda n: -1)]
    write_kind(data / "validation", ".parquet", dev, COLUMNS, NAMES)
    write_kind(data / "test", "folder", rows(4, 400, lambda n: -1), COLUMNS, NAMES)
    vectors = write_toy_vectors(tmp_path / "toy.vec")
    text = "".join(f"{line} \n" for line in vectors.read_text(encoding="utf-8").splitlines())
    vectors.write_text(text, encoding="utf-8")
    return root, data, vectors


def test_a_run_on_mixed_kinds_of_files(finished):
    root, data, vectors = finished
    ran = call(
        f"run_all --task SNLI --data_dir {data} --workspace {root} --glove_embs {vectors} "
        "--profile smoke --device cpu --threads 1"
    )
    assert ran.code == 0, ran.err
    assert ran.err.count("3 rows left out") == 1 and ran.err.count("2 rows left out") == 1
    assert "with vectors toy.vec" in ran.out
    final, lost = (
        root / "5_task_distill_out/SNLI",
        {
            str(data / "train.csv"): {"rows": 3, "first": "line 38"},
            str(data / "validation.parquet"): {"rows": 2, "first": "row 13"},
        },
    )
    results = json.loads((final / "results.json").read_text(encoding="utf-8"))
    assert results["left_out"] == lost and results["rows"] == {"train": 36, "dev": 12}
    assert results["test"] == {}, "rows whose label is -1 have no score"
    report = (final / "report.md").read_text(encoding="utf-8")
    assert f"Left out: 3 rows of {data / 'train.csv'}; the first is line 38." in report
    tuned = json.loads((root / "teacher_model/SNLI/manifest.json").read_text(encoding="utf-8"))
    assert tuned["left_out"] == lost and tuned["metrics"]["rows"] == 36
    said = (final / "SNLI.tsv").read_text(encoding="utf-8").splitlines()
    assert len(said) == 5 and all(line.split("\t")[1] in TASKS["SNLI"].labels for line in said[1:])
