"""`quantize`: a finished model calibrated and trained in 8 bits, with the options of the MindSpore
port's guide.
"""

import json

import numpy as np
import pytest
import torch

from tests.makers import make_bert_folder, write_tsv
from tests.makers.commands import call, snapshot
from tests.makers.workspaces import make_toy_teacher, toy_rows
from tinybert_lite.method.quantization import is_quantized, quantized_layers
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.weights import read_weights
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet
from tinybert_lite.system.outputs import read_manifest
from tinybert_lite.training.history import read_history

GUIDE = (
    "quantize --task_name SST-2 --load_ckpt_path tuned --train_data_dir SST-2 --eval_data_dir "
    "SST-2 --do_quant true --do_eval true --do_shuffle true "
    "--epoch_num 2 --train_batch_size 8 --eval_batch_size 8 --learning_rate 1e-3 --logging_step 2 "
    "--save_ckpt_step 2 --eval_ckpt_step 2 --max_ckpt_num 1 "
    "--device_id 0 --device_target GPU --enable_data_sink false --device cpu --max_seq_length 32"
)


@pytest.fixture
def folder(task_folder):
    return task_folder


def test_the_guides_line_runs_and_leaves_a_model_in_8_bits(folder):
    before = snapshot(folder / "tuned", folder / "SST-2")
    ran = call(GUIDE)
    assert ran.code == 0, ran.err
    for flag in ("--device_id", "--device_target", "--do_shuffle", "--enable_data_sink"):
        assert f"{flag} has no effect" in ran.err
    for flag in ("--do_quant", "--do_eval", "--logging_step", "--eval_ckpt_step", "--epoch_num"):
        assert f"{flag} has no effect" not in ran.err
    assert snapshot(folder / "tuned", folder / "SST-2") == before
    out = folder / "5_task_distill_out/int8"
    model, new = load_model(out)
    assert (
        not new
        and is_quantized(model)
        and all(layer.input_range > 0 for layer in quantized_layers(model))
    )
    assert json.loads((out / "config.json").read_text())["bits"] == 8
    metrics = read_manifest(out)["metrics"]
    assert (
        metrics["steps"] == 6
        and metrics["before_dev"]["accuracy"] > 0.9
        and {"post_training_dev", "dev"} <= {*metrics}
    )
    assert [event["step"] for event in read_history(out / "history.jsonl") if "dev" in event] == [
        2,
        3,
        4,
        6,
    ]
    assert [
        f"8-bit training: step {step} of 6, loss" in ran.out for step in (1, 2, 3, 4, 5, 6)
    ] == [False, True] * 3
    assert (
        out / "eval_results.txt"
    ).read_text() == f"accuracy = {metrics['dev']['accuracy']}\nglobal_step = 6\n"


def test_every_other_command_reads_the_folder(folder):
    assert call(GUIDE).code == 0
    ran = call(
        "evaluate --data_dir SST-2 --task_name SST-2 --student_model 5_task_distill_out/int8 "
        "--teacher_model tuned --device cpu --max_seq_length 32"
    )
    wanted = read_manifest(folder / "5_task_distill_out/int8")["metrics"]["dev"]["accuracy"]
    assert ran.code == 0 and f"accuracy = {wanted}\n" in ran.out
    ran = call(
        "predict --student_model 5_task_distill_out/int8 'the film was good and the plot was long "
        ".' --device cpu"
    )
    assert ran.code == 0 and len(ran.out.split("\t")) == 3


def test_a_weights_file_stands_for_its_folder_and_a_rows_file_for_its(folder):
    line = (
        GUIDE.replace("tuned", "tuned/pytorch_model.bin")
        .replace("_data_dir SST-2 --eval", "_data_dir SST-2/train.tsv --eval")
        .replace("--eval_data_dir SST-2", "--eval_data_dir SST-2/dev.tsv")
    )
    assert call(GUIDE + " --output_dir one").code == call(line + " --output_dir other").code == 0
    assert (folder / "one/pytorch_model.bin").read_bytes() == (
        folder / "other/pytorch_model.bin"
    ).read_bytes()


def test_do_quant_false_is_the_same_training_in_floating_point(folder):
    ran = call(GUIDE.replace("--do_quant true", "--do_quant False"))
    assert ran.code == 0, ran.err
    out = folder / "5_task_distill_out/float32"
    assert (
        not is_quantized(load_model(out)[0])
        and read_manifest(out)["metrics"]["steps"] == 6
        and not (folder / "5_task_distill_out/int8").exists()
    )


def test_post_training_learns_no_weight(folder):
    ran = call(GUIDE + " --post_training")
    assert ran.code == 0, ran.err
    found, before = (
        read_weights(folder / place / "pytorch_model.bin")
        for place in ("5_task_distill_out/int8", "tuned")
    )
    ranges = {name for name in found if name.endswith(".input_range")}
    assert len(ranges) == 2 * 6 + 2 and all(
        torch.equal(found[name], before[name]) for name in {*found} - ranges
    )
    metrics = read_manifest(folder / "5_task_distill_out/int8")["metrics"]
    assert metrics["steps"] == 0 and metrics["dev"] == metrics["post_training_dev"]


def test_do_eval_false_measures_after_each_epoch_alone(folder):
    ran = call(GUIDE.replace("--do_eval true", "--do_eval false"))
    assert ran.code == 0 and "--eval_ckpt_step has no effect" in ran.err
    assert [
        event["step"]
        for event in read_history(folder / "5_task_distill_out/int8/history.jsonl")
        if "dev" in event
    ] == [3, 6]


def test_a_teachers_soft_targets_are_learnt_where_one_is_named(folder):
    make_toy_teacher(folder / "other", classifier=True, layers=1)
    assert call(GUIDE + " --teacher_model other").code == 0
    assert {*read_manifest(folder / "5_task_distill_out/int8")["metrics"]["loss_terms"]} == {
        "prediction"
    }
    assert call(GUIDE + " --output_dir labels").code == 0
    assert {*read_manifest(folder / "labels")["metrics"]["loss_terms"]} == {"label"}


def test_the_workspaces_student_is_taken_with_its_teacher_and_its_augmented_rows(folder):
    make_toy_teacher(folder / "teacher_model/SST-2", classifier=True)
    make_toy_teacher(folder / "5_task_distill_out", layers=1, classifier=True)
    write_tsv(folder / "1_pre_data/aug.tsv", toy_rows(40, 8), ("sentence", "label"))
    ran = call("quantize --device cpu --max_seq_length 32 --epoch_num 1 --train_batch_size 8")
    assert ran.code == 0, ran.err
    manifest = read_manifest(folder / "5_task_distill_out/int8")
    assert manifest["metrics"]["rows"] == 40 and {*manifest["metrics"]["loss_terms"]} == {
        "prediction"
    }
    assert manifest["inputs"]["teacher"]["path"].endswith("teacher_model/SST-2") and manifest[
        "inputs"
    ]["student"]["path"].endswith("5_task_distill_out")
    ran = call(
        "quantize --device cpu --max_seq_length 32 --epoch_num 1 --train_batch_size 8 "
        "--labels_alone"
    )
    assert ran.code == 0 and {
        *read_manifest(folder / "5_task_distill_out/int8")["metrics"]["loss_terms"]
    } == {"label"}


def test_a_regression_keeps_its_correlation(folder):
    """One number a row; the student learns it in 8 bits as well as it did in floating point."""
    texts = [text for text, _ in toy_rows(48, 5)]
    header = (
        "index",
        "genre",
        "filename",
        "year",
        "old_index",
        "source1",
        "source2",
        "sentence1",
        "sentence2",
        "score",
    )
    table = [
        (str(i), "g", "f", "y", "o", "s", "s", text, text, "4.0" if "good" in text else "1.0")
        for i, text in enumerate(texts)
    ]
    for split in ("train", "dev"):
        write_tsv(folder / f"STS-B/{split}.tsv", table, header)
    make_bert_folder(folder / "raw", layers=1, width=32, masked_lm=False)
    common = (
        "--data_dir STS-B --task_name STS-B --device cpu --max_seq_length 64 "
        "--train_batch_size 8 --learning_rate 3e-3 --eval_step 0"
    )
    assert (
        call(
            f"finetune_teacher {common} --teacher_model raw --output_dir regression "
            "--num_train_epochs 12"
        ).code
        == 0
    )
    ran = call(
        f"quantize {common} --load_ckpt_path regression --num_train_epochs 2 --output_dir int8"
    )
    assert ran.code == 0, ran.err
    metrics = read_manifest(folder / "int8")["metrics"]
    assert (
        metrics["before_dev"]["pearson"] > 0.9
        and metrics["dev"]["pearson"] > metrics["before_dev"]["pearson"] - 0.01
    )


def test_it_runs_again_only_where_something_changed(folder):
    from tinybert_lite.stages import quantize

    make_toy_teacher(folder / "teacher_model/SST-2", classifier=True)
    make_toy_teacher(folder / "5_task_distill_out", layers=1, classifier=True)
    workspace, settings = Workspace.find(folder), profile("smoke")
    first, second = quantize.run(workspace, settings), quantize.run(workspace, settings)
    changed = quantize.run(workspace, settings.override(["quantize.learning_rate=1e-3"]))
    assert (first.skipped, second.skipped, changed.skipped) == ("", "up to date", "")
    student = load_with_tokenizer(workspace.int8_student)
    dev = DevSet(
        workspace.task, workspace.task_files, student.tokenizer, settings.quantize.max_seq_length
    )
    assert dev(student.model) == changed.metrics["dev"] and np.isfinite(
        changed.metrics["loss_terms"]["prediction"]
    )


@pytest.mark.parametrize(
    "line, says",
    [
        (GUIDE.replace("tuned", "raw"), "raw holds no classifier for SST-2"),
        (
            GUIDE.replace("--load_ckpt_path tuned", "--load_ckpt_path int8"),
            "int8 is in 8 bits already",
        ),
        (
            GUIDE.replace("--load_ckpt_path tuned", "--load_ckpt_path bert.ckpt"),
            "docs/mindspore_checkpoints.md shows, and name that",
        ),
        (
            GUIDE.replace("--do_quant true", "--do_quant false --post_training"),
            "exclude each other",
        ),
        (GUIDE.replace("--do_quant true", "--do_quant maybe"), "'maybe' is neither true nor false"),
        (GUIDE + " --calibration_rows 0", "calibration_rows=0 is out of range"),
        (GUIDE.replace("--eval_data_dir SST-2", "--eval_data_dir nowhere"), "nowhere"),
        (GUIDE + " --precision fp16", "cpu does not train in fp16; use float32"),
    ],
)
def test_a_users_mistake_is_one_sentence(folder, line, says):
    make_bert_folder(folder / "raw")
    assert call(GUIDE + " --post_training --output_dir int8").code == 0
    try:
        ran = call(line + " --output_dir out")
        code, err = ran.code, ran.err
        assert len(err.strip().splitlines()) <= 7
    except SystemExit as stopped:  # argparse's own
        code, err = stopped.code, says
    assert code == 2 and says in err and not (folder / "out/pytorch_model.bin").exists()
