"""The same rows in files of every kind: as a task's data_dir, and in Hugging Face's terms."""

from __future__ import annotations

import pytest
from datasets import Dataset, DatasetDict

from tests.makers import write_tsv
from tests.makers.row_files import KINDS, write_kind
from tinybert_lite.data import row_files
from tinybert_lite.data.left_out import left_out
from tinybert_lite.data.own_files import read_own_rows
from tinybert_lite.data.row_files import open_row_file
from tinybert_lite.data.split_files import has_rows, split_file, splits_in
from tinybert_lite.data.tables import label_ids, read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.system.errors import UserError

SST2 = TASKS["SST-2"]
ROWS = [('a "good" film', "1"), ("so bad, so dull", "0"), ("电影 it's\u2028fine", "1")]
TEXTS = ['a "good" film', "so bad, so dull", "电影 it's fine"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tasks_rows_in_a_file_of_any_kind(tmp_path, kind):
    path = write_kind(tmp_path / "train", kind, ROWS)
    assert split_file(tmp_path, "train", SST2) == path or kind == ".csv.gz"
    table = read_table(path, SST2)
    assert [row.text_a for row in table.rows] == TEXTS
    assert label_ids(table.rows, SST2) == [1.0, 0.0, 1.0] and has_rows(path)
    again = write_tsv(tmp_path / "aug.tsv", [row.fields for row in table.rows], table.header)
    assert [(r.text_a, r.label) for r in read_table(again, SST2).rows] == [
        (row.text_a, row.label) for row in table.rows
    ], "augmented rows are read by the same columns"


@pytest.mark.parametrize("kind", [".parquet", "folder"])
@pytest.mark.parametrize(
    "task, names, numbers, wanted",
    [
        ("SST-2", ["negative", "positive"], [1, 0], [1.0, 0.0]),
        ("CoLA", ["unacceptable", "acceptable"], [1, 0], [1.0, 0.0]),
        ("RTE", ["entailment", "not_entailment"], [1, 0], [1.0, 0.0]),
        ("WNLI", ["not_entailment", "entailment"], [1, 0], [1.0, 0.0]),
        ("MNLI", ["entailment", "neutral", "contradiction"], [0, 1, 2], [1.0, 2.0, 0.0]),
    ],
)
def test_the_names_of_a_class_label_are_the_tasks_labels(
    tmp_path, kind, task, names, numbers, wanted
):
    """Hugging Face numbers MNLI's classes in another order than GLUE's own scripts."""
    task = TASKS[task]
    columns = ["sentence"] if not task.text_b else ["sentence1", "sentence2"]
    columns = ["premise", "hypothesis"] if task.name == "MNLI" else columns
    rows = [(*(f"a film {n}" for _ in columns), n) for n in numbers]
    path = write_kind(tmp_path / "train", kind, rows, (*columns, "label"), names)
    assert label_ids(read_table(path, task).rows, task) == wanted


def test_a_folder_of_mixed_kinds_and_names(tmp_path):
    write_kind(tmp_path / "train", ".parquet", ROWS)
    write_kind(tmp_path / "validation", ".parquet", ROWS)
    write_kind(tmp_path / "test", ".jsonl", ROWS)
    assert [path.name for path in splits_in(tmp_path).values()] == [
        "train.parquet",
        "validation.parquet",
        "test.jsonl",
    ]
    write_kind(tmp_path / "dev", ".tsv", ROWS)
    assert split_file(tmp_path, "dev").name == "dev.tsv", "the published name comes first"
    (tmp_path / "validation_matched.csv").write_text("a\n", encoding="utf-8")
    found = split_file(tmp_path, "dev_matched", TASKS["MNLI"])
    assert found.name == "validation_matched.csv"
    assert split_file(tmp_path, "dev_mismatched").name == "dev_mismatched.tsv"


def test_the_hubs_names_of_parquet_files(tmp_path):
    write_kind(tmp_path / "train-00000-of-00001", ".parquet", ROWS)
    assert split_file(tmp_path, "train").name == "train-00000-of-00001.parquet"
    write_kind(tmp_path / "test-00000-of-00002", ".parquet", ROWS)
    with pytest.raises(UserError, match="of-00002.parquet is one of several parts; write the rows"):
        split_file(tmp_path, "test")


def test_a_saved_dataset_of_several_splits(tmp_path):
    splits = {
        name: Dataset.from_dict({"sentence": ["a film"], "label": [1]})
        for name in ("train", "validation", "test")
    }
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert splits_in(tmp_path / "saved") == {
        "train": tmp_path / "saved/train",
        "dev": tmp_path / "saved/validation",
        "test": tmp_path / "saved/test",
    }
    with pytest.raises(UserError, match="saved is a saved dataset of several parts; name one"):
        open_row_file(tmp_path / "saved")


UNLABELLED = ["-1", "", "-"]


@pytest.mark.parametrize("label", UNLABELLED)
@pytest.mark.parametrize("kind", [".tsv", ".csv", ".jsonl", ".parquet", "folder"])
def test_a_test_file_may_hold_no_labels_in_its_column(tmp_path, kind, label):
    path = write_kind(tmp_path / "test", kind, [("a film", label), ("a plot", label)])
    assert [row.label for row in read_table(path, SST2, labelled=None).rows] == [None, None]
    assert len(read_table(path, SST2, labelled=False).rows) == 2


def test_a_negative_class_number_and_score_are_no_labels(tmp_path):
    path = write_kind(tmp_path / "a", ".parquet", [("a", -1)], names=["negative", "positive"])
    assert read_table(path, SST2, labelled=None).rows[0].label is None
    stsb = TASKS["STS-B"]
    rows = write_tsv(tmp_path / "b.tsv", [("a", "b", "-1.0")], ("sentence1", "sentence2", "label"))
    assert read_table(rows, stsb, labelled=None).rows[0].label is None


def test_labels_are_needed_where_rows_are_learnt_from(tmp_path):
    for label in UNLABELLED:
        path = write_kind(tmp_path / "train", ".csv", [("a film", label)])
        with pytest.raises(
            UserError, match="train.csv, line 2: (unknown label|the column 'label')"
        ):
            read_table(path, SST2)


def test_snli_as_glue_ships_it_has_rows_with_more_fields_than_the_header(tmp_path, capsys):
    """The fields of four more annotators; the last one is the label."""
    snli, header = TASKS["SNLI"], "index sentence1 sentence2 label1 gold_label".split()
    more = ["neutral"] * 4
    rows = [
        ["0", "a0", "b", "wrong", "entailment"],
        ["1", "a1", "b", "wrong", *more, "contradiction"],
        ["2", "a2", "b", "wrong", *more, "-"],
        ["3", "a3", "b", "wrong", *more, "a tab in the text"],
        ["4", "a4", "b"],
    ]
    path = write_tsv(tmp_path / "train.tsv", rows, header)
    table = read_table(path, snli)
    assert [(row.text_a, row.label) for row in table.rows] == [
        ("a0", "entailment"),
        ("a1", "contradiction"),
    ]
    assert table.skipped == [4, 5, 6] and table.rows[1].fields == tuple(rows[1])
    assert f"{path}: 3 rows left out, because a field" in (err := capsys.readouterr().err)
    assert "the first is line 4" in err
    read_table(path, snli)
    assert "left out" not in capsys.readouterr().err, "said once"
    assert left_out([path, tmp_path]) == {str(path): {"rows": 3, "first": "line 4"}}
    assert len(read_table(path, snli, labelled=False).rows) == 5


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("a.parquet", b"<html>Sign in</html>", "is a web page"),
        ("a.parquet", b"PAR1 and no more", "cannot be read .Arrow.*; write it again"),
        ("a.parquet", None, "is missing"),
        ("a.json", b"PK\x03\x04 no", "is a zip archive"),
        ("a.json", b'[{"a": 1} {"a": 2}]', "line 1: no comma or ] follows"),
        ("a.json", b'[{"a": 1}]\n[{"a": 2}]', "line 2: text follows the array"),
        ("a.json", b'{\n"data": [{"a": 1}]}', "line 1: is not JSON"),
        ("a.csv", b"a,b\n1," + b"x" * 1_000_001, "line 2: longer than 1,000,000 bytes"),
        ("a.csv", b'a,b\n1,"' + b"x\n" * 600_000, "line 2: .* a cell of more than 1,000,000"),
    ],
)
def test_what_holds_no_rows_is_refused_in_one_sentence(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.*{says}") as error:
        list(open_row_file(tmp_path / name).rows)
    assert len(str(error.value)) < 400


def test_a_saved_dataset_whose_data_is_a_pointer_is_named(tmp_path):
    path = write_kind(tmp_path / "train", "folder", ROWS)
    (file,) = path.glob("*.arrow")
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="00001.arrow is a Git LFS pointer"):
        open_row_file(path)


def test_the_kind_of_a_file_is_asked_once_not_per_row(tmp_path, monkeypatch):
    path, asked = write_kind(tmp_path / "train", ".csv", ROWS * 20), []
    kind_of = row_files.kind_of
    monkeypatch.setattr(row_files, "kind_of", lambda path: asked.append(path) or kind_of(path))
    assert len([*read_own_rows(path, "sentence", label="label")]) == 60 > 10 * len(asked)


def test_a_long_cell_is_read(tmp_path):
    path = write_kind(tmp_path / "a", ".csv", [("x" * 900_000, "1")])
    assert len(read_table(path, SST2).rows[0].text_a) == 900_000


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    path = write_kind(tmp_path / "train", ".parquet", ROWS)
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError, match=r'package datasets, which is missing: .*"\.\[data\]"'):
        read_table(path, SST2)
