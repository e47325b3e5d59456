"""GLUE's files as they are: columns of every task, damaged rows by file and line."""

import math
import random

import pytest

from tests.layouts import CLUE, MNLI_PARSES, PUBLISHED, split
from tests.makers import write_tsv
from tinybert_lite.data.tables import label_ids, read_table, stream_table
from tinybert_lite.data.tasks import OWN, TASKS, find_task, need_two_classes, own_task
from tinybert_lite.system.errors import UserError

LABEL_IDS = {"STS-B": 3.25, "MNLI": 2.0, "AX": 2.0, "SNLI": 2.0, "XNLI-zh": 2.0}
TEXTS = {"A": 'the film isn\'t "good"', "B": "a river, not a bank"}


def row(task):
    return [TEXTS.get(cell, cell) for cell in split(PUBLISHED[task][1])]


def rows_of(task, count):
    """The task's row so many times, each with a number of its own where it has one."""
    header = split(PUBLISHED[task][0]) or [""]
    return [
        [str(n), *row(task)[1:]] if header[0] in ("index", "id") else row(task)
        for n in range(count)
    ]


def expected_b(task):
    return TEXTS["B"] if TASKS[task].text_b else None


def sst2(path, text, labelled=True):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, TASKS["SST-2"], labelled)


def refused(path, text, says, task="SST-2"):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as error:
        read_table(path, TASKS[task])
    assert str(path) in str(error.value) and says in str(error.value)


def test_all_tasks_are_known():
    others = {name for name in TASKS if name.startswith("XNLI") and name != "XNLI-zh"}
    assert {*TASKS} - others == {*PUBLISHED, *CLUE}
    assert len([name for name in TASKS if name.startswith("XNLI-")]) == 15


def test_xnli_reads_its_own_language_alone(tmp_path):
    """Rows as in xnli.dev.tsv, with all languages, and as in its translated training rows."""
    header = ["language", "gold_label", "sentence1", "sentence2", "pairID"]
    rows = [
        ["ar", "neutral", "a", "b", "1"],
        ["zh", "entailment", "甲", "乙", "1"],
        ["zh", "contradiction", "丙", "丁", "2"],
    ]
    task = find_task("xnli-ZH")
    table = read_table(write_tsv(tmp_path / "xnli.dev.tsv", rows, header), task)
    assert [(row.text_a, row.label, row.line) for row in table.rows] == [
        ("甲", "entailment", 3),
        ("丙", "contradiction", 4),
    ]
    with pytest.raises(UserError, match="no rows whose language is de"):
        read_table(tmp_path / "xnli.dev.tsv", find_task("XNLI-de"))
    train = write_tsv(
        tmp_path / "multinli.train.zh.tsv",
        [["甲", "乙", "contradictory"]],
        ["premise", "hypo", "label"],
    )
    assert label_ids(read_table(train, task).rows, task) == [0.0]


def test_rows_without_agreement_are_counted_and_left_out(tmp_path):
    """SNLI as its authors publish it: the label "-" where annotators did not agree."""
    header = f"gold_label {MNLI_PARSES} sentence1 sentence2 captionID pairID label1".split()
    rows = [
        [label, *"wxyz", f"A{n}", "B", "c", "p", "neutral"]
        for n, label in enumerate(("neutral", "-", "entailment"))
    ]
    table = read_table(write_tsv(tmp_path / "snli_1.0_dev.txt", rows, header), TASKS["SNLI"])
    assert [row.text_a for row in table.rows] == ["A0", "A2"] and table.skipped == [3]
    assert (
        len(read_table(tmp_path / "snli_1.0_dev.txt", TASKS["SNLI"], labelled=False).rows) == 3
    ), "a test file needs all of its rows"


def test_a_task_of_ones_own(tmp_path):
    path = tmp_path / "topics" / OWN
    path.parent.mkdir()
    path.write_text(
        '{"name": "topics", "labels": ["sports", "science"], "metric": "macro_f1"}',
        encoding="utf-8",
    )
    task = find_task("topics", path.parent)
    assert (task.own, task.labels, task.metric, task.text_b, task.language) == (
        True,
        ("sports", "science"),
        "macro_f1",
        None,
        "en",
    )
    table = read_table(
        write_tsv(path.with_name("train.tsv"), [["A", "science"], ["B", ""]], ["text_a", "label"]),
        task,
    )
    assert [row.label for row in table.rows] == ["science", None] and math.isnan(
        label_ids(table.rows, task)[1]
    )


def test_a_regression_of_any_unit_is_learnt_around_zero(tmp_path):
    (tmp_path / OWN).write_text(
        '{"name": "prices", "metric": "pearson_and_spearman", "offset": 250000, "scale": 50000}',
        encoding="utf-8",
    )
    task = find_task("prices", tmp_path)
    rows = read_table(
        write_tsv(tmp_path / "train.tsv", [["A", "300000"], ["B", "1.5e5"]], ["text_a", "label"]),
        task,
    ).rows
    assert (
        label_ids(rows, task) == [1.0, -2.0]
        and own_task(tmp_path / OWN) == task
        and (task.offset, task.scale) == (250000, 50000)
    )


def test_a_description_of_another_task_is_not_taken_for_it(tmp_path):
    (tmp_path / OWN).write_text('{"name": "topics", "labels": ["a", "b"]}', encoding="utf-8")
    assert find_task("Topics", tmp_path).name == "topics"
    with pytest.raises(UserError, match="describes the task 'topics', not 'prices'"):
        find_task("prices", tmp_path)


@pytest.mark.parametrize(
    "text, says",
    [
        ('{"name": "t", "metric": "pearson_and_spearman", "scale": 0}', "scale"),
        ('{"labels": ["a", "b"]}', "the name None"),
        ('{"name": "a/b", "labels": ["a", "b"]}', "'a/b'"),
        ('{"name": "t", "labels": ["a"]}', "at least two"),
        ('{"name": "t", "labels": ["a", "a"]}', "different"),
        ('{"name": "t"}', "pearson_and_spearman"),
        ('{"name": "t", "labels": ["a", "b"], "metric": "f1"}', "'f1'"),
    ],
)
def test_a_description_that_makes_no_task(tmp_path, text, says):
    (tmp_path / OWN).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        find_task("t", tmp_path)
    assert says in str(error.value) and str(tmp_path / OWN) in str(error.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_columns(tmp_path, name):
    path = write_tsv(tmp_path / "train.tsv", rows_of(name, 2), split(PUBLISHED[name][0]))
    table = read_table(path, TASKS[name])
    assert len(table.rows) == 2 and table.skipped == []
    found = table.rows[1]
    assert (found.text_a, found.text_b) == (TEXTS["A"], expected_b(name)) and found.fields == tuple(
        rows_of(name, 2)[1]
    )
    assert label_ids(table.rows, TASKS[name]) == [LABEL_IDS.get(name, 1.0)] * 2
    assert table.header == (None if name == "CoLA" else tuple(split(PUBLISHED[name][0])))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "CoLA"])
def test_columns_in_another_order_go_by_the_header(tmp_path, name):
    header, cells = split(PUBLISHED[name][0]), row(name)
    order = list(range(len(header)))
    random.Random(3).shuffle(order)
    assert order != sorted(order)
    path = write_tsv(
        tmp_path / "train.tsv", [[cells[i] for i in order]], [header[i] for i in order]
    )
    table = read_table(path, TASKS[name])
    assert (table.rows[0].text_a, table.rows[0].text_b) == (TEXTS["A"], expected_b(name))
    assert label_ids(table.rows, TASKS[name]) == [LABEL_IDS.get(name, 1.0)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_test_files_have_a_header_and_no_labels(tmp_path, name):
    header = split(PUBLISHED[name][2])
    a, b = (
        TASKS[name].text_a.split("|"),
        TASKS[name].text_b.split("|") if TASKS[name].text_b else (),
    )
    cells = [
        TEXTS["A"]
        if column in a
        else TEXTS["B"]
        if column in b
        else "zh"
        if column == "language"
        else "x"
        for column in header
    ]
    path = write_tsv(tmp_path / "test.tsv", [cells], header)
    table = read_table(path, TASKS[name], labelled=False)
    assert (table.rows[0].text_a, table.rows[0].text_b, table.rows[0].label) == (
        TEXTS["A"],
        expected_b(name),
        None,
    )
    assert all(map(math.isnan, label_ids(table.rows, TASKS[name])))


def test_mnlis_dev_files_have_more_columns_before_the_label(tmp_path):
    header = split(PUBLISHED["MNLI"][0])[:-1] + ["label2", "label3", "gold_label"]
    path = write_tsv(
        tmp_path / "dev_matched.tsv",
        [row("MNLI")[:-1] + ["wrong", "wrong", "contradiction"]],
        header,
    )
    assert label_ids(read_table(path, TASKS["MNLI"]).rows, TASKS["MNLI"]) == [0.0]


def test_bom_line_ends_and_a_missing_last_one_change_nothing(tmp_path):
    plain = "sentence\tlabel\ngood\t1\nbad film\t0\n"
    expected = sst2(tmp_path / "f", plain)
    assert [(r.text_a, r.label) for r in expected.rows] == [("good", "1"), ("bad film", "0")]
    for text in (
        plain.replace("\n", "\r\n"),
        plain.rstrip("\n"),
        "\ufeff" + plain,
        "\ufeff" + plain.replace("\n", "\r\n").rstrip(),
        plain + "\n\n",
    ):
        assert sst2(tmp_path / "f", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"',
        '"half',
        'a ""quoted"" b',
        "it's \\n",
        "a\u2028b\x0b\x85c",
        " spaces around ",
        "naïve 电影",
        "\r inside",
    ],
)
def test_texts_survive_as_they_are(tmp_path, text):
    """No quoting, and no line ends but the line feed."""
    table = sst2(tmp_path / "f", f"sentence\tlabel\n{text}\t1\nnext\t0\n")
    assert [r.text_a for r in table.rows] == [text, "next"]


@pytest.mark.parametrize(
    "line, says",
    [
        ("good", "line 3: has 1 fields"),
        ("", "line 3: has 1 fields"),
        ("\t1", "line 3"),
        ("  \t1", "line 3"),
        ("good\t", "line 3"),
        ("good\t2", "line 3: unknown label '2'; use 0 or 1"),
        ("good\tpositive", "line 3: unknown label 'positive'"),
        ("good\t1.0", "line 3: unknown label"),
        ("a\tgood film\t1", "line 3: has 3 fields, but line 1 has 2; remove the surplus tab"),
    ],
)
def test_a_damaged_row_is_named_by_file_and_line(tmp_path, line, says):
    refused(tmp_path / "train.tsv", f"sentence\tlabel\nfine\t1\n{line}\nlast\t0\n", says)


@pytest.mark.parametrize("label", ["nan", "inf", "-inf", "high", "3,2", "1e300"])
def test_a_score_that_is_no_number_is_refused(tmp_path, label):
    path = write_tsv(
        tmp_path / "train.tsv",
        [row("STS-B"), row("STS-B")[:-1] + [label]],
        split(PUBLISHED["STS-B"][0]),
    )
    with pytest.raises(UserError, match=f"{path}, line 3: the label '{label}' is not a number"):
        read_table(path, TASKS["STS-B"])


def test_cola_counts_its_lines_from_one(tmp_path):
    refused(
        tmp_path / "train.tsv",
        "gj04\t1\t\tgood\ngj04\t2\t\tbad\n",
        "line 2: unknown label '2'",
        "CoLA",
    )
    refused(
        tmp_path / "train.tsv",
        "gj04\t1\t\tgood\ngj04\t1\n",
        "line 2: has 2 fields, but CoLA needs 4",
        "CoLA",
    )
    refused(
        tmp_path / "train.tsv",
        "gj04\t1\t\tgood\ngj04\t0\t\tbad\tfilm\n",
        "line 2: has 5 fields, but line 1 has 4",
        "CoLA",
    )
    refused(
        tmp_path / "train.tsv",
        "gj04\t1\n",
        "line 1: has 2 tab-separated fields, but CoLA has more",
        "CoLA",
    )


def test_only_qqp_skips_rows_with_missing_or_surplus_fields_and_counts_them(tmp_path):
    first, second = rows_of("QQP", 2)
    misfits = [
        ["7", "8", "9", "how?"],
        ["7", "8", "9", "how?", "", "1"],
        ["7", "8", "9", "how?", "why", "not", "1"],
    ]
    path = write_tsv(tmp_path / "train.tsv", [first, *misfits, second], split(PUBLISHED["QQP"][0]))
    table = read_table(path, TASKS["QQP"])
    assert len(table.rows) == 2 and table.skipped == [3, 4, 5]
    path = write_tsv(tmp_path / "train.tsv", [first, *misfits, first], split(PUBLISHED["QQP"][0]))
    with pytest.raises(UserError, match="line 6: the id '0' is a duplicate"):
        read_table(path, TASKS["QQP"])
    path = write_tsv(tmp_path / "train.tsv", misfits, split(PUBLISHED["QQP"][0]))
    with pytest.raises(UserError, match="no rows"):
        read_table(path, TASKS["QQP"])
    path = write_tsv(
        tmp_path / "train.tsv", [["7", "8", "9", "how?", "why?", "2"]], split(PUBLISHED["QQP"][0])
    )
    with pytest.raises(UserError, match="line 2: unknown label '2'"):
        read_table(path, TASKS["QQP"])


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("\ufeff", "is empty"),
        ("sentence\tlabel\n", "holds no rows; add at least one"),
        ("text\tlabel\ngood\t1\n", "line 1: no column 'sentence' in the header"),
        ("sentence\tgold\ngood\t1\n", "no column 'label'"),
        ("sentence\tlabel\tlabel\ngood\t1\t0\n", "line 1: two columns 'label'"),
        (
            "index\tsentence\tlabel\n7\tgood\t1\n8\tgood\t1\n7\tbad\t0\n",
            "line 4: the index '7' is a duplicate",
        ),
        (b"sentence\tlabel\ngood\t1\ncaf\xe9\t1\n", "line 3: not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, says):
    refused(tmp_path / "train.tsv", text, says)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="train.tsv is missing"):
        read_table(tmp_path / "train.tsv", TASKS["SST-2"])


@pytest.mark.parametrize(
    "name, found", [("SST-2", "SST-2"), ("sst-2", "SST-2"), ("cola", "CoLA"), ("Sts-B", "STS-B")]
)
def test_tasks_are_found_in_any_case(name, found):
    assert find_task(name).name == found


@pytest.mark.parametrize(
    "name, nearest", [("sst2", "SST-2"), ("mnli-m", "MNLI"), ("qpp", "QQP"), ("", "")]
)
def test_an_unknown_task_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(UserError, match=f"no task is called '{name}'; the nearest is {nearest}"):
        find_task(name)


def test_the_labels_of_mnli_are_in_the_originals_order():
    assert TASKS["MNLI"].labels == ("contradiction", "entailment", "neutral") and TASKS[
        "RTE"
    ].labels == ("entailment", "not_entailment")
    assert (
        TASKS["STS-B"].is_regression
        and TASKS["STS-B"].num_labels == 1
        and TASKS["MNLI"].num_labels == 3
    )


def test_a_streamed_table_reads_no_further_than_asked_for_and_gives_the_same_rows(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("sentence\tlabel\n" + "a good film\t1\n" * 3 + "no label\n", encoding="utf-8")
    rows = iter(stream_table(path, TASKS["SST-2"]).rows)
    found = [next(rows) for _ in range(3)]
    with pytest.raises(UserError, match="train.tsv, line 5: has 1 fields"):
        next(rows)
    path.write_text("index\tsentence\tlabel\n" + "7\ta good film\t1\n" * 3, encoding="utf-8")
    assert len(list(stream_table(path, TASKS["SST-2"]).rows)) == 3, (
        "augmented rows have their ids twice"
    )
    path.write_text("sentence\tlabel\n" + "a good film\t1\n" * 3, encoding="utf-8")
    assert (
        found
        == list(stream_table(path, TASKS["SST-2"]).rows)
        == read_table(path, TASKS["SST-2"]).rows
    )


def test_rows_of_one_label_are_refused_but_for_scores(tmp_path):
    path = tmp_path / "train.tsv"
    need_two_classes([0.0, 1.0, 0.0], TASKS["SST-2"], path)
    need_two_classes([2.5, 2.5], TASKS["STS-B"], path)
    with pytest.raises(
        UserError,
        match="train.tsv: every row that is read has the label 'neutral'; add rows of another",
    ):
        need_two_classes([2.0, 2.0], TASKS["MNLI"], path)
