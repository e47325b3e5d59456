"""ALBERTs as teachers: of every stage with a vocab.txt, of stage 5 with a sentencepiece one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AlbertForPreTraining,
    AlbertForSequenceClassification,
    AlbertModel,
)

from tests.makers import VOCABULARY, config_values, make_bert_folder, random_batch, write_vocabulary
from tests.makers.commands import RUN, call, results_of, states
from tests.makers.workspaces import make_student_config
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import save_config, save_safetensors, save_weights
from tinybert_lite.models.weights import read_weights
from tinybert_lite.system.errors import UserError

BATCH = random_batch([9, 4, 1])
INPUTS = {name: BATCH[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
REAL = BATCH["attention_mask"].bool()
VOCABULARY_SIZE = len(VOCABULARY)
CLOSE = dict(rtol=1e-5, atol=1e-5)


def stock(kind, layers=4, groups=1, pieces=VOCABULARY_SIZE, **more):
    """A random ALBERT whose embeddings are narrower than its layers, no bias or LayerNorm of it at
    its first value.
    """
    config = AlbertConfig(
        **config_values(layers), embedding_size=6, num_hidden_groups=groups, **more
    )
    config.vocab_size, config._attn_implementation = pieces, "eager"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_albert(folder: Path, kind=AlbertForPreTraining, **how) -> Path:
    stock(kind, **how).save_pretrained(folder)
    write_vocabulary(folder)
    return folder


# The model ----------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_every_layer_shows_the_stock_models_states_and_scores(tmp_path, groups):
    folder = make_albert(tmp_path, AlbertModel, groups=groups)
    model, new = load_model(folder)
    reference = AlbertModel.from_pretrained(folder, attn_implementation="eager").eval()
    found, expected = (
        model.eval()(BATCH, scores={1, 2, 4}),
        reference(**INPUTS, output_hidden_states=True, output_attentions=True),
    )
    assert new == [] and len(found.hidden) == 5 and set(found.scores) == {1, 2, 4}
    for ours, theirs in zip(found.hidden[1:], expected.hidden_states[-4:], strict=True):
        torch.testing.assert_close(ours[REAL], theirs[REAL], **CLOSE)
    mapped = reference.encoder.embedding_hidden_mapping_in(
        reference.embeddings(BATCH["input_ids"], BATCH["token_type_ids"])
    )
    torch.testing.assert_close(found.hidden[0], mapped, **CLOSE)
    for layer, scores in found.scores.items():
        hidden = scores.masked_fill(~REAL[:, None, None, :], -torch.inf).softmax(-1)
        torch.testing.assert_close(hidden, expected.attentions[layer - 1], **CLOSE)
        raw = (
            reference.encoder.albert_layer_groups[int((layer - 1) / (4 / groups))]
            .albert_layers[0]
            .attention
        )
        query, key = (
            part(found.hidden[layer - 1]).unflatten(-1, (2, 8)).transpose(1, 2)
            for part in (raw.query, raw.key)
        )
        torch.testing.assert_close(scores, query @ key.transpose(2, 3) / 8**0.5, **CLOSE)


@torch.no_grad()
def test_its_logits_and_its_masked_lm_are_the_stock_models(tmp_path):
    model, new = load_model(
        make_albert(tmp_path / "cls", AlbertForSequenceClassification, num_labels=3)
    )
    torch.testing.assert_close(
        model.eval()(BATCH, logits=True).logits,
        stock(AlbertForSequenceClassification, num_labels=3)(**INPUTS).logits,
        **CLOSE,
    )
    assert new == []
    for kind in (AlbertForMaskedLM, AlbertForPreTraining):
        model, new = load_model(make_albert(tmp_path / kind.__name__, kind), masked_lm=True)
        reference = kind.from_pretrained(tmp_path / kind.__name__).eval()(**INPUTS)
        expected = reference.logits if kind is AlbertForMaskedLM else reference.prediction_logits
        torch.testing.assert_close(
            model.eval()(BATCH, masked_lm=REAL).masked_lm, expected[REAL], **CLOSE
        )
        assert new == []


@torch.no_grad()
@pytest.mark.parametrize("save", [save_weights, save_safetensors])
def test_what_is_saved_opens_in_the_stock_class(tmp_path, save):
    model, new = load_model(make_albert(tmp_path / "in", AlbertModel), num_labels=2)
    assert new == ["classifier"]
    save_config(model, tmp_path / "out")
    save(model, tmp_path / "out")
    again, report = AlbertForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert json.loads((tmp_path / "out/config.json").read_text())["architectures"] == [
        "AlbertForSequenceClassification"
    ]
    torch.testing.assert_close(
        again.eval()(**INPUTS).logits, model.eval()(BATCH, logits=True).logits, **CLOSE
    )
    assert load_model(tmp_path / "out")[1] == []


def damage(name, tensor):
    def made(folder):
        make_albert(folder)
        state = read_weights(folder / "model.safetensors")
        state = {key: value for key, value in state.items() if name not in key} | (
            {name: tensor} if tensor is not None else {}
        )
        torch.save(state, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()

    return made


def config(**values):
    def made(folder):
        make_albert(folder)
        (folder / "config.json").write_text(
            json.dumps(json.loads((folder / "config.json").read_text()) | values)
        )

    return made


def without_vocabulary(folder):
    make_albert(folder)
    (folder / "vocab.txt").unlink()


@pytest.mark.parametrize(
    "make, says",
    [
        (
            damage("ffn_output", None),
            "lacks albert.encoder.albert_layer_groups.0.albert_layers.0.ffn_output",
        ),
        (
            damage("embedding_hidden_mapping_in", None),
            "lacks albert.encoder.embedding_hidden_mapping_in",
        ),
        (
            damage("albert.embeddings.LayerNorm.bias", torch.zeros(7)),
            "albert.embeddings.LayerNorm.bias has shape",
        ),
        (config(num_hidden_groups=2), "lacks albert.encoder.albert_layer_groups.1"),
        (config(inner_group_num=2), "inner_group_num 2 is not supported"),
        (config(embedding_size=10**9), "embedding_size is 1000000000"),
        (config(num_hidden_groups=0), "num_hidden_groups is 0"),
        (config(num_attention_heads=3), "not a multiple"),
        (config(is_decoder=True), "is_decoder"),
        (config(position_embedding_type="relative_key"), "relative_key"),
        (config(vocab_size=9), "has shape"),
        (without_vocabulary, "holds no tokenizer"),
    ],
)
def test_one_that_does_not_fit_is_refused_in_one_sentence(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(UserError) as refused:
        load_with_tokenizer(tmp_path)
    assert (
        says in str(refused.value)
        and str(tmp_path) in str(refused.value)
        and "\n" not in str(refused.value)
    )


@pytest.mark.parametrize(
    "how", [{"projection": "shared", "teacher_width": 8}, {"from_scratch": True}]
)
def test_the_student_has_to_be_a_bert(tmp_path, how):
    with pytest.raises(UserError, match="an ALBERT can be a teacher but not a student"):
        load_model(make_albert(tmp_path), **how)


# Distilled from -----------------------------------------------------------------------------------


@torch.no_grad()
def test_the_losses_are_those_of_the_stock_models_states(tmp_path):
    make_albert(tmp_path / "teacher", AlbertModel)
    make_bert_folder(tmp_path / "student", masked_lm=False)
    np.savez(tmp_path / "batch.npz", **{name: tensor.numpy() for name, tensor in INPUTS.items()})
    ran = call(
        f"compare --teacher_model {tmp_path / 'teacher'} --student_model {tmp_path / 'student'} "
        f"--batch {tmp_path / 'batch.npz'}"
    )
    student, _ = load_model(tmp_path / "student")
    reference = AlbertModel.from_pretrained(tmp_path / "teacher").eval()
    theirs = reference(**INPUTS, output_hidden_states=True).hidden_states[-4:]
    expected = [
        float((mine[REAL] - their[REAL]).square().mean())
        for mine, their in zip(student.eval()(BATCH).hidden[1:], (theirs[1], theirs[3]))
    ]
    found = json.loads(ran.out)
    np.testing.assert_allclose(found["hidden_per_layer"][1:], expected, rtol=1e-5)
    assert len(found["attention_per_layer"]) == 2 and all(
        value > 0 for value in found["attention_per_layer"]
    )


def test_all_five_stages_with_an_albert(workspace):
    """The student reads the ALBERT's word pieces and learns its layers; the fine-tuned ALBERT is a
    stock classifier.
    """
    make_albert(workspace / "albert")
    make_student_config(workspace / "student_model", layers=2, width=12)
    ran = call(f"{RUN} --teacher_model albert")
    assert ran.code == 0 and "ATTENTION" not in ran.err, ran.err
    assert {name for name, state in states(ran.out).items() if state != "to do"} == {"pretrain"}
    results = results_of(workspace)
    assert {"teacher", "3", "4", "5"} == set(results["probe_along_the_stages"])
    tuned = AlbertForSequenceClassification.from_pretrained(workspace / "teacher_model/SST-2")
    counted = sum(p.numel() for p in tuned.parameters())
    assert results["parameters"]["teacher"] == counted and results["cost"]["teacher"]["blocks"][
        "embeddings"
    ] == sum(p.numel() for p in tuned.albert.embeddings.parameters())
    assert load_model(workspace / "3_general_distill")[0].fit_denses[0].out_features == 16
    for stage in ("3_general_distill", "4_task_distill_mid"):
        lines = [
            json.loads(line)
            for line in (workspace / stage / "history.jsonl").read_text().splitlines()
        ]
        assert all(
            term in lines[0] for term in ("attention/1", "attention/2", "hidden/0", "hidden/2")
        )
    again = call(f"{RUN} --teacher_model albert --until task_distill_out")
    assert "to do" not in states(again.out).values()


def test_a_student_comes_closer_to_an_alberts_layers(workspace):
    make_albert(workspace / "albert")
    make_bert_folder(workspace / "student", layers=2, width=12, masked_lm=False)
    assert (
        call(
            "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir "
            "2_pregenerate_data --bert_model albert "
            "--epochs_to_generate 1 --max_seq_len 32"
        ).code
        == 0
    )
    ran = call(
        "general_distill --pregenerated_data 2_pregenerate_data --teacher_model albert "
        "--student_model student --output_dir out "
        "--num_train_epochs 8 --learning_rate 1e-2 --train_batch_size 8 --device cpu --threads 1 "
        "--max_seq_length 32"
    )
    assert ran.code == 0, ran.err
    lines = [
        json.loads(line) for line in (workspace / "out/history.jsonl").read_text().splitlines()
    ]
    first, last = (
        {
            kind: sum(value for name, value in line.items() if name.startswith(kind))
            for kind in ("attention", "hidden")
        }
        for line in (lines[0], lines[-1])
    )
    assert last["attention"] < 0.7 * first["attention"] and last["hidden"] < 0.7 * first["hidden"]
