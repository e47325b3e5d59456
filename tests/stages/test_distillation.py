"""Stages 3 to 5 and the teacher's fine-tuning, on models small enough to learn within a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.makers import VOCABULARY, make_bert_folder, write_tsv
from tests.makers.commands import snapshot
from tests.makers.distilling import SETTINGS, distil_general, distil_task, quick
from tests.makers.workspaces import make_student_config, make_toy_teacher
from tinybert_lite import task_distill
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS, find_task
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_model
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.models.weights import read_weights
from tinybert_lite.stages import finetune_teacher, general_distill
from tinybert_lite.stages.evaluation import DevSet, predict
from tinybert_lite.stages.metrics import agreement
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.task_models import check_learnt
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.history import read_history


def change(stage: str, **changes) -> Settings:
    return replace(SETTINGS, **{stage: replace(getattr(SETTINGS, stage), **changes)})


@pytest.fixture(scope="module")
def distilled(rooms, tmp_path_factory) -> Path:
    """3_general_distill, 4_task_distill_mid and 5_task_distill_out, made one from the other."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("distilled")
    distil_general(rooms, root / "3")
    distil_task(task_distill.MID, rooms, root / "3", root / "4")
    distil_task(task_distill.OUT, rooms, root / "4", root / "5")
    return root


def agrees(rooms: Path, student) -> float:
    dev = encode_table(
        read_table(rooms / "data/dev.tsv", TASKS["SST-2"]),
        TASKS["SST-2"],
        load_tokenizer(rooms / "raw/vocab.txt"),
        32,
    )
    return agreement(predict(load_model(rooms / "tuned")[0], dev), predict(student, dev))


# What is learnt -----------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["3", "4"])
def test_every_term_of_the_intermediate_loss_falls(distilled, folder):
    steps = [
        event for event in read_history(distilled / folder / "history.jsonl") if "loss" in event
    ]
    first, last = steps[0], steps[-1]
    terms = [name for name in first if "/" in name]
    assert terms == ["hidden/0", "attention/1", "hidden/1"]
    assert last["loss"] < 0.7 * first["loss"]
    assert all(last[name] < first[name] for name in terms), (first, last)


def test_the_student_comes_to_agree_with_its_teacher(rooms, distilled):
    untrained = [
        load_model(rooms / "student", from_scratch=True, num_labels=2)[0] for _ in range(3)
    ]
    assert max(agrees(rooms, student) for student in untrained) < 0.75
    assert agrees(rooms, load_model(distilled / "5")[0]) >= 0.95


def test_stage_5_reports_the_scores_of_the_file_it_leaves(rooms, distilled):
    scores = (distilled / "5/eval_results.txt").read_text().splitlines()
    model = load_model(distilled / "5")[0]
    dev = DevSet(
        TASKS["SST-2"],
        {"dev": rooms / "data/dev.tsv"},
        load_tokenizer(distilled / "5/vocab.txt"),
        32,
    )
    assert scores[0] == f"accuracy = {dev(model)['accuracy']}"


def test_every_stage_changes_the_students_weights(distilled):
    third, fourth, fifth = (
        read_weights(distilled / folder / "pytorch_model.bin") for folder in "345"
    )
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(third[name], fourth[name]) and not torch.equal(fourth[name], fifth[name])


def test_no_stage_touches_the_teachers_files(rooms, tmp_path):
    before = snapshot(rooms / "raw", rooms / "tuned")
    distil_general(rooms, tmp_path / "3", quick(SETTINGS))
    distil_task(task_distill.MID, rooms, tmp_path / "3", tmp_path / "4", quick(SETTINGS))
    distil_task(task_distill.OUT, rooms, tmp_path / "4", tmp_path / "5", quick(SETTINGS))
    finetune_teacher.STAGE.execute(
        {
            "train": rooms / "data/train.tsv",
            "dev": rooms / "data/dev.tsv",
            "teacher": rooms / "raw",
        },
        tmp_path / "tuned",
        SETTINGS,
    )
    assert snapshot(rooms / "raw", rooms / "tuned") == before


def test_the_hand_off_is_the_last_epoch_byte_for_byte(distilled):
    assert (distilled / "3/pytorch_model.bin").read_bytes() == (
        distilled / "3/model_epoch_6.bin"
    ).read_bytes()
    assert {"config.json", "vocab.txt", "tokenizer_config.json"} <= {
        path.name for path in (distilled / "3").iterdir()
    }


def test_the_general_student_has_a_projection_per_layer_and_the_final_one_a_classifier(distilled):
    general, final = (ModelFolder(distilled / stage).weight_names for stage in "35")
    assert {name for name in general if not name.startswith("bert.")} == {
        f"fit_denses.{i}.{part}" for i in (0, 1) for part in ("weight", "bias")
    }
    assert {"classifier.weight", "classifier.bias"} <= final and not any(
        name.startswith("cls.") for name in final
    )


def test_continue_train_starts_from_the_students_weights_and_without_it_from_nothing(
    rooms, distilled, tmp_path
):
    def first_loss(**how):
        distil_general(rooms, tmp_path / str(how), quick(SETTINGS), student=distilled / "3", **how)
        return read_history(tmp_path / str(how) / "history.jsonl")[0]["loss"]

    assert first_loss(continue_train=True) < 0.8 * first_loss(continue_train=False)


# Teacher and task ---------------------------------------------------------------------------------


def test_a_teacher_that_was_not_fine_tuned_is_refused_by_the_task_stages(
    rooms, distilled, tmp_path
):
    with pytest.raises(UserError, match="raw was not fine-tuned on SST-2"):
        distil_task(task_distill.MID, rooms, distilled / "3", tmp_path / "4", teacher=rooms / "raw")


def test_a_teacher_at_chance_stops_the_run_unless_allowed(rooms, distilled, tmp_path, capsys):
    weak = make_toy_teacher(tmp_path / "weak", classifier=True)
    state = torch.load(weak / "pytorch_model.bin")
    torch.save(
        state | {"classifier.weight": torch.zeros_like(state["classifier.weight"])},
        weak / "pytorch_model.bin",
    )
    with pytest.raises(UserError, match="not above chance.*--allow_weak_teacher"):
        distil_task(
            task_distill.OUT, rooms, distilled / "4", tmp_path / "5", quick(SETTINGS), teacher=weak
        )
    distil_task(
        task_distill.OUT,
        rooms,
        distilled / "4",
        tmp_path / "5",
        quick(change("finetune_teacher", allow_weak_teacher=True)),
        teacher=weak,
    )
    assert "not above chance" in capsys.readouterr().err


def test_a_run_of_one_step_still_evaluates_and_saves(rooms, distilled, tmp_path):
    result = distil_task(task_distill.OUT, rooms, distilled / "4", tmp_path / "5", quick(SETTINGS))
    assert (
        result.metrics["steps"] == 1
        and result.metrics["dev"]["accuracy"] == result.metrics["best_dev"]
    )
    assert (tmp_path / "5/pytorch_model.bin").is_file() and (
        tmp_path / "5/eval_results.txt"
    ).is_file()


def test_the_originals_classifier_head_is_learnt_and_remembered(rooms, tmp_path):
    reads = {
        "train": rooms / "data/train.tsv",
        "dev": rooms / "data/dev.tsv",
        "teacher": rooms / "raw",
    }
    finetune_teacher.STAGE.execute(
        reads, tmp_path / "relu", change("finetune_teacher", classifier_head="original")
    )
    assert load_model(tmp_path / "relu")[0].config.classifier_head == "relu"


# What must fit ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_head(tmp_path_factory):
    """A student of one head, for a teacher of two."""
    return make_student_config(tmp_path_factory.mktemp("heads") / "student", heads=1)


def test_other_head_counts_are_refused_with_both_cures(rooms, one_head, tmp_path):
    with pytest.raises(
        UserError, match="different numbers of attention heads, 1 and 2.*heads=skip.*heads=average"
    ):
        distil_general(rooms, tmp_path / "3", student=one_head)


@pytest.mark.parametrize(
    "heads, terms",
    [("average", {"attention/1", "hidden/0", "hidden/1"}), ("skip", {"hidden/0", "hidden/1"})],
)
def test_other_head_counts_pass_by_an_explicit_choice(rooms, one_head, tmp_path, heads, terms):
    result = distil_general(
        rooms, tmp_path / "3", quick(change("general_distill", heads=heads)), student=one_head
    )
    assert set(result.metrics["loss_terms"]) == terms


def test_a_student_of_another_models_vocabulary_is_refused(rooms, tmp_path):
    """As many pieces, in another order: the numbers fit and the meaning does not."""
    swapped = [*VOCABULARY[:-2], VOCABULARY[-1], VOCABULARY[-2]]
    foreign = make_bert_folder(tmp_path / "foreign", layers=1, vocab=swapped)
    with pytest.raises(UserError, match="foreign and .*tuned have different vocabularies"):
        distil_task(task_distill.MID, rooms, foreign, tmp_path / "4")


def test_layer_counts_that_do_not_divide_are_refused_with_the_cure_and_the_cure_works(
    rooms, tmp_path
):
    make_bert_folder(tmp_path / "three", layers=3)
    make_student_config(tmp_path / "two", layers=2)
    how = dict(student=tmp_path / "two", teacher=tmp_path / "three")
    with pytest.raises(
        UserError,
        match=r"\(3\) to be a multiple of the student's \(2\): "
        "choose mapping=top, bottom or a list such as 2,3",
    ):
        distil_general(rooms, tmp_path / "3", **how)
    for mapping, layers in (("top", [0, 2, 3]), ("bottom", [0, 1, 2]), ("1,3", [0, 1, 3])):
        assert (
            distil_general(
                rooms, tmp_path / "3", quick(change("general_distill", mapping=mapping)), **how
            ).metrics["mapping"]
            == layers
        )


def original_student(folder: Path, rooms: Path) -> Path:
    """A general student as the original project released it: one shared projection to the teacher's
    width, no manifest.
    """
    make_bert_folder(folder, layers=1, masked_lm=False)
    state = torch.load(folder / "pytorch_model.bin")
    state |= {"fit_dense.weight": torch.randn(32, 16) / 4, "fit_dense.bias": torch.zeros(32)}
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def test_a_student_of_the_original_project_keeps_its_one_projection_through_stage_4(
    rooms, tmp_path, capsys
):
    student = original_student(tmp_path / "original", rooms)
    distil_task(task_distill.MID, rooms, student, tmp_path / "4", quick(SETTINGS))
    stored = ModelFolder(tmp_path / "4").weight_names
    names = {name for name in stored if name.startswith("fit_dense")}
    assert names == {"fit_dense.weight", "fit_dense.bias"}
    assert "new ones are drawn" not in capsys.readouterr().err
    before, after = (
        read_weights(folder / "pytorch_model.bin")["fit_dense.weight"]
        for folder in (student, tmp_path / "4")
    )
    assert 0 < (before - after).abs().max() < 0.02, "one step from where it was, not drawn anew"


def test_a_student_without_projections_gets_new_ones_and_that_is_said(rooms, tmp_path, capsys):
    bare = make_bert_folder(tmp_path / "bare", layers=1, masked_lm=False)
    distil_task(task_distill.MID, rooms, bare, tmp_path / "4", quick(SETTINGS))
    assert (
        "bare has no projections to the teacher's width: new ones start" in capsys.readouterr().err
    )


def test_the_originals_padding_is_another_loss_on_padded_rows(rooms, tmp_path):
    data = tmp_path / "uneven.tsv"
    data.write_text(
        "sentence\tlabel\nbad\t0\nthe film was good and the plot was long .\t1\n", encoding="utf-8"
    )
    student = make_bert_folder(tmp_path / "bare", layers=1, masked_lm=False)
    losses = {}
    for padding in ("exact", "original"):
        reads = {
            "rows": data,
            "dev": rooms / "data/dev.tsv",
            "teacher": rooms / "tuned",
            "student": student,
        }
        task_distill.MID.execute(
            reads, tmp_path / padding, quick(change("task_distill_mid", padding=padding))
        )
        losses[padding] = read_history(tmp_path / padding / "history.jsonl")[0]
    assert losses["exact"]["attention/1"] > losses["original"]["attention/1"] > 0, (
        "padded places enter the original's mean as zeros"
    )


def test_the_originals_reduction_of_eq_10_is_half_of_ours_for_two_classes(
    rooms, distilled, tmp_path
):
    losses = []
    for reduction in ("ours", "original"):
        distil_task(
            task_distill.OUT,
            rooms,
            distilled / "4",
            tmp_path / reduction,
            quick(change("task_distill_out", reduction=reduction)),
        )
        losses.append(read_history(tmp_path / reduction / "history.jsonl")[0]["loss"])
    assert losses[0] == pytest.approx(2 * losses[1], rel=1e-5)


def test_a_student_that_starts_from_the_teachers_embeddings_starts_at_the_least_embedding_error(
    rooms,
):
    """Eckart and Young: no other E^S and W of that rank come nearer to the teacher's embeddings."""
    for width in (16, 31):
        teacher = load_model(rooms / "raw", num_labels=0)[0]
        student = load_model(
            make_student_config(rooms / f"narrow_{width}", width=width, heads=1),
            like=teacher.config,
            num_labels=0,
            projection="per_layer",
            teacher_width=32,
        )[0]
        general_distill.start_from_embeddings(student, teacher)
        theirs, mine = (
            model.body.embeddings.word_embeddings.weight.detach() for model in (teacher, student)
        )
        error = (theirs - mine @ student.fit_denses[0].weight.detach().T).square().sum().item()
        assert error == pytest.approx(
            torch.linalg.svdvals(theirs)[width:].square().sum().item(), rel=1e-4
        )


def test_a_student_as_wide_as_its_teacher_starts_at_random_whatever_is_asked(rooms):
    teacher, student = (
        load_model(rooms / "raw", num_labels=0)[0],
        load_model(rooms / "raw", num_labels=0, projection="shared", teacher_width=32)[0],
    )
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    general_distill.start_from_embeddings(student, teacher)
    assert all(torch.equal(tensor, before[name]) for name, tensor in student.state_dict().items())


def test_starting_from_embeddings_makes_the_first_step_closer(rooms, tmp_path):
    narrow = make_student_config(rooms / "narrow", width=16)
    for start in ("random", "embeddings"):
        distil_general(rooms, tmp_path / start, student=narrow, start=start, max_steps=1)
    first = {
        start: read_history(tmp_path / start / "history.jsonl")[0]["hidden/0"]
        for start in ("random", "embeddings")
    }
    assert first["embeddings"] < 0.8 * first["random"]


@pytest.mark.parametrize("accuracy, warned", [(0.5, True), (0.55, True), (0.9, False)])
def test_a_student_that_learnt_nothing_is_named(accuracy, warned, capsys, tmp_path):
    check_learnt(TASKS["SST-2"], {"accuracy": accuracy}, np.tile([0.0, 1.0], 100), tmp_path)
    assert ("the student's dev accuracy of 0.5" in capsys.readouterr().err) == warned


def test_dev_rows_of_ones_own_task_need_a_label(tmp_path, tokenizer):
    (tmp_path / "task.json").write_text('{"name": "t", "labels": ["a", "b"]}', encoding="utf-8")
    write_tsv(
        tmp_path / "dev.tsv", [["good", "a"], ["bad", ""], ["fine", "b"]], ["text_a", "label"]
    )
    with pytest.raises(UserError, match=r"dev\.tsv, line 3: has no label"):
        DevSet(find_task("t", tmp_path), {"dev": tmp_path / "dev.tsv"}, tokenizer, 16)
