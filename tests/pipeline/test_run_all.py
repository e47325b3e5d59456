"""Stages that are up to date or stale, moved aside, killed and resumed; the plan; a smoke run."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.fault_harness import BRIEF
from tests.makers import make_bert_folder, power_cut_after
from tests.makers.commands import call, outcome, snapshot, states
from tests.makers.workspaces import (
    make_student_config,
    make_toy_teacher,
    write_toy_corpus,
    write_toy_data,
    write_toy_vectors,
)
from tinybert_lite import task_distill
from tinybert_lite.pipeline import running as run_all
from tinybert_lite.pipeline.estimated_rows import estimate_rows
from tinybert_lite.pipeline.inputs import read_inputs
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.work import WORK
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import finetune_teacher, general_distill, pretrain
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import (
    Augmenting,
    Distilling,
    FineTuning,
    Predicting,
    Pregenerating,
    Pretraining,
    Settings,
)
from tinybert_lite.stages.stage import Stage, stale
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import SOFT_TARGETS, locked, read_manifest
from tinybert_lite.training.history import read_history

SETTINGS = Settings(profile="smoke")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A workspace with one input, and a stage that writes it in capitals and counts its runs."""
    root = tmp_path / "toy"
    root.mkdir()
    (root / "in.txt").write_text("text", encoding="utf-8")
    runs = []

    def work(job):
        runs.append(job.settings.seed)
        (job.folder / "result.txt").write_text(
            job.reads["text"].read_text().upper() + job.settings.profile, encoding="utf-8"
        )
        return {"runs": len(runs)}

    stage = Stage(
        "data_augmentation",
        "toy",
        reads=lambda ws: {"text": ws.root / "in.txt"},
        folder=lambda ws: ws.root / "out",
        writes=("result.txt",),
        work=work,
    )
    return stage, Workspace.find(root), runs


def test_what_is_up_to_date_is_not_run_again_and_its_metrics_are_remembered(toy):
    stage, workspace, runs = toy
    first, second = stage.run(workspace, SETTINGS), stage.run(workspace, SETTINGS)
    assert runs == [42] and not first.skipped and second.skipped == "up to date"
    assert first.metrics == second.metrics == {"runs": 1}


@pytest.mark.parametrize(
    "change, settings, reason",
    [
        (
            lambda root: None,
            replace(SETTINGS, data_augmentation=Augmenting(N=3, p=0.1)),
            "settings changed: N, p",
        ),
        (lambda root: None, replace(SETTINGS, seed=1), "was made with seed 42"),
        (
            lambda root: None,
            replace(SETTINGS, profile="classroom"),
            "was made with the profile smoke",
        ),
        (lambda root: (root / "in.txt").write_text("other"), SETTINGS, "text changed"),
        (
            lambda root: (root / "out/result.txt").write_text("other"),
            SETTINGS,
            "result.txt is not what the stage wrote",
        ),
        (
            lambda root: (root / "out/result.txt").unlink(),
            SETTINGS,
            "result.txt is not what the stage wrote",
        ),
    ],
    ids=["settings", "seed", "profile", "input", "output", "lost output"],
)
def test_a_change_makes_a_stage_stale_and_the_reason_is_named(toy, change, settings, reason):
    stage, workspace, runs = toy
    stage.run(workspace, SETTINGS)
    change(workspace.root)
    folder = stage.folder(workspace)
    assert stale(stage, stage.reads(workspace), folder, settings, read_manifest(folder)) == reason
    assert not stage.run(workspace, settings).skipped and len(runs) == 2
    assert stage.run(workspace, settings).skipped == "up to date"


def test_how_often_states_are_saved_does_not_make_a_stage_stale(toy):
    stage, workspace, runs = toy
    stage = replace(stage, name="general_distill")
    stage.run(workspace, SETTINGS)
    assert (
        stage.run(
            workspace, replace(SETTINGS, general_distill=Distilling(save_every=7, keep_last=1))
        ).skipped
        == "up to date"
    )


def test_an_old_word_in_a_manifest_does_not_make_a_stage_stale(toy):
    stage, workspace, runs = toy
    stage = replace(stage, name="general_distill")
    settings = replace(SETTINGS, general_distill=Distilling(padding="original"))
    stage.run(workspace, settings)
    path = stage.folder(workspace) / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert '"padding": "original"' in text
    path.write_text(text.replace('"original"', '"reference"'), encoding="utf-8")
    assert stage.run(workspace, settings).skipped == "up to date"


@pytest.mark.parametrize(
    "expected, named",
    [(("pretrain",), True), (("pretrain", "data_augmentation"), False), ((), False)],
)
def test_a_folder_that_another_stage_made_is_named(toy, expected, named, capsys):
    stage, workspace, _ = toy
    stage.run(workspace, SETTINGS)
    made = workspace.root / "out"
    reader = replace(
        stage,
        name="general_distill",
        reads=lambda ws: {"teacher": made, "text": made / "result.txt"},
        folder=lambda ws: ws.root / "second",
        sources={"teacher": expected},
    )
    (made / "a.tsv").write_text("rows", encoding="utf-8")
    reader.run(workspace, SETTINGS)
    said = capsys.readouterr().err
    assert ("ATTENTION: " in said) == named and (
        not named
        or f"{made} was made by data_augmentation, but the teacher of general_distill comes from "
        "pretrain"
        in said
    )


def test_a_second_run_on_one_workspace_or_folder_says_so_and_stops(toy):
    stage, workspace, runs = toy
    with (
        locked(workspace.root / "out"),
        pytest.raises(UserError, match="out is in use by another run"),
    ):
        stage.run(workspace, SETTINGS)
    with locked(workspace.root), pytest.raises(UserError, match="is in use by another run"):
        run_all.run_all(workspace, SETTINGS, only="pretrain")
    assert not runs and not stage.run(workspace, SETTINGS).skipped


def test_settings_of_other_stages_do_not_make_a_stage_stale(toy):
    stage, workspace, runs = toy
    stage.run(workspace, SETTINGS)
    stage.run(workspace, replace(SETTINGS, general_distill=Distilling(num_train_epochs=9)))
    assert len(runs) == 1


def test_force_runs_what_is_up_to_date(toy):
    stage, workspace, runs = toy
    stage.run(workspace, SETTINGS)
    assert not stage.run(workspace, SETTINGS, force=True).skipped and len(runs) == 2


def test_the_manifest_says_what_was_read_written_and_where_it_ran(toy):
    stage, workspace, _ = toy
    stage.run(workspace, SETTINGS)
    manifest = read_manifest(stage.folder(workspace))
    assert set(manifest) >= {
        "stage",
        "profile",
        "task",
        "seed",
        "settings",
        "inputs",
        "outputs",
        "metrics",
        "seconds",
        "device",
        "device_reason",
        "versions",
    }
    assert set(manifest["outputs"]) == {"result.txt"} and set(manifest["inputs"]["text"]) == {
        "path",
        "sha256",
    }
    assert not (stage.folder(workspace) / "running.json").exists()


def contents(folder: Path) -> set[str]:
    return {path.read_text(encoding="utf-8") for path in folder.rglob("*.txt")}


def test_a_users_own_file_in_a_stage_folder_is_moved_aside(toy, capsys):
    stage, workspace, _ = toy
    stage.folder(workspace).mkdir()
    (stage.folder(workspace) / "result.txt").write_text("mine", encoding="utf-8")
    stage.run(workspace, SETTINGS)
    assert contents(stage.folder(workspace)) == {"mine", "TEXTsmoke"}
    assert "moved aside: result.txt → " in capsys.readouterr().out


def test_what_the_user_put_in_place_of_an_output_is_moved_aside_and_our_own_old_output_is_not_kept(
    toy,
):
    stage, workspace, _ = toy
    stage.run(workspace, SETTINGS)
    (workspace.root / "in.txt").write_text("second", encoding="utf-8")
    stage.run(workspace, SETTINGS)
    assert contents(stage.folder(workspace)) == {"SECONDsmoke"}
    (stage.folder(workspace) / "result.txt").write_text("mine", encoding="utf-8")
    stage.run(workspace, SETTINGS)
    assert contents(stage.folder(workspace)) == {"mine", "SECONDsmoke"}


def test_results_of_another_profile_are_moved_aside_each_time(toy):
    stage, workspace, _ = toy
    for name in ("smoke", "classroom", "smoke", "classroom"):
        stage.run(workspace, replace(SETTINGS, profile=name))
    texts = sorted(
        path.read_text(encoding="utf-8") for path in stage.folder(workspace).rglob("*.txt")
    )
    assert texts == ["TEXTclassroom", "TEXTclassroom", "TEXTsmoke", "TEXTsmoke"]


def test_a_file_that_is_no_output_is_left_in_its_place(toy):
    stage, workspace, _ = toy
    stage.folder(workspace).mkdir()
    (stage.folder(workspace) / "README.md").write_text("a note", encoding="utf-8")
    stage.run(workspace, SETTINGS)
    stage.run(workspace, replace(SETTINGS, profile="classroom"))
    assert (stage.folder(workspace) / "README.md").read_text() == "a note"


@pytest.mark.parametrize("profile", ["smoke", "classroom"])
def test_what_was_there_stays_where_the_new_run_fails_at_once(toy, profile):
    """A mistake in the settings of the second run must not cost the results of the first."""
    stage, workspace, _ = toy
    stage.run(workspace, SETTINGS)

    def refuse(*_):
        raise UserError("these do not fit")

    with pytest.raises(UserError):
        replace(stage, work=refuse).run(workspace, replace(SETTINGS, profile=profile, seed=1))
    assert contents(stage.folder(workspace)) == {"TEXTsmoke"}


def test_what_the_user_put_there_after_a_killed_run_is_not_lost(toy):
    stage, workspace, _ = toy

    def die(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(stage, work=die).run(workspace, SETTINGS)
    (stage.folder(workspace) / "result.txt").write_text("mine", encoding="utf-8")
    stage.run(workspace, replace(SETTINGS, seed=1))
    assert contents(stage.folder(workspace)) == {"mine", "TEXTsmoke"}


TRAINED = Settings(
    profile="smoke",
    device="cpu",
    threads=1,
    pretrain=Pretraining(held_out=5, **BRIEF),
    general_distill=Distilling(**BRIEF),
    finetune_teacher=FineTuning(**BRIEF),
    task_distill_mid=Distilling(schedule="constant", **BRIEF),
    task_distill_out=Predicting(eval_step=2, **BRIEF),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    data = write_toy_data(root / "data")
    tuned, raw = make_toy_teacher(root / "tuned", classifier=True), make_toy_teacher(root / "raw")
    student = make_bert_folder(root / "student", layers=1, masked_lm=False)
    pregenerate(
        write_toy_corpus(root / "corpus.txt", 10),
        raw / "vocab.txt",
        root / "sequences",
        Pregenerating(epochs_to_generate=2, max_seq_len=32),
        1,
    )
    task = {"rows": data / "train.tsv", "train": data / "train.tsv", "dev": data / "dev.tsv"}
    return {
        pretrain.STAGE: {"text": root / "corpus.txt", "model": raw},
        general_distill.STAGE: {
            "sequences": root / "sequences",
            "teacher": raw,
            "student": student,
        },
        finetune_teacher.STAGE: {**task, "teacher": raw},
        task_distill.MID: {**task, "teacher": tuned, "student": student},
        task_distill.OUT: {**task, "teacher": tuned, "student": student},
    }


TRAINING_STAGES = [
    pretrain.STAGE,
    general_distill.STAGE,
    finetune_teacher.STAGE,
    task_distill.MID,
    task_distill.OUT,
]


@pytest.mark.parametrize("stage", TRAINING_STAGES, ids=lambda stage: stage.name)
def test_a_run_killed_in_training_resumes_from_its_last_saved_step_and_ends_bit_identical(
    stage, inputs, tmp_path
):
    stage.execute(inputs[stage], tmp_path / "whole", TRAINED)
    with power_cut_after(5):
        stage.execute(inputs[stage], tmp_path / "killed", TRAINED)
    assert (tmp_path / "killed/checkpoint-4.pt").is_file() and not (
        tmp_path / "killed/manifest.json"
    ).exists()
    result = stage.execute(inputs[stage], tmp_path / "killed", TRAINED)
    assert result.metrics["resumed_from"] == 4
    whole, resumed = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert whole.keys() == resumed.keys() and not any(
        name.startswith("checkpoint") for name in resumed
    )
    assert [name for name in whole if whole[name] != resumed[name]] == []
    assert len(read_history(tmp_path / "whole/history.jsonl")) >= 9


@pytest.fixture
def killed(inputs, tmp_path):
    """A folder that general distillation was killed in, after its fifth step."""
    with power_cut_after(5):
        general_distill.STAGE.execute(inputs[general_distill.STAGE], tmp_path / "killed", TRAINED)
    return tmp_path / "killed"


def test_a_killed_run_with_other_settings_starts_from_the_beginning(inputs, killed, tmp_path):
    stage = general_distill.STAGE
    other = replace(TRAINED, general_distill=replace(TRAINED.general_distill, learning_rate=1e-3))
    assert stage.execute(inputs[stage], killed, other).metrics["resumed_from"] == 0
    stage.execute(inputs[stage], tmp_path / "fresh", other)
    assert outcome(killed) == outcome(tmp_path / "fresh")


def test_a_damaged_saved_state_costs_a_restart_not_the_run(inputs, killed, tmp_path, capsys):
    stage = general_distill.STAGE
    (killed / "checkpoint-4.pt").write_bytes(b"half a file")
    stage.execute(inputs[stage], killed, TRAINED)
    assert "is damaged: going back" in capsys.readouterr().out
    stage.execute(inputs[stage], tmp_path / "whole", TRAINED)
    assert outcome(killed) == outcome(tmp_path / "whole")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """`run_all --profile smoke --baseline` from data only; no test may change this workspace."""
    root = tmp_path_factory.mktemp("smoke") / "课程 workspace"
    write_toy_data(root / "SST-2", train=48, dev=32)
    write_toy_corpus(root / "1_pre_data/documents.txt", documents=10)
    write_toy_vectors(root / "1_pre_data/glove.txt")
    torch.set_num_threads(1)
    return root, call(
        f"run_all --profile smoke --baseline --device cpu --teacher_model grow --workspace '{root}'"
    )


@pytest.fixture
def copied(smoke, tmp_path):
    shutil.copytree(smoke[0], tmp_path / "copy")
    return tmp_path / "copy"


def plan(root: Path, *assignments: str, baseline: bool = True, **how) -> dict[str, tuple[str, str]]:
    settings = profile("smoke").override(list(assignments))
    names = [stage.name for stage in run_all.stages(baseline)]
    if (root / "teacher_model/grown").is_dir():
        how.setdefault("teacher_model", "grow")
    return {
        item.stage.name: (item.state, item.reason)
        for item in run_all.make_plan(Workspace.find(root, **how), settings, names)
    }


def test_the_whole_pipeline_runs_from_data_alone(smoke):
    root, ran = smoke
    assert ran.code == 0, ran.err
    assert states(ran.out) == dict.fromkeys([stage.name for stage in run_all.stages(True)], "to do")
    for file in (
        "teacher_model/grown/pytorch_model.bin",
        "1_pre_data/aug.tsv",
        "2_pregenerate_data/epoch_0.json",
        "3_general_distill/pytorch_model.bin",
        "teacher_model/SST-2/pytorch_model.bin",
        "4_task_distill_mid/pytorch_model.bin",
        "5_task_distill_out/pytorch_model.bin",
        "5_task_distill_out/undistilled/pytorch_model.bin",
        "5_task_distill_out/eval_results.txt",
        "5_task_distill_out/report.md",
    ):
        assert (root / file).is_file(), file


def test_what_the_plan_counts_is_what_the_stages_then_do(smoke):
    """Rows and updates of every stage that trains, and the rows of stages 1 and 2."""
    root, settings = smoke[0], profile("smoke")
    places = Workspace.find(root, teacher_model="grow")
    todo = [stage for stage in run_all.stages(baseline=True) if stage.name != "pretrain"]
    found = estimate_rows(todo, read_inputs(todo, True, places, settings), places, settings)
    done = {stage.name: read_manifest(stage.folder(places))["metrics"] for stage in todo}
    for name, metrics in done.items():
        if "steps" in metrics:
            updates = {passes.updates for passes in WORK[name](found, settings).passes} - {0}
            assert updates == {metrics["steps"]}, name
    written = done["data_augmentation"]["augmented_rows"]
    assert found.task_rows.count == pytest.approx(written, rel=0.2)
    assert [epoch.count for epoch in found.sequences] == done["pregenerate_training_data"][
        "sequences"
    ]


def test_results_carry_their_fields(smoke):
    results = json.loads((smoke[0] / "5_task_distill_out/results.json").read_text(encoding="utf-8"))
    assert (results["task"], results["metric"], results["seed"], results["profile"]) == (
        "SST-2",
        "accuracy",
        42,
        "smoke",
    )
    for name in ("teacher", "student", "undistilled"):
        assert 0 <= results[name]["accuracy"] <= 1
    assert set(results["probe_along_the_stages"]) == {"teacher", "3", "4", "5"}
    assert set(results["seconds"]) == {stage.name for stage in run_all.stages(baseline=True)}
    assert all(
        results["parameters"][name] == results["cost"][name]["parameters"] > 0
        for name in ("teacher", "student")
    )
    assert results["rows"] == {"train": 48, "dev": 32}
    assert 0 <= results["agreement"] <= 1 and type(results["teacher_above_chance"]) is bool


def test_the_report_shows_its_pictures_and_every_row_of_the_table(smoke):
    folder = smoke[0] / "5_task_distill_out"
    text = (folder / "report.md").read_text(encoding="utf-8")
    pictures = sorted((folder / "pictures").glob("*.png"))
    assert len(pictures) == 5 and all(f"(pictures/{path.name})" in text for path in pictures)
    assert all(
        f"| {name} |" in text
        for name in ("teacher", "student", "student, undistilled", "general_distill")
    )


def test_test_predictions_are_glues_submission(smoke):
    lines = (smoke[0] / "5_task_distill_out/SST-2.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "index\tprediction" and len(lines) == 1 + 8
    assert all(
        line.split("\t")[0] == str(i) and line.split("\t")[1] in ("0", "1")
        for i, line in enumerate(lines[1:])
    )


def test_the_plan_after_a_run_has_nothing_to_do(smoke):
    assert set(plan(smoke[0]).values()) == {("done", "up to date")}


def test_a_workspace_that_was_moved_is_still_up_to_date(copied):
    assert set(plan(copied).values()) == {("done", "up to date")}


AGAIN = ("to do", "an earlier stage makes its input again")


@pytest.mark.parametrize(
    "assignment, stage, also",
    [
        ("data_augmentation.N=2", "data_augmentation", {"task_distill_mid", "task_distill_out"}),
        (
            "pregenerate_training_data.short_seq_prob=0.5",
            "pregenerate_training_data",
            {"general_distill", "task_distill_mid", "task_distill_out", "baseline"},
        ),
        (
            "finetune_teacher.learning_rate=0.1",
            "finetune_teacher",
            {"task_distill_mid", "task_distill_out"},
        ),
        ("task_distill_out.temperature=2", "task_distill_out", set()),
        ("baseline.max_steps=3", "baseline", set()),
    ],
)
def test_staleness_travels_along_the_stages_that_read_and_no_further(
    smoke, assignment, stage, also
):
    found = plan(smoke[0], assignment)
    assert found[stage] == ("to do", f"settings changed: {assignment.split('.')[1].split('=')[0]}")
    assert {name for name, state in found.items() if state == AGAIN} == also
    assert all(
        state == ("done", "up to date")
        for name, state in found.items()
        if name not in also | {stage}
    )


def test_a_changed_corpus_makes_everything_from_the_teacher_on_stale(copied):
    with open(copied / "1_pre_data/documents.txt", "a", encoding="utf-8") as file:
        file.write("\none more .\n\nand another .\n")
    found = plan(copied)
    assert found["pretrain"] == ("to do", "corpus changed")
    assert {state for _, (state, _) in found.items()} == {"to do"}


def test_a_second_run_repeats_nothing(copied):
    before = snapshot(copied)
    ran = call(
        "run_all --profile smoke --baseline --device cpu --teacher_model grow"
        f" --workspace '{copied}' --until task_distill_out"
    )
    assert ran.code == 0 and set(states(ran.out).values()) == {"done"}
    assert snapshot(copied) == before


def test_only_one_stage_runs_where_one_is_asked_for(copied):
    before = snapshot(copied)
    ran = call(
        f"run_all --profile smoke --device cpu --workspace '{copied}'"
        " --only pregenerate_training_data --set pregenerate_training_data.masked_lm_prob=0"
    )
    assert ran.code == 0, ran.err
    changed = {
        Path(path).relative_to(copied).parts[0]
        for path, content in snapshot(copied).items()
        if before.get(path) != content
    }
    assert changed == {"2_pregenerate_data"}


@pytest.mark.parametrize(
    "flags", ["", "--baseline --force", "--profile classroom --only task_distill_out"]
)
def test_a_dry_run_writes_nothing(workspace, flags):
    before = snapshot(workspace)
    ran = call(f"run_all --profile smoke --device cpu --dry-run {flags}")
    assert ran.code == 0 and "to do" in ran.out
    assert snapshot(workspace) == before


def test_a_dry_run_does_not_even_make_the_workspace(tmp_path):
    assert (
        call(
            "run_all --profile smoke --device cpu --dry-run"
            f" --workspace '{tmp_path / 'not' / 'there'}'"
        ).code
        == 0
    )
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    "first, last, only, chosen",
    [
        (None, None, None, "abcd"),
        ("b", None, None, "bcd"),
        (None, "b", None, "ab"),
        ("b", "c", None, "bc"),
        (None, None, "c", "c"),
    ],
)
def test_from_until_and_only_choose_stages(first, last, only, chosen):
    assert run_all.choose(list("abcd"), first, last, only) == list(chosen)


def test_from_after_until_is_refused():
    with pytest.raises(UserError, match="--from c comes after --until b"):
        run_all.choose(list("abcd"), "c", "b", None)


def test_a_whole_student_skips_stages_2_and_3_and_stage_4_starts_from_it(smoke, tmp_path):
    root, student = smoke[0], smoke[0] / "3_general_distill"
    found = plan(root, student_model=student)
    whole = ("not needed", f"{student} already has weights")
    assert found["pregenerate_training_data"] == found["general_distill"] == whole
    places = Workspace.find(root, student_model=student)
    assert Path(task_distill.MID.reads(places)["student"]) == student
    assert (
        whole[1]
        in call(
            f"run_all --profile smoke --dry-run --workspace '{root}' --student_model '{student}'"
        ).out
    )


def test_a_mere_configuration_does_not_skip_them(workspace):
    found = plan(workspace, student_model=make_student_config(workspace / "mine"))
    assert found["pregenerate_training_data"][0] == found["general_distill"][0] == "to do"


def test_a_given_task_teacher_is_not_fine_tuned_and_teaches_both_task_stages(workspace):
    tuned = make_toy_teacher(workspace / "tuned", classifier=True)
    found, places = plan(workspace, task_teacher=tuned), Workspace.find(task_teacher=tuned)
    assert found["finetune_teacher"] == ("not needed", f"{tuned} was given")
    assert (
        Path(task_distill.MID.reads(places)["teacher"])
        == Path(task_distill.OUT.reads(places)["teacher"])
        == tuned
    )
    assert Path(general_distill.STAGE.reads(places)["teacher"]) == workspace / "teacher_model"


def test_with_a_users_teacher_none_is_grown(workspace):
    assert plan(workspace)["pretrain"] == ("not needed", "there is a teacher: teacher_model")


def test_a_setting_that_does_not_exist_names_the_nearest(workspace):
    for assignment, nearest in (
        ("task_distil_out.temperature=2", "task_distill_out"),
        ("task_distill_out.temprature=2", "temperature"),
    ):
        ran = call(f"run_all --dry-run --set {assignment}")
        assert ran.code == 2 and f"the nearest is {nearest}" in ran.err


def test_another_profile_moves_the_results_of_the_last_aside(copied):
    """Everything that cost time: weights, scores, the report."""
    kept = {
        path.name: path.read_bytes()
        for path in (copied / "5_task_distill_out").iterdir()
        if path.is_file() and path.name not in (SOFT_TARGETS, ".lock")
    }
    settings = replace(
        profile("smoke").override(["finetune_teacher.allow_weak_teacher=true"]),
        profile="classroom",
        device="cpu",
    )
    task_distill.run_out(Workspace.find(copied), settings)
    aside = {
        path.name: path.read_bytes()
        for path in (copied / "5_task_distill_out/aside/smoke-1").iterdir()
        if path.is_file()
    }
    assert kept == aside


def test_8_bits_are_planned_made_found_again_and_cleaned(copied):
    line = (
        "run_all --profile smoke --baseline --int8 --device cpu --teacher_model grow"
        f" --workspace '{copied}'"
    )
    first, second = call(line), call(line)
    assert first.code == second.code == 0, first.err + second.err
    assert [
        re.search(r"^  (to do|done) +8 bits", ran.out, re.MULTILINE)[1] for ran in (first, second)
    ] == ["to do", "done"]
    assert set(states(first.out).values()) == {"done"}  # of all others
    manifest = json.loads(
        (copied / "5_task_distill_out/int8/manifest.json").read_text(encoding="utf-8")
    )
    assert (
        manifest["inputs"]["rows"]["path"].endswith("aug.tsv") and "teacher" in manifest["inputs"]
    )
    run_all.clean(Workspace.find(copied), ask=lambda question: "y")
    assert not [path for path in (copied / "5_task_distill_out").rglob("*") if path.is_file()]


def test_8_bits_come_last_where_all_is_to_do(tmp_path):
    write_toy_data(tmp_path / "SST-2")
    write_toy_corpus(tmp_path / "1_pre_data/documents.txt")
    ran = call(f"run_all --profile smoke --int8 --dry-run --device cpu --workspace '{tmp_path}'")
    assert (
        ran.code == 0 and re.findall(r"^  to do +(.*?)  ", ran.out, re.MULTILINE)[-1] == "8 bits"
    ), ran.out


def test_clean_removes_what_runs_wrote_and_nothing_else(copied, capsys):
    own = {copied / "5_task_distill_out" / "notes.txt", copied / "3_general_distill" / "README.md"}
    for path in own:
        path.write_text("mine", encoding="utf-8")
    given = {
        path
        for folder in ("SST-2", "1_pre_data")
        for path in (copied / folder).iterdir()
        if path.name not in ("aug.tsv", "manifest.json", ".lock")
    }
    run_all.clean(Workspace.find(copied), ask=lambda question: "y")
    assert {path for path in copied.rglob("*") if path.is_file()} == own | given


@pytest.mark.parametrize("answer", ["n", "", "maybe"])
def test_clean_asks_first(copied, answer):
    before = snapshot(copied)
    questions = []
    run_all.clean(Workspace.find(copied), ask=lambda question: questions.append(question) or answer)
    assert len(questions) == 1 and snapshot(copied) == before


def test_clean_leaves_a_file_that_the_user_put_in_place_of_an_output(copied):
    (copied / "3_general_distill/pytorch_model.bin").write_bytes(b"a student of the user's")
    run_all.clean(Workspace.find(copied), ask=lambda question: "y")
    assert (
        copied / "3_general_distill/pytorch_model.bin"
    ).read_bytes() == b"a student of the user's"


def test_clean_without_anyone_to_answer_removes_nothing(copied, monkeypatch):
    before = snapshot(copied)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert call(f"run_all --clean --workspace '{copied}'").code in (0, 2)
    assert snapshot(copied) == before
