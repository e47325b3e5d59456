"""Every kind of model folder in every export format: equal answers, and nothing overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForPreTraining,
    BertForSequenceClassification,
    dynamic_module_utils,
)

from tests.makers import config_values, make_bert_folder, stock_bert, write_vocabulary
from tests.makers.checkpoints import BATCH, INPUTS, LABELS, originals, projection, release_1, stock
from tests.makers.commands import call, snapshot
from tests.makers.golden import GOLDEN, SETS, golden
from tests.tensorflow_writer import write_folder
from tinybert_lite.exports import read_back
from tinybert_lite.exports.formats import export
from tinybert_lite.exports.source import open_source
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import save_weights
from tinybert_lite.pipeline.prediction import Predictor
from tinybert_lite.system.errors import UserError

CLOSE = dict(rtol=1e-5, atol=1e-5)
FORMATS = (
    "huggingface",
    "original",
    "classifier",
)  # of PyTorch; tests/exports/test_onnx.py has `serving`


# Kinds of folders: what makes them, and the stock classes' answer ---------------------------------


def release_2(folder):
    model, logits = stock("relu")
    return originals(
        folder,
        model.state_dict()
        | projection("fit_denses.0")
        | projection("fit_denses.1")
        | projection("fit_denses.2"),
    ), logits


def relu_by_config(folder):
    model, logits = stock("relu")
    return originals(folder, model.state_dict(), classifier_head="relu"), logits


def old_names(folder):
    model, logits = stock()
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in model.state_dict().items()
    }
    return originals(folder, state), logits


def one_epoch(folder):
    model, logits = stock()
    return originals(folder, model.state_dict(), "model_epoch_3.bin"), logits


def safetensors(folder):
    model, logits = stock()
    model.save_pretrained(folder)
    write_vocabulary(folder)
    return folder, logits


def tensorflow(folder):
    model, logits = stock()
    write_vocabulary(folder)
    return write_folder(
        folder, model.state_dict(), json.dumps(config_values() | {"id2label": LABELS})
    ), logits


def exported(kind, format):
    def made(folder):
        source, logits = kind(folder.with_name("source"))
        export(open_source(source), format, folder)
        return folder, logits

    return made


KINDS = {
    "release 1": release_1,
    "release 2": release_2,
    "head by config": relu_by_config,
    "old names": old_names,
    "safetensors": safetensors,
    "an epoch": one_epoch,
    "TensorFlow": tensorflow,
    **{
        f"{head}, {format}": exported(kind, format)
        for head, kind in (("huggingface", old_names), ("relu", release_1))
        for format in ("huggingface", "original", "classifier")
    },
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Where transformers copies the code that it is told to trust."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))


@torch.no_grad()
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_out_in_every_format_with_its_logits(tmp_path, modules, kind, format):
    folder, logits = KINDS[kind](tmp_path / "in")
    before = snapshot(folder)
    epoch = ["--epoch_file", "model_epoch_3.bin"] if kind == "an epoch" else []
    ran = call(
        f"export --model {folder} --format {format} --output_dir {tmp_path / 'out'} "
        f"{' '.join(epoch)}"
    )
    assert ran.code == 0, ran.err
    found = load_with_tokenizer(tmp_path / "out")
    torch.testing.assert_close(found.model.eval()(BATCH, logits=True).logits, logits, **CLOSE)
    assert (
        found.model.config.id2label == LABELS
        and found.tokenizer.get_vocab()
        == load_with_tokenizer(
            folder, weights=next(folder.glob("model_epoch*"), None)
        ).tokenizer.get_vocab()
    )
    relu = found.model.config.classifier_head == "relu"
    if format == "huggingface" or format == "classifier" and not relu:
        theirs = AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "out", trust_remote_code=relu
        ).eval()
        torch.testing.assert_close(theirs(**INPUTS).logits, logits, **CLOSE)
        assert theirs.config.id2label == LABELS and theirs.dtype == torch.float32
    assert snapshot(folder) == before and {path.name for path in tmp_path.iterdir()} <= {
        "in",
        "out",
        "source",
        "modules",
    }


@torch.no_grad()
@pytest.mark.parametrize(
    "kind, parts, opens",
    [
        ("a masked LM", {}, AutoModelForMaskedLM),
        ("a masked LM without a pooler", {}, AutoModelForMaskedLM),
        ("bare", {"masked_lm": False}, AutoModel),
        ("bare without a pooler", {"masked_lm": False}, AutoModel),
    ],
)
@pytest.mark.parametrize("through", [[], ["original"], ["huggingface"]])
def test_a_model_without_a_classifier_keeps_its_hidden_states_and_its_masked_lm(
    tmp_path, kind, parts, opens, through
):
    folder = make_bert_folder(tmp_path / "in", **parts)
    state = {
        name: tensor
        for name, tensor in torch.load(folder / "pytorch_model.bin").items()
        if "pooler" not in name or "without" not in kind
    }
    torch.save(
        {
            name.removeprefix("bert.") if "bare" in kind else name: tensor
            for name, tensor in state.items()
        },
        folder / "pytorch_model.bin",
    )
    reference = stock_bert(BertForPreTraining)
    for format in [*through, "huggingface"]:
        export(open_source(folder), format, folder := tmp_path / f"{format}-of-{folder.name}")
    model, report = opens.from_pretrained(folder, output_loading_info=True)
    found, expected = (
        model.eval()(**INPUTS, output_hidden_states=True),
        reference(**INPUTS, output_hidden_states=True),
    )
    real = BATCH["attention_mask"].bool()
    torch.testing.assert_close(
        found.hidden_states[-1][real], expected.hidden_states[-1][real], **CLOSE
    )
    if opens is AutoModelForMaskedLM:
        torch.testing.assert_close(found.logits[real], expected.prediction_logits[real], **CLOSE)
        assert not report["missing_keys"]
    pooler = [name for name in load_file(folder / "model.safetensors") if "pooler" in name]
    assert bool(pooler) == ("without" not in kind), (
        "a pooler that was drawn at random is not written"
    )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_golden_values_survive_every_format(tmp_path, name, format):
    expected, _ = golden(name, "padded")
    for folder in ("student_task", "teacher_task"):
        ran = call(
            f"export --model {GOLDEN / name / folder} --format {format} "
            f"--output_dir {tmp_path / folder}"
        )
        assert ran.code == 0 and "no vocabulary" in ran.err, ran.err
    found = json.loads(
        call(
            f"compare --teacher_model {tmp_path / 'teacher_task'} "
            f"--student_model {tmp_path / 'student_task'} "
            f"--batch {GOLDEN / name / 'batch.npz'} --padding reference"
        ).out
    )
    pairs = [
        (found[f"{who}_logits"], expected["task_prediction"][f"{who}_logits"])
        for who in ("student", "teacher")
    ]
    pairs += [
        (
            found["soft_cross_entropy"]["original"],
            expected["task_prediction"]["soft_cross_entropy"]["1.0"],
        )
    ]
    pairs += [
        (found[f"{term}_per_layer"], expected["task_intermediate"][f"{term}_per_layer"])
        for term in (("attention", "hidden") if format == "original" else ("attention",))
    ]  # elsewhere the projection is left out
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("format", ["original", "huggingface"])
def test_so_do_those_of_general_distillation(tmp_path, name, format):
    expected, _ = golden(name, "padded")
    for folder in ("student_general", "teacher_general"):
        assert (
            call(
                f"export --model {GOLDEN / name / folder} --format {format} "
                f"--output_dir {tmp_path / folder}"
            ).code
            == 0
        )
    found = json.loads(
        call(
            f"compare --teacher_model {tmp_path / 'teacher_general'} "
            f"--student_model {tmp_path / 'student_general'} "
            f"--batch {GOLDEN / name / 'batch.npz'} --padding reference"
        ).out
    )
    for term in ("attention", "hidden") if format == "original" else ("attention",):
        np.testing.assert_allclose(
            found[f"{term}_per_layer"],
            expected["general"][f"{term}_per_layer"],
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("kind", [release_1, release_2])
def test_the_originals_format_keeps_the_originals_names(tmp_path, kind):
    folder, _ = kind(tmp_path / "in")
    heads = {
        name: tensor
        for name, tensor in stock_bert(BertForPreTraining).state_dict().items()
        if name.startswith("cls.predictions.")
    }
    state = torch.load(folder / "pytorch_model.bin") | heads
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    export(open_source(folder), "original", tmp_path / "out")
    found = torch.load(tmp_path / "out/pytorch_model.bin", weights_only=True)
    assert set(found) == set(state) - {"cls.predictions.decoder.bias"} and all(
        torch.equal(found[name], state[name]) for name in found
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "pytorch_model.bin",
        "tokenizer.json",
        "vocab.txt",
        "tokenizer_config.json",
    }
    assert (tmp_path / "out/vocab.txt").read_text() == (folder / "vocab.txt").read_text()


def test_a_head_that_the_original_code_reads_otherwise_is_said_and_kept(tmp_path, capsys):
    export(open_source(old_names(tmp_path / "in")[0]), "original", tmp_path / "out")
    assert "the original code applies a ReLU before the" in capsys.readouterr().out
    assert (
        json.loads((tmp_path / "out/config.json").read_text())["classifier_head"] == "huggingface"
    )
    export(open_source(release_1(tmp_path / "relu")[0]), "original", tmp_path / "out2")
    assert "ReLU" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "values, said",
    [
        ({"hidden_act": "gelu_new"}, "no hidden_act 'gelu_new', only gelu"),
        ({"layer_norm_eps": 1e-5}, "a layer_norm_eps of 1e-12"),
    ],
)
def test_what_the_original_code_has_no_place_for_is_said(tmp_path, values, said):
    ran = call(
        f"export --model {make_bert_folder(tmp_path / 'in', **values)} --format original "
        f"--output_dir {tmp_path / 'out'}"
    )
    assert (
        said in ran.out + ran.err
        and ran.code == (2 if "hidden_act" in values else 0)
        and (tmp_path / "out").exists() == (ran.code == 0)
    )


@pytest.mark.parametrize("kind", [release_1, release_2, old_names])
def test_classifier_holds_the_classifier_and_nothing_else(tmp_path, kind):
    folder, logits = kind(tmp_path / "in")
    state = stock_bert(BertForPreTraining).state_dict() | torch.load(folder / "pytorch_model.bin")
    state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    for name in (
        "checkpoint-4.pt",
        "history.jsonl",
        "manifest.json",
        "model_epoch_1.bin",
        "soft_targets.npz",
    ):
        (folder / name).write_text("{}")
    export(open_source(folder), "classifier", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {
        "config.json",
        "model.safetensors",
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    parts = {
        "bert.embeddings",
        "bert.encoder",
        "bert.pooler",
        "classifier.weight",
        "classifier.bias",
    }
    assert {
        ".".join(name.split(".")[:2]) for name in ModelFolder(tmp_path / "out").weight_names
    } == parts
    torch.testing.assert_close(
        load_model(tmp_path / "out")[0].eval()(BATCH, logits=True).logits, logits, **CLOSE
    )


def test_half_precision_halves_the_bytes_and_says_what_it_costs(tmp_path, capsys):
    folder, logits = old_names(tmp_path / "in")
    assert (
        call(f"export --model {folder} --format classifier --output_dir {tmp_path / 'whole'}").code
        == 0
    )
    ran = call(
        f"export --model {folder} --format classifier --output_dir {tmp_path / 'half'} --half"
    )
    assert (
        ran.code == 0 and "half precision changes the logits of a random batch by up to" in ran.out
    ), ran.err
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    assert all(torch.equal(half[name], tensor.half()) for name, tensor in whole.items())
    found = load_model(tmp_path / "half")[0].eval()(BATCH, logits=True).logits
    assert 0 < (found - logits).abs().max() < 0.02


@pytest.mark.parametrize("cased", [False, True])
def test_the_tokenizer_is_transformers_own_too(tmp_path, cased):
    folder, _ = old_names(tmp_path / "in")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": not cased}))
    export(open_source(folder), "huggingface", tmp_path / "out")
    texts = ["The good Film, was WARM!", "a plot"], ["so long", "Sad"]
    ours, again, theirs = (
        load_with_tokenizer(folder).tokenizer,
        load_with_tokenizer(tmp_path / "out").tokenizer,
        AutoTokenizer.from_pretrained(tmp_path / "out"),
    )
    expected = ours(*texts, padding=True).data
    assert (
        again(*texts, padding=True).data == theirs(*texts, padding=True).data == expected
        and theirs.model_max_length == 64
    )
    assert (ours.unk_token_id in expected["input_ids"][0]) == cased


@pytest.fixture
def relu(tmp_path, modules):
    """An export with the original's head, and its logits."""
    folder, logits = release_1(tmp_path / "in")
    export(open_source(folder), "huggingface", tmp_path / "relu")
    return tmp_path / "relu", logits


@pytest.mark.parametrize("trust", [{}, {"trust_remote_code": False}])
@pytest.mark.parametrize("opens", [AutoModelForSequenceClassification, AutoModel, AutoConfig])
def test_without_trust_transformers_refuses_it(relu, trust, opens):
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        opens.from_pretrained(relu[0], **trust)


def test_the_same_weights_with_the_stock_head_would_answer_otherwise(relu):
    model, _ = stock()
    assert (model(**INPUTS).logits - relu[1]).abs().max() > 0.1, (
        "the two heads agree, so that nothing was tested"
    )


@pytest.mark.parametrize("format", ["huggingface", "classifier"])
def test_a_stock_class_forced_on_it_misses_its_classifier_and_the_tokenizer_opens(
    relu, tmp_path, format
):
    export(open_source(relu[0]), format, tmp_path / "out")
    _, report = BertForSequenceClassification.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert set(report["missing_keys"]) == {"classifier.weight", "classifier.bias"}
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()
        == load_with_tokenizer(relu[0]).tokenizer.get_vocab()
    )


@pytest.mark.parametrize("trust", [{}, {"trust_remote_code": False}, {"trust_remote_code": True}])
@pytest.mark.parametrize("opens", [AutoModelForSequenceClassification, AutoModel, AutoConfig])
def test_it_is_written_without_its_code_and_transformers_refuses_that_too(
    relu, tmp_path, trust, opens
):
    export(open_source(relu[0]), "classifier", tmp_path / "classifier")
    assert not list((tmp_path / "classifier").glob("*.py"))
    with pytest.raises(ValueError, match="bert_relu_head"):
        opens.from_pretrained(tmp_path / "classifier", **trust)


def test_our_readers_run_nothing_of_it(relu, tmp_path, monkeypatch):
    folder, logits = relu
    (folder / "modeling_bert_relu_head.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    torch.testing.assert_close(
        load_model(folder)[0].eval()(BATCH, logits=True).logits, logits, **CLOSE
    )
    Predictor(folder, device="cpu").predict(["a good film"])
    for format in FORMATS:
        export(open_source(folder), format, tmp_path / format)
    assert not (tmp_path / "ran").exists()


def test_a_student_made_of_it_is_a_plain_folder_again(relu, tmp_path):
    """Stages write config.json anew: nothing in it points to code, or to files of an export."""
    from tinybert_lite.models.saving import save_model_folder

    bert = load_with_tokenizer(relu[0])
    save_model_folder(bert.model, bert.tokenizer, tmp_path / "next")
    save_weights(bert.model, tmp_path / "next")
    config = json.loads((tmp_path / "next/config.json").read_text())
    assert (
        config["model_type"] == "bert"
        and config["classifier_head"] == "relu"
        and not {"auto_map", "exported"} & set(config)
    )
    torch.testing.assert_close(
        load_model(tmp_path / "next")[0].eval()(BATCH, logits=True).logits, relu[1], **CLOSE
    )


def test_the_finished_student_is_exported_into_its_own_folder(workspace):
    folder, _ = old_names(workspace / "5_task_distill_out")
    for format in ("classifier", "huggingface", "classifier"):
        ran = call(f"export --format {format}")
        assert ran.code == 0 and f"5_task_distill_out/{format}" in ran.out.replace("\\", "/"), (
            ran.err
        )
    texts = ["the film was good .", "a sad story"]
    whole, served = (Predictor(place, device="cpu") for place in (folder, folder / "classifier"))
    assert served.labels == list(LABELS.values())
    np.testing.assert_allclose(served.predict(texts), whole.predict(texts), rtol=1e-5)
    ran = call("predict --student_model 5_task_distill_out/classifier 'a warm film'")
    assert ran.code == 0 and ran.out.split("\t")[0] in LABELS.values()


def sharded(folder: Path) -> Path:
    state = {
        name: tensor.clone()
        for name, tensor in torch.load(release_1(folder)[0] / "pytorch_model.bin").items()
    }
    names = sorted(state)
    for number, some in enumerate((names[::2], names[1::2]), 1):
        save_file(
            {name: state[name] for name in some},
            folder / f"model-0000{number}-of-00002.safetensors",
        )
    index = {
        "weight_map": {
            name: f"model-0000{1 + place % 2}-of-00002.safetensors"
            for place, name in enumerate(names)
        }
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "pytorch_model.bin").unlink()
    return folder


def epochs(names):
    def made(folder):
        release_1(folder)
        for name in names:
            shutil.copy(folder / "pytorch_model.bin", folder / name)
        (folder / "pytorch_model.bin").unlink()

    return made


def without(part):
    def made(folder):
        release_1(folder)
        state = torch.load(folder / "pytorch_model.bin")
        torch.save(
            {name: tensor for name, tensor in state.items() if part not in name},
            folder / "pytorch_model.bin",
        )

    return made


def occupied(folder):
    release_1(folder)
    (folder.parent / "out").mkdir()
    (folder.parent / "out/thesis.txt").write_text("mine")


def changed(name):
    def made(folder):
        export(open_source(release_1(folder)[0]), "classifier", folder.parent / "out")
        path = folder.parent / "out" / name
        path.write_text(path.read_text().replace("good", "fine") if path.exists() else "mine")

    return made


def a_file(folder):
    release_1(folder)
    (folder.parent / "out").write_text("mine")


PLAIN = "export --model in --format huggingface --output_dir out"
REFUSED = {
    "epochs alone": (
        epochs(["model_epoch_1.bin", "model_epoch_10.bin"]),
        PLAIN,
        ["in holds only weights of single epochs", "--epoch_file", "model_epoch_10.bin"],
    ),
    "steps alone": (
        epochs(["step_9_pytorch_model.bin", "step_50_pytorch_model.bin"]),
        PLAIN,
        ["--epoch_file", "step_50_pytorch_model.bin"],
    ),
    "no such epoch": (
        release_1,
        PLAIN + " --epoch_file model_epoch_7.bin",
        ["--epoch_file model_epoch_7.bin", "no such file"],
    ),
    "no weights": (
        epochs([]),
        PLAIN,
        ["in holds no weights", "model.safetensors or pytorch_model.bin"],
    ),
    "no model": (release_1, PLAIN.replace("in ", "./nowhere "), ["nowhere is missing"]),
    "no classifier": (
        without("classifier"),
        PLAIN.replace("huggingface", "classifier"),
        ["in holds no classifier", "--format huggingface"],
    ),
    "a classifier without its pooler": (without("pooler"), PLAIN, ["but not the pooler before it"]),
    "a classifier without its layers": (
        without("layer.1"),
        PLAIN,
        ["in/pytorch_model.bin lacks bert.encoder.layer.1"],
    ),
    "no place named": (
        release_1,
        "export --model in --format huggingface",
        ["--output_dir is missing"],
    ),
    "half of a whole format": (
        release_1,
        PLAIN + " --half",
        ["--half works with --format classifier only"],
    ),
    "into itself": (
        release_1,
        PLAIN.replace("dir out", "dir in"),
        ["in is both the model to read and the folder to write"],
    ),
    "over a user's folder": (occupied, PLAIN, ["out exists and is not an unchanged export"]),
    "over a user's file": (a_file, PLAIN, ["out exists and is not an unchanged export"]),
    "over labels that a user changed": (
        changed("config.json"),
        PLAIN,
        ["out exists and is not an unchanged export"],
    ),
    "over pieces that a user changed": (
        changed("vocab.txt"),
        PLAIN,
        ["out exists and is not an unchanged export"],
    ),
    "over a user's file beside": (
        changed("notes.txt"),
        PLAIN,
        ["out exists and is not an unchanged export"],
    ),
    "relative positions": (
        lambda folder: originals(
            folder, projection("fit_dense"), position_embedding_type="relative_key"
        ),
        PLAIN,
        ["in/config.json", "relative_key", "absolute"],
    ),
    "a decoder": (
        lambda folder: originals(folder, projection("fit_dense"), is_decoder=True),
        PLAIN,
        ["in/config.json", "is_decoder"],
    ),
    "another architecture": (
        lambda folder: originals(folder, projection("fit_dense"), model_type="roberta"),
        PLAIN,
        ["in/config.json", "roberta"],
    ),
}


@pytest.mark.parametrize(
    "make, line, named", [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
def test_a_mistake_is_one_sentence_and_costs_nothing(tmp_path, monkeypatch, make, line, named):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "in")
    before = snapshot(tmp_path)
    ran = call(line)
    errors = [said for said in ran.err.splitlines() if said.startswith("error:")]
    assert (
        ran.code == 2
        and len(errors) == 1
        and all(name in errors[0].replace("\\", "/") for name in named)
    ), ran
    assert snapshot(tmp_path) == before and {path.name for path in tmp_path.iterdir()} <= {
        "in",
        "out",
    }


def test_an_untouched_export_is_replaced_and_an_empty_folder_filled(tmp_path):
    first, _ = release_1(tmp_path / "in")
    second, logits = old_names(tmp_path / "other")
    (tmp_path / "out").mkdir()
    export(open_source(first), "huggingface", tmp_path / "out")
    export(open_source(second), "classifier", tmp_path / "out")
    assert not (tmp_path / "out/modeling_bert_relu_head.py").exists()
    torch.testing.assert_close(
        load_model(tmp_path / "out")[0].eval()(BATCH, logits=True).logits, logits, **CLOSE
    )
    assert {path.name for path in tmp_path.iterdir()} == {"in", "other", "out"}


@pytest.mark.parametrize("format", FORMATS)
def test_what_reads_back_otherwise_is_not_left(tmp_path, monkeypatch, format):
    """The check is of the files, so a writer's mistake shows."""
    folder, _ = old_names(tmp_path / "in")
    export(open_source(folder), format, tmp_path / "out")
    before, save = snapshot(tmp_path / "out"), torch.Tensor.contiguous

    def slip(tensor):
        return save(tensor) + 1e-3 * (tensor.shape == (3,))  # the classifier's bias

    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match="the logits differ from the model.s by 0.001"),
    ):
        patch.setattr(torch.Tensor, "contiguous", slip)
        export(open_source(folder), format, tmp_path / "out")
    assert snapshot(tmp_path / "out") == before and {path.name for path in tmp_path.iterdir()} == {
        "in",
        "out",
    }


def test_an_export_that_was_cut_between_its_two_renames_comes_back(tmp_path, monkeypatch):
    folder, _ = old_names(tmp_path / "in")
    export(open_source(folder), "classifier", tmp_path / "out")
    before = snapshot(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.old")
    (tmp_path / ".out.part").mkdir()
    monkeypatch.setattr(
        read_back, "answers", lambda model: (_ for _ in ()).throw(UserError("cut again"))
    )
    with pytest.raises(UserError, match="cut again"):
        export(open_source(folder), "classifier", tmp_path / "out")
    assert snapshot(tmp_path / "out") == before and {path.name for path in tmp_path.iterdir()} == {
        "in",
        "out",
    }
