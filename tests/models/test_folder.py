"""ModelFolder: what a folder is and holds, found out once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from tests.makers import make_bert_folder
from tinybert_lite.models.folder import (
    KIND_ENCODER,
    KIND_LOGITS,
    KIND_OTHER_CLASSIFIER,
    ModelFolder,
)
from tinybert_lite.system.errors import UserError


def configured(folder: Path, **values) -> ModelFolder:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    return ModelFolder(folder)


@pytest.mark.parametrize(
    "values, kind",
    [
        ({}, KIND_ENCODER),
        ({"model_type": "bert"}, KIND_ENCODER),
        ({"model_type": "bert_relu_head"}, KIND_ENCODER),
        ({"model_type": "albert"}, KIND_ENCODER),
        ({"model_type": "modernbert"}, KIND_ENCODER),
        ({"model_type": "deberta-v2"}, KIND_ENCODER),
        ({"model_type": "gpt2"}, KIND_OTHER_CLASSIFIER),
        ({"model_type": ["bert"]}, KIND_OTHER_CLASSIFIER),
        ({"model_type": "bert_onnx"}, KIND_OTHER_CLASSIFIER),
    ],
)
def test_the_kind_of_a_teacher_and_whether_its_layers_can_be_matched(tmp_path, values, kind):
    folder = configured(tmp_path, **values)
    assert (folder.kind, folder.has_layers) == (kind, kind == KIND_ENCODER)


def test_a_file_is_one_of_logits_and_an_unmade_folder_counts_as_a_bert(tmp_path):
    (tmp_path / "logits.npy").write_bytes(b"")
    logits, unmade = ModelFolder(tmp_path / "logits.npy"), ModelFolder(tmp_path / "none")
    assert (logits.kind, logits.has_layers, unmade.kind) == (KIND_LOGITS, False, KIND_ENCODER)
    assert not unmade.has_config and unmade.weights_file is None and unmade.weight_names == set()


def test_its_heads_are_those_of_its_weights_or_of_the_given_ones(tmp_path):
    folder = make_bert_folder(tmp_path, num_labels=2)
    bare = make_bert_folder(tmp_path / "bare", masked_lm=False)
    state = torch.load(bare / "pytorch_model.bin")
    state["fit_denses.0.weight"] = torch.zeros(8, 16)
    torch.save(state, folder / "model_epoch_1.bin")
    own, epoch = ModelFolder(folder), ModelFolder(folder, folder / "model_epoch_1.bin")
    assert (own.has_classifier, own.has_masked_lm, own.projection) == (True, True, None)
    assert (epoch.has_classifier, epoch.has_masked_lm) == (False, False)
    assert epoch.projection == "per_layer" and epoch.fingerprint != own.fingerprint


def test_the_fastest_model_of_a_serving_folder(tmp_path):
    assert ModelFolder(tmp_path).served_file is None
    for name in ("model.onnx", "model.int8.onnx"):
        (tmp_path / name).write_bytes(b"")
        assert ModelFolder(tmp_path).served_file == tmp_path / name


def test_it_is_a_path_and_is_not_opened_twice(tmp_path):
    folder = ModelFolder.at(str(tmp_path))
    assert ModelFolder.at(folder) is folder and os.fspath(folder) == str(folder) == str(tmp_path)
    assert Path(folder) == folder.path and folder.name == tmp_path.name


def test_a_vocabulary_of_the_workspace_serves_a_folder_without_one_and_is_said(tmp_path, capsys):
    with pytest.raises(UserError, match=r"holds no tokenizer: .* may also be in 1_pre_data/"):
        ModelFolder(tmp_path / "teacher_model").need_tokenizer()
    (tmp_path / "1_pre_data").mkdir()
    (tmp_path / "1_pre_data/vocab.txt").write_text("[PAD]\n")
    found = ModelFolder(tmp_path / "teacher_model").need_tokenizer()
    assert found == tmp_path / "1_pre_data/vocab.txt"
    assert "has no vocabulary, so the workspace's is used" in capsys.readouterr().err


def test_its_own_tokenizer_comes_first_and_nothing_above_the_workspace_is_read(tmp_path):
    teacher = tmp_path / "course/teacher_model"
    for home in (tmp_path, tmp_path / "course"):
        (home / "1_pre_data").mkdir(parents=True)
    (tmp_path / "1_pre_data/vocab.txt").write_text("[PAD]\n")
    assert ModelFolder(teacher).tokenizer_place is None
    teacher.mkdir()
    (tmp_path / "course/1_pre_data/vocab.txt").write_text("[PAD]\n")
    (teacher / "tokenizer.json").write_text("{}")
    assert ModelFolder(teacher).tokenizer_place == teacher


def test_what_was_read_is_kept_and_a_new_object_sees_what_was_written(tmp_path):
    folder = make_bert_folder(tmp_path)
    before = ModelFolder(folder)
    first = before.fingerprint
    (folder / "vocab.txt").write_text("[PAD]\n")
    assert before.fingerprint == first != ModelFolder(folder).fingerprint
