"""A user's file becomes a task: formats, refusals, duplicates, and the rows drawn for dev."""

from __future__ import annotations

import csv
import io
import json
import lzma
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import write_tsv
from tests.makers.commands import RUN, call, snapshot
from tests.makers.row_files import KINDS, write_kind
from tests.makers.workspaces import NOUNS, lay_out
from tinybert_lite.data.own_files import OwnRow, read_own_rows
from tinybert_lite.data.own_rows import understand
from tinybert_lite.data.splits import stratified_split
from tinybert_lite.data.tables import label_ids, read_table
from tinybert_lite.data.tasks import OWN, find_task
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.pipeline.own_data import report, write
from tinybert_lite.pipeline.prediction import Predictor
from tinybert_lite.system.files import read_json

TOPICS = "cards events fines rooms".split()
ROWS = [(f"a question on {topic} , number {n}", topic) for n in range(10) for topic in TOPICS]


def save(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def as_csv(rows, header=("title", "topic"), delimiter=","):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return file.getvalue()


def as_json_lines(rows, keys=("title", "topic")):
    return "".join(json.dumps(dict(zip(keys, row)), ensure_ascii=False) + "\n" for row in rows)


@pytest.fixture
def desk(tmp_path):
    return save(tmp_path / "desk.csv", as_csv(ROWS))


def found(path, *columns):
    return [(*row.texts, row.label, row.line) for row in read_own_rows(path, *columns)]


# Formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_with_quotes_line_breaks_and_any_delimiter(tmp_path, delimiter):
    rows = [
        ('the "Bank", by\na river; at dusk', "place", 7),
        ("tab\there", "", 8),
        ("日本", "two  words", 9),
    ]
    path = save(
        tmp_path / "a.csv",
        b"\xef\xbb\xbf" + as_csv(rows, ("title", "topic", "page, line; or"), delimiter).encode(),
    )
    assert found(path, "title", None, "topic") == [
        ('the "Bank", by a river; at dusk', None, "place", 2),
        ("tab here", None, None, 4),
        ("日本", None, "two words", 5),
    ]
    assert found(path, "title", "page, line; or")[0][:2] == ('the "Bank", by a river; at dusk', "7")


def test_tsv_has_no_quoting(tmp_path):
    path = save(tmp_path / "a.tsv", 'label\ttext\nx\tsay "so\n\t"\n\n')
    assert found(path, "text", None, "label") == [('say "so', None, "x", 2), ('"', None, None, 3)]


def test_json_lines_with_labels_of_any_kind(tmp_path):
    labels = [True, False, None, 3, 3.0, 2.5, float("nan"), "  ", "a b"]
    path = save(
        tmp_path / "a.jsonl",
        "\n"
        + as_json_lines([(f"t{n}\nx", label) for n, label in enumerate(labels)])
        + '{"title": "no label"}\n',
    )
    assert [row.label for row in read_own_rows(path, "title", None, "topic")] == [
        "true",
        "false",
        None,
        "3",
        "3",
        "2.5",
        None,
        None,
        "a b",
        None,
    ]
    assert found(path, "title")[0] == ("t0 x", None, None, 2)


def test_packed_files_and_rows_of_empty_cells(tmp_path):
    path = tmp_path / "a.csv.xz"
    path.write_bytes(lzma.compress(b"title,topic\r\nfilm,x\r\n,\r\n\r\nbank,y\r\n,\r\n"))
    assert found(path, "title", None, "topic") == [("film", None, "x", 2), ("bank", None, "y", 5)]


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
            ).filter(lambda text: text.split()),
            st.sampled_from("xyz"),
        ),
        min_size=1,
    ),
    st.sampled_from(",;\t"),
)
def test_any_text_comes_through_every_format_alike(tmp_path, rows, delimiter):
    """Oracle: white space becomes one blank, all else stays."""
    wanted = [(" ".join(text.split()), label) for text, label in rows]
    quoted = [f'"{text.replace(chr(34), chr(34) * 2)}"{delimiter}{label}\n' for text, label in rows]
    for name, content in (
        ("a.csv", f"title{delimiter}topic\n" + "".join(quoted)),
        ("a.jsonl", as_json_lines(rows)),
        ("a.tsv", "title\ttopic\n" + "".join(f"{text}\t{label}\n" for text, label in wanted)),
    ):
        assert [
            (row.text_a, row.label)
            for row in read_own_rows(save(tmp_path / name, content), "title", None, "topic")
        ] == wanted


# What is refused ----------------------------------------------------------------------------------

TWO = "title,topic\nfilm,x\nbank,x\nriver,y\nhouse,y\n"


@pytest.mark.parametrize(
    "name, text, flags, says",
    [
        (
            "a.csv",
            TWO,
            "--text titel",
            "line 1: no column is called 'titel'; the nearest is 'title'; use one of 'title', "
            "'topic'",
        ),
        ("a.csv", TWO, "--label tag", "line 1: no column is called 'tag'"),
        ("a.csv", "title,topic,title\na,x,b\n", "", "line 1: two columns are called 'title'"),
        ("a.csv", TWO + "a,b,c\n", "", "line 6: the row has 3 cells, but line 1 names 2 columns"),
        ("a.csv", TWO + " ,x\n", "", "line 6: the column 'title' holds no text"),
        (
            "a.csv",
            TWO + '"film,x\n' * 3,
            "",
            "line 6: the row that begins in this line has damaged quoting",
        ),
        (
            "a.csv",
            TWO + '"a"b,x\n',
            "",
            "line 6: the row that begins in this line has damaged quoting",
        ),
        ("a.csv", "", "", "is empty or begins with an empty line"),
        ("a.csv", "\n" + TWO, "", "is empty or begins with an empty line"),
        ("a.csv", "title,topic\n", "", "holds no rows"),
        ("a.csv", TWO.encode("utf-16"), "", "is UTF-16 text; save the file as UTF-8"),
        ("a.csv", TWO.encode() + b"caf\xe9,x\n", "", "line 6: not UTF-8 text"),
        ("a.csv", TWO + "a\0b,x\n", "", "line 6: holds a NUL byte"),
        ("a.csv", None, "", "is missing"),
        ("a.xlsx", TWO, "", "does not end in .tsv, .txt, .csv, .json, .jsonl, .ndjson, .parquet"),
        ("a.jsonl", "[1, 2]\n", "", "line 1: 1 is not an object"),
        ("a.jsonl", '{"title": "a", "topic": "x"}\n{"title": \n', "", "line 2: is not JSON"),
        (
            "a.jsonl",
            '{"title": "a", "topic": "x"}\n{"titel": "a"}\n',
            "",
            "line 2: no column is called 'title'; the nearest is 'titel'",
        ),
        (
            "a.jsonl",
            '{"title": "a", "topik": "x"}\n',
            "",
            "no column is called 'topic'; the nearest is 'topik'",
        ),
        (
            "a.jsonl",
            '{"title": ["a"], "topic": "x"}\n',
            "",
            "line 1: the column 'title' holds ['a'], which is not a text",
        ),
        (
            "a.jsonl",
            '{"title": "a\\u0000", "topic": "x"}\n',
            "",
            "with an escape sequence that is not a character",
        ),
        (
            "a.jsonl",
            '{"title": "a\\ud800", "topic": "x"}\n',
            "",
            "with an escape sequence that is not a character",
        ),
        ("a.csv", "title,topic\na,\nb,\n", "", "no row has a label in the column 'topic'"),
        (
            "a.csv",
            "title,topic\na,x\nb,x\n",
            "",
            "every row has the label 'x', so there is nothing to learn",
        ),
        ("a.csv", "title,topic\na,x\na,y\nb,x\nb,y\n", "", "no row can be used for dev"),
        ("a.csv", TWO, "--regression", "line 2: the label 'x' is not a number"),
        (
            "a.csv",
            TWO.replace("x", "1").replace("y", "nan"),
            "--regression",
            "line 4: the label 'nan' is not a number",
        ),
        (
            "a.csv",
            TWO.replace("x", "1").replace("y", "1.0"),
            "--regression",
            "every row has the label '1'",
        ),
        ("a.csv", TWO, "--regression --metric accuracy", "omit one of the two flags"),
        ("a.csv", TWO, "--dev_share 1.5", "--dev_share 1.5 is not between 0 and 1"),
        ("a.csv", TWO, "--name mnli", "--name mnli is taken"),
        ("a.csv", TWO, "--name zh", "--name zh is taken"),
        ("a.csv", TWO, "--name 5_task_distill_out", "is taken"),
        ("a.csv", TWO, "--name a/b", "--name 'a/b' has characters other than letters"),
    ],
)
def test_what_makes_no_task_is_refused_in_one_sentence(tmp_path, name, text, flags, says):
    if text is not None:
        save(tmp_path / name, text)
    before = snapshot(tmp_path)
    ran = call(
        f"own_data {tmp_path / name} --text title --label topic --name t --workspace {tmp_path} "
        f"{flags}"
    )
    assert (
        ran.code == 2
        and says in ran.err
        and ran.err.count("error:") == 1
        and "Traceback" not in ran.err
    ), ran.err
    assert snapshot(tmp_path) == before and (flags or str(tmp_path / name) in ran.err)


@pytest.mark.parametrize(
    "flag, text, says",
    [
        ("--dev", "title,topic\nnew,\n", "line 2: has no label"),
        (
            "--dev",
            "title,topic\nnew,z\n",
            "line 2: the label 'z' is not one of the training labels, x, y",
        ),
        ("--test", "title,topic\nnew,x\nold,\n", "line 3: has no label"),
        ("--unlabelled", "text\nnew\n", "line 1: no column is called 'title'; the nearest is"),
        ("--dev", "title,topic\nnew,x\nold,x\n", "every row has the label 'x'"),
        ("--dev", TWO, "no row except those of dev or test has a label"),
    ],
)
def test_further_files_are_named_too(tmp_path, flag, text, says):
    other = save(tmp_path / "other.csv", text)
    ran = call(
        f"own_data {save(tmp_path / 'a.csv', TWO)} --text title --label topic --workspace "
        f"{tmp_path} {flag} {other}"
    )
    assert (
        ran.code == 2 and says in ran.err and ("other.csv" in ran.err or "no row except" in ran.err)
    ), ran.err


def own(tmp_path, path, flags="--text title --label topic"):
    ran = call(f"own_data {path} {flags} --name t --workspace {tmp_path}")
    assert "Traceback" not in ran.err
    return ran


def test_many_classes_some_with_one_row_are_split_and_said_briefly(tmp_path):
    """A class of one row is in train; no list is longer than twenty labels."""
    many = [(f"text {n} of {n // 2}", f"class {n // 2:03}") for n in range(240)]
    single = [(f"alone {n}", f"single {n:02}") for n in range(15)]
    ran = own(tmp_path, save(tmp_path / "a.csv", as_csv(many + single)))
    assert ran.code == 0 and "a.csv, line 242: 15 of 135 labels are in one row only" in ran.err
    assert "single 09 and 5 more" in ran.err and "name a file with --dev" in ran.err
    assert "class 019 2 and 115 more (train and dev)" in ran.out and "class 021 2" not in ran.out
    task = find_task("t", tmp_path / "t")
    train, dev = (read_table(tmp_path / f"t/{part}.tsv", task).rows for part in ("train", "dev"))
    assert len(task.labels) == 135 and {row.label for row in train} == {*task.labels}
    assert len(dev) == 120 and not any("single" in row.label for row in dev)


def test_no_message_repeats_a_users_rows_at_length(tmp_path):
    """A file without a header, whose first row is then named as its columns."""
    rows = [(f"{'a very long text ' * 500}{n}", "x" * 300 + str(n % 2)) for n in range(40)]
    path = save(tmp_path / "a.csv", as_csv(rows[1:], rows[0]))
    for flags in ("--text title --label topic", "--text 1 --label 3", "--text 1 --label 2"):
        ran = own(tmp_path, path, flags)
        assert max(map(len, ran.err.splitlines()), default=0) < 500
        assert max(map(len, ran.out.splitlines()), default=0) < 500


# Files without a header ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_columns_by_number_where_there_is_no_header(tmp_path, name):
    content = as_csv(ROWS[1:], ROWS[0], "," if name == "a.csv" else "\t")
    path = save(
        tmp_path / name, content.replace('"', "").replace("\r", "") if name != "a.csv" else content
    )
    ran = own(tmp_path, path)
    assert ran.code == 2 and "no column is called 'title'" in ran.err
    assert "without a header, name columns by number, such as --text 1" in ran.err
    assert own(tmp_path, path, "--text 1 --label 2").code == 0
    task = find_task("t", tmp_path / "t")
    found = [read_table(tmp_path / f"t/{part}.tsv", task).rows for part in ("train", "dev")]
    assert sorted((row.text_a, row.label) for rows in found for row in rows) == sorted(ROWS)
    assert "no column is called '3'" in own(tmp_path, path, "--text 1 --label 3").err


def test_a_first_row_that_is_read_as_a_header_is_asked_about(tmp_path):
    save(tmp_path / "a.csv", as_csv(ROWS[1:], ("question", "cards")))
    ran = own(tmp_path, tmp_path / "a.csv", "--text question --label cards")
    assert "a.csv, line 1: 'cards' was read as the name of a column but looks like" in ran.err
    save(tmp_path / "b.csv", as_csv(ROWS, ("is this a long question ?", "label")))
    ran = own(tmp_path, tmp_path / "b.csv", "--text 'is this a long question ?' --label label")
    assert ran.code == 0 and "but looks like a row" in ran.err
    save(tmp_path / "c.csv", as_csv(ROWS, ("the question", "topic of it")))
    ran = own(tmp_path, tmp_path / "c.csv", "--text 'the question' --label 'topic of it'")
    assert ran.code == 0 and ran.err == ""
    save(tmp_path / "d.csv", as_csv(ROWS, ("0", "1")))  # pandas' names of columns without names
    assert own(tmp_path, tmp_path / "d.csv", "--text 0 --label 1").code == 0


# Labels that are none -----------------------------------------------------------------------------


def labels_of(tmp_path, part="train"):
    task = find_task("t", tmp_path / "t")
    return [row.label for row in read_table(tmp_path / f"t/{part}.tsv", task, None).rows]


@pytest.mark.parametrize("label", ["-1", "", "-"])
def test_test_rows_whose_labels_are_all_the_same_sign_have_none(tmp_path, label):
    test = save(tmp_path / "test.csv", as_csv([(f"t{n}", label) for n in range(3)]))
    flags = f"--text title --label topic --test {test}"
    assert own(tmp_path, save(tmp_path / "a.csv", as_csv(ROWS)), flags).code == 0
    assert (tmp_path / "t/test.tsv").read_text(encoding="utf-8").splitlines()[0] == "text_a"
    assert "-1" not in find_task("t", tmp_path / "t").labels


def test_rows_without_agreement_are_left_out_of_ones_own_data(tmp_path):
    rows = [(f"t{n}", ("yes", "no", "-")[n % 3]) for n in range(30)]
    ran = own(tmp_path, save(tmp_path / "a.csv", as_csv(rows)))
    assert (
        ran.code == 0
        and "a.csv: 10 rows left out, because" in ran.err
        and "the first is line 4" in ran.err
    )
    assert "left out   10 rows without a gold label" in ran.out
    assert find_task("t", tmp_path / "t").labels == ("no", "yes")


def test_minus_one_is_no_label_beside_three_classes_and_a_class_beside_two(tmp_path):
    rows = [(f"t{n}", str(n % 4 - 1)) for n in range(40)]
    ran = own(tmp_path, save(tmp_path / "a.csv", as_csv(rows)))
    assert "the label -1 is read as no label, in 10 rows" in ran.err
    assert find_task("t", tmp_path / "t").labels == ("0", "1", "2") and None in labels_of(tmp_path)
    rows = [(f"t{n}", str(n % 3 - 1)) for n in range(30)]
    ran = own(tmp_path, save(tmp_path / "a.csv", as_csv(rows)))
    assert "-1 is read as a class beside 0 and 1" in ran.err
    assert find_task("t", tmp_path / "t").labels == ("-1", "0", "1")


def test_minus_and_minus_one_are_labels_where_the_others_say_so(tmp_path):
    rows = [(f"t{n}", "+-"[n % 2]) for n in range(20)]
    ran = own(tmp_path, save(tmp_path / "a.csv", as_csv(rows)))
    assert ran.err == "" and find_task("t", tmp_path / "t").labels == ("+", "-")
    rows = [(f"t{n}", str(n % 5 - 1)) for n in range(40)]
    path = save(tmp_path / "a.csv", as_csv(rows))
    ran = own(tmp_path, path, "--text title --label topic --regression")
    assert ran.err == "" and "numbers from -1 to 3" in ran.out
    rows = [(f"t{n}", str(n % 3 - 1)) for n in range(30)]
    save(tmp_path / "test.csv", as_csv([("new", "-1"), ("other", "-1")]))
    flags = f"--text title --label topic --test {tmp_path / 'test.csv'}"
    own(tmp_path, save(tmp_path / "a.csv", as_csv(rows)), flags)
    assert labels_of(tmp_path, "test") == ["-1", "-1"], "it is one of the classes"


# Other kinds of files -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_rows_in_a_file_of_any_kind(tmp_path, kind):
    path = write_kind(tmp_path / "desk", kind, ROWS, ("title", "topic"))
    assert own(tmp_path, path).code == 0
    task = find_task("t", tmp_path / "t")
    found = [read_table(tmp_path / f"t/{part}.tsv", task).rows for part in ("train", "dev")]
    assert sorted((row.text_a, row.label) for rows in found for row in rows) == sorted(ROWS)


def test_a_folder_with_a_saved_dataset_of_three_splits(tmp_path):
    """A ClassLabel gives the labels and their order, validation is dev, and -1 is no label."""
    names = ["events", "cards"]
    for split, count in (("train", 12), ("validation", 6), ("test", 4)):
        rows = [(f"{split} {n}", -1 if split == "test" else n % 2) for n in range(count)]
        write_kind(tmp_path / "desk.v2" / split, "folder", rows, ("title", "topic"), names)
    ran = call(f"own_data {tmp_path / 'desk.v2'} --text title --label topic --workspace {tmp_path}")
    assert ran.code == 0, ran.err
    assert "train 12, dev 6, test 4" in ran.out and "dev validation, test test" in ran.out
    task = find_task("desk", tmp_path / "desk")
    assert task.labels == ("events", "cards")
    dev = read_table(tmp_path / "desk/dev.tsv", task).rows
    assert [(row.text_a, row.label) for row in dev][:2] == [
        ("validation 0", "events"),
        ("validation 1", "cards"),
    ]
    (tmp_path / "none").mkdir()
    assert "none holds no file of training rows" in own(tmp_path, tmp_path / "none").err


def test_a_tsv_that_is_quoted_like_a_csv_is_said(tmp_path):
    """As pandas writes it with sep="\\t"; with the ending .csv it is read without the quotes."""
    rows = [(f'he said "yes" {n}', TOPICS[n % 2]) for n in range(8)]
    content = as_csv(rows, delimiter="\t").replace("\r", "")
    ran = own(tmp_path, save(tmp_path / "a.tsv", content))
    assert ran.code == 0 and "a.tsv, line 2: looks quoted like a CSV" in ran.err
    ran = own(tmp_path, save(tmp_path / "a.csv", content))
    assert ran.code == 0 and ran.err == "" and 'he said "yes" ' in ran.out
    plain = 'title\ttopic\n"half\tx\n"all"\tx\nb\ty\nc\ty\n'
    assert own(tmp_path, save(tmp_path / "a.tsv", plain)).err == "", "quotes of other kinds"
    broken = 'title\ttopic\n"two\nlines"\tx\n'
    assert "let the name end in .csv" in own(tmp_path, save(tmp_path / "a.tsv", broken)).err


# What is written ----------------------------------------------------------------------------------


def test_a_csv_becomes_a_task_that_reads_back(tmp_path, desk):
    ran = call(
        f"own_data {desk} --text title --label topic --name topics --metric macro_f1 --workspace "
        f"{tmp_path}"
    )
    assert (
        ran.code == 0
        and f"next: python -m tinybert_lite.run_all --task topics --workspace {tmp_path}" in ran.out
    )
    assert (
        "train 36, dev 4" in ran.out
        and "cards 10, events 10, fines 10, rooms 10" in ran.out
        and ran.out.count("example") == 3
    )
    task = find_task("topics", tmp_path / "topics")
    assert (
        task.labels == tuple(TOPICS)
        and task.metric == "macro_f1"
        and task.own
        and task.language == "en"
    )
    train, dev = (
        read_table(tmp_path / "topics" / f"{split}.tsv", task).rows for split in ("train", "dev")
    )
    assert sorted((row.text_a, row.label) for row in [*train, *dev]) == sorted(ROWS)
    assert Counter(row.label for row in dev) == dict.fromkeys(TOPICS, 1)


def test_labels_are_sorted_as_numbers_where_all_are(tmp_path):
    words = as_csv([(f"t{n}", label) for n, label in enumerate(("10", "9", "-1.5") * 2)])
    assert understand(save(tmp_path / "a.csv", words), "title", "topic").description["labels"] == [
        "-1.5",
        "9",
        "10",
    ]
    words = words.replace(",9", ",nine")
    assert understand(save(tmp_path / "a.csv", words), "title", "topic").description["labels"] == [
        "-1.5",
        "10",
        "nine",
    ]


def test_many_numbers_suggest_a_regression_and_classes_do_not(tmp_path, capsys):
    for count, said in ((10, False), (11, True)):
        path = save(tmp_path / "a.csv", as_csv([(f"t{n}", n % count) for n in range(2 * count)]))
        understand(path, "title", "topic")
        assert ("add --regression" in capsys.readouterr().err) == said


def test_a_regression_in_the_users_unit(tmp_path):
    """Oracle: mean and deviation of the numbers that stayed, by hand."""
    prices = [1000.0 + 10 * n for n in range(50)]
    path = save(
        tmp_path / "a.csv",
        as_csv([(f"house {n}", price) for n, price in enumerate(prices)], ("text", "price")),
    )
    data = understand(path, "text", "price", regression=True, dev_share=0.2)
    folder = write(data, tmp_path / "a")
    task = find_task("a", folder)
    assert task.is_regression and task.metric == "pearson_and_spearman"
    train, dev = (
        [float(row.label) for row in read_table(folder / f"{split}.tsv", task).rows]
        for split in ("train", "dev")
    )
    assert sorted(train + dev) == prices and len(dev) == 10
    assert [sum(1000 + 100 * k <= price < 1100 + 100 * k for price in dev) for k in range(5)] == [
        2
    ] * 5, "every fifth of the scale is measured on"
    mean = sum(train) / 40
    said = json.loads((folder / OWN).read_text(encoding="utf-8"))
    learnt = label_ids(read_table(folder / "train.tsv", task).rows, task)
    assert sum(learnt) == pytest.approx(0, abs=1e-9) and sum(
        number**2 for number in learnt
    ) == pytest.approx(40)
    assert said["offset"] == pytest.approx(mean) and said["scale"] == pytest.approx(
        (sum((price - mean) ** 2 for price in train) / 40) ** 0.5
    )


def test_pairs_in_json_lines_with_given_files(tmp_path):
    rows = [(f"q{n}", f"a{n}", n % 2 == 0) for n in range(8)]
    keys = ("question", "answer", "fits")
    path = save(tmp_path / "pairs.jsonl", as_json_lines(rows, keys))
    dev = save(
        tmp_path / "dev.csv",
        as_csv([("dq", "da", "true"), ("dq2", "da", "false"), ("q0", "a0", "true")], keys),
    )
    test = write_tsv(tmp_path / "test.tsv", [("tq", "ta"), ("q1", "a1")], keys[:2])
    folder = write(
        understand(path, "question", "fits", "answer", dev=dev, test=test), tmp_path / "pairs"
    )
    task = find_task("pairs", folder)
    assert task.labels == ("false", "true") and task.text_b == "text_b"
    tables = {
        split: read_table(folder / f"{split}.tsv", task, split != "test")
        for split in ("train", "dev", "test")
    }
    assert [(row.text_a, row.text_b) for row in tables["train"].rows] == [
        (f"q{n}", f"a{n}") for n in range(2, 8)
    ], "what is measured on is not learnt"
    assert [row.text_a for row in tables["dev"].rows] == ["dq", "dq2", "q0"] and tables[
        "test"
    ].header == ("text_a", "text_b")


def test_unlabelled_rows_stay_for_distillation_alone(tmp_path, desk):
    save(desk, as_csv([*ROWS, ("what is this ?", ""), (ROWS[0][0], "")]))
    more = save(
        tmp_path / "more.jsonl",
        as_json_lines(
            [(text, "nonsense") for text in ("and this ?", ROWS[5][0], "what is this ?")]
        ),
    )
    data = understand(desk, "title", "topic", unlabelled=more)
    assert [row.text_a for row in data.splits["train"] if row.label is None] == [
        "what is this ?",
        "and this ?",
    ]
    assert all(row.label for row in data.splits["dev"]) and data.duplicates == 3
    folder = write(data, tmp_path / "desk")
    assert (
        (folder / "train.tsv")
        .read_text(encoding="utf-8")
        .endswith("what is this ?\t\nand this ?\t\n")
    )
    assert [row.label for row in read_table(folder / "train.tsv", find_task("desk", folder)).rows][
        -2:
    ] == [None, None]


def test_it_is_said_that_dev_rows_were_drawn_from_the_rows_of_train(tmp_path, desk):
    save(desk, as_csv(ROWS))
    dev = tmp_path / "dev.csv"
    save(dev, as_csv([("what is this ?", ROWS[0][1]), ("and this ?", ROWS[1][1])]))
    drawn, named = (understand(desk, "title", "topic", dev=path) for path in (None, dev))
    assert "\ndev        drawn from the rows of train" in report(drawn)
    assert "dev        drawn" not in report(named)


def test_duplicates_are_counted_and_a_text_with_two_labels_is_named(tmp_path, desk, capsys):
    save(desk, as_csv([*ROWS, ROWS[0], ROWS[0], (ROWS[1][0], "fines")]))
    for seed in range(20):
        data = understand(desk, "title", "topic", dev_share=0.5, seed=seed)
        assert data.duplicates == 2
        assert not {row.text_a for row in data.splits["train"]} & {
            row.text_a for row in data.splits["dev"]
        }
        said = capsys.readouterr().err
    assert (
        "1 text has more than one label" in said
        and "'events' in line 3, 'fines' in line 44" in said
    )


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("xyz")), min_size=1),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_a_split_is_stratified_repeatable_and_without_leaks(pairs, share, seed):
    rows = [
        OwnRow(f"t{n}", None, label, line, None)
        for line, (n, label) in enumerate(dict.fromkeys(pairs), 2)
    ]
    drawn = stratified_split(rows, [row.label for row in rows], share, seed)
    assert (
        drawn
        == stratified_split(rows, [row.label for row in rows], share, seed)
        == sorted(drawn, key=lambda row: row.line)
    )
    rest = [row for row in rows if row not in drawn]
    assert not {row.text_a for row in drawn} & {row.text_a for row in rest}
    labels_of = {
        row.text_a: {other.label for other in rows if other.text_a == row.text_a} for row in rows
    }
    for label in "xyz":
        mine = [row for row in rows if row.label == label]
        free = sum(len(labels_of[row.text_a]) == 1 for row in mine)
        assert sum(row.label == label for row in drawn) == max(
            0, min(max(1, round(share * len(mine))), free, len(mine) - 1)
        )


def test_another_seed_draws_others(desk):
    drawn = {
        tuple(row.line for row in understand(desk, "title", "topic", seed=seed).splits["dev"])
        for seed in range(5)
    }
    assert len(drawn) == 5


def test_what_lies_there_is_moved_aside_and_the_same_again_is_left(tmp_path, desk):
    line = f"own_data {desk} --text title --label topic --workspace {tmp_path}"
    test = save(tmp_path / "test.csv", as_csv([("a new question", "")]))
    call(f"{line} --test {test}")
    first = snapshot(tmp_path / "desk")
    assert call(f"{line} --test {test}").code == 0 and snapshot(tmp_path / "desk") == first
    second = call(f"{line} --seed 7")
    assert "moved aside" in second.out and not (tmp_path / "desk/test.tsv").exists(), (
        "an old test file belongs to the old task"
    )
    aside = tmp_path / "desk/aside/yours-1"
    assert {path.name for path in aside.iterdir()} == {"train.tsv", "dev.tsv", "test.tsv"}
    assert all(
        path.read_bytes() == first[str(tmp_path / "desk" / path.name)] for path in aside.iterdir()
    )


def test_a_chinese_file_is_a_chinese_task(tmp_path):
    path = save(
        tmp_path / "图书.csv",
        as_csv([(f"我想借这本书 {n}", ("借书", "活动")[n % 2]) for n in range(8)]),
    )
    ran = call(f"own_data {path} --text title --label topic --workspace {tmp_path}")
    assert ran.code == 0 and "8.0 characters" in ran.out, ran
    assert find_task("图书", tmp_path / "图书").language == "zh"
    assert understand(path, "title", "topic", language="en").description["language"] == "en"


# From a file to a student that predicts -----------------------------------------------------------

MOODS = {"good": "praise", "bad": "complaint", "sad": "sorrow", "cold": "weather"}


def told(count, seed=1):
    draw = random.Random(seed)
    return [
        (
            f"the {draw.choice(NOUNS)} was {word} and the {draw.choice(NOUNS)} is "
            f"{draw.choice(('long', 'warm', 'short'))} {n} ,",
            label,
        )
        for n in range(count)
        for word, label in MOODS.items()
    ]


def run_stages(root, name):
    return call(
        f"run_all --task {name} --profile smoke --device cpu --threads 1 --workspace {root} "
        "--baseline"
    )


def test_from_a_csv_with_worded_classes_and_unlabelled_rows_to_answers(tmp_path):
    root = lay_out(tmp_path / "ws")
    unlabelled = [(text, "") for text, _ in told(4, 2)]
    path = save(tmp_path / "moods.csv", as_csv([*told(12), *unlabelled]))
    test = save(tmp_path / "test.csv", as_csv(told(3, 3)))
    assert (
        call(
            f"own_data {path} --text title --label topic --metric macro_f1 --test {test} "
            f"--workspace {root}"
        ).code
        == 0
    )
    ran = run_stages(root, "moods")
    assert ran.code == 0, ran.err
    final = root / "5_task_distill_out" / "moods"
    results, words = read_json(final / "results.json"), sorted(MOODS.values())
    assert (
        results["metric"] == "macro_f1"
        and results["rows"] == {"train": 44 + 16, "dev": 4}
        and "test" in results["test"]
    )
    for folder in (final, root / "teacher_model" / "moods", final / "undistilled"):
        assert [ModelFolder(folder).config.id2label[i] for i in range(4)] == words
    augmented = (root / "1_pre_data/moods/aug.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert sum(line.endswith("\t") for line in augmented) >= 16, "unlabelled rows are augmented too"
    metrics = {
        stage: read_json(root / stage / "moods/manifest.json")["metrics"]["rows"]
        for stage in ("teacher_model", "5_task_distill_out")
    }
    assert metrics["teacher_model"] == 44 and metrics["5_task_distill_out"] == len(augmented)
    ran = call(
        f"predict --task moods --workspace {root} --device cpu "
        '"the river was cold" "the film is bad"'
    )
    assert ran.code == 0 and [line.split("\t")[0] in words for line in ran.out.splitlines()] == [
        True,
        True,
    ]
    said = [
        row.split("\t")[1]
        for row in (final / "moods.tsv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    texts = [row.text_a for row in read_own_rows(root / "moods/test.tsv", "text_a")]
    assert said == [
        label
        for _, label, _ in Predictor(final, "cpu", max_length=48).answers(
            (text, None) for text in texts
        )
    ]


def test_pairs_and_a_regression_by_the_same_commands(tmp_path):
    root = lay_out(tmp_path / "ws")
    texts = [text for text, _ in told(12)]
    pairs = [(a, b, n % 2 == 0) for n, (a, b) in enumerate(zip(texts, texts[::-1]))]
    save(tmp_path / "fits.jsonl", as_json_lines(pairs, ("question", "answer", "fits")))
    save(tmp_path / "price.csv", as_csv([(text, 1000 + 10 * n) for n, text in enumerate(texts)]))
    assert (
        call(
            f"own_data {tmp_path / 'fits.jsonl'} --text question --text_b answer --label fits "
            f"--workspace {root}"
        ).code
        == 0
    )
    assert (
        call(
            f"own_data {tmp_path / 'price.csv'} --text title --label topic --regression "
            f"--workspace {root}"
        ).code
        == 0
    )
    for name, metric in (("fits", "accuracy"), ("price", "pearson_and_spearman")):
        ran = run_stages(root, name)
        assert ran.code == 0 and f"dev {metric}" in ran.out, ran.err
    answers = Predictor(root / "5_task_distill_out/fits", "cpu").answers([("the film", "a river")])
    assert next(answers)[1] in ("true", "false")
    (price,) = Predictor(root / "5_task_distill_out/price", "cpu").predict(["the film"])
    assert 800 < price[0] < 1700, "in the user's unit"


def test_rows_outside_the_workspace_are_found_again_after_the_run(workspace, desk):
    assert call(f"own_data {desk} --text title --label topic --workspace elsewhere").code == 0
    ran = call(f"{RUN} --task desk --data_dir elsewhere/desk")
    assert ran.code == 0, ran.err
    for line in (
        "predict --task desk 'a question on cards'",
        "export --task desk --format original",
    ):
        ran = call(line)
        assert ran.code == 0, ran.err
