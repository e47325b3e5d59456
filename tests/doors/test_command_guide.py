"""The command lines that people know from the original guides, letter for letter after `python -m
tinybert_lite.`
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
import torch

from tests.makers import VOCABULARY, make_bert_folder
from tests.makers.commands import call, snapshot
from tests.makers.workspaces import (
    lay_out,
    make_student_config,
    make_toy_teacher,
    toy_rows,
    write_toy_corpus,
)
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.pipeline.command_line import training_flags
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.outputs import read_manifest

AUGMENT = (
    "data_augmentation --pretrained_bert_model teacher_model --glove_embs "
    "1_pre_data/glove.6B.100d.txt --glue_dir . "
    "--task_name SST-2"
)
PREGENERATE = (
    "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir "
    "2_pregenerate_data "
    "--bert_model teacher_model --do_whole_word_mask"
)
GENERAL = (
    "general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model "
    "--student_model student_model "
    "--output_dir 3_general_distill --do_lower_case"
)
SWAPPED_FIRST = (
    "task_distill --data_dir SST-2 --teacher_model teacher_model --student_model "
    "3_general_distill --task_name sst-2 "
    "--output_dir 4_task_distill_mid --aug_train --do_lower_case --pred_distill"
)
SWAPPED_SECOND = (
    "task_distill --data_dir SST-2 --teacher_model teacher_model --student_model "
    "4_task_distill_mid --task_name sst-2 "
    "--output_dir 5_task_distill_out --aug_train --do_lower_case"
)
RIGHT_FIRST = SWAPPED_FIRST.removesuffix(" --pred_distill")
RIGHT_SECOND = SWAPPED_SECOND + " --pred_distill"
WARNING = "ATTENTION, wrong order of the two steps"


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """The learning version's five lines, one after the other; then the two task steps in the right
    order.
    """
    root = lay_out(tmp_path_factory.mktemp("guide") / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("TINYBERT_WORKSPACE", raising=False)
        torch.set_num_threads(1)
        before = snapshot(root / "teacher_model", root / "student_model", root / "1_pre_data")
        ran = {line: call(line) for line in (AUGMENT, PREGENERATE, GENERAL, SWAPPED_FIRST)}
        tuned = (root / "teacher_model/SST-2/pytorch_model.bin").stat().st_mtime_ns
        ran[SWAPPED_SECOND] = call(SWAPPED_SECOND)
        swapped = snapshot(root / "4_task_distill_mid", root / "5_task_distill_out")
        ran |= {line: call(line) for line in (RIGHT_FIRST, RIGHT_SECOND)}
    return root, ran, before, tuned, swapped


@pytest.mark.parametrize(
    "line",
    [AUGMENT, PREGENERATE, GENERAL, SWAPPED_FIRST, SWAPPED_SECOND, RIGHT_FIRST, RIGHT_SECOND],
    ids=[
        "1",
        "2",
        "3",
        "4 as the guide has it",
        "5 as the guide has it",
        "4 corrected",
        "5 corrected",
    ],
)
def test_every_line_of_the_guide_runs(guide, line):
    ran = guide[1][line]
    assert ran.code == 0, ran.err


def test_the_guides_swapped_order_is_warned_of_and_the_right_one_is_not(guide):
    ran = guide[1]
    assert [
        WARNING in ran[line].err
        for line in (SWAPPED_FIRST, SWAPPED_SECOND, RIGHT_FIRST, RIGHT_SECOND)
    ] == [True, True, False, False]


def test_what_the_user_brought_is_left_as_it_was(guide):
    root, _, before, _, _ = guide
    after = snapshot(root / "teacher_model", root / "student_model", root / "1_pre_data")
    assert {path: after.get(path) for path in before} == before


def test_augmented_rows_lie_in_our_place_and_in_the_originals(guide):
    root = guide[0]
    ours, originals = root / "1_pre_data/aug.tsv", root / "SST-2/train_aug.tsv"
    assert ours.read_bytes() == originals.read_bytes()
    rows = read_table(ours, TASKS["SST-2"]).rows
    assert 24 < len(rows) <= 24 * (1 + TASKS["SST-2"].variants)
    assert {row.text_a for row in rows} > {text for text, _ in toy_rows(24, 1)}


def test_training_on_augmented_rows_prints_the_file_it_used(guide):
    assert "SST-2/train_aug.tsv" in guide[1][RIGHT_FIRST].out


def test_every_epoch_of_sequences_has_its_metrics(guide):
    folder = guide[0] / "2_pregenerate_data"
    for epoch in range(3):
        lines = [
            json.loads(line)
            for line in (folder / f"epoch_{epoch}.json").read_text(encoding="utf-8").splitlines()
        ]
        assert set(lines[0]) == {
            "tokens",
            "segment_ids",
            "is_random_next",
            "masked_lm_positions",
            "masked_lm_labels",
        }
        assert json.loads((folder / f"epoch_{epoch}_metrics.json").read_text()) == {
            "num_training_examples": len(lines),
            "max_seq_len": 128,
        }


@pytest.mark.parametrize("folder", ["3_general_distill", "4_task_distill_mid"])
def test_every_epoch_is_kept_and_the_last_is_handed_on(guide, folder):
    files = {path.name: path.read_bytes() for path in (guide[0] / folder).glob("*.bin")}
    assert set(files) == {
        "model_epoch_1.bin",
        "model_epoch_2.bin",
        "model_epoch_3.bin",
        "pytorch_model.bin",
    }
    assert files["pytorch_model.bin"] == files["model_epoch_3.bin"] != files["model_epoch_1.bin"]


def test_a_raw_teacher_is_fine_tuned_once_and_it_is_said(guide):
    root, ran, _, tuned, _ = guide
    assert "was not fine-tuned on SST-2: its fine-tuned copy is" in ran[SWAPPED_FIRST].out
    assert (root / "teacher_model/SST-2/pytorch_model.bin").stat().st_mtime_ns == tuned
    assert ModelFolder(root / "teacher_model/SST-2").has_classifier
    assert read_manifest(root / "teacher_model/SST-2")["metrics"]["dev"]["accuracy"] > 0.7


def test_scores_are_written_as_key_equals_value(guide):
    scores = (guide[0] / "5_task_distill_out/eval_results.txt").read_text().splitlines()
    found = dict(line.split(" = ") for line in scores)
    assert set(found) == {"accuracy", "global_step"}
    assert (
        float(found["accuracy"])
        == read_manifest(guide[0] / "5_task_distill_out")["metrics"]["dev"]["accuracy"]
    )


def test_the_right_order_replaces_what_the_swapped_one_left(guide):
    root, _, _, _, swapped = guide
    assert str(root / "4_task_distill_mid/eval_results.txt") in swapped, (
        "stage 4 was the prediction layer in the guide's order"
    )
    assert not (root / "4_task_distill_mid/eval_results.txt").exists()
    assert not (root / "5_task_distill_out/model_epoch_1.bin").exists()


# The original README's lines ----------------------------------------------------------------------

README = """
pregenerate_training_data --train_corpus corpus.txt --bert_model BERT --reduce_memory \
--do_lower_case --epochs_to_generate 3 --output_dir corpus_out
general_distill --pregenerated_data corpus_out --teacher_model BERT --student_model STUDENT \
--reduce_memory --do_lower_case --train_batch_size 256 --output_dir GENERAL
data_augmentation --pretrained_bert_model BERT --glove_embs 1_pre_data/glove.6B.100d.txt \
--glue_dir . --task_name SST-2
task_distill --teacher_model TUNED --student_model GENERAL --data_dir SST-2 --task_name SST-2 \
--output_dir TMP --max_seq_length 128 --train_batch_size 32 --num_train_epochs 10 --aug_train \
--do_lower_case
task_distill --pred_distill --teacher_model TUNED --student_model TMP --data_dir SST-2 \
--task_name SST-2 --output_dir TINYBERT --aug_train --do_lower_case --learning_rate 3e-5 \
--num_train_epochs 3 --eval_step 100 --max_seq_length 128 --train_batch_size 32
task_distill --do_eval --student_model TINYBERT --data_dir SST-2 --task_name SST-2 --output_dir \
EVALUATED --do_lower_case --eval_batch_size 32 --max_seq_length 128
""".strip().splitlines()


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    root = lay_out(tmp_path_factory.mktemp("readme") / "workspace")
    write_toy_corpus(root / "corpus.txt")
    make_toy_teacher(root / "BERT")
    make_toy_teacher(root / "TUNED", classifier=True)
    make_student_config(root / "STUDENT")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("TINYBERT_WORKSPACE", raising=False)
        torch.set_num_threads(1)
        return root, [call(line) for line in README]


@pytest.mark.parametrize(
    "number",
    range(len(README)),
    ids=[line.split(" --")[0] + f" {i + 1}" for i, line in enumerate(README)],
)
def test_every_line_of_the_originals_readme_runs(readme, number):
    ran = readme[1][number]
    assert ran.code == 0 and WARNING not in ran.err, ran.err


def test_flags_without_effect_say_so(readme):
    pregenerate, general = readme[1][:2]
    assert "--reduce_memory has no effect" in pregenerate.out + pregenerate.err
    assert "--reduce_memory has no effect" in general.err
    assert "no effect" not in readme[1][4].out + readme[1][4].err, (
        "every flag of the prediction step has its effect"
    )


def test_the_guides_batch_of_256_is_one_step_of_the_whole_small_corpus(readme):
    general = read_manifest(readme[0] / "GENERAL")
    assert general["settings"]["train_batch_size"] == 256 and general["metrics"]["steps"] == 3


def test_a_fine_tuned_teacher_is_taken_as_it_is(readme):
    root, ran = readme
    assert "fine-tuning" not in ran[3].out and not (root / "teacher_model/SST-2").exists()


def test_evaluation_alone_finds_the_scores_that_training_ended_with(readme):
    root, ran = readme
    trained, evaluated = (
        (root / folder / "eval_results.txt").read_text().splitlines()[0]
        for folder in ("TINYBERT", "EVALUATED")
    )
    assert trained == evaluated and trained.startswith("accuracy = ")
    assert trained in ran[5].out


# Forms of the same lines --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, flag",
    [
        (GENERAL + " --fp16", "--fp16"),
        (GENERAL + " --local-rank=0", "--local-rank"),
        (GENERAL + " --do_eval", "--do_eval"),
        (GENERAL + " --eval_batch_size=8", "--eval_batch_size"),
        (RIGHT_FIRST.replace(" --aug_train", "") + " --eval_step 7", "--eval_step"),
    ],
)
def test_a_flag_that_does_nothing_today_is_accepted_and_says_so(workspace, line, flag):
    if line.startswith("general"):
        assert call(PREGENERATE + " --epochs_to_generate 1").code == 0
    else:
        make_bert_folder(workspace / "3_general_distill", layers=1)
    ran = call(line + " --num_train_epochs 1")
    assert ran.code == 0 and f"{flag} has no effect: " in ran.err


def test_teacher_model_with_a_classroom_inside_means_that(workspace):
    (workspace / "teacher_model").rename(workspace / "held")
    (workspace / "teacher_model").mkdir()
    (workspace / "held").rename(workspace / "teacher_model" / "classroom")
    for line in (PREGENERATE + " --epochs_to_generate 1", GENERAL + " --num_train_epochs 1"):
        ran = call(line)
        assert ran.code == 0, ran.err
    assert read_manifest(workspace / "3_general_distill")["inputs"]["teacher"]["path"].endswith(
        "teacher_model/classroom"
    )


def test_student_model_without_a_configuration_of_its_own_means_the_one_that_fits(workspace):
    (workspace / "student_model" / "config.json").unlink()
    make_bert_folder(workspace / "four", layers=4, width=32, heads=2)
    assert call(PREGENERATE + " --epochs_to_generate 1").code == 0
    ran = call(
        GENERAL.replace("--teacher_model teacher_model", "--teacher_model four")
        + " --num_train_epochs 1"
    )
    assert ran.code == 0, ran.err
    assert "student: student_model/2x16, bert, 2 layers × 16" in ran.out


@pytest.mark.slow
def test_a_line_runs_in_a_process_of_its_own(workspace):
    found = subprocess.run(
        [sys.executable, "-m", *shlex.split("tinybert_lite." + PREGENERATE)],
        cwd=workspace,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    there = snapshot(workspace / "2_pregenerate_data")
    assert call(PREGENERATE.replace("2_pregenerate_data", "again")).code == 0
    assert all(
        (workspace / "again" / f"epoch_{i}.json").read_bytes()
        == there[str(workspace / f"2_pregenerate_data/epoch_{i}.json")]
        for i in range(3)
    )


# What a flag means --------------------------------------------------------------------------------


def test_do_eval_evaluates_alone_even_where_a_teacher_is_named(workspace):
    """As in the original: with --do_eval nothing is trained, whatever else is given."""
    make_toy_teacher(workspace / "tuned", classifier=True)
    before = snapshot(workspace)
    ran = call(
        "task_distill --do_eval --teacher_model tuned --student_model tuned --data_dir SST-2 "
        "--task_name SST-2 --output_dir out"
    )
    assert ran.code == 0, ran.err
    written = {
        path.removeprefix(f"{workspace}/") for path in snapshot(workspace).keys() - before.keys()
    }
    assert "out/eval_results.txt" in written and not any(path.endswith(".bin") for path in written)


def test_do_lower_case_holds_for_the_teachers_fine_tuning_too(workspace):
    """A cased vocabulary, and lines that ask for lower case: teacher and student must read the same
    pieces.
    """
    make_bert_folder(workspace / "grown", vocab=[*VOCABULARY, "Film"])
    ran = call(
        "finetune_teacher --data_dir SST-2 --task_name SST-2 --teacher_model grown "
        "--do_lower_case --num_train_epochs 1 --allow_weak_teacher --output_dir tuned"
    )
    assert ran.code == 0, ran.err
    assert (
        json.loads((workspace / "tuned/tokenizer_config.json").read_text())["do_lower_case"] is True
    )


def test_a_users_own_augmented_rows_are_not_overwritten(workspace):
    (workspace / "SST-2/train_aug.tsv").write_text("sentence\tlabel\nmine\t1\n", encoding="utf-8")
    call(AUGMENT + " --N 1")
    assert any(content == b"sentence\tlabel\nmine\t1\n" for content in snapshot(workspace).values())


def test_a_teacher_that_is_fine_tuned_already_is_not_said_to_be_fine_tuned_again(guide):
    assert "fine-tuning it first" not in guide[1][RIGHT_SECOND].out


@pytest.mark.parametrize(
    "flags",
    [
        "--save_every 2 --keep_last 3",
        "--save_step 2 --keep_last 3",
        "--save_ckpt_step 2 --max_ckpt_num 3",
    ],
)
def test_the_names_that_guides_give_to_saved_states(flags):
    parser = Parser("general_distill", "A line.")
    training_flags(parser, Training)
    args = parser.parse_args(flags.split())
    assert (args.save_every, args.keep_last) == (2, 3)
