"""The plan's estimates: the counted work of each stage. No time is judged."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch

from tests.makers import make_bert_folder
from tests.makers.commands import call, snapshot
from tests.makers.teachers import make_distilbert
from tinybert_lite.models.cost import multiply_adds
from tinybert_lite.pipeline import estimate as estimating
from tinybert_lite.pipeline import plan as planning
from tinybert_lite.pipeline import rate as rates
from tinybert_lite.pipeline.counted import Rows
from tinybert_lite.pipeline.estimate import Estimate, Estimator
from tinybert_lite.pipeline.estimated_rows import Augmented, EstimatedRows
from tinybert_lite.pipeline.plan import REPORT, make_plan, stages
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.rate import measure
from tinybert_lite.pipeline.run_computations import Computations
from tinybert_lite.pipeline.running import prepare
from tinybert_lite.pipeline.work import WORK, Work
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.console import duration
from tinybert_lite.system.errors import UserError

ALL = [stage.name for stage in stages(baseline=True, int8=True)]
TRAINING = [name for name in ALL if hasattr(getattr(Settings(), name), "num_train_epochs")]


def rows(count: int, length: int = 10) -> Rows:
    return Rows(count, np.full(5, length))


def estimated(scale: int = 1, length: int = 10) -> EstimatedRows:
    """A run of 320 training rows; all files `scale` times as large."""
    train, dev = rows(320 * scale, length), rows(64 * scale, length)
    several = rows(6400 * scale, length)
    augmented = Augmented(several, 5000.0 * scale, length)
    corpus = type("Corpus", (), {"total_bytes": 40_000.0 * scale})()
    sequences = [rows(320 * scale, length)] * 2
    return EstimatedRows(train, [dev], [dev], several, augmented, sequences, corpus)


@pytest.fixture
def counting(workspace):
    """Counts the multiply-adds of the toy workspace's models."""
    settings = profile("paper", "SST-2")
    computations = Computations(Workspace.find(workspace), settings)
    return lambda works: sum(
        Estimator(computations).multiply_adds(passes) for work in works for passes in work.passes
    )


def work(name: str, found: EstimatedRows, *assignments: str) -> Work:
    return WORK[name](found, profile("paper", "SST-2").override(list(assignments)))


def test_the_table_of_work_has_every_stage_and_the_report():
    assert [*WORK] == [*ALL, REPORT]


@pytest.mark.parametrize("name", [name for name in WORK if name != "pregenerate_training_data"])
def test_twice_as_many_rows_are_twice_the_work(name, counting):
    once, twice = counting([work(name, estimated())]), counting([work(name, estimated(2))])
    fixed = counting([replace(work(name, estimated(0)))]) if name == REPORT else 0
    assert once > 0 and 1.95 < (twice - fixed) / (once - fixed) < 2.05


def test_the_time_of_sequences_is_that_of_the_sample():
    def seconds(count):
        epoch = replace(rows(count), seconds_per_row=0.01)
        return work("pregenerate_training_data", EstimatedRows(sequences=[epoch] * 3)).text_seconds

    assert seconds(100) == pytest.approx(3) and seconds(200) == pytest.approx(6)


@pytest.mark.parametrize("name", TRAINING)
def test_twice_as_many_epochs_are_twice_the_updates_and_a_limit_of_steps_is_kept(name):
    def updates(*assignments):
        return max(passes.updates for passes in work(name, estimated(), *assignments).passes)

    once = updates(f"{name}.num_train_epochs=1")
    assert updates(f"{name}.num_train_epochs=2") == 2 * once > 0
    assert updates(f"{name}.max_steps=3") == 3
    assert updates(f"{name}.num_train_epochs=1", f"{name}.train_batch_size=1") > 8 * once


@pytest.mark.parametrize("name", ["finetune_teacher", "task_distill_out", "baseline", "quantize"])
def test_dev_rows_are_read_after_each_epoch_and_at_each_evaluation(name):
    def read(*assignments):
        settings = ["quantize.do_quant=false", *assignments]
        passes = work(name, estimated(), f"{name}.num_train_epochs=2", *settings).passes
        return sum(each.rows for each in passes if not each.updates)

    updates = max(
        passes.updates for passes in work(name, estimated(), f"{name}.num_train_epochs=2").passes
    )
    assert read(f"{name}.eval_step=5") - read() == 64 * (updates // 5)


def test_rows_after_the_limit_and_tokens_after_the_cut_are_no_work(counting):
    def cost(*assignments, length=10):
        return counting([work("task_distill_mid", estimated(length=length), *assignments)])

    assert cost("task_distill_mid.max_rows=640") < cost() / 8
    cut = "task_distill_mid.max_seq_length=10"
    assert cost(cut, length=20) == cost(cut) < cost(length=20)


def test_without_candidates_to_ask_for_augmentation_is_no_work(counting):
    found = replace(estimated(), augmented=Augmented(rows(640)))
    assert counting([work("data_augmentation", found)]) == 0


@pytest.mark.parametrize("name", ["teacher", "augmentation model", "finetune_teacher"])
def test_a_teacher_of_a_hundred_times_the_multiply_adds_is_counted_as_one(name, workspace):
    def count(folder):
        places = Workspace.find(workspace, teacher_model=folder)
        computations = Computations(places, profile("paper"))
        return computations.make(name).multiply_adds(16)

    small = make_bert_folder(workspace / "small", layers=2, width=16, heads=2)
    large = make_bert_folder(workspace / "large", layers=8, width=160, heads=2)
    body = 100 * 4  # ten times the width, four times the layers
    assert 0.5 * body < count(large) / count(small) < 1.1 * body


def test_multiply_adds_of_a_step_are_those_of_the_formula(workspace):
    """Forward and backward of the student's matrices, forward of the teacher's."""
    make_bert_folder(workspace / "mine", layers=2, width=64, heads=2, intermediate_size=256)
    places = Workspace.find(workspace, teacher_model=workspace / "mine")
    computations = Computations(places, profile("paper"))
    length = 24
    for name, times in (("teacher", 1), ("finetune_teacher", 3)):
        one = computations.make(name)
        assert one.multiply_adds(length) == pytest.approx(
            times * multiply_adds(one.model, length), rel=0.05
        )


def test_every_computation_of_a_run_is_counted_and_timed(workspace):
    names = [*TRAINING, "teacher", "student", "int8", "augmentation model"]
    computations = Computations(Workspace.find(workspace), profile("smoke"))
    for name in names:
        one = computations.make(name)
        assert one.trains == (name in TRAINING) and one.bytes_per_row(8) > 0
        rate = measure(one, 8, 4, one.multiply_adds(8))
        assert rate.multiply_adds_per_second > 0 and (rate.seconds_per_batch > 0) == one.trains
        assert all(parameter.grad is None for parameter in one.model.parameters())


def test_a_large_batch_is_estimated_from_two_smaller_ones(workspace, monkeypatch):
    """A row takes 2 seconds and a batch 3 more."""
    computation = Computations(Workspace.find(workspace), profile()).make("student")
    monkeypatch.setattr(rates, "_seconds", lambda computation, rows, length: 3 + 2 * rows)
    monkeypatch.setattr(rates, "MOST_MULTIPLY_ADDS", 16 * 100)
    assert measure(computation, 8, 64, 100) == rates.Rate(pytest.approx(50), pytest.approx(3))
    assert measure(computation, 8, 16, 100) == rates.Rate(pytest.approx(1600 / 35))
    assert measure(computation, 8, 16, 1600) == rates.Rate(pytest.approx(1600 / 5))


def test_a_teacher_of_another_family_is_counted_as_it_is(workspace):
    make_distilbert(workspace / "other")
    places = Workspace.find(workspace, task_teacher=workspace / "other")
    computation = Computations(places, profile("smoke")).make("teacher")
    assert type(computation.model).__name__ != "Bert" and computation.multiply_adds(8) > 0


def test_memory_and_disk_grow_with_the_model_and_the_batch(workspace):
    def need(layers, *assignments):
        folder = make_bert_folder(workspace / f"{layers}", layers=layers, width=64, heads=2)
        settings = profile("paper").override(list(assignments))
        places = Workspace.find(workspace, teacher_model=folder)
        found = Estimator(Computations(places, settings))
        stage = WORK["finetune_teacher"](estimated(), settings)
        return found.memory(stage, settings, "finetune_teacher"), sum(
            found.disk(stage, settings, "finetune_teacher")
        )

    small, large, wide = need(2), need(4), need(2, "finetune_teacher.train_batch_size=64")
    assert small[0] < large[0] and small[1] < large[1]
    assert small[0] < wide[0] and small[1] == wide[1]


# The plan


def prepared(root, *assignments):
    places, settings = Workspace.find(root), profile("smoke").override(list(assignments))
    settings = replace(settings, device="cpu")
    plan = make_plan(places, settings, [name for name in ALL if name != "pretrain"])
    return prepare(plan, places, settings, True)


def test_the_plan_names_what_each_stage_and_the_run_need(workspace):
    estimated = prepared(workspace)
    assert {*estimated.seconds} == {*ALL, REPORT} - {"pretrain"}
    assert all(seconds > 0 for seconds in estimated.seconds.values())
    assert estimated.memory > 10**8 and estimated.disk > 10**5
    said = call("run_all --profile smoke --device cpu --baseline --int8 --dry-run").out
    assert said.count(" about ") == 8 + 2 and "8 stages and the report" in said
    assert "GB of memory" in said and "MB on disk" in said


def test_planning_draws_no_random_numbers_and_writes_nothing(workspace):
    before, states = snapshot(workspace), (torch.get_rng_state(), random.getstate())
    drawn = np.random.get_state()[1].copy()
    prepared(workspace)
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    assert (drawn == np.random.get_state()[1]).all() and snapshot(workspace) == before


def test_nothing_is_measured_if_nothing_is_to_do(workspace, monkeypatch):
    monkeypatch.setattr(estimating, "measure", lambda *_: pytest.fail("measured"))
    places, settings = Workspace.find(workspace), profile("smoke")
    assert prepare(make_plan(places, settings, ["pretrain"]), places, settings, True) is None


ESTIMATE = Estimate({}, 5 * 10**9, 10**9)


@pytest.mark.parametrize("memory, disk", [(10**10, 10**10), (10**9, 10**10), (10**10, 10**6)])
def test_too_little_memory_is_said_and_too_small_a_disk_refused(
    memory, disk, workspace, monkeypatch, capsys
):
    monkeypatch.setattr(planning, "free_memory", lambda device: memory)
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda place: type("", (), {"free": disk}))
    places, settings = Workspace.find(workspace), profile("smoke")
    if disk < ESTIMATE.disk:
        with pytest.raises(UserError, match="needs about 1,000 MB and 1 MB are free"):
            planning.print_plan([], places, settings, ESTIMATE)
    else:
        planning.print_plan([], places, settings, ESTIMATE)
        warned = "warning: the run needs about 5.0 GB of memory and 1.0 GB are free"
        assert (warned in capsys.readouterr().err) == (memory < ESTIMATE.memory)


def test_free_memory_is_the_machines():
    assert 0 < estimating.free_memory("cpu") <= psutil.virtual_memory().total


def test_durations_are_in_their_largest_unit():
    found = [duration(seconds) for seconds in (30, 600, 3 * 3600, 1e10)]
    assert found == ["30 seconds", "10 minutes", "3.0 hours", "317.1 years"]


@pytest.mark.parametrize("which", ["--until 1", "--from 5", "--only 4", "--only teacher"])
def test_a_stage_is_chosen_by_its_number_as_by_its_name(which, workspace):
    flag, number = which.split()
    by_name = f"{flag} {planning.STAGE_KEYS[number].name}"
    plans = [
        call(f"run_all --profile smoke --device cpu --dry-run {how}").out
        for how in (which, by_name)
    ]
    stripped = [
        [line[:50] for line in said.splitlines() if line.startswith("  to do ")] for said in plans
    ]
    assert stripped[0] == stripped[1] != []


def test_numbers_are_those_of_the_titles():
    titles = {number: stage.title.split()[0] for number, stage in planning.STAGE_KEYS.items()}
    assert all(title.strip(",") in (number, "teacher") for number, title in titles.items())


def test_an_unknown_number_names_the_numbers(workspace):
    ran = call("run_all --dry-run --until 7")
    assert (
        ran.code == 2
        and "no stage is called '7'" in ran.err
        and "1, 2, 3, teacher, 4, 5" in ran.err
    )
