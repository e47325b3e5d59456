"""The workspace: which folder and file wins. Also the toy workspace that other tests run in."""

from __future__ import annotations

import json

import pytest

from tests.makers import VOCABULARY, make_bert_folder
from tests.makers.workspaces import make_toy_teacher, toy_rows
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.student import parameters_of
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace
from tinybert_lite.system.errors import UserError

# Which folder wins --------------------------------------------------------------------------------


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


def test_word_vectors_in_any_published_form_are_the_users(workspace, tmp_path):
    (workspace / "1_pre_data/cc.en.300.vec").write_text("2 2\na 1 2\n", encoding="utf-8")
    assert Workspace.find().vectors.name == "glove.6B.100d.txt"
    (workspace / "1_pre_data/glove.6B.100d.txt").unlink()
    assert Workspace.find().vectors == workspace / "1_pre_data/cc.en.300.vec"
    given = tmp_path / "vectors.txt"
    given.write_text("a 1 2\n", encoding="utf-8")
    assert Workspace.find(vectors=str(given)).vectors == given
    with pytest.raises(UserError, match="--glove_embs none.txt: there is no such file"):
        Workspace.find(vectors="none.txt")


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
    "layers, width, heads, student",
    [
        (6, 256, 4, "classroom"),
        (6, 192, 4, "classroom"),
        (12, 768, 12, "tinybert4"),
        (6, 384, 12, "2x192"),
        (24, 1024, 16, "8x512"),
        (4, 128, 2, "2x64"),
    ],
)
def test_the_student_fits_its_teacher(tmp_path, layers, width, heads, student):
    teacher = make_bert_folder(tmp_path / "teacher", 1, heads, heads)
    values = dict(num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads)
    config = json.loads((teacher / "config.json").read_text())
    config |= {**values, "intermediate_size": 4 * width}
    (teacher / "config.json").write_text(json.dumps(config))
    found = Workspace.find(tmp_path / "empty", teacher_model=teacher).student_source
    assert found.name == student
    assert parameters_of(found.config) < parameters_of(ModelFolder(teacher).config)
    assert found.config.hidden_size % heads == 0 and layers % found.config.num_hidden_layers == 0


def test_a_fine_tuned_copy_is_not_the_general_teacher(workspace):
    tuned = make_toy_teacher(workspace / "mine", classifier=True)
    found = Workspace.find(task_teacher=tuned)
    assert (found.teacher.path, found.task_teacher.path) == (workspace / "teacher_model", tuned)


def test_the_toy_teacher_is_raw_unless_a_classifier_is_asked_for(tmp_path):
    assert not ModelFolder(make_toy_teacher(tmp_path / "raw")).has_classifier
    assert ModelFolder(make_toy_teacher(tmp_path / "tuned", classifier=True)).has_classifier
    assert all(piece in VOCABULARY for text, _ in toy_rows(20, 0) for piece in text.split())
    assert len(load_tokenizer(tmp_path / "raw" / "vocab.txt")) == len(VOCABULARY)
