"""A finished model's answers to new texts: equal to the stock class's, in files of every kind."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shlex
import shutil

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from tests.layouts import CLUE
from tests.makers import make_bert_folder, write_tsv
from tests.makers.commands import call
from tests.makers.row_files import KINDS, write_kind
from tinybert_lite import predict
from tinybert_lite.data.rows_to_predict import read_rows_to_predict
from tinybert_lite.data.tasks import find_task
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline import prediction
from tinybert_lite.pipeline.prediction import Predictor, count_lines
from tinybert_lite.system.errors import UserError

WORDS = {0: "fines", 1: "rooms", 2: "books"}
TEXTS = ["the bank was long", "great film !", "we walk by the river", "a dull , cold plot"]
OTHERS = ["a river", "the story was sad and long", "run", "a tree"]


@pytest.fixture
def folder(tmp_path):
    return make_bert_folder(
        tmp_path / "model",
        num_labels=3,
        masked_lm=False,
        id2label=WORDS,
        label2id={word: i for i, word in WORDS.items()},
    )


def stock(folder, texts, others=None, num_labels=3):
    """Oracle: the stock class, a row at a time, without padding. (n, K) logits."""
    model = BertForSequenceClassification.from_pretrained(
        folder, num_labels=num_labels, attn_implementation="eager"
    ).eval()
    tokenizer = load_tokenizer(folder / "vocab.txt")
    with torch.inference_mode():
        rows = [
            model(**tokenizer(*pair, return_tensors="pt")).logits[0]
            for pair in zip(texts, *([others] if others else []))
        ]
    return torch.stack(rows).double()


@pytest.mark.parametrize("others", [None, OTHERS])
def test_probabilities_are_the_stock_classs(folder, others):
    found = Predictor(folder, "cpu", batch_size=3).predict(TEXTS, others)
    assert found.shape == (4, 3) and np.allclose(found.sum(1), 1)
    assert np.allclose(found, stock(folder, TEXTS, others).softmax(1).numpy(), atol=1e-5)


def test_labels_are_the_models_words_and_probabilities_the_largest(folder):
    predictor = Predictor(folder, "cpu")
    assert predictor.labels == ["fines", "rooms", "books"]
    wanted = stock(folder, TEXTS).softmax(1)
    assert [
        (said, pair) for pair, said, _ in predictor.answers((text, None) for text in TEXTS)
    ] == [(WORDS[int(row.argmax())], (text, None)) for row, text in zip(wanted, TEXTS)]
    assert [p for *_, p in predictor.answers((text, None) for text in TEXTS)] == pytest.approx(
        wanted.max(1).values.tolist(), abs=1e-5
    )


def test_a_regression_answers_in_the_users_unit(tmp_path):
    folder = make_bert_folder(
        tmp_path / "model", num_labels=1, masked_lm=False, label_offset=1000.0, label_scale=50.0
    )
    predictor = Predictor(folder, "cpu")
    assert predictor.labels == [] and np.allclose(
        predictor.predict(TEXTS), 1000 + 50 * stock(folder, TEXTS, num_labels=1).numpy(), rtol=1e-5
    )
    assert [p for *_, p in predictor.answers([("a film", None)])] == [None]
    ran = call(f'predict --student_model {folder} --workspace {tmp_path} "the bank was long"')
    assert ran.code == 0 and float(ran.out.split("\t")[0]) == pytest.approx(
        float(predictor.predict(TEXTS[:1])[0, 0]), rel=1e-4
    )


def test_no_texts_have_no_answers(folder):
    assert Predictor(folder, "cpu").predict([]).shape == (0, 3)


def test_a_long_text_is_cut_to_the_models_positions(folder):
    assert Predictor(folder, "cpu", max_length=512).predict(["the river " * 500]).shape == (1, 3)


def test_texts_on_the_command_line(tmp_path, folder):
    ran = call(
        f"predict --student_model {folder} --workspace {tmp_path} --device cpu "
        '"great film !" "a dull , cold plot"'
    )
    wanted = stock(folder, ["great film !", "a dull , cold plot"]).softmax(1)
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert ran.code == 0 and [line[2] for line in lines] == ["great film !", "a dull , cold plot"]
    assert [line[0] for line in lines] == [WORDS[int(row.argmax())] for row in wanted]
    assert [float(line[1]) for line in lines] == pytest.approx(
        wanted.max(1).values.tolist(), abs=1e-4
    )


def test_the_final_student_of_a_task_of_pairs_is_found(tmp_path, folder):
    place = tmp_path / "5_task_distill_out" / "fits"
    shutil.copytree(folder, place)
    (tmp_path / "fits").mkdir()
    (tmp_path / "fits/task.json").write_text(
        json.dumps({"name": "fits", "pair": True, "labels": list(WORDS.values())}), encoding="utf-8"
    )
    ran = call(f'predict --task fits --workspace {tmp_path} "great film !" "a river"')
    wanted = stock(place, ["great film !"], ["a river"]).softmax(1)[0]
    assert ran.code == 0 and ran.out.split("\t") == [
        WORDS[int(wanted.argmax())],
        f"{wanted.max():.4f}",
        "great film !",
        "a river\n",
    ]
    ran = call(f'predict --task fits --workspace {tmp_path} "alone"')
    assert ran.code == 2 and "a pair needs two texts" in ran.err


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_file_in_blocks_into_a_table(tmp_path, folder, monkeypatch, kind):
    monkeypatch.setattr(prediction, "BLOCK", 3)
    rows = [{"title": f'{TEXTS[n % 4]} , "{n}"'} for n in range(10)]
    (tmp_path / "new.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    ran = call(
        f"predict --student_model {folder} --workspace {tmp_path} --file {tmp_path / 'new.jsonl'} "
        f"--text title --output {tmp_path / 'sub' / 'a'}.{kind}"
    )
    assert (
        ran.code == 0
        and "10 rows predicted" in ran.out
        and [path.name for path in (tmp_path / "sub").iterdir()] == [f"a.{kind}"]
    )
    with open(tmp_path / "sub" / f"a.{kind}", encoding="utf-8", newline="") as file:
        found = list(
            csv.DictReader(file)
            if kind == "csv"
            else csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        )
    assert [row["text_a"] for row in found] == [row["title"] for row in rows]
    wanted = stock(folder, [row["title"] for row in rows]).softmax(1)
    assert [row["prediction"] for row in found] == [WORDS[int(row.argmax())] for row in wanted]
    assert [float(row["probability"]) for row in found] == pytest.approx(
        wanted.max(1).values.tolist(), abs=1e-4
    )


def predicted(folder, tmp_path, file, flags=""):
    return call(
        f"predict --student_model {folder} --workspace {tmp_path} --device cpu --file "
        f"{tmp_path / file} {flags}"
    )


def read_back(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_row_has_one_answer_in_its_place(tmp_path, folder):
    """Empty where there is no text or the row does not fit; the other columns are kept."""
    rows = ["id,title,prediction", "1,great film !,x", "2, ,y", "", "3,a,b,c", "4,a river,z"]
    (tmp_path / "new.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    ran = predicted(folder, tmp_path, "new.csv", f"--text title --output {tmp_path / 'a.csv'}")
    assert ran.code == 0 and "5 rows predicted" in ran.out
    assert "new.csv: 3 rows got an empty prediction" in ran.err
    assert "the first is line 3" in ran.err
    found = read_back(tmp_path / "a.csv")
    assert [*found[0]] == ["prediction", "probability", "text_a", "id", "given_prediction"]
    assert [row["text_a"] for row in found] == ["great film !", "", "", "", "a river"]
    assert [bool(row["prediction"]) for row in found] == [True, False, False, False, True]
    assert [bool(row["probability"]) for row in found] == [True, False, False, False, True]
    assert [row["id"] for row in found] == ["1", "2", "", "", "4"]
    assert [row["given_prediction"] for row in found] == ["x", "y", "", "", "z"]
    lines = predicted(folder, tmp_path, "new.csv", "--text title").out.splitlines()
    assert len(lines) == 5 and lines[1:4] == ["\t"] * 3


@pytest.mark.parametrize("bad, says", [('{"title": ', "is not JSON"), ('{"title": [1]}', "[1]")])
def test_the_answers_before_a_row_that_cannot_be_read_stay(tmp_path, folder, bad, says):
    rows = [json.dumps({"title": TEXTS[n % 4], "n": n}) for n in range(7)]
    (tmp_path / "new.jsonl").write_text("\n".join([*rows, bad, *rows]) + "\n", encoding="utf-8")
    ran = predicted(folder, tmp_path, "new.jsonl", f"--text title --output {tmp_path / 'a.csv'}")
    assert ran.code == 2 and "new.jsonl, line 8" in ran.err and says in ran.err
    assert f"7 predictions written to {tmp_path / 'a.csv'}" in ran.err
    found = read_back(tmp_path / "a.csv")
    assert [row["n"] for row in found] == [*"0123456"] and all(row["prediction"] for row in found)
    ran = predicted(folder, tmp_path, "new.jsonl", "--text title")
    assert ran.code == 2 and len(ran.out.splitlines()) == 7


def test_ctrl_c_says_what_is_there(tmp_path, folder, monkeypatch):
    """Prediction saves no steps, so there is none to resume from."""
    (tmp_path / "new.txt").write_text("a film\n" * 9, encoding="utf-8")
    monkeypatch.setattr(prediction, "BLOCK", 3)
    predict_block, calls = Predictor.predict, []

    def stopped(self, *texts):
        calls.append(1)
        if len(calls) % 3 == 0:
            raise KeyboardInterrupt
        return predict_block(self, *texts)

    monkeypatch.setattr(Predictor, "predict", stopped)
    ran = predicted(folder, tmp_path, "new.txt", f"--output {tmp_path / 'a.csv'}")
    assert ran.code == 130 and f"stopped; 6 predictions written to {tmp_path}" in ran.err
    assert len(read_back(tmp_path / "a.csv")) == 6
    ran = predicted(folder, tmp_path, "new.txt")
    assert (
        ran.code == 130 and "stopped after 6 predictions; the same command starts again" in ran.err
    )


def test_a_plain_file_holds_a_text_per_line(tmp_path, folder):
    lines = ["great film !", "", "a tab\tin it", "a river"]
    (tmp_path / "new.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ran = predicted(folder, tmp_path, "new.txt")
    assert "new.txt: every line is a text to predict; if line 1 is a header" in ran.err
    said = [line.split("\t")[2:] for line in ran.out.splitlines()]
    assert ran.code == 0 and said == [["great film !"], [], ["a tab in it"], ["a river"]]
    assert predicted(folder, tmp_path, "new.txt", "--text 1").out == ran.out
    write_tsv(tmp_path / "new.tsv", [["x", text] for text in TEXTS])
    ran = predicted(folder, tmp_path, "new.tsv")
    assert ran.code == 2 and "without a header, name columns by number, such as --text 1" in ran.err
    ran = predicted(folder, tmp_path, "new.tsv", f"--text '{TEXTS[3]}'")
    assert ran.code == 2 and "no column is called" in ran.err
    ran = predicted(folder, tmp_path, "new.tsv", f"--text '{TEXTS[0]}'")
    assert "new.tsv, line 1: " in ran.err and "but looks like a row" in ran.err
    ran = predicted(folder, tmp_path, "new.tsv", "--text 2")
    assert [line.split("\t")[2] for line in ran.out.splitlines()] == TEXTS


@pytest.mark.parametrize("kind", KINDS)
def test_rows_in_a_file_of_any_kind(tmp_path, folder, kind):
    rows = [(text, str(n)) for n, text in enumerate(TEXTS)]
    path = write_kind(tmp_path / "new", kind, rows, ("sentence", "n"))
    ran = predicted(folder, tmp_path, path.name, f"--output {tmp_path / 'a.csv'}")
    assert ran.code == 0, ran.err
    found = read_back(tmp_path / "a.csv")
    assert [(row["text_a"], row["n"]) for row in found] == rows


def test_clues_test_files_need_no_names_of_columns(tmp_path):
    for name, (_, row) in CLUE.items():
        (tmp_path / "test.json").write_text(json.dumps(row) + "\n", encoding="utf-8")
        (found,), _ = read_rows_to_predict(tmp_path / "test.json", find_task(name))
        assert found.texts and found.others["id"] == str(row["id"]), name


def test_snlis_rows_with_more_fields_than_the_header_are_predicted(tmp_path):
    header = ["sentence1", "sentence2", "gold_label"]
    write_tsv(tmp_path / "test.tsv", [["a", "b", "x"], ["c", "d", "x", "y", "z"]], header)
    rows, _ = read_rows_to_predict(tmp_path / "test.tsv", find_task("snli"))
    assert [row.texts for row in rows] == [("a", "b"), ("c", "d")]


def test_arguments_that_are_not_utf_8(tmp_path):
    for argv in (["caf\udce9"], ["a film", "--workspace", "caf\udce9"]):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            assert predict.main(argv) == 2
        assert "the argument b'caf\\xe9' is not UTF-8 text" in err.getvalue()
        assert err.getvalue().count("\n") == 1


PAIRS = list(zip(TEXTS, OTHERS))
GLUE = {  # task, file, header, rows, texts
    "SST-2": (
        "sst-2",
        "test.tsv",
        ["index", "sentence"],
        [[str(n), text] for n, text in enumerate(TEXTS)],
        [(text, None) for text in TEXTS],
    ),
    "SST-2 with labels": (
        "sst-2",
        "dev.tsv",
        ["sentence", "label"],
        [[text, "1"] for text in TEXTS],
        [(text, None) for text in TEXTS],
    ),
    "CoLA without a header": (
        "cola",
        "dev.tsv",
        None,
        [["x", "1", "", text] for text in TEXTS],
        [(text, None) for text in TEXTS],
    ),
    "CoLA's test": (
        "cola",
        "test.tsv",
        ["index", "sentence"],
        [["0", text] for text in TEXTS],
        [(text, None) for text in TEXTS],
    ),
    "MNLI, of many columns": (
        "mnli",
        "test_matched.tsv",
        ["index", *"bcdefgh", "sentence1", "sentence2"],
        [["0", *"bcdefgh", *pair] for pair in PAIRS],
        PAIRS,
    ),
    "QQP with a row that lacks a field": (
        "qqp",
        "test.tsv",
        ["id", "question1", "question2"],
        [["0", *PAIRS[0]], ["1", "alone"], ["2", *PAIRS[1]]],
        [PAIRS[0], None, PAIRS[1]],
    ),
    "XNLI, of many languages": (
        "xnli-de",
        "xnli.test.tsv",
        ["language", "sentence1", "sentence2"],
        [["de", *PAIRS[0]], ["zh", *PAIRS[1]], ["de", *PAIRS[2]]],
        [PAIRS[0], PAIRS[2]],
    ),
    "another kind of file": ("ax", "rows.csv", ["Premise", "Hypothesis"], None, PAIRS),
    "another kind of file, by its other names": (
        "ax",
        "rows.csv",
        ["sentence2", "sentence1"],
        None,
        PAIRS,
    ),
}


@pytest.mark.parametrize(
    "name, file, header, rows, wanted",
    [pytest.param(*case, id=name) for name, case in GLUE.items()],
)
def test_a_tasks_own_columns_need_no_names(tmp_path, name, file, header, rows, wanted):
    if rows is None:
        columns = [[f'"{text}"' for text in texts] for texts in zip(*wanted)]
        lines = zip(*(columns if header[0] in ("Premise", "sentence1") else columns[::-1]))
        (tmp_path / file).write_text(
            "".join(",".join(line) + "\n" for line in [header, *lines]), encoding="utf-8"
        )
    else:
        write_tsv(tmp_path / file, rows, header)
    rows, _ = read_rows_to_predict(tmp_path / file, find_task(name))
    assert [row.texts for row in rows] == wanted


def test_columns_that_are_named_win_over_the_tasks_own(tmp_path, folder):
    write_tsv(
        tmp_path / "rows.tsv", [[text, other] for text, other in PAIRS], ["sentence", "remark"]
    )
    found = [
        [
            line.split("\t")[2]
            for line in call(
                f"predict --student_model {folder} --workspace {tmp_path} --device cpu --file "
                f"{tmp_path / 'rows.tsv'} {flags}"
            ).out.splitlines()
        ]
        for flags in ("", "--text remark")
    ]
    assert found == [TEXTS, OTHERS]


def test_a_long_file_says_how_far_it_is_beside_the_answers(tmp_path, folder, monkeypatch):
    """On stderr, so that the answers are a file for other programs; in a terminal it is a bar."""
    monkeypatch.setattr("tinybert_lite.system.console._with_lines.__defaults__", (0.0,))
    write_tsv(tmp_path / "rows.tsv", [[text] for text in TEXTS], ["sentence"])
    line = (
        f"predict --student_model {folder} --workspace {tmp_path} --device cpu "
        f"--file {tmp_path / 'rows.tsv'}"
    )
    ran = call(line)
    assert (
        ran.code == 0 and len(ran.out.splitlines()) == 4 and "prediction, rows: 3 of 4" in ran.err
    )
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(Terminal()) as err,
    ):
        assert predict.main(shlex.split(line)[1:]) == 0
    assert (
        out.getvalue() == ran.out
        and "prediction, rows" in err.getvalue()
        and "/4 [" in err.getvalue()
    )
    assert count_lines(tmp_path / "rows.tsv") == 4 and count_lines(tmp_path / "rows.tsv.xz") is None


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_answers_come_while_the_file_is_still_read(folder, monkeypatch):
    """A file of any length: no more than a block of it is held."""
    monkeypatch.setattr(prediction, "BLOCK", 2)
    read = []

    def endless():
        while True:
            read.append("a film")
            yield "a film", None

    answers = Predictor(folder, "cpu").answers(endless())
    assert [next(answers)[0] for _ in range(3)] == [("a film", None)] * 3 and len(read) == 4


@pytest.mark.parametrize(
    "flags, says",
    [
        ("", "name either texts to predict"),
        ('"a film" --file new.csv', "or a file with --file"),
        ('"a film" " "', "a text is empty"),
        (
            "--file new.csv",
            "new.csv has no column 'sentence', as SST-2's rows have: name its column of texts "
            "with --text",
        ),
        ("--file new.csv --text_b title", "name the column of texts with --text"),
        ("--file rows.tsv", "rows.tsv has no column 'sentence'"),
        ("--file header.tsv", "header.tsv holds no rows; add at least one"),
        ("--file none.tsv", "none.tsv is missing"),
        ("--file new.csv --text titel", "no column is called 'titel'; the nearest is 'title'"),
        ("--file none.csv --text title", "none.csv is missing"),
        ('"a film" --output a.csv', "--output a.csv needs --file"),
        ("--file new.csv --text title --output new.csv", "must be a new file"),
        ("--file new.csv --text title --output a.xlsx", "that ends in .csv or .tsv"),
        (
            "--file bad.csv --text title --output a.csv",
            "bad.csv, line 2: the row that begins in this line has damaged quoting",
        ),
        ("--file bad.jsonl --text titel", "no column is called 'titel'; the nearest is 'title'"),
        ('"a film" --student_model body', "body holds a model without a classifier"),
        ('"a film" --student_model empty', "empty holds no model"),
        (
            '"a film" --task cola',
            "holds no model: name a finished model with --student_model, or make one with run_all",
        ),
        ('"a film" --task nothing', "no task is called 'nothing'"),
    ],
)
def test_what_cannot_be_predicted_is_said_in_one_sentence(
    tmp_path, folder, monkeypatch, flags, says
):
    monkeypatch.chdir(tmp_path)
    write_tsv(tmp_path / "new.csv", [["a film"]], ["title"])
    write_tsv(tmp_path / "rows.tsv", [["a film"]], ["title"])
    write_tsv(tmp_path / "header.tsv", [], ["sentence", "label"])
    (tmp_path / "bad.csv").write_text('title,other\n"a film"x,x\n', encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text('{"title": "a film"}\n', encoding="utf-8")
    make_bert_folder(tmp_path / "body")
    (tmp_path / "empty").mkdir()
    model = "" if "--student_model" in flags or "--task" in flags else "--student_model model"
    ran = call(f"predict --workspace . --device cpu {model} {flags}")
    assert (
        ran.code == 2
        and says in ran.err
        and ran.err.count("error:") == 1
        and "Traceback" not in ran.err
    ), ran
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("a.")], (
        "half an answer is none"
    )


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        Predictor(tmp_path)
