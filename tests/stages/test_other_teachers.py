"""Teachers without layers to match: classifiers of other architectures, and files of logits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    DistilBertForSequenceClassification,
    DistilBertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaTokenizer,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from tests.makers import LETTERS, VOCABULARY, make_bert_folder, power_cut_after, write_tsv
from tests.makers.commands import RUN, call, outcome, results_of, states
from tests.makers.teachers import fine_tune, make_distilbert, save
from tests.makers.workspaces import make_toy_teacher, toy_rows
from tinybert_lite import task_distill
from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.data.tables import Row, read_table
from tinybert_lite.data.tasks import TASKS, own_task
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Predicting, Settings
from tinybert_lite.stages.teachers import OtherClassifier, class_order, read_logits
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.history import read_history

SST2, MNLI, STSB = (TASKS[name] for name in ("SST-2", "MNLI", "STS-B"))
WORDS = {MNLI.name: {0: "NEUTRAL", 1: "Contradiction", 2: "entailment"}}


def make_roberta(folder: Path, labels: int = 2, **config) -> Path:
    """Cased, with byte-level BPE of letters and a few merges."""
    letters = [*LETTERS, *map(str.upper, LETTERS), *".,!?'", "Ġ"]
    merges = [("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), ("o", "o")]
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
        *letters,
        *("".join(pair) for pair in merges),
    ]
    RobertaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges
    ).save_pretrained(folder)
    size = dict(
        vocab_size=len(pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=66,
    )
    return save(
        RobertaForSequenceClassification(RobertaConfig(**size, num_labels=labels, **config)), folder
    )


def make_xlnet(folder: Path) -> Path:
    """A family without a place in models/families.py."""
    make_roberta(folder)  # for its tokenizer
    pieces = len(RobertaTokenizer.from_pretrained(folder))
    sizes = dict(vocab_size=pieces, d_model=16, n_layer=2, n_head=2, d_inner=32, pad_token_id=1)
    return save(XLNetForSequenceClassification(XLNetConfig(**sizes)), folder)


KINDS = {
    "distilbert": (make_distilbert, DistilBertForSequenceClassification),
    "roberta": (make_roberta, RobertaForSequenceClassification),
}


def rows_of(*texts: str | tuple[str, str]) -> list[Row]:
    both = [text if isinstance(text, tuple) else (text, None) for text in texts]
    return [Row(first, second, None, (), line) for line, (first, second) in enumerate(both, 2)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "task, texts",
    [
        (
            SST2,
            [
                "the film was good .",
                "Bad",
                "the film was good .",
                "The film was good .",
                "a dull plot and a sad story , the actor was not very good",
                "zoo",
            ],
        ),
        (
            MNLI,
            [
                ("the film", "a film was good ."),
                ("a film was good .", "the film"),
                ("the film", "the Film"),
            ],
        ),
    ],
    ids=["texts", "pairs"],
)
def test_its_logits_are_the_stock_models_row_by_row(tmp_path, kind, task, texts):
    make, stock = KINDS[kind]
    folder = make(tmp_path, task.num_labels)
    teacher = OtherClassifier(folder, task, 64, batch_size=2)
    model, tokenizer = stock.from_pretrained(folder).eval(), teacher.tokenizer
    with torch.no_grad():
        wanted = [
            model(
                **{
                    name: torch.tensor([ids])
                    for name, ids in tokenizer(
                        *(text if isinstance(text, tuple) else (text,))
                    ).items()
                    if name != "token_type_ids"
                }
            )
            .logits[0]
            .numpy()
            for text in texts
        ]
    found = teacher.logits(iter(rows_of(*texts)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(found, axis=0).min() > 0.01, (
        "all rows are answered alike, so their order was not tested"
    )


def test_a_family_that_is_not_listed_teaches_stage_5(workspace):
    make_xlnet(workspace / "mine")
    assert not ModelFolder(workspace / "mine").has_layers
    ran = call(f"{RUN} --task_teacher mine")
    assert ran.code == 0 and states(ran.out)["task_distill_mid"] == "not needed", ran.err
    assert "layers of the family xlnet cannot be matched" in ran.out


def test_texts_that_are_alike_are_read_once(tmp_path):
    teacher, read = OtherClassifier(make_distilbert(tmp_path), SST2, 64, batch_size=2), []
    teacher.model.register_forward_pre_hook(
        lambda module, args, batch: read.append(len(batch["input_ids"])), with_kwargs=True
    )
    found = teacher.logits(rows_of("good", "bad", "good", "a very long film", "bad"))
    assert sum(read) == 3 and (found[[0, 1]] == found[[2, 4]]).all()


@pytest.mark.parametrize("kind, positions", [("distilbert", 64), ("roberta", 64)])
def test_a_row_is_cut_where_the_positions_or_the_settings_end(tmp_path, kind, positions):
    folder = KINDS[kind][0](tmp_path)
    long, cut = (
        "a b " * 100,
        " ".join(("a b " * 100).split()[: (positions - 2) // (1 if kind == "distilbert" else 2)]),
    )
    whole = OtherClassifier(folder, SST2, 512)
    assert whole.batch([(long, None)])["input_ids"].shape == (1, positions)
    np.testing.assert_allclose(
        *(whole.logits(rows_of(text)) for text in (long, cut)),
        atol=1e-5 if kind == "distilbert" else 1e-1,
    )
    assert OtherClassifier(folder, SST2, 10).batch([(long, None)])["input_ids"].shape == (1, 10)


@pytest.mark.parametrize(
    "task, words, order",
    [
        (MNLI, ["NEUTRAL", "Contradiction", "entailment"], [1, 2, 0]),
        (SST2, ["1", "0"], [1, 0]),
        (SST2, ["NEGATIVE", "POSITIVE"], [0, 1]),
        (SST2, ["0", "good"], [0, 1]),
        (STSB, ["LABEL_0"], [0]),
        (replace(SST2, labels=("a", "A")), ["A", "a"], [1, 0]),
        (replace(SST2, labels=("a", "A")), ["a", "a"], [0, 1]),
    ],
)
def test_labels_go_by_their_words_where_these_are_the_tasks(tmp_path, capsys, task, words, order):
    folder = make_distilbert(tmp_path, len(words), id2label=dict(enumerate(words)))
    assert class_order(ModelFolder(folder), task) == order
    said = capsys.readouterr().out
    assert ("outputs are taken in the order of the task" in said) == (
        order == list(range(len(words))) and task.num_labels > 1
    )
    answers, plain = (
        OtherClassifier(folder, of, 64).logits(rows_of("good film"))
        for of in (task, replace(task, labels=("x", "y", "z")[: len(task.labels)]))
    )
    assert answers.tolist() == plain[:, order].tolist()


def test_its_cost_counts_every_number_and_multiplication(tmp_path):
    teacher = OtherClassifier(make_distilbert(tmp_path), SST2, 64)
    found = teacher.cost(rows_of("the film was good .", "a film was not good ."))
    L, D, F, M, V = 7, 16, 32, 2, len(VOCABULARY)  # 7 pieces and 8, on average 8 in even rounding
    L = found["length"]
    assert L in (7, 8)
    assert (
        found["multiply_adds"]
        == M * (4 * L * D * D + 2 * L * L * D + 2 * L * D * F) + D * D + 2 * D
    )
    assert found["blocks"] == {
        "embeddings": (V + 64 + 2) * D,
        "encoder": M * (4 * D * (D + 1) + F * (D + 1) + D * (F + 1) + 4 * D),
        "classifier": D * (D + 1) + 2 * (D + 1),
    }
    assert (
        found["parameters"] == sum(p.numel() for p in teacher.model.parameters())
        and found["milliseconds_a_row"] > 0
    )


def broken(make, **changes):
    """A classifier's folder with files changed: None removes one, bytes replace it, a dict updates
    its JSON."""

    def made(folder: Path) -> Path:
        make(folder)
        for name, content in changes.items():
            path = next(folder.glob(f"{name}.*"))
            if isinstance(content, dict):
                path.write_text(json.dumps(json.loads(path.read_text()) | content))
            else:
                path.unlink() if content is None else path.write_bytes(content)
        return folder

    return made


def headless(folder: Path) -> Path:
    make_distilbert(folder)
    DistilBertModel.from_pretrained(folder).save_pretrained(folder)
    return folder


def hostile(folder: Path) -> Path:
    make_distilbert(folder)
    (folder / "model.safetensors").unlink()
    torch.save(
        {"distilbert.embeddings.word_embeddings.weight": Runs(folder / "owned")},
        folder / "pytorch_model.bin",
    )
    return folder


class Runs:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.mkdir, (Path(self.path),)


def of_nan(folder: Path) -> Path:
    make_distilbert(folder)
    model = DistilBertForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data[:] = float("nan")
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda folder: make_distilbert(folder, 3),
            "config.json has 3 outputs (LABEL_0, LABEL_1, LABEL_2), but SST-2 needs 2 (0, 1)",
        ),
        (broken(make_distilbert, model=None), "holds no weights"),
        (
            broken(make_distilbert, model=b"half a file"),
            "model.safetensors is not a file of plain tensors",
        ),
        (
            broken(make_distilbert, config={"dim": 8}),
            "is not a classifier that can be read here (RuntimeError",
        ),
        (
            broken(make_distilbert, config={"id2label": {"0": "bad", "7": "good"}}),
            "is not a classifier that can be read here (KeyError",
        ),
        (
            broken(make_distilbert, config={"model_type": "unheard-of"}),
            "is not a classifier that can be read here (ValueError",
        ),
        (
            broken(
                make_distilbert,
                config={"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}},
            ),
            "is not a classifier that can be read here (ValueError",
        ),
        (
            broken(make_distilbert, config={"num_labels": 10**12}),
            "its num_labels of 1000000000000 is more than 10,000",
        ),
        (
            broken(make_distilbert, config={"n_layers": 10**9}),
            "its num_hidden_layers of 1000000000 is more than 256",
        ),
        (broken(make_distilbert, config=b"{"), "is not valid JSON"),
        (
            broken(make_distilbert, vocab=None),
            "a tokenizer of 5 pieces, padding with [PAD], does not belong to a model of 119",
        ),
        (
            headless,
            "model.safetensors lacks classifier.bias (4 tensors in all): use a classifier that was "
            "fine-tuned on SST-2",
        ),
        (hostile, "its pickle contains a call of getattr, which was not run"),
        (of_nan, "model.safetensors: classifier.bias holds NaN or infinity"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_classifier_that_cannot_teach_is_refused_in_one_sentence(tmp_path, make, message):
    folder = make(tmp_path)
    with pytest.raises(UserError) as refused:
        OtherClassifier(folder, SST2, 64).logits(rows_of("good"))
    assert (
        message in str(refused.value)
        and str(folder) in str(refused.value)
        and "\n" not in str(refused.value)
    )
    assert not (folder / "owned").exists()


def test_the_fingerprint_of_a_classifier_covers_its_tokenizer(tmp_path):
    folder = make_roberta(tmp_path)
    seen = {fingerprint(folder)}
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (folder / name).write_text(
            json.dumps(json.loads((folder / name).read_text()) | {"changed": True})
        )
        seen.add(fingerprint(folder))
    (folder / "README.md").write_text("a note")
    assert len(seen | {fingerprint(folder)}) == 4


@pytest.fixture
def train(tmp_path):
    return write_tsv(tmp_path / "train.tsv", toy_rows(3, 1), ("sentence", "label"))


def array(values, dtype=np.float32):
    return lambda path: np.save(open(path, "wb"), np.array(values, dtype))


GOOD = [[1.5, -2], [0.25, 4], [3, 3]]


@pytest.mark.parametrize(
    "name, write",
    [
        ("logits.npy", array(GOOD)),
        ("logits.npy", array(GOOD, np.float64)),
        ("logits.npy", array(GOOD, np.float16)),
        ("logits.tsv", lambda path: path.write_text("0\t1\n1.5\t-2\n0.25\t4\n3\t3e0\n")),
        ("logits.tsv", lambda path: path.write_text("1\t0\r\n-2\t1.5\r\n4\t0.25\r\n3\t3\r\n\r\n")),
    ],
)
def test_logits_come_in_the_order_of_the_tasks_labels(tmp_path, train, name, write):
    write(tmp_path / name)
    found = read_logits(tmp_path / name, SST2, train)
    assert found.tolist() == GOOD and found.dtype == np.float32


def test_a_regression_has_one_column_of_any_name(tmp_path):
    rows = write_tsv(
        tmp_path / "train.tsv",
        [("a film", "a movie", "2.5"), ("a", "b", "1")],
        ("sentence1", "sentence2", "score"),
    )
    (tmp_path / "logits.tsv").write_text("score\n2.25\n-1\n")
    assert read_logits(tmp_path / "logits.tsv", STSB, rows).tolist() == [[2.25], [-1]]


def test_a_regressions_numbers_are_in_the_labels_unit_and_learnt_on_their_scale(tmp_path):
    rows = write_tsv(
        tmp_path / "train.tsv",
        [("a film", "a movie", "2.5"), ("a", "b", "1")],
        ("sentence1", "sentence2", "score"),
    )
    (tmp_path / "logits.tsv").write_text("score\n110\n85\n")
    task = replace(STSB, offset=100.0, scale=5.0)
    assert read_logits(tmp_path / "logits.tsv", task, rows).tolist() == [[2], [-3]]
    folder, table = make_distilbert(tmp_path / "other", 1), read_table(rows, STSB).rows
    found, plain = (OtherClassifier(folder, of, 64).logits(table) for of in (task, STSB))
    np.testing.assert_allclose(found, (plain - 100) / 5, rtol=1e-6)


def text(content: str):
    return lambda path: path.write_text(content)


REFUSED = [
    (
        "logits.tsv",
        text("0\t1\n1\t2\n3\t4\n"),
        "line 3: the file ends after 2 rows of logits, but",
        "has 3 rows",
    ),
    (
        "logits.tsv",
        text("0\t1\n" + "1\t2\n" * 4),
        "line 5: the file ends after 4 rows of logits",
        "has 3 rows",
    ),
    (
        "logits.tsv",
        text("0\tgood\n" + "1\t2\n" * 3),
        "line 1: unknown label 'good'; name 0, 1 in the header",
    ),
    ("logits.tsv", text("0\t0\n" + "1\t2\n" * 3), "line 1: 2 columns ['0', '0']"),
    ("logits.tsv", text("0\n" + "1\n" * 3), "line 1: 1 columns ['0']"),
    ("logits.tsv", text(""), "line 1: unknown label ''"),
    ("logits.tsv", text("0\t1\n1\t2\n3\tnan\n5\t6\n"), r"line 3: '3\tnan' is not 2 finite numbers"),
    (
        "logits.tsv",
        text("0\t1\n1\t2\n3\t1e39\n5\t6\n"),
        r"line 3: '3\t1e39' is not 2 finite numbers",
    ),
    ("logits.tsv", text("0\t1\n1\t2\n3\t4\n5\n"), "line 4: '5' is not 2 finite numbers"),
    (
        "logits.tsv",
        text('0\t1\n"1"\t2\n3\t4\n5\t6\n'),
        "line 2: '\"1\"\\t2' is not 2 finite numbers",
    ),
    ("logits.tsv", lambda path: path.write_bytes(b"0\t1\n\xff\t1\n"), "line 2: not UTF-8 text"),
    ("logits.npy", array(GOOD[:2]), "row 2: the file ends after 2 rows of logits", "has 3 rows"),
    ("logits.npy", array([*GOOD[:1], [1, float("inf")], [1, 2]]), "row 2: holds NaN or infinity"),
    ("logits.npy", array(GOOD[:2] + [[1e300, 0]], np.float64), "row 3: holds NaN or infinity"),
    (
        "logits.npy",
        array([[1, 2, 3]] * 3),
        "holds an array of shape (3, 3) and type float32, but logits for SST-2 are floats of "
        "shape (rows, 2)",
    ),
    ("logits.npy", array([1, 2, 3]), "holds an array of shape (3,) and type float32"),
    ("logits.npy", array([[1, 2]] * 3, np.int64), "holds an array of shape (3, 2) and type int64"),
    (
        "logits.npy",
        array([[None, 2]] * 3, object),
        "is not an array that NumPy can read without running code",
    ),
    ("logits.npy", text("no array"), "is not an array that NumPy can read without running code"),
]


@pytest.mark.parametrize("name, write, message, more", [(*case, "")[:4] for case in REFUSED])
def test_a_file_that_does_not_fit_is_refused_with_its_line(
    tmp_path, train, name, write, message, more
):
    write(tmp_path / name)
    with pytest.raises(UserError) as refused:
        read_logits(tmp_path / name, SST2, train)
    assert (
        str(refused.value).startswith(f"{tmp_path / name}")
        and message in str(refused.value)
        and more in str(refused.value)
    )
    assert "\n" not in str(refused.value)


BRIEF = dict(learning_rate=1e-2, max_seq_length=32, train_batch_size=8, save_every=2)
SETTINGS = Settings(
    profile="smoke",
    device="cpu",
    threads=1,
    seed=3,
    task_distill_out=Predicting(num_train_epochs=12, **BRIEF),
)


def contrary_logits(table: Path, path: Path) -> Path:
    """A teacher that is sure of the wrong label."""
    np.save(
        path,
        np.array(
            [
                [4.0, -4.0] if row.label == "1" else [-4.0, 4.0]
                for row in read_table(table, SST2).rows
            ]
        ),
    )
    return path


@pytest.fixture
def reads(workspace):
    data = workspace / "SST-2"
    return {
        "rows": data / "train.tsv",
        "dev": data / "dev.tsv",
        "student": make_bert_folder(workspace / "student", layers=1, masked_lm=False),
        "teacher": contrary_logits(data / "train.tsv", workspace / "logits.npy"),
    }


def test_the_student_learns_what_the_file_says_and_not_the_labels(reads, workspace, capsys):
    write_tsv(
        reads["dev"],
        [(text, str(1 - int(label))) for text, label in toy_rows(24, 2)],
        ("sentence", "label"),
    )
    result = task_distill.OUT.execute(reads, workspace / "out", SETTINGS)
    losses = [
        event["prediction"]
        for event in read_history(workspace / "out/history.jsonl")
        if "prediction" in event
    ]
    assert losses[-1] < 0.2 < 0.5 < losses[0]
    assert result.metrics["teacher_dev"] is None and result.metrics["dev"]["accuracy"] > 0.9
    said = capsys.readouterr()
    assert "so its dev score is unknown" in said.out and "ATTENTION" not in said.err


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_comes_to_answer_as_a_classifier_that_reads_other_pieces(reads, workspace, kind):
    make, stock = KINDS[kind]
    reads["teacher"] = fine_tune(make(workspace / "other"), stock)
    write_tsv(
        reads["rows"], [(text, "0") for text, _ in toy_rows(24, 1)], ("sentence", "label")
    )  # labels that teach nothing
    longer = Predicting(num_train_epochs=24, **BRIEF)
    metrics = task_distill.OUT.execute(
        reads, workspace / "out", replace(SETTINGS, profile="classroom", task_distill_out=longer)
    ).metrics
    losses = [
        event["prediction"]
        for event in read_history(workspace / "out/history.jsonl")
        if "prediction" in event
    ]
    assert (
        losses[-1] < 0.9 * losses[0]
        and min(metrics["teacher_dev"]["accuracy"], metrics["dev"]["accuracy"]) > 0.9
    )


def test_rows_without_a_label_are_learnt_too(reads, workspace):
    (workspace / "task.json").write_text(json.dumps({"name": "mine", "labels": ["bad", "good"]}))
    task = own_task(workspace / "task.json")
    texts = [text for text, _ in toy_rows(24, 1)]
    reads["rows"] = write_tsv(
        workspace / "rows.tsv",
        [(text, "" if i % 2 else "bad") for i, text in enumerate(texts)],
        ("text_a", "label"),
    )
    reads["dev"] = write_tsv(
        workspace / "dev.tsv",
        [(text, ("bad", "good")[i % 2]) for i, text in enumerate(texts)],
        ("text_a", "label"),
    )
    np.save(reads["teacher"], np.array([[-4.0, 4.0] if i % 2 else [4.0, -4.0] for i in range(24)]))
    results = [
        task_distill.OUT.execute(
            {**reads, "teacher": teacher}, workspace / f"out{i}", replace(SETTINGS, task=task)
        ).metrics
        for i, teacher in enumerate((reads["teacher"], make_distilbert(workspace / "other")))
    ]
    assert [result["rows"] for result in results] == [24, 24]
    assert results[0]["dev"]["accuracy"] > 0.9  # "good" stands in rows without a label alone


@pytest.mark.parametrize("kind", ["file", "classifier"])
def test_a_killed_run_goes_on_and_ends_bit_identical(reads, workspace, kind, capsys):
    if kind == "classifier":
        reads["teacher"] = make_roberta(workspace / "other")
    task_distill.OUT.execute(reads, workspace / "whole", SETTINGS)
    with power_cut_after(5):
        task_distill.OUT.execute(reads, workspace / "killed", SETTINGS)
    capsys.readouterr()
    assert (
        task_distill.OUT.execute(reads, workspace / "killed", SETTINGS).metrics["resumed_from"] == 4
    )
    assert "the teacher's logits for these rows are in" in capsys.readouterr().out
    assert outcome(workspace / "killed") == outcome(workspace / "whole")


def test_logits_are_asked_for_again_where_texts_differ_that_the_student_reads_alike(
    reads, workspace, capsys
):
    reads["teacher"] = make_roberta(workspace / "other")
    task_distill.OUT.execute(reads, workspace / "out", SETTINGS)
    reads["rows"].write_text(reads["rows"].read_text().replace("the film", "The film"))
    task_distill.OUT.execute(reads, workspace / "out", SETTINGS)
    assert "the teacher's logits for these rows are in" not in capsys.readouterr().out


def test_a_classifier_at_chance_is_refused_as_every_teacher_is(reads, workspace):
    reads["teacher"] = make_distilbert(workspace / "other")
    with pytest.raises(UserError, match="the teacher's dev accuracy of .* is not above chance"):
        task_distill.OUT.execute(reads, workspace / "out", replace(SETTINGS, profile="classroom"))


# Commands ------------------------------------------------------------------------------------


def test_run_all_with_a_classifier_that_is_not_a_bert(workspace):
    folder = make_distilbert(workspace / "other", id2label={0: "1", 1: "0"})
    ran = call(f"{RUN} --teacher_model teacher_model --task_teacher other")
    assert ran.code == 0 and "ATTENTION" not in ran.err, ran.err
    assert states(ran.out) == {
        "pretrain": "not needed",
        "data_augmentation": "to do",
        "pregenerate_training_data": "to do",
        "general_distill": "to do",
        "finetune_teacher": "not needed",
        "task_distill_mid": "not needed",
        "task_distill_out": "to do",
    }
    assert (
        "the task teacher and teacher_model have different tokenizers, so layers" in ran.out
        and f"{folder} was given" in ran.out
    )
    assert (
        not (workspace / "4_task_distill_mid").exists()
        and not (workspace / "teacher_model/SST-2").exists()
    )
    results = results_of(workspace)
    manifest = json.loads((workspace / "5_task_distill_out/manifest.json").read_text())
    assert manifest["inputs"]["teacher"]["path"] == str(folder) and manifest["inputs"]["student"][
        "path"
    ] == str(workspace / "3_general_distill")
    assert manifest["inputs"]["rows"]["path"] == str(workspace / "1_pre_data/aug.tsv")
    rows = read_table(workspace / "SST-2/dev.tsv", SST2).rows
    right = OtherClassifier(folder, SST2, 48).logits(rows).argmax(1) == [
        int(row.label) for row in rows
    ]
    assert results["teacher"] == manifest["metrics"]["teacher_dev"] == {"accuracy": right.mean()}
    assert set(results["probe_along_the_stages"]) == {"3", "5"} and 0 <= results["agreement"] <= 1
    assert results["parameters"]["teacher"] == sum(
        p.numel() for p in DistilBertForSequenceClassification.from_pretrained(folder).parameters()
    )
    assert set(results["seconds"]) == {
        "data_augmentation",
        "pregenerate_training_data",
        "general_distill",
        "task_distill_out",
    }
    assert "| teacher |" in (workspace / "5_task_distill_out/report.md").read_text(encoding="utf-8")
    again = call(
        f"{RUN} --teacher_model teacher_model --task_teacher other --until task_distill_out"
    )
    assert "to do" not in states(again.out).values()
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    changed = call(f"{RUN} --teacher_model teacher_model --task_teacher other --dry-run")
    assert states(changed.out)["task_distill_out"] == "to do" and "teacher changed" in changed.out


def test_run_all_with_a_file_of_logits(workspace):
    contrary_logits(workspace / "SST-2/train.tsv", workspace / "logits.npy")
    ran = call(f"{RUN} --teacher_logits logits.npy")
    assert ran.code == 0 and "ATTENTION" not in ran.err, ran.err
    assert {name for name, state in states(ran.out).items() if state == "to do"} == {
        "pregenerate_training_data",
        "general_distill",
        "task_distill_out",
    }
    assert all(
        reason in ran.out
        for reason in (
            "logits.npy has logits for the rows of train.tsv only",
            "a file of logits has no layers to match",
            "logits.npy was given",
        )
    )
    results = results_of(workspace)
    assert (
        results["teacher"] is None
        and results["agreement"] is None
        and set(results["cost"]) == set(results["parameters"]) == {"student"}
    )
    report = (workspace / "5_task_distill_out/report.md").read_text(encoding="utf-8")
    assert (
        "| student |" in report
        and "| teacher |" not in report
        and "only the logits of the training rows are known" in report
    )
    assert sorted(path.stem for path in (workspace / "5_task_distill_out/pictures").iterdir()) == [
        "along_the_stages",
        "losses_general_distillation",
        "losses_prediction_layer",
    ]
    assert json.loads((workspace / "5_task_distill_out/manifest.json").read_text())["inputs"][
        "rows"
    ]["path"] == str(workspace / "SST-2/train.tsv")
    assert (
        "to do"
        not in states(
            call(f"{RUN} --teacher_logits logits.npy --until task_distill_out").out
        ).values()
    )


def test_with_a_whole_student_stage_5_is_all_there_is_to_do(workspace):
    make_bert_folder(workspace / "mine", layers=1, masked_lm=False)
    contrary_logits(workspace / "SST-2/train.tsv", workspace / "logits.npy")
    found = states(call(f"{RUN} --teacher_logits logits.npy --student_model mine --dry-run").out)
    assert [name for name, state in found.items() if state == "to do"] == ["task_distill_out"]
    places = Workspace.find(student_model="mine", teacher_logits="logits.npy")
    assert task_distill.OUT.reads(places)["student"].path == workspace / "mine"


@pytest.mark.slow
def test_after_a_bert_the_report_leaves_its_stage_4_out(workspace):
    make_toy_teacher(workspace / "tuned", classifier=True)
    assert call(f"{RUN} --task_teacher tuned").code == 0
    assert set(results_of(workspace)["probe_along_the_stages"]) == {"teacher", "3", "4", "5"}
    make_xlnet(workspace / "other")
    assert call(f"{RUN} --task_teacher other").code == 0
    assert (
        "task_distill_mid" not in results_of(workspace)["seconds"]
        and "4" not in results_of(workspace)["probe_along_the_stages"]
    )
    assert not (workspace / "5_task_distill_out/pictures/losses_intermediate_layers.png").exists()


TASK_DISTILL = (
    "task_distill --data_dir SST-2 --task_name sst-2 --student_model student --output_dir out "
    "--num_train_epochs 1 --threads 1 --device cpu"
)


def test_task_distill_with_either(reads, workspace):
    make_distilbert(workspace / "other")
    for flags in (
        "--teacher_logits logits.npy",
        "--task_teacher other --allow_weak_teacher",
        "--teacher_model other --allow_weak_teacher",
    ):
        ran = call(f"{TASK_DISTILL} --pred_distill {flags}")
        assert (
            ran.code == 0
            and "ATTENTION" not in ran.err
            and (workspace / "out/eval_results.txt").is_file()
        ), ran.err


@pytest.mark.parametrize(
    "line, message",
    [
        (f"{TASK_DISTILL} --task_teacher other", "has another tokenizer than the student"),
        (f"{TASK_DISTILL} --teacher_logits logits.npy", "logits.npy is not of a family"),
        (
            f"{TASK_DISTILL} --pred_distill --teacher_logits logits.npy --task_teacher other",
            "--teacher_logits replaces the teacher",
        ),
        (
            f"{TASK_DISTILL} --pred_distill --teacher_logits lost.npy",
            "--teacher_logits lost.npy: there is no such file",
        ),
        (f"{RUN} --teacher_logits lost.npy", "--teacher_logits lost.npy: there is no such file"),
        (
            f"{RUN} --teacher_logits logits.npy --task_teacher other",
            "--teacher_logits replaces the task teacher",
        ),
        (
            f"{RUN} --teacher_logits short.tsv",
            "short.tsv, line 2: the file ends after 1 rows of logits",
        ),
        (
            f"{RUN} --teacher_model teacher_model --task_teacher three",
            "three/config.json has 3 outputs",
        ),
        (f"{RUN} --task all --teacher_logits logits.npy", "name one task"),
    ],
)
def test_a_command_refuses_before_it_does_anything(reads, workspace, line, message):
    make_distilbert(workspace / "other")
    make_distilbert(workspace / "three", 3)
    (workspace / "short.tsv").write_text("0\t1\n1\t2\n")
    ran = call(line)
    errors = [said for said in ran.err.splitlines() if said.startswith("error:")]
    assert ran.code == 2 and len(errors) == 1 and message in errors[0], ran
    assert not (workspace / "2_pregenerate_data").exists() and not (workspace / "out").exists()
