"""CLUE's tasks in their published layout, on rows of our own."""

from __future__ import annotations

import json

import pytest

from tests.layouts import CLUE, write_task_folder
from tests.makers import write_tsv
from tinybert_lite.data.clue import submission
from tinybert_lite.data.split_files import split_file
from tinybert_lite.data.tables import label_ids, read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.system.errors import UserError

LABELS = {"TNEWS": 7, "AFQMC": 0, "IFLYTEK": 110, "CMNLI": 2, "OCNLI": 2, "CSL": 0, "CLUEWSC": 1}
TEXTS = {"CSL": ("A x", "B"), "CLUEWSC": ("_甲_把[它]A", None)}


def save(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", CLUE)
def test_the_published_rows(tmp_path, name):
    task, (train, test) = TASKS[name], CLUE[name]
    (row,) = read_table(save(tmp_path / "train.json", train), task).rows
    wanted = TEXTS.get(name, ("A", "B" if task.text_b else None))
    assert (row.text_a, row.text_b) == wanted and label_ids([row], task) == [LABELS[name]]
    table = read_table(save(tmp_path / "test.json", test), task, labelled=False)
    assert (table.rows[0].text_a, table.rows[0].text_b, table.rows[0].label) == (*wanted, None)
    assert table.rows[0].fields[table.header.index("id")] == "0"


def test_the_classes_of_the_benchmark():
    assert len(TASKS["TNEWS"].labels) == 15 and not {"105", "111"} & {*TASKS["TNEWS"].labels}
    assert TASKS["TNEWS"].labels[0] == "100" and TASKS["TNEWS"].labels[-1] == "116"
    assert TASKS["IFLYTEK"].labels == tuple(str(n) for n in range(119))
    assert {TASKS[name].metric for name in CLUE} == {"accuracy"}
    assert {TASKS[name].language for name in CLUE} == {"zh"}


@pytest.mark.parametrize("name", ["CMNLI", "OCNLI"])
def test_rows_without_agreement_are_left_out_with_a_count(tmp_path, capsys, name):
    row = CLUE[name][0]
    path = save(tmp_path / "train.json", row, {**row, "label": "-"}, row)
    table = read_table(path, TASKS[name])
    assert len(table.rows) == 2 and table.skipped == [2]
    assert f"{path}: 1 row left out, because a field" in (err := capsys.readouterr().err)
    assert "the first is line 2" in err


@pytest.mark.parametrize("pronoun_first", [False, True])
def test_the_spans_of_cluewsc_are_marked_where_they_are(tmp_path, pronoun_first):
    text = "它在床上，床很好" if pronoun_first else "床很好，它在这里"
    at = (text.index("床", 4), 0) if pronoun_first else (0, text.index("它"))
    target = {"span1_text": "床", "span1_index": at[0], "span2_text": "它", "span2_index": at[1]}
    row = {"target": target, "label": "true", "text": text}
    (found,) = read_table(save(tmp_path / "train.json", row), TASKS["CLUEWSC"]).rows
    assert found.text_a == ("[它]在床上，_床_很好" if pronoun_first else "_床_很好，[它]在这里")
    for damage in ({**target, "span1_index": 3}, {"span1_text": "床"}, None):
        save(tmp_path / "train.json", {**row, "target": damage})
        with pytest.raises(UserError, match="train.json, line 1: the target .* does not name two"):
            read_table(tmp_path / "train.json", TASKS["CLUEWSC"])


def test_keywords_that_are_no_list_are_named(tmp_path):
    path = save(tmp_path / "train.json", {"abst": "a", "keyword": [1], "label": "0"})
    with pytest.raises(UserError, match=r"line 1: the keyword \[1\] is not a list of words"):
        read_table(path, TASKS["CSL"])


def test_ocnlis_training_rows_have_a_name_of_their_own(tmp_path):
    folder = write_task_folder(tmp_path, "OCNLI")
    assert split_file(folder, "train", TASKS["OCNLI"]) == folder / "train.50k.json"
    assert split_file(folder, "dev", TASKS["OCNLI"]) == folder / "dev.json"


def test_lcqmc_with_a_header_and_without(tmp_path):
    rows = [("A1", "B1", "1"), ("A2", "B2", "0")]
    for header in (None, ("text_a", "text_b", "label"), ("sentence1", "sentence2", "label")):
        for labelled, labels in ((True, ["1", "0"]), (None, ["1", "0"]), (False, [None, None])):
            path = write_tsv(tmp_path / "train.txt", rows, header)
            found = read_table(path, TASKS["LCQMC"], labelled).rows
            assert [row.label for row in found] == labels
            assert [(row.text_a, row.text_b) for row in found] == [("A1", "B1"), ("A2", "B2")]
    assert split_file(tmp_path, "train", TASKS["LCQMC"]) == path
    unlabelled = write_tsv(tmp_path / "test.txt", [row[:2] for row in rows])
    for labelled in (None, False):
        found = read_table(unlabelled, TASKS["LCQMC"], labelled).rows
        assert [row.label for row in found] == [None, None]


def test_chnsenticorp_in_clues_form(tmp_path):
    path = save(tmp_path / "train.json", {"label": "1", "sentence": "很好"})
    assert [row.text_a for row in read_table(path, TASKS["ChnSentiCorp"]).rows] == ["很好"]


def test_a_submission_is_lines_of_objects():
    assert submission(["0", "a"], ["108", "电影"]) == (
        '{"id": 0, "label": "108"}\n{"id": "a", "label": "电影"}\n'
    )
