"""TFRecord rows: TensorFlow's own files, lossless round trips, one sentence per damaged file."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tracemalloc
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from tests.makers import VOCABULARY, make_bert_folder, write_tsv, write_vocabulary
from tests.makers.commands import call
from tests.makers.teachers import make_distilbert
from tests.makers.workspaces import toy_rows, write_toy_data
from tinybert_lite.data import tfrecord
from tinybert_lite.data.conversions import tables_to_records
from tinybert_lite.data.epochs import count_sequences, epoch_file, read_epoch
from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.data.id_rows import id_rows, tfrecord_files
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import holds_ids, stream_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.data.tfrecord import count_records, read_records, write_records
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.errors import UserError

REAL = (
    Path(__file__).parents[1] / "golden/tfrecord"
)  # written by TensorFlow 2.21, see the README there
SST2, STSB = TASKS["SST-2"], TASKS["STS-B"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(write_vocabulary(tmp_path_factory.mktemp("vocabulary")))


def row(ids=(2, 85, 86, 3), length=8, first=None, label=1, **more) -> dict[str, list]:
    """A record's features; `more` replaces some (None: takes them out)."""
    ids, pad = list(ids), [0] * (length - len(ids))
    first = len(ids) if first is None else first
    found = {
        "input_ids": ids + pad,
        "input_mask": [1] * len(ids) + pad,
        "segment_ids": [0] * first + [1] * (len(ids) - first) + pad,
        "label_ids": [label],
        **more,
    }
    return {name: values for name, values in found.items() if values is not None}


def parts(examples) -> list[tuple[list[int], int]]:
    return [
        (examples.ids[start:end].tolist(), int(first))
        for start, end, first in zip(examples.starts, examples.starts[1:], examples.first)
    ]


def same(one, other) -> bool:
    return parts(one) == parts(other) and np.array_equal(one.labels, other.labels, equal_nan=True)


# What real TensorFlow wrote -----------------------------------------------------------------------


def test_sequences_of_create_pretraining_data_are_read(tokenizer, tmp_path):
    pretraining = REAL / "pretraining.tfrecord"
    wanted = [
        ([2, 85, 4, 90, 3, 77, 4, 3], 5),
        ([2, 100, 101, 102, 103, 3, 80, 81, 82, 83, 84, 3], 6),
    ]
    assert parts(read_epoch(pretraining, 0, tokenizer, 128)) == wanted
    assert parts(read_epoch(pretraining, 7, tokenizer, 5, tmp_path / "ids")) == [
        (ids[:5], min(first, 5)) for ids, first in wanted
    ]
    assert count_sequences(pretraining, 0) == count_records(pretraining) == 2
    features = next(read_records(pretraining)).features
    assert {name: kind for name, (kind, _) in features.items() if kind != "int64_list"} == {
        "masked_lm_weights": "float_list"
    }
    assert [
        features[name][1]
        for name in (
            "masked_lm_positions",
            "masked_lm_ids",
            "masked_lm_weights",
            "next_sentence_labels",
        )
    ] == [[2, 6, 0, 0], [86, 95, 0, 0], [1.0, 1.0, 0.0, 0.0], [1]]


def test_rows_of_run_classifier_are_read_without_those_that_fill_a_batch(tokenizer, capsys):
    found = task_examples(REAL / "train.tf_record", SST2, tokenizer, 12)
    assert parts(found) == [
        ([2, 85, 86, 3], 4),
        ([2, 90, 3, 91, 92, 3], 3),
    ] and found.labels.tolist() == [1, 0]
    assert "2 rows of ids, 1 padding rows skipped" in capsys.readouterr().out
    assert found.batch([0, 1])["token_type_ids"].tolist() == [[0] * 6, [0, 0, 0, 1, 1, 1]]


def test_a_ports_rows_of_a_regression_are_read(tokenizer):
    found = task_examples(REAL / "mindspore.tf_record", STSB, tokenizer, 12)
    assert found.labels.dtype == np.float32 and found.labels.tolist() == [np.float32(3.8), 0]
    assert parts(task_examples(REAL / "mindspore.tf_record", STSB, tokenizer, 12, max_rows=1)) == [
        ([2, 90, 3, 91, 3], 3)
    ]


# Damaged and foreign files ------------------------------------------------------------------------


def framed(data: bytes, length: int | None = None) -> bytes:
    """A record by the format's description, with another length than its own if asked for."""

    def masked(part: bytes) -> bytes:
        crc = google_crc32c.value(part)
        return (((crc >> 15) + (crc << 17) + 0xA282EAD8) % 2**32).to_bytes(4, "little")

    head = (len(data) if length is None else length).to_bytes(8, "little")
    return head + masked(head) + data + masked(data)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


GOOD = (REAL / "train.tf_record").read_bytes()
SECOND = 12 + int.from_bytes(GOOD[:8], "little") + 4
DAMAGED = {
    "nothing": (b"", "is empty"),
    "text": (b"sentence\tlabel\na good film\t1\n", "not a TFRecord"),
    "five bytes": (b"hello", "record 1: the file ends"),
    "gzip": (gzip.compress(GOOD), "gunzip"),
    "cut in a head": (GOOD[: SECOND + 5], "record 2: the file ends"),
    "cut in a row": (GOOD[: SECOND + 40], "record 2: the file ends"),
    "cut in the last checksum": (GOOD[:-1], "record 3: the file ends"),
    "another length": (flipped(GOOD, SECOND), "record 2: the checksum of the record's length"),
    "another byte": (flipped(GOOD, SECOND + 30), "record 2: the checksum is wrong"),
    "another checksum": (flipped(GOOD, SECOND - 1), "record 1: the checksum is wrong"),
    "a hostile length": (
        GOOD + framed(b"", 2**63),
        "record 4: a length of 9,223,372,036,854,775,808 bytes",
    ),
    "a length beyond the file": (framed(b"abc", 900_000), "record 1: the file ends"),
    "no Example": (GOOD + framed(b"\xff" * 40), "record 4: is not a tf.train.Example"),
    "an empty Example": (framed(b""), "record 1: has no feature 'input_ids', it has []"),
}


@pytest.mark.parametrize("content, said", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_sentence_with_its_record(tokenizer, tmp_path, content, said):
    path = tmp_path / "train.tf_record"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError) as refused:
        list(id_rows(path, tokenizer, []))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        said in str(refused.value)
        and str(path) in str(refused.value)
        and "\n" not in str(refused.value)
    )
    assert peak < 2_000_000


WRONG = {
    "another feature": (row(input_ids=None, image=[1]), "has no feature 'input_ids'"),
    "floats for ids": (row(input_ids=[2.0] * 8), "the feature 'input_ids' is a float_list"),
    "another length": (
        row(length=9),
        "has 9 input_ids, 9 input_mask and 9 segment_ids, but the first record has 8 of each",
    ),
    "a shorter mask": (row(input_mask=[1] * 4), "has 8 input_ids, 4 input_mask"),
    "a mask with a hole": (row(input_mask=[1, 0, 1, 1, 0, 0, 0, 0]), "input_mask must be ones"),
    "a mask of twos": (row(input_mask=[1, 1, 1, 1, 2, 0, 0, 0]), "input_mask must be ones"),
    "no tokens": (row(input_mask=[0] * 8), "input_mask must be ones"),
    "segments in turns": (row(segment_ids=[0, 1, 0, 1, 0, 0, 0, 0]), "segment_ids must be zeros"),
    "three segments": (row(segment_ids=[0, 0, 1, 2, 0, 0, 0, 0]), "segment_ids must be zeros"),
    "an id beyond the vocabulary": (
        row([2, 85, len(VOCABULARY), 3]),
        f"the id {len(VOCABULARY)} is not below {len(VOCABULARY)}",
    ),
    "a negative id": (row([2, -1, 3]), "the id -1 is not below"),
    "another vocabulary's [CLS]": (row([101, 85, 102]), "the first id is 101, but [CLS] is 2"),
    "a label that is none": (row(label=2), "the label 2 is not one of SST-2's labels (0 0, 1 1)"),
    "a float for a class": (row(label=1.0), "the feature 'label_ids' is a float_list"),
    "two labels": (row(label_ids=[0, 1]), "has 2 values in label_ids"),
    "a sequence without a label": (
        row(label_ids=None, next_sentence_labels=[0]),
        "is a sequence for general_distill",
    ),
    "more tokens than are read": (
        row([2, 85, 85, 85, 85, 85, 3]),
        "has 7 tokens, more than the limit of 6",
    ),
}


@pytest.mark.parametrize("wrong, said", WRONG.values(), ids=WRONG)
def test_a_row_that_makes_no_sense_is_named(tokenizer, tmp_path, wrong, said):
    write_records(tmp_path / "train.tf_record", [row(), wrong])
    with pytest.raises(UserError) as refused:
        task_examples(tmp_path / "train.tf_record", SST2, tokenizer, 6)
    assert f"train.tf_record, record 2: {said}" in str(refused.value)


def test_a_label_that_is_no_number_and_padding_rows_alone_are_refused(tokenizer, tmp_path):
    write_records(tmp_path / "a.tfrecord", [row(label=float("nan"))])
    with pytest.raises(UserError, match="record 1: the label nan"):
        task_examples(tmp_path / "a.tfrecord", STSB, tokenizer, 8)
    write_records(tmp_path / "b.tfrecord", [row([], is_real_example=[0])])
    with pytest.raises(UserError, match="only padding rows"):
        task_examples(tmp_path / "b.tfrecord", SST2, tokenizer, 8)
    with pytest.raises(UserError, match="record 1: is a padding row"):
        read_epoch(tmp_path / "b.tfrecord", 0, tokenizer, 8)


COLUMN = {"type": "int64", "rank": 1, "shape": [8]}


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"input_ids": COLUMN, "label_ids": {**COLUMN, "shape": [1]}}, None),
        (
            {"input_ids": {**COLUMN, "shape": [128]}},
            "record 1: 'input_ids' has 8 values in a int64_list",
        ),
        ({"label_ids": {**COLUMN, "type": "float32", "shape": [1]}}, "'float32'"),
        ({"token_type_id": COLUMN}, "record 1: has no feature 'token_type_id'"),
        ({"input_ids": {**COLUMN, "shape": "128"}}, "schema.json: the shape '128'"),
        ({"input_ids": [128]}, 'schema.json: has no "columns"'),
        (None, 'schema.json: has no "columns"'),
    ],
)
def test_a_schema_is_held_against_the_rows(tokenizer, tmp_path, columns, said):
    write_records(tmp_path / "train.tf_record", [row()])
    (tmp_path / "schema.json").write_text(
        json.dumps({"datasetType": "TF", "numRows": 1, "columns": columns}), encoding="utf-8"
    )
    if said is None:
        assert len(task_examples(tmp_path / "train.tf_record", SST2, tokenizer, 8)) == 1
    else:
        with pytest.raises(UserError) as refused:
            task_examples(tmp_path / "train.tf_record", SST2, tokenizer, 8)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    "package, module", [("google-crc32c", "google_crc32c"), ("protobuf", "google.protobuf")]
)
def test_a_package_that_is_missing_is_named(monkeypatch, package, module):
    monkeypatch.setitem(sys.modules, module, None)
    tfrecord._checksum.cache_clear()
    tfrecord._example.cache_clear()
    with pytest.raises(
        UserError,
        match=rf'{package}, which is missing: python -m pip install -e "\.\[tensorflow\]"',
    ):
        list(read_records(REAL / "train.tf_record"))


def test_memory_does_not_grow_with_the_file(tokenizer, tmp_path):
    def peak(count: int) -> int:
        write_records(
            path := tmp_path / f"{count}.tfrecord",
            (row([2, *[85] * 62, 3], 64) for _ in range(count)),
        )
        tracemalloc.start()
        assert sum(1 for _ in id_rows(path, tokenizer)) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is loaded once
    assert peak(1500) < peak(50) + 100_000  # the longer file has 330,000 bytes


# There and back -----------------------------------------------------------------------------------


def test_epochs_come_back_byte_for_byte_and_are_read_alike_on_the_way(workspace, tokenizer):
    """With masked places and both segments; the files' order is that of their numbers."""
    assert (
        call(
            "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir made "
            "--bert_model teacher_model --epochs_to_generate 3 "
            "--max_seq_len 32 --do_whole_word_mask"
        ).code
        == 0
    )
    made, there, back = (workspace / name for name in ("made", "there", "back"))
    for old, new in (("2", "10"), ("1", "2")):
        for end in (".json", "_metrics.json"):
            (made / f"epoch_{old}{end}").rename(made / f"epoch_{new}{end}")
    assert (
        call("convert_rows made --to tfrecord --bert_model teacher_model --output_dir there").code
        == 0
    )
    assert [path.name for path in tfrecord_files(there)] == [
        "epoch_0.tfrecord",
        "epoch_2.tfrecord",
        "epoch_10.tfrecord",
    ]
    for epoch in range(4):
        one, other = (
            read_epoch(folder, epoch, tokenizer, 24, workspace / f"{folder.name}.i4")
            for folder in (made, there)
        )
        assert len(one) == count_sequences(made, epoch) == count_sequences(there, epoch) and parts(
            one
        ) == parts(other)
    assert len({epoch_file(there, epoch) for epoch in range(4)}) == 3 and epoch_file(
        there, 3
    ) == epoch_file(there, 0)
    assert (
        call("convert_rows there --to epochs --bert_model teacher_model --output_dir back").code
        == 0
    )
    for new, old in enumerate((0, 2, 10)):
        for end in (".json", "_metrics.json"):
            assert (made / f"epoch_{old}{end}").read_bytes() == (
                back / f"epoch_{new}{end}"
            ).read_bytes()
    assert {
        json.loads(line)["is_random_next"]
        for line in (made / "epoch_0.json").read_text().splitlines()
    } == {True, False}


def test_the_same_rows_give_the_same_bytes(tmp_path):
    features = row(masked_lm_weights=[0.5], next_sentence_labels=[0], is_real_example=[1])
    for name, order in (("a", 1), ("b", -1)):
        assert write_records(tmp_path / name, [dict([*features.items()][::order])] * 3) == 3
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_real_sequences_become_epochs_with_their_tokens(workspace):
    assert (
        call(
            f"convert_rows {REAL / 'pretraining.tfrecord'} --to epochs --bert_model teacher_model "
            "--output_dir made"
        ).code
        == 0
    )
    first, second = map(
        json.loads, (workspace / "made/epoch_0.json").read_text(encoding="utf-8").splitlines()
    )
    pieces = VOCABULARY.__getitem__
    assert first == {
        "tokens": [*map(pieces, (2, 85, 4, 90, 3, 77, 4, 3))],
        "segment_ids": [0] * 5 + [1] * 3,
        "is_random_next": True,
        "masked_lm_positions": [2, 6],
        "masked_lm_labels": [pieces(86), pieces(95)],
    }
    assert second["masked_lm_labels"] == [pieces(104)] and second["is_random_next"] is False
    assert json.loads((workspace / "made/epoch_0_metrics.json").read_text()) == {
        "num_training_examples": 2,
        "max_seq_len": 12,
    }


def pair_rows(labels) -> list[tuple[str, ...]]:
    rows = toy_rows(30, 3)
    return [
        (str(i), a, " ".join([b] * (i % 4 + 1)), labels[i % len(labels)])
        for i, ((a, _), (b, _)) in enumerate(zip(rows, rows[::-1]))
    ]


@pytest.mark.parametrize(
    "task, header, labels",
    [
        ("SST-2", None, None),
        ("RTE", ("index", "sentence1", "sentence2", "label"), ("not_entailment", "entailment")),
        ("STS-B", ("index", "sentence1", "sentence2", "score"), ("3.8", "0.000", "4.999")),
    ],
)
def test_a_tasks_rows_are_the_same_examples_from_ids_as_from_text(
    tmp_path, tokenizer, task, header, labels
):
    data, task = tmp_path / "data", TASKS[task]
    if header is None:
        write_toy_data(data)
    else:
        for split in ("train", "dev"):
            write_tsv(data / f"{split}.tsv", pair_rows(labels), header)
    tables_to_records(Workspace(tmp_path, task, given_data=data), tmp_path / "ids", tokenizer, 24)
    names = Workspace(tmp_path, task, given_data=tmp_path / "ids")
    for split in ("train", "dev"):
        assert holds_ids(names.data_file(split))
        wanted = encode_table(stream_table(data / f"{split}.tsv", task), task, tokenizer, 24)
        assert same(task_examples(names.data_file(split), task, tokenizer, 24), wanted)
    assert names.data_file("dev").name == "eval.tf_record"
    columns = json.loads((tmp_path / "ids/schema.json").read_text())["columns"]
    assert columns["label_ids"] == {
        "type": "float32" if task.is_regression else "int64",
        "rank": 1,
        "shape": [1],
    }


def test_mnlis_matched_rows_may_have_the_names_of_run_classifier(tmp_path):
    for name in ("eval.tf_record", "dev_mismatched.tfrecord", "predict.tf_record"):
        (tmp_path / name).touch()
    found = Workspace(tmp_path, TASKS["MNLI"], given_data=tmp_path)
    assert [
        found.data_file(split).name
        for split in ("dev_matched", "dev_mismatched", "test_matched", "test_mismatched")
    ] == ["eval.tf_record", "dev_mismatched.tfrecord", "predict.tf_record", "test_mismatched.tsv"]
    (tmp_path / "dev_matched.tsv").touch()
    assert found.data_file("dev_matched").suffix == ".tsv"  # texts win over ids


@pytest.mark.parametrize(
    "line, said",
    [
        ("SST-2 --to epochs --task_name sst-2 --output_dir out", "--to epochs makes sequences"),
        ("SST-2 --to epochs --output_dir out", "holds no .tfrecord"),
        ("SST-2 --to tfrecord --output_dir out", "holds no epoch_0.json"),
        ("nowhere --to tfrecord --output_dir out", "nowhere is missing"),
        ("ids --to tfrecord --output_dir out", "already holds TFRecord files"),
        (
            "SST-2 --to tfrecord --task_name sst-2 --output_dir taken",
            "eval.tf_record exists already",
        ),
        ("SST-2 --to tfrecord --task_name sst-2 --max_seq_length 0 --output_dir out", "at least 1"),
        ("epochs --to tfrecord --output_dir out --max_seq_length 2", "line 1: has 3 tokens"),
        (
            "epochs --to tfrecord --output_dir out --max_predictions_per_seq 1",
            "line 2: has 3 tokens and 2 masked",
        ),
        ("odd --to tfrecord --output_dir out", "line 1: the segments, masked positions"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence_and_nothing_is_overwritten(workspace, line, said):
    def sequences(folder: str, *places: list[int]) -> None:
        (workspace / folder).mkdir()
        lines = [
            {
                "tokens": ["[CLS]", "film", "[SEP]"],
                "segment_ids": [0] * 3,
                "is_random_next": False,
                "masked_lm_positions": where,
                "masked_lm_labels": ["plot"] * len(where),
            }
            for where in places
        ]
        (workspace / folder / "epoch_0.json").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )

    sequences("epochs", [1], [1, 2])
    sequences("odd", [3])
    (workspace / "taken").mkdir()
    (workspace / "taken/eval.tf_record").write_text("mine")
    shutil.copytree(REAL, workspace / "ids")
    ran = call(f"convert_rows {line} --bert_model teacher_model")
    assert (
        ran.code == 2
        and ran.err.startswith("error:")
        and ran.err.count("\n") == 1
        and said in ran.err
    ), ran
    assert [path.name for path in (workspace / "taken").iterdir()] == ["eval.tf_record"] and (
        workspace / "taken/eval.tf_record"
    ).read_text() == "mine"


# In the stages ------------------------------------------------------------------------------------


def test_the_stages_learn_the_same_from_ids_as_from_texts(workspace):
    assert (
        call(
            "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir made "
            "--bert_model teacher_model --epochs_to_generate 1 "
            "--max_seq_len 32"
        ).code
        == 0
    )
    assert (
        call("convert_rows made --to tfrecord --bert_model teacher_model --output_dir there").code
        == 0
    )
    assert (
        call(
            "convert_rows SST-2 --task_name sst-2 --to tfrecord --bert_model teacher_model "
            "--output_dir ids --max_seq_length 32"
        ).code
        == 0
    )
    found = {}
    for rows, sequences, out in (("SST-2", "made", "a"), ("ids", "there/epoch_0.tfrecord", "b")):
        steps = (
            f"general_distill --pregenerated_data {sequences} --teacher_model teacher_model "
            f"--student_model student_model --output_dir {out}/3 --device cpu "
            f"--num_train_epochs 2",
            f"finetune_teacher --data_dir {rows} --task_name sst-2 --teacher_model teacher_model "
            f"--output_dir {out}/teacher --device cpu "
            f"--num_train_epochs 4 --learning_rate 1e-3 --max_seq_length 32",
            f"task_distill --data_dir {rows} --task_name sst-2 --teacher_model {out}/teacher "
            f"--student_model {out}/3 --output_dir {out}/4 --device cpu "
            f"--num_train_epochs 1 --max_seq_length 32",
            f"task_distill --data_dir {rows} --task_name sst-2 --teacher_model {out}/teacher "
            f"--student_model {out}/4 --output_dir {out}/5 --device cpu "
            f"--num_train_epochs 1 --max_seq_length 32 --pred_distill",
            f"task_distill --do_eval --data_dir {rows} --task_name sst-2 --student_model {out}/5 "
            f"--output_dir {out}/eval --device cpu --max_seq_length 32",
        )
        for step in steps:
            ran = call(step)
            assert ran.code == 0, ran
        folder = workspace / out
        found[out] = [
            *(
                (folder / name / "pytorch_model.bin").read_bytes()
                for name in ("3", "teacher", "4", "5")
            ),
            *((folder / "eval" / name).read_bytes() for name in ("eval_results.txt", "SST-2.tsv")),
        ]
    assert [one == other for one, other in zip(found["a"], found["b"])] == [True] * 6


def test_a_folders_fingerprint_sees_its_records(tmp_path):
    shutil.copy(REAL / "pretraining.tfrecord", tmp_path / "part.tfrecord-00000-of-00002")
    before = fingerprint(tmp_path)
    shutil.copy(REAL / "train.tf_record", tmp_path / "part.tfrecord-00000-of-00002")
    assert fingerprint(tmp_path) != before


@pytest.mark.parametrize(
    "line",
    [
        "data_augmentation --pretrained_bert_model teacher_model --glove_embs "
        "1_pre_data/glove.6B.100d.txt --glue_dir . --task_name SST-2 --N 1",
        "task_distill --data_dir SST-2 --task_name sst-2 --task_teacher other --student_model "
        "student --output_dir out --pred_distill --max_seq_length 32",
        "task_distill --data_dir SST-2 --task_name sst-2 --teacher_logits logits.npy "
        "--student_model student --output_dir out --pred_distill --max_seq_length 32",
        "run_all --profile smoke --device cpu",
    ],
)
def test_what_needs_texts_refuses_ids_in_one_sentence(workspace, line):
    ids = (
        "convert_rows SST-2 --task_name sst-2 --to tfrecord --bert_model teacher_model "
        "--output_dir ids --max_seq_length 32"
    )
    assert call(ids).code == 0
    shutil.rmtree(workspace / "SST-2")
    (workspace / "ids").rename(workspace / "SST-2")
    make_bert_folder(workspace / "student", layers=1, masked_lm=False)
    make_distilbert(workspace / "other")
    np.save(workspace / "logits.npy", np.zeros((24, 2), np.float32))
    ran = call(line)
    assert ran.code == 2 and "Traceback" not in ran.err
    errors = [said for said in ran.err.splitlines() if said.startswith("error:")]
    assert len(errors) == 1 and ("holds token ids, but texts" in errors[0]), errors
