"""The workspace: which folder and file wins. Also the toy workspace that other tests run in."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import random
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tests.makers import VOCABULARY, config_values, make_bert_folder, write_tsv
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace
from tinybert_lite.system.errors import UserError

NOUNS = "film movie plot story actor scene bank river house street".split()
GLOVE_WORDS = [
    *NOUNS,
    "good",
    "great",
    "fine",
    "bad",
    "dull",
    "sad",
    "wonderful",
    "gorgeous",
    "dreadful",
    "terrible",
]
HEADER = ("sentence", "label")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny models on a busy machine: two threads spend their time waiting for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def toy_rows(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences whose label is decided by one word, both labels equally often."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        first, second = draw.sample(NOUNS, 2)
        rows.append(
            (f"the {first} was {('bad', 'good')[i % 2]} and the {second} was long .", str(i % 2))
        )
    return rows


def write_toy_data(folder: Path, train: int = 24, dev: int = 24, test: int = 8) -> Path:
    write_tsv(folder / "train.tsv", toy_rows(train, 1), HEADER)
    write_tsv(folder / "dev.tsv", toy_rows(dev, 2), HEADER)
    write_tsv(
        folder / "test.tsv",
        [(str(i), text) for i, (text, _) in enumerate(toy_rows(test, 3))],
        ("index", "sentence"),
    )
    return folder


def write_toy_corpus(path: Path, documents: int = 6, sentences: int = 6) -> Path:
    draw = random.Random(4)
    texts = [
        [
            f"the {draw.choice(NOUNS)} is {draw.choice(('very', 'not'))} "
            f"{draw.choice(('warm', 'cold', 'funny'))} , we like {word} {number} ."
            for number in range(sentences)
        ]
        for word in (*NOUNS, "walk", "run")[:documents]
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n\n".join("\n".join(document) for document in texts) + "\n",
        encoding="utf-8",
        newline="\n",
    )
    return path


def write_toy_vectors(path: Path, words=GLOVE_WORDS, width: int = 6) -> Path:
    draw = random.Random(5)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [" ".join([word, *(f"{draw.gauss(0, 1):.4f}" for _ in range(width))]) for word in words]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def make_student_config(
    folder: Path, layers: int = 1, width: int = 16, heads: int = 2, **more
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(
        json.dumps(config_values(layers, width, heads, **{"initializer_range": 0.05, **more})),
        encoding="utf-8",
    )
    return folder


@functools.cache
def _knowing_state(layers: int, width: int, heads: int) -> dict[str, torch.Tensor]:
    """The body of a BERT that was trained until its pooler tells good from bad."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(**config_values(layers, width, heads), num_labels=2)
    ).eval()
    rows = toy_rows(64, 6)
    places = {piece: i for i, piece in enumerate(VOCABULARY)}
    ids = torch.tensor(
        [[places[piece] for piece in ("[CLS]", *text.split(), "[SEP]")] for text, _ in rows]
    )
    labels, optimizer = (
        torch.tensor([int(label) for _, label in rows]),
        torch.optim.Adam(model.parameters(), lr=5e-3),
    )
    for _ in range(60):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05, "the toy teacher did not learn its toy task"
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def make_toy_teacher(
    folder: Path, layers: int = 2, width: int = 32, heads: int = 2, classifier: bool = False
) -> Path:
    """A raw BERT that a few steps of fine-tuning lift above chance, or a fine-tuned one."""
    make_bert_folder(folder, layers, width, heads, initializer_range=1e-4)
    state = torch.load(folder / "pytorch_model.bin")
    state |= {
        name: tensor
        for name, tensor in _knowing_state(layers, width, heads).items()
        if classifier or not name.startswith("classifier.")
    }
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def lay_out(root: Path) -> Path:
    """A workspace as in the original guide: rows, corpus, vectors, raw teacher, student config."""
    make_toy_teacher(root / "teacher_model")
    make_student_config(root / "student_model")
    write_toy_data(root / "SST-2")
    write_toy_corpus(root / "1_pre_data" / "documents.txt")
    write_toy_vectors(root / "1_pre_data" / "glove.6B.100d.txt")
    return root


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def call(line: str) -> Ran:
    """Run a command line, given as what follows `python -m tinybert_lite.`, in this process."""
    module, *argv = shlex.split(line)
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = importlib.import_module(f"tinybert_lite.{module}").main(argv)
    return Ran(code, out.getvalue(), err.getvalue())


def snapshot(*folders: Path) -> dict[str, bytes]:
    """Every file below the folders but locks, with its bytes."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """A toy workspace, which is the current folder."""
    root = lay_out(tmp_path / "workspace")
    monkeypatch.chdir(root)
    monkeypatch.delenv("TINYBERT_WORKSPACE", raising=False)
    return root


# Which folder wins ---------------------------------------------------------------------------


def test_the_workspace_is_the_argument_the_variable_the_nearest_parent_or_the_repository(
    workspace, tmp_path, monkeypatch
):
    inside = workspace / "notebooks" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert Workspace.find().root == workspace
    monkeypatch.setenv("TINYBERT_WORKSPACE", str(tmp_path / "other"))
    assert Workspace.find().root == tmp_path / "other"
    assert Workspace.find(tmp_path / "third").root == tmp_path / "third"
    monkeypatch.delenv("TINYBERT_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    assert Workspace.find().root == SHIPPED


def test_the_folders_serve_sst2_and_other_tasks_use_sub_folders(workspace):
    own, other = Workspace.find(task="sst-2"), Workspace.find(task="rte")
    assert (
        own.augmented_rows == workspace / "1_pre_data" / "aug.tsv"
        and own.mid_student == workspace / "4_task_distill_mid"
    )
    assert (
        other.augmented_rows == workspace / "1_pre_data" / "RTE" / "aug.tsv"
        and other.mid_student == workspace / "4_task_distill_mid" / "RTE"
    )
    assert own.tuned_teacher != other.tuned_teacher and own.general_student == other.general_student


def test_what_the_user_put_there_wins_over_what_is_shipped(workspace, tmp_path):
    own, empty = Workspace.find(), Workspace.find(tmp_path / "empty")
    assert (own.corpus, own.data_dir, own.vectors) == (
        workspace / "1_pre_data/documents.txt",
        workspace / "SST-2",
        workspace / "1_pre_data/glove.6B.100d.txt",
    )
    assert (own.teacher.path, own.student_source.path) == (
        workspace / "teacher_model",
        workspace / "student_model",
    )
    assert (empty.corpus, empty.data_dir) == (
        SHIPPED / "1_pre_data/documents.txt",
        SHIPPED / "SST-2",
    )


def test_teacher_model_without_weights_of_its_own_means_its_classroom_folder(workspace):
    for name in ("config.json", "pytorch_model.bin", "vocab.txt"):
        (workspace / "teacher_model" / name).unlink()
    inside = make_bert_folder(workspace / "teacher_model" / "classroom")
    found = resolve_teacher(ModelFolder("teacher_model"), Workspace.find())
    assert found.path.resolve() == inside


@pytest.mark.parametrize(
    "left, missing", [("config.json", "no weights"), ("pytorch_model.bin", "no config.json")]
)
def test_half_a_teacher_is_named_and_not_passed_over(workspace, left, missing):
    for path in (workspace / "teacher_model").iterdir():
        if path.name != left:
            path.unlink()
    make_bert_folder(workspace / "teacher_model" / "classroom")
    with pytest.raises(UserError, match=missing):
        assert Workspace.find().teacher


@pytest.mark.parametrize(
    "heads, layers, student", [(4, 6, "classroom"), (12, 12, "tinybert4"), (12, 6, "tinybert6")]
)
def test_the_shipped_student_fits_the_teachers_heads_and_layers(tmp_path, heads, layers, student):
    teacher = make_bert_folder(tmp_path / "teacher", layers, 24, heads)
    assert Workspace.find(tmp_path / "empty", teacher_model=teacher).student_source.name == student


def test_a_given_task_teacher_is_never_the_general_one(workspace):
    tuned = make_toy_teacher(workspace / "mine", classifier=True)
    found = Workspace.find(task_teacher=tuned)
    assert (found.teacher.path, found.task_teacher.path) == (workspace / "teacher_model", tuned)


def test_the_toy_teacher_is_raw_unless_a_classifier_is_asked_for(tmp_path):
    assert not ModelFolder(make_toy_teacher(tmp_path / "raw")).has_classifier
    assert ModelFolder(make_toy_teacher(tmp_path / "tuned", classifier=True)).has_classifier
    assert all(piece in VOCABULARY for text, _ in toy_rows(20, 0) for piece in text.split())
    assert len(load_tokenizer(tmp_path / "raw" / "vocab.txt")) == len(VOCABULARY)
