"""Google's TensorFlow checkpoints as model folders; TensorFlow itself wrote golden/tensorflow."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from tests.makers import config_values, make_bert_folder
from tests.makers.commands import AUGMENT, EVALUATE, FINETUNE, GENERAL, PREGENERATE, call, refused
from tests.makers.golden import GOLDEN, RUNS, SETS, check, golden
from tests.tensorflow_writer import (
    END,
    appended,
    block,
    message,
    table,
    variables,
    varint,
    with_optimizer,
    write_checkpoint,
    write_folder,
)
from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.method.auto_models import with_our_attention
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.models import tensor_bundle, tensorflow_checkpoint
from tinybert_lite.models.configuration import find_config, read_config
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.weights import find_weights, read_weights
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.errors import UserError

REAL = GOLDEN / "tensorflow"
PAIRS = [
    ("pretraining", "public_a/student_general", True),
    ("classifier", "public_a/student_task", False),
]
LEFT_OUT = ("fit_dense", "cls.seq_relationship", "cls.predictions.decoder")


def stored(folder: Path) -> dict[str, torch.Tensor]:
    """As the reader gives them: a bare BERT's names have their prefix."""
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    return {
        f"bert.{name}"
        if name.split(".")[0] in ("embeddings", "encoder", "pooler")
        else name: tensor
        for name, tensor in state.items()
    }


def known(state: dict) -> dict:
    return {name: tensor for name, tensor in state.items() if not name.startswith(LEFT_OUT)}


def as_google(folder: Path, target: Path, **options) -> Path:
    """A model folder of ours as Google would have shipped it."""
    if (folder / "vocab.txt").is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "vocab.txt", target)
    return write_folder(
        target, stored(folder), (folder / "config.json").read_text(encoding="utf-8"), **options
    )


def assert_same(found: dict, expected: dict) -> None:
    assert set(found) == set(expected)
    assert all(
        found[name].dtype == torch.float32 and torch.equal(found[name], expected[name])
        for name in expected
    )


# What TensorFlow wrote, and the writer that the other tests use


@pytest.mark.parametrize("name, source, optimizer", PAIRS)
def test_what_tensorflow_wrote_is_read_bit_by_bit(name, source, optimizer):
    assert_same(read_weights(find_weights(REAL / name)), known(stored(GOLDEN / source)))
    assert ModelFolder(REAL / name).weight_names == set(known(stored(GOLDEN / source)))


@pytest.mark.parametrize("name, source, optimizer", PAIRS)
def test_the_tests_writer_writes_what_tensorflow_writes(tmp_path, name, source, optimizer):
    found = with_optimizer(variables(stored(GOLDEN / source)))
    index = find_weights(REAL / name)
    write_checkpoint(
        tmp_path / index.stem, {n: t for n, t in found.items() if optimizer or "/adam_" not in n}
    )
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (REAL / name / path.name).read_bytes(), path.name


@torch.no_grad()
def test_a_classifier_that_tensorflow_wrote_gives_the_golden_logits():
    expected, batch = golden("public_a", "padded")
    model, new = load_model(REAL / "classifier")
    assert new == [] and model.config.classifier_head == "huggingface"
    model.config.classifier_head = "relu"  # the golden model's, the original project's
    with_our_attention(model.auto)
    found = model.eval()(batch, logits=True).logits
    check(found, expected["task_prediction"]["student_logits"])
    assert torch.equal(
        found, load_model(GOLDEN / "public_a/student_task")[0].eval()(batch, logits=True).logits
    )


# Every golden model through the format


@pytest.fixture(scope="module")
def through(tmp_path_factory):
    """A golden folder's model, read back from a checkpoint in two shards and many blocks.

    Google has no projections: they are copied.
    """
    room, models = tmp_path_factory.mktemp("google"), {}

    def load(name: str, folder: str):
        if (name, folder) not in models:
            source = GOLDEN / name / folder
            found = read_weights(
                find_weights(as_google(source, room / name / folder, shards=2, block_size=400))
            )
            assert_same(found, known(stored(source)))
            model = load_model(source)[0].eval()
            for parameter in (
                value for key, value in model.named_parameters() if not key.startswith("fit_dense")
            ):
                parameter.data.fill_(torch.nan)
            names = {model.file_name(name): name for name in model.state_dict()}
            mine = {names[name]: tensor for name, tensor in found.items() if name in names}
            model.load_state_dict(mine, strict=False)
            models[name, folder] = model
        return models[name, folder]

    return load


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("run, padding", RUNS)
@pytest.mark.parametrize("stage, kind", [("general", "general"), ("task_intermediate", "task")])
def test_golden_intermediate_losses_through_the_format(through, name, run, padding, stage, kind):
    (expected, batch), student = golden(name, run), through(name, f"student_{kind}")
    terms = Intermediate(student, through(name, f"teacher_{kind}"), padding=padding)(student, batch)
    for term, first in (("attention", 1), ("hidden", 0)):
        check(
            torch.stack([terms[f"{term}/{m}"] for m in range(first, student.layers + 1)]),
            expected[stage][f"{term}_per_layer"],
        )


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("run", ["padded", "unpadded"])
def test_golden_prediction_losses_through_the_format(through, name, run):
    (expected, batch), student, teacher = (
        golden(name, run),
        through(name, "student_task"),
        through(name, "teacher_task"),
    )
    expected = expected["task_prediction"]
    check(student(batch, logits=True).logits, expected["student_logits"])
    for temperature, value in expected["soft_cross_entropy"].items():
        check(
            Prediction(teacher, float(temperature), "original")(student, batch)["prediction"], value
        )


# Names


def test_square_matrices_are_turned_by_their_names(tmp_path):
    """All sizes are 64, so that no shape tells which matrices are to be transposed."""
    source = make_bert_folder(
        tmp_path / "bert",
        layers=1,
        width=64,
        heads=2,
        vocab=[*map(str, range(64))],
        num_labels=64,
        intermediate_size=64,
        type_vocab_size=64,
    )
    expected = known(stored(source))
    assert {tuple(t.shape) for t in expected.values()} == {(64,), (64, 64)}
    index = find_weights(as_google(source, tmp_path / "google"))
    assert_same(read_weights(index), expected)


def test_bf16_and_half_precision_become_float32(tmp_path, bert_folder):
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        state = {name: tensor.to(dtype) for name, tensor in known(stored(bert_folder)).items()}
        index = write_checkpoint(tmp_path / str(dtype) / "bert_model.ckpt", variables(state))
        assert_same(read_weights(index), {name: tensor.float() for name, tensor in state.items()})


@pytest.mark.parametrize(
    "name",
    [
        "electra/embeddings/word_embeddings",
        "bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel",
        "bert/encoder/layer_0/attention/self/query/weights",
        "model/layer-0/kernel/.ATTRIBUTES/VARIABLE_VALUE",
    ],
)
def test_another_architecture_is_named(tmp_path, bert_folder, name):
    index = write_checkpoint(
        tmp_path / "bert_model.ckpt", {**variables(stored(bert_folder)), name: torch.ones(2)}
    )
    for read in (read_weights, lambda index: ModelFolder(tmp_path).weight_names):
        with pytest.raises(UserError, match=r"bert_model.ckpt.index holds .* another architecture"):
            read(index)


# Which checkpoint


def steps(folder: Path, *names: str) -> None:
    for name in names:
        write_checkpoint(folder / name, {})


def test_the_newest_checkpoint_is_taken(tmp_path):
    assert find_weights(tmp_path) is None
    steps(tmp_path, "bert_model.ckpt")
    assert find_weights(tmp_path).name == "bert_model.ckpt.index"
    steps(tmp_path, "model.ckpt-9", "model.ckpt-100", "model.ckpt-0")
    assert find_weights(tmp_path).name == "model.ckpt-100.index"
    listed = tmp_path / "checkpoint"
    for path in (
        "model.ckpt-9",
        "/home/someone/out/model.ckpt-9",
        "gs://bucket/out/model.ckpt-9",
        r"C:\\out\\model.ckpt-9",
    ):
        listed.write_text(
            f'model_checkpoint_path: "{path}"\nall_model_checkpoint_paths: "model.ckpt-0"\n'
        )
        assert find_weights(tmp_path).name == "model.ckpt-9.index"
    for text in (
        b'all_model_checkpoint_paths: "model.ckpt-0"',
        b'model_checkpoint_path: "model.ckpt-5"',
        b"\xff\0",
        b'model_checkpoint_path: "\0"',
    ):
        listed.write_bytes(text)
        assert find_weights(tmp_path).name == "model.ckpt-100.index"
    for name in ("pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
        assert find_weights(tmp_path).name == name


def test_config_json_wins_over_bert_config_json(tmp_path, bert_folder):
    place = as_google(bert_folder, tmp_path / "google")
    assert read_config(find_config(place)).hidden_size == 16
    (place / "config.json").write_text(json.dumps(config_values(width=32)))
    assert read_config(find_config(place)).hidden_size == 32
    with pytest.raises(UserError, match="config.json and the task"):
        load_model(place)


def test_every_file_of_a_checkpoint_counts_for_the_fingerprint(tmp_path, bert_folder):
    place = as_google(bert_folder, tmp_path / "google", shards=2)
    seen = {fingerprint(place)}
    for path in sorted(place.iterdir()):
        raw = path.read_bytes()
        path.write_bytes(raw + b"\n")
        seen.add(fingerprint(place))
        path.write_bytes(raw)
    assert len(seen) == 6 and fingerprint(place) in seen  # config, vocabulary, index, two shards
    (place / "other.ckpt.data-00000-of-00001").write_bytes(b"of another")
    assert fingerprint(place) in seen


# The commands


def test_a_pretrained_checkpoint_serves_as_teacher_as_the_same_weights_do(rooms):  # noqa: F811
    """In teacher_model/: candidates by its masked-LM head, sequences, stage 3, fine-tuning."""
    teacher, results = rooms / "teacher_model", []
    teacher.rename(rooms / "kept")
    as_google(rooms / "kept", teacher)
    found = Workspace.find(rooms)
    assert (
        found.teacher.path == teacher.resolve()
        and found.teacher.config.hidden_size == 32
        and load_with_tokenizer(teacher, masked_lm=True).new_parts == []
    )
    for model in ("teacher_model", "kept"):
        for line in (
            AUGMENT,
            PREGENERATE,
            GENERAL,
            FINETUNE + f" --allow_weak_teacher --output_dir tuned_{model}",
        ):
            ran = call(
                line.replace("--teacher_model teacher_model", f"--teacher_model {model}").replace(
                    "bert_model teacher_model", f"bert_model {model}"
                )
            )
            assert ran.code == 0, ran.err
        written = (
            "1_pre_data/aug.tsv",
            "2_pregenerate_data/epoch_0.json",
            "3_general_distill/pytorch_model.bin",
            f"tuned_{model}/pytorch_model.bin",
        )
        results.append([(rooms / path).read_bytes() for path in written])
    assert results[0] == results[1]


def test_a_checkpoint_of_run_classifier_is_a_task_teacher(rooms):
    state = {
        name: tensor
        for name, tensor in stored(rooms / "tuned").items()
        if not name.startswith("cls.")
    }
    config = (rooms / "tuned/config.json").read_text()
    place = write_folder(rooms / "google", state, config, "model.ckpt-343")
    shutil.copy(rooms / "tuned/vocab.txt", place)
    scores = []
    for folder in ("tuned", "google"):
        ran = call(EVALUATE.replace("tuned", folder))
        assert ran.code == 0, ran.err
        scores.append((rooms / "evaluated/eval_results.txt").read_text())
    assert scores[0] == scores[1] and load_model(place)[0].config.classifier_head == "huggingface"
    ran = call(AUGMENT.replace("teacher_model", "google"))
    assert ran.code == 0 and "google has no masked-LM head" in ran.err


# What is damaged


def flipped(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def cut(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


DATA = "bert_model.ckpt.data-00000-of-00001"
DAMAGED = {
    "an empty index": (lambda room: cut(room / "bert_model.ckpt.index", 0), "its end is missing"),
    "an index cut short": (
        lambda room: cut(room / "bert_model.ckpt.index", 1000),
        "its end is missing",
    ),
    "an end alone": (
        lambda room: (room / "bert_model.ckpt.index").write_bytes(
            bytes.fromhex("57fb808b247547db")
        ),
        "not the index of",
    ),
    "another file as index": (
        lambda room: (room / "bert_model.ckpt.index").write_bytes(b"PK\x03\x04" * 100),
        "its end is missing",
    ),
    "an endless index": (
        lambda room: os.truncate(room / "bert_model.ckpt.index", (1 << 24) + 1),
        "larger than 16,777,216 bytes",
    ),
    "a flipped bit in the index": (
        lambda room: flipped(room / "bert_model.ckpt.index", 100),
        "its checksum is wrong",
    ),
    "no data file": (lambda room: (room / DATA).unlink(), f"{DATA} is missing"),
    "a data file cut short": (lambda room: cut(room / DATA, 20_000), f"{DATA} is truncated"),
    "a flipped bit in the data": (
        lambda room: flipped(room / DATA, 5),
        "the checksum of bert/embeddings/LayerNorm/beta is wrong",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(rooms, kind):
    damage, says = DAMAGED[kind]
    google = as_google(rooms / "tuned", rooms / "google")
    damage(google)
    assert says in refused(
        FINETUNE.replace("--teacher_model teacher_model", "--teacher_model google"),
        rooms,
        "google/bert_model.ckpt",
        "folder" if DATA + " is missing" in says else "fetch",
    )


NAME = b"bert/pooler/dense/bias"
HEADER = (b"", message((1, 1), (3, message((1, 1)))))


def row(dtype=1, dims=(4,), shard=0, offset=0, size=16, extra=b"") -> bytes:
    return (
        message(
            (1, dtype),
            (2, message(*((2, message((1, dim))) for dim in dims))),
            (3, shard),
            (4, offset),
            (5, size),
        )
        + extra
    )


def pair(*rows: tuple[bytes, bytes], header=HEADER) -> bytes:
    return table([header, *rows])


def compressed() -> bytes:
    content = bytearray()
    place = appended(content, block([HEADER, (NAME, row())]), kind=1)
    remarks, last = appended(content, block([])), appended(content, block([(b"z", place)]))
    return bytes(content) + (remarks + last).ljust(40, b"\0") + END


HOSTILE = {
    "an absurd size": (pair((NAME, row(dims=(1 << 62,), size=1 << 64))), "ends before"),
    "an absurd shape": (pair((NAME, row(dims=(1 << 62, 1 << 62)))), "cannot have"),
    "a negative dimension": (pair((NAME, row(dims=(2**64 - 4,)))), "cannot have"),
    "too many dimensions": (pair((NAME, row(dims=(1,) * 1000, size=4))), "cannot have"),
    "no dimension": (pair((NAME, row(dims=(), size=4))), "cannot have"),
    "a dimension of nothing": (pair((NAME, row(dims=(0,), size=0))), "cannot have"),
    "a size that its shape does not have": (pair((NAME, row(size=20))), "cannot have"),
    "an absurd offset": (pair((NAME, row(offset=1 << 60))), "ends before"),
    "a shard that is not there": (pair((NAME, row(shard=3))), "data-00003-of-00001 is missing"),
    "strings": (pair((NAME, row(dtype=7))), "data type 7, not"),
    "whole numbers": (pair((NAME, row(dtype=3))), "data type 3, not"),
    "a slice": (pair((NAME, row(extra=message((7, b""))))), "slices"),
    "overlapping tensors": (
        pair(
            (b"bert/embeddings/word_embeddings", row(dims=(8, 8), size=256)),
            (NAME, row(dims=(8,), size=32)),
        ),
        "overlap",
    ),
    "big-endian numbers": (pair(header=(b"", message((1, 1), (2, 1)))), "big-endian"),
    "no header": (table([(NAME, row())]), "truncated or overwritten"),
    "text for a number": (pair((NAME, message((1, b"1"), (2, b""), (5, 4)))), "data type"),
    "a number for a message": (
        pair((NAME, message((1, 1), (2, 5), (5, 4)))),
        "truncated or overwritten",
    ),
    "a field of no kind": (pair((NAME, b"\x0f")), "truncated or overwritten"),
    "an endless number": (pair((NAME, b"\x80" * 20)), "a number in it is too long"),
    "names twice": (pair((NAME, row()), (NAME, row())), "not sorted"),
    "names that are no text": (pair((b"\xff", row())), "not the index of"),
    "a name without an end": (pair((b"n" * 1001, row())), "a name in it is invalid"),
    "more names than anyone has": (
        pair(*((b"global_step%06d" % i, b"") for i in range(51))),
        "too many",
    ),
    "a compressed block": (compressed(), "it is compressed"),
    "the same block again and again": (
        table([(b"%04d" % i, varint(0) + varint(20)) for i in range(1000)]),
        "not the index of",
    ),
}


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_index_is_refused_before_anything_is_allocated(
    tmp_path, monkeypatch, kind, checked
):
    content, says = HOSTILE[kind]
    index = tmp_path / "bert_model.ckpt.index"
    index.write_bytes(content)
    (tmp_path / DATA).write_bytes(bytes(270))
    monkeypatch.setattr(tensorflow_checkpoint, "read_tensor", None)
    monkeypatch.setattr(tensor_bundle, "MOST_NAMES", 50)
    monkeypatch.setattr(tensor_bundle, "extend", tensor_bundle.extend if checked else None)
    with pytest.raises(UserError, match="bert_model.ckpt") as error:
        read_weights(index)
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_blocks_that_are_listed_many_times_are_refused(tmp_path):
    """A small file would else be read a thousand times over."""
    content = bytearray()
    place = appended(
        content, bytes(1000) + (250).to_bytes(4, "little")
    )  # no rows, many places to start
    remarks, last = (
        appended(content, block([])),
        appended(content, block([(b"%04d" % i, place) for i in range(1000)])),
    )
    (tmp_path / "bert_model.ckpt.index").write_bytes(
        bytes(content) + (remarks + last).ljust(40, b"\0") + END
    )
    with pytest.raises(UserError, match="blocks overlap"):
        read_weights(tmp_path / "bert_model.ckpt.index")


@pytest.mark.parametrize("checked", [True, False])
def test_whatever_bit_is_wrong_there_is_no_other_error(tmp_path, monkeypatch, checked):
    """With checksums each one is found; without them what is left is a UserError or a model."""
    folder = shutil.copytree(REAL / "classifier", tmp_path / "google")
    index, draw = find_weights(folder), random.Random(0)
    monkeypatch.setattr(tensor_bundle, "extend", tensor_bundle.extend if checked else None)
    raw, refusals = index.read_bytes(), 0
    for place in draw.sample(range(len(raw) - 60), 100):
        index.write_bytes(
            raw[:place] + bytes([raw[place] ^ 1 << draw.randrange(8)]) + raw[place + 1 :]
        )
        try:
            load_model(folder)
        except UserError:
            refusals += 1
    assert refusals == 100 if checked else refusals > 25


def test_without_the_checksums_package_the_same_is_read(monkeypatch):
    expected = read_weights(find_weights(REAL / "classifier"))
    monkeypatch.setattr(tensor_bundle, "extend", None)
    assert_same(read_weights(find_weights(REAL / "classifier")), expected)
