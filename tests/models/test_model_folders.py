"""Model folders load or are refused with the file's name; written ones open with transformers."""

import io
import json
import math
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, BertConfig

from tests.makers import make_bert_folder, random_batch
from tests.makers.checkpoints import Touch
from tinybert_lite.models import weights
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.saving import (
    hand_off,
    model_bytes,
    named_tensors,
    save_config,
    save_weights,
)
from tinybert_lite.models.weights import read_weights
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import write_atomically

BATCH = random_batch([7, 4])


def weights_of(folder):
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def change(folder, edit, name="pytorch_model.bin"):
    """Write what `edit` makes of the folder's weights."""
    state = edit(weights_of(folder))
    with open(folder / name, "wb") as file:
        torch.save(state, file)
    return folder


def fill(folder, name, value):
    """A weights file that differs from the folder's in one bias."""
    change(
        folder,
        lambda state: state | {"bert.pooler.dense.bias": torch.full((16,), float(value))},
        name,
    )


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(
        json.dumps({name: value for name, value in config.items() if value != "absent"})
    )
    return folder


@torch.no_grad()
def hidden(folder, **parts):
    return load_model(folder, **parts)[0].eval()(BATCH).hidden[-1]


def names_of(folder: Path) -> set[str]:
    return ModelFolder(folder).weight_names


# What loads

OLD_NAMES = {
    "gamma and beta": lambda state: {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): t
        for n, t in state.items()
    },
    "no prefix": lambda state: {n.removeprefix("bert."): t for n, t in state.items()},
    "module. prefix": lambda state: {f"module.{n}": t for n, t in state.items()},
    "position_ids": lambda state: state | {"bert.embeddings.position_ids": torch.arange(64)[None]},
    "next-sentence head": lambda state: state | {"cls.seq_relationship.bias": torch.zeros(2)},
}


@pytest.mark.parametrize("kind", OLD_NAMES)
def test_older_names_give_the_same_model(bert_folder, kind):
    expected = hidden(bert_folder, masked_lm=True)
    change(bert_folder, OLD_NAMES[kind])
    model, new = load_model(bert_folder, masked_lm=True)
    assert new == []
    assert torch.equal(model.eval()(BATCH).hidden[-1], expected)


def test_a_missing_model_type_is_accepted(bert_folder):
    expected = hidden(bert_folder)
    assert torch.equal(hidden(change_config(bert_folder, model_type="absent")), expected)


def test_safetensors_are_preferred(bert_folder):
    state = {name: tensor.clone() for name, tensor in weights_of(bert_folder).items()}
    state["bert.embeddings.word_embeddings.weight"] += 1
    state["cls.predictions.decoder.weight"] = state[
        "bert.embeddings.word_embeddings.weight"
    ].clone()
    save_file(state, bert_folder / "model.safetensors")
    model, _ = load_model(bert_folder)
    assert torch.equal(
        model.body.embeddings.word_embeddings.weight,
        state["bert.embeddings.word_embeddings.weight"],
    )
    assert names_of(bert_folder) == set(state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("safetensors", [False, True])
def test_half_precision_loads_as_float32(bert_folder, dtype, safetensors):
    half = {name: tensor.to(dtype).clone() for name, tensor in weights_of(bert_folder).items()}
    if safetensors:
        save_file(half, bert_folder / "model.safetensors")
    else:
        change(bert_folder, lambda state: half)
    model, _ = load_model(change_config(bert_folder, torch_dtype=str(dtype).removeprefix("torch.")))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    name = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(named_tensors(model)[name], half[name].float())


def test_new_parts_are_named_and_stored_ones_kept(tmp_path):
    folder = make_bert_folder(tmp_path, masked_lm=False, num_labels=3)
    model, new = load_model(folder)
    assert new == [] and torch.equal(
        model.output_layer.weight, weights_of(folder)["classifier.weight"]
    )
    assert load_model(folder, masked_lm=True, projection="per_layer", teacher_width=8)[1] == [
        "masked-LM head",
        "fit_denses",
    ]
    assert load_model(folder, num_labels=0)[0].output_layer is None
    change(
        folder,
        lambda state: {
            n: t for n, t in state.items() if "pooler" not in n and "classifier" not in n
        },
    )
    assert load_model(folder, num_labels=2)[1] == ["classifier", "pooler"]


@pytest.mark.parametrize(
    "kind, names",
    [("shared", ["fit_dense"]), ("per_layer", ["fit_denses.0", "fit_denses.1", "fit_denses.2"])],
)
def test_projections_travel_with_the_student(tmp_path, kind, names):
    folder = make_bert_folder(tmp_path, masked_lm=False)
    student, new = load_model(folder, projection=kind, teacher_width=24)
    assert new == [names[0].split(".")[0]]
    save_weights(student, folder)
    assert set(names) <= {name.removesuffix(".weight") for name in weights_of(folder)}
    again, new = load_model(folder)
    assert new == [] and all(
        torch.equal(a, b)
        for a, b in zip(again.eval()(BATCH).projected, student.eval()(BATCH).projected, strict=True)
    )
    assert load_model(folder, projection="none")[0](BATCH).projected is None
    other = "per_layer" if kind == "shared" else "shared"
    assert load_model(folder, projection=other, teacher_width=24)[1] == [
        "fit_denses" if other == "per_layer" else "fit_dense"
    ]


@pytest.mark.parametrize(
    "recorded, projection, wanted, expected",
    [
        (None, False, None, "huggingface"),
        (None, True, None, "relu"),
        ("relu", False, None, "relu"),
        ("huggingface", True, None, "huggingface"),
        ("huggingface", False, "relu", "huggingface"),
    ],
)
def test_the_kind_of_classifier_head(tmp_path, recorded, projection, wanted, expected):
    """As config.json says; else a classifier together with fit_dense is the original's."""
    folder = make_bert_folder(
        tmp_path, num_labels=2, **({"classifier_head": recorded} if recorded else {})
    )
    if projection:
        change(
            folder,
            lambda state: (
                state | {"fit_dense.weight": torch.zeros(8, 16), "fit_dense.bias": torch.zeros(8)}
            ),
        )
    assert load_model(folder, classifier_head=wanted)[0].config.classifier_head == expected


def test_a_new_classifier_takes_the_head_that_is_asked_for(tmp_path):
    folder = make_bert_folder(tmp_path, classifier_head="huggingface")
    assert (
        load_model(folder, num_labels=2, classifier_head="relu")[0].config.classifier_head == "relu"
    )


def test_from_scratch_takes_the_configuration_alone(bert_folder):
    model, new = load_model(bert_folder, from_scratch=True, like=BertConfig(vocab_size=31))
    assert model.body.embeddings.word_embeddings.num_embeddings == 31 and "encoder" in new
    (bert_folder / "pytorch_model.bin").unlink()
    assert "encoder" in load_model(bert_folder)[1]


# What is refused

DAMAGED = {
    "wrong shape": (
        lambda s: s | {"bert.pooler.dense.weight": torch.zeros(16, 15)},
        "bert.pooler.dense.weight has shape",
    ),
    "missing layer": (
        lambda s: {n: t for n, t in s.items() if ".layer.1." not in n},
        "lacks bert.encoder.layer.1",
    ),
    "extra layer": (
        lambda s: s | {n.replace(".layer.1.", ".layer.2."): t for n, t in s.items()},
        "holds bert.encoder.layer.2",
    ),
    "missing tensor": (
        lambda s: {n: t for n, t in s.items() if n != "bert.embeddings.word_embeddings.weight"},
        "lacks bert.embeddings",
    ),
    "half a classifier": (
        lambda s: s | {"classifier.weight": torch.zeros(2, 16)},
        "only a part of the classifier",
    ),
    "half a masked LM": (
        lambda s: {n: t for n, t in s.items() if n != "cls.predictions.transform.dense.bias"},
        "only a part of the masked-LM head",
    ),
    "NaN": (
        lambda s: s | {"bert.pooler.dense.bias": torch.full((16,), torch.nan)},
        "bert.pooler.dense.bias holds NaN",
    ),
    "infinity": (
        lambda s: s | {"bert.pooler.dense.bias": torch.full((16,), -torch.inf)},
        "bert.pooler.dense.bias holds NaN or infinity",
    ),
    "untied": (
        lambda s: (
            s | {"cls.predictions.decoder.weight": s["bert.embeddings.word_embeddings.weight"] + 1}
        ),
        "differs from bert.embeddings.word_embeddings",
    ),
    "not tensors": (lambda s: {"bert": s}, "not a file of plain tensors"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_weights_are_refused_by_name(bert_folder, kind):
    edit, says = DAMAGED[kind]
    change(bert_folder, edit)
    with pytest.raises(UserError, match="pytorch_model.bin") as error:
        load_model(bert_folder, masked_lm=True)
        load_model(bert_folder)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"weights", pickle.dumps([1, 2], protocol=2)],
    ids=["empty", "cut", "text", "a list"],
)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
def test_a_file_that_is_no_weights_file_is_refused(bert_folder, name, content):
    (bert_folder / name).write_bytes(content)
    for read in (load_model, names_of):
        with pytest.raises(
            UserError, match=f"{name} is not a (safetensors file|file of plain tensors)"
        ):
            read(bert_folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_crafted_pickle_does_not_run(bert_folder, tmp_path, zipped):
    trap = tmp_path / "ran"
    buffer = io.BytesIO()
    torch.save(
        {"bert.pooler.dense.bias": Touch(str(trap))}, buffer, _use_new_zipfile_serialization=zipped
    )
    (bert_folder / "pytorch_model.bin").write_bytes(buffer.getvalue())
    for read in (
        load_model,
        lambda folder: read_weights(folder / "pytorch_model.bin"),
        hand_off,
        names_of,
    ):
        (bert_folder / "model_epoch_1.bin").write_bytes(buffer.getvalue())
        with pytest.raises(UserError, match="not a file of plain tensors"):
            read(bert_folder)
    assert not trap.exists()
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)
    assert trap.exists()  # the trap was a real one


def test_what_a_crafted_pickle_wants_is_said_and_pytorchs_advice_to_run_it_is_not(
    bert_folder, tmp_path
):
    change(bert_folder, lambda state: state | {"extra": Touch(str(tmp_path / "ran"))})
    with pytest.raises(
        UserError, match=r"is not a file of plain tensors \(its pickle contains a call of \w+.mkdir"
    ) as error:
        load_model(bert_folder)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize(
    "claim",
    [
        torch.zeros(1).expand(10**13),
        torch.empty(10**12, device="meta"),
        torch.eye(3).to_sparse(),
        "a note",
        None,
    ],
    ids=["one number for all", "no storage", "sparse", "a word", "nothing"],
)
def test_what_is_no_tensor_or_larger_than_its_file_is_refused_before_it_takes_memory(
    bert_folder, claim
):
    change(bert_folder, lambda state: state | {"extra": claim})
    with pytest.raises(UserError, match="pytorch_model.bin is not a file of plain tensors"):
        load_model(bert_folder)


def test_a_tensor_larger_than_its_file_is_named(bert_folder):
    change(bert_folder, lambda state: state | {"extra": torch.zeros(1).expand(10**6)})
    with pytest.raises(UserError, match="'extra' is not a tensor, or larger than the file"):
        load_model(bert_folder)


@pytest.mark.parametrize(
    "length, header",
    [
        (10**18, b"{}"),
        (200_000_000, b"{}"),
        (5000, b"{}"),
        (0, b""),
        (2, b"[]"),
        (3, b"\xff{}"),
        (100_000, b"[" * 100_000),
        (75, b'{"a": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}  '),
    ],
)
def test_a_safetensors_header_is_bounded(bert_folder, length, header):
    (bert_folder / "model.safetensors").write_bytes(
        length.to_bytes(8, "little") + header + b"\0" * 8
    )
    for read in (load_model, names_of):
        with pytest.raises(
            UserError, match="model.safetensors is not a (safetensors file|file of plain tensors)"
        ):
            read(bert_folder)


def test_no_part_of_the_package_trusts_code_from_elsewhere():
    package = Path(weights.__file__).parents[1]
    refused = (
        '"trust_remote_code": False'  # without it transformers would ask, and run it after a yes
    )
    said = "trust_remote_code=True to run it"  # of an export, in a sentence
    texts = [
        path.read_text(encoding="utf-8").replace(refused, "").replace(said, "", 1)
        for path in package.rglob("*.py")
    ]
    assert not [text for text in texts if "trust_remote_code" in text]
    assert [
        path.name
        for path in package.rglob("*.py")
        if "weights_only=False" in path.read_text(encoding="utf-8")
    ] == []


@pytest.mark.parametrize(
    "values, says",
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"num_hidden_layers": "2"}, "num_hidden_layers"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"vocab_size": True}, "vocab_size"),
        ({"num_attention_heads": 3}, "not a multiple"),
        ({"hidden_act": "nonsense"}, "nonsense"),
        ({"hidden_dropout_prob": "0.1"}, "hidden_dropout_prob"),
        ({"hidden_dropout_prob": 2.0}, "dropout"),
        ({"type_vocab_size": "2"}, "type_vocab_size"),
        ({"layer_norm_eps": None}, "layer_norm_eps"),
        (
            {"vocab_size": 2_000_001},
            "vocab_size is 2000001, not a whole number from 1 to 2,000,000",
        ),
        ({"hidden_size": 10**30}, "hidden_size"),
        ({"num_hidden_layers": 257}, "num_hidden_layers"),
        ({"num_attention_heads": 10**9}, "num_attention_heads"),
        ({"type_vocab_size": -1}, "type_vocab_size"),
        ({"intermediate_size": 10**6}, "intermediate_size"),
        ({"max_position_embeddings": 10**9}, "max_position_embeddings"),
        ({"num_labels": 10**12}, "num_labels"),
        (
            {"hidden_size": 16_384, "num_hidden_layers": 256},
            "describes a model of 275,149,373,440 weights, more than 4,000,000,000",
        ),
        ({"vocab_size": 2_000_000, "hidden_size": 16_384}, "describes a model of"),
        ({"is_decoder": True}, "is_decoder True is not supported"),
        ({"chunk_size_feed_forward": 3}, "chunk_size_feed_forward 3"),
        ({"initializer_range": math.nan}, "initializer_range"),
        ({"hidden_dropout_prob": math.nan}, "hidden_dropout_prob nan is not from 0 to 1"),
        ({"to_dict": 5}, "invalid value"),
        ({"pad_token_id": 10**9}, "pad_token_id"),
    ],
)
def test_a_config_that_is_no_bert_is_refused(bert_folder, values, says):
    with pytest.raises(UserError, match="config.json.*" + says):
        load_model(change_config(bert_folder, **values))


def test_a_missing_or_broken_config_is_refused(bert_folder):
    for content in ("{", "[1]", b"\xff", "[" * 100_000, b'{"a":\0 1}', "{}".encode("utf-16")):
        (bert_folder / "config.json").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
        with pytest.raises(UserError, match="config.json"):
            load_model(bert_folder)
    (bert_folder / "config.json").unlink()
    with pytest.raises(UserError, match="config.json is missing"):
        load_model(bert_folder)


# What is written


def test_saving_twice_gives_the_same_bytes_whatever_the_name(bert_folder, tmp_path):
    model, _ = load_model(bert_folder, masked_lm=True)
    first, second = (
        save_weights(model, tmp_path / "one"),
        save_weights(load_model(bert_folder, masked_lm=True)[0], tmp_path / "two", epoch=7),
    )
    assert (first.name, second.name) == ("pytorch_model.bin", "model_epoch_7.bin")
    assert first.read_bytes() == second.read_bytes() == model_bytes(model)
    assert [path.name for path in (tmp_path / "one").iterdir()] == [
        "pytorch_model.bin"
    ]  # nothing left beside


def test_loading_and_saving_keeps_every_weight(bert_folder):
    before = {
        name: tensor.clone()
        for name, tensor in weights_of(bert_folder).items()
        if "seq_relationship" not in name and "pooler" not in name
    }
    save_weights(load_model(bert_folder, masked_lm=True)[0], bert_folder)
    after = weights_of(bert_folder)
    assert set(after) == set(before) and all(
        torch.equal(after[name], before[name]) for name in before
    )


@torch.no_grad()
@pytest.mark.parametrize("labels", [1, 2, 3])
def test_a_written_folder_opens_with_transformers(bert_folder, tmp_path, labels):
    model, _ = load_model(bert_folder, num_labels=labels, projection="shared", teacher_width=8)
    folder = tmp_path / "out"
    folder.mkdir()
    save_config(model, folder)
    save_weights(model, folder)
    stock = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert stock.config.num_labels == labels and stock.dtype == torch.float32
    inputs = {name: BATCH[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    torch.testing.assert_close(
        model.eval()(BATCH, logits=True).logits, stock(**inputs).logits, rtol=1e-5, atol=2e-5
    )
    assert json.loads((folder / "config.json").read_text())["classifier_head"] == "huggingface"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError):
        write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"


# The hand-off


@pytest.mark.parametrize(
    "names, newest",
    [
        (["model_epoch_1.bin", "model_epoch_2.bin", "model_epoch_10.bin"], "model_epoch_10.bin"),
        (["step_50_pytorch_model.bin", "step_9_pytorch_model.bin"], "step_50_pytorch_model.bin"),
    ],
)
def test_the_newest_epoch_is_handed_on_by_number(bert_folder, names, newest):
    for value, name in enumerate(names):
        fill(bert_folder, name, value)
    (bert_folder / "optimizer_99.bin").write_bytes(b"something else")
    (bert_folder / "pytorch_model.bin").unlink()
    assert hand_off(bert_folder) == bert_folder / "pytorch_model.bin"
    assert (bert_folder / "pytorch_model.bin").read_bytes() == (bert_folder / newest).read_bytes()


def test_a_given_checkpoint_is_handed_on(bert_folder):
    for epoch in (1, 2):
        fill(bert_folder, f"model_epoch_{epoch}.bin", epoch)
    hand_off(bert_folder, bert_folder / "model_epoch_1.bin")
    assert weights_of(bert_folder)["bert.pooler.dense.bias"].eq(1).all()


@pytest.mark.parametrize(
    "kind", [kind for kind in DAMAGED if kind not in ("half a masked LM", "untied")]
)  # a part that nobody asks for
def test_a_broken_epoch_is_refused_and_the_old_hand_off_stays(bert_folder, kind):
    edit, says = DAMAGED[kind]
    before = (bert_folder / "pytorch_model.bin").read_bytes()
    change(bert_folder, edit, "model_epoch_1.bin")
    with pytest.raises(UserError, match="model_epoch_1.bin") as error:
        hand_off(bert_folder)
    assert says in str(error.value)
    assert (bert_folder / "pytorch_model.bin").read_bytes() == before


def test_a_truncated_epoch_is_refused(bert_folder):
    whole = (bert_folder / "pytorch_model.bin").read_bytes()
    for length in (0, 1000, len(whole) - 1):
        (bert_folder / "model_epoch_1.bin").write_bytes(whole[:length])
        with pytest.raises(UserError, match="model_epoch_1.bin"):
            hand_off(bert_folder)
    assert (bert_folder / "pytorch_model.bin").read_bytes() == whole


def test_nothing_to_hand_on_is_said(bert_folder):
    with pytest.raises(UserError, match="no model_epoch_N.bin"):
        hand_off(bert_folder)
