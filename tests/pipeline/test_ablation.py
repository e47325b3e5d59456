"""The ablation: what each variant changes and shares, resuming, a failing variant, the table."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict

import numpy as np
import pytest

from tests.makers.commands import call
from tests.makers.sampling import slow
from tests.makers.workspaces import lay_out
from tinybert_lite import plots
from tinybert_lite.pipeline.ablation_table import cells, differences, write_table
from tinybert_lite.pipeline.ablation_variants import CHAIN, VARIANTS, chosen
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system.files import sha256
from tinybert_lite.training.history import read_history

BRIEF = "ablate --profile smoke --device cpu --threads 1" + "".join(
    f" --set {stage}.max_steps=2"
    for stage in ("general_distill", "finetune_teacher", "task_distill_mid", "task_distill_out")
)
OWN_STAGES = {  # the stages that a variant cannot have in common with the full method
    "no_general": CHAIN[1:],
    "no_task": CHAIN[2:],
    "no_augmentation": CHAIN[1:],
    "no_embedding": CHAIN,
    "no_prediction": CHAIN[2:],
    "no_attention": CHAIN,
    "no_hidden": CHAIN,
    "no_layers": CHAIN,
    "top": CHAIN,
    "bottom": CHAIN,
    "shared_projection": CHAIN,
    "reference_padding": CHAIN,
    "random_start": CHAIN[2:],  # the smoke profile starts so anyway
    "polynomial": CHAIN[1:],
    "temperature_2": CHAIN[2:],
    "half_labels": CHAIN[2:],
    "all_labels": CHAIN[2:],
    "no_augmentation_long": CHAIN[1:],
}
FEW = ("full", "no_general", "no_task", "no_attention")
RUNS = [pytest.param(FEW, id="few"), pytest.param(("full", *OWN_STAGES), id="all", marks=slow)]
FOLDERS = dict(zip(CHAIN, ("3_general_distill", "4_task_distill_mid", "5_task_distill_out")))


def each_variant(names: str, cases):
    """A test for each case of each run; a case starts with its variant's name."""
    found = [
        pytest.param(*run.values, *case, marks=run.marks)
        for run in RUNS
        for case in cases
        if case[0] in run.values[0]
    ]
    return pytest.mark.parametrize(f"variants, {names}", found, indirect=["variants"])


@pytest.fixture(params=RUNS)
def variants(request):
    return request.param


@pytest.fixture
def finished(once, variants):
    return once(run_variants, variants)


def run_variants(root, variants):
    """Variants of one seed in a toy workspace: folder, stages that ran, and ablation.json."""
    ran = []
    lay_out(root)
    with pytest.MonkeyPatch.context() as patch:
        execute = Stage.execute
        patch.setattr(
            Stage,
            "execute",
            lambda stage, reads, folder, settings: (
                ran.append((stage.name, folder)) or execute(stage, reads, folder, settings)
            ),
        )
        done = call(
            f"{BRIEF} --workspace {root.as_posix()} --seeds 7 --only {' '.join(variants[1:])} "
            "--set pregenerate_training_data.max_seq_len=24"
        )
    assert done.code == 0, done
    folder = root / "5_task_distill_out/ablation"
    return folder, ran, json.loads((folder / "ablation.json").read_text(encoding="utf-8"))


def manifest(folder, name, stage):
    return json.loads(
        (folder / "seed_7" / name / FOLDERS[stage] / "manifest.json").read_text(encoding="utf-8")
    )


@each_variant("name", [(name,) for name in OWN_STAGES])
def test_a_variant_makes_what_it_changes_and_reads_the_rest_from_the_full_method(finished, name):
    folder, ran, _ = finished
    place = folder / "seed_7" / name
    assert [stage for stage, where in ran if where.is_relative_to(place)] == [*OWN_STAGES[name]]
    chain = [
        stage
        for stage in CHAIN
        if not (
            name == "no_general" and stage == CHAIN[0] or name == "no_task" and stage == CHAIN[1]
        )
    ]
    for before, stage in zip(chain, chain[1:]):
        if stage in OWN_STAGES[name]:
            source = (
                folder
                / "seed_7"
                / (name if before in OWN_STAGES[name] else "full")
                / FOLDERS[before]
            )
            assert manifest(folder, name, stage)["inputs"]["student"]["path"] == str(source)


def test_what_is_common_is_made_once(finished, variants):
    _, ran, _ = finished
    made = [stage for stage, _ in ran]
    assert len(ran) == len(set(ran)) and len(chosen(["all"])) == len(OWN_STAGES) + 1
    assert [
        made.count(stage)
        for stage in ("data_augmentation", "pregenerate_training_data", "finetune_teacher")
    ] == [1, 1, 1]
    assert made.count("general_distill") == 1 + sum(
        CHAIN[0] in OWN_STAGES[name] for name in variants[1:]
    )


CHANGES = {
    "no_embedding": {"embedding_weight": 0},
    "no_attention": {"attention_weight": 0},
    "no_hidden": {"hidden_weight": 0},
    "no_layers": {"attention_weight": 0, "hidden_weight": 0},
    "top": {"mapping": "top"},
    "bottom": {"mapping": "bottom"},
    "shared_projection": {"projection": "original"},
    "reference_padding": {"padding": "original"},
}


@each_variant("name", [(name,) for name in CHANGES])
def test_stages_3_and_4_differ_from_the_full_method_in_nothing_else(finished, name):
    folder, _, _ = finished
    for stage in CHAIN[:2]:
        full, own = (
            manifest(folder, "full", stage)["settings"],
            manifest(folder, name, stage)["settings"],
        )
        assert (
            {key: value for key, value in own.items() if value != full[key]}
            == {k: v for k, v in CHANGES[name].items() if v != full[k]}
            != {}
        )
    assert (
        manifest(folder, name, CHAIN[2])["settings"]
        == manifest(folder, "full", CHAIN[2])["settings"]
    )


@each_variant(
    "name, absent",
    [
        ("full", []),
        ("no_embedding", ["hidden/0"]),
        ("no_attention", ["attention/1"]),
        ("no_hidden", ["hidden/1"]),
        ("no_layers", ["attention/1", "hidden/1"]),
    ],
)
def test_a_loss_that_is_left_out_is_in_no_line_of_the_history(finished, name, absent):
    folder, _, _ = finished
    for stage in CHAIN[:2]:
        terms = {
            term
            for event in read_history(folder / "seed_7" / name / FOLDERS[stage] / "history.jsonl")
            for term in event
            if "/" in term
        }
        assert terms == {"hidden/0", "hidden/1", "attention/1"} - {*absent}


@each_variant(
    "name, stage, rows",
    [
        ("full", 1, "aug.tsv"),
        ("full", 2, "aug.tsv"),
        ("no_augmentation", 1, "train.tsv"),
        ("no_augmentation", 2, "train.tsv"),
        ("no_prediction", 2, "train.tsv"),
        ("all_labels", 2, "aug.tsv"),
        ("no_task", 2, "aug.tsv"),
    ],
)
def test_the_rows_that_are_learnt_from(finished, name, stage, rows):
    folder, _, _ = finished
    found = manifest(folder, name, CHAIN[stage])
    assert found["inputs"]["rows"]["path"].endswith(rows)


@each_variant(
    "name, terms",
    [
        ("full", {"prediction"}),
        ("no_prediction", {"label"}),
        ("no_task", {"label"}),
        ("all_labels", {"label"}),
        ("half_labels", {"prediction", "label"}),
    ],
)
def test_what_stage_5_learns_from(finished, name, terms):
    folder, _, _ = finished
    assert manifest(folder, name, CHAIN[2])["metrics"]["loss_terms"].keys() == terms


def test_without_general_distillation_the_student_is_drawn_and_not_the_start_of_stage_3(finished):
    folder, ran, _ = finished
    student = folder / "seed_7/no_general/student_model"
    assert manifest(folder, "no_general", CHAIN[1])["inputs"]["student"]["path"] == str(student)
    assert sha256(student / "pytorch_model.bin") != sha256(
        folder / "seed_7/full/3_general_distill/pytorch_model.bin"
    )


def test_without_task_distillation_there_are_as_many_epochs_as_in_stages_4_and_5():
    settings = profile("classroom")
    own = settings.override(VARIANTS["no_task"].overrides(settings))
    assert (
        own.task_distill_out.num_train_epochs
        == settings.task_distill_mid.num_train_epochs + settings.task_distill_out.num_train_epochs
    )


def test_plain_rows_are_no_more_than_those_that_were_augmented():
    settings = profile("classroom").override(["data_augmentation.max_rows=50"])
    own = settings.override(VARIANTS["no_augmentation"].overrides(settings))
    assert (own.task_distill_mid.max_rows, own.task_distill_out.max_rows) == (50, 50)


def test_no_variant_changes_what_all_share():
    settings = profile("classroom").override(["data_augmentation.max_rows=50"])
    for variant in VARIANTS.values():
        own = settings.override(variant.overrides(settings))
        assert {name for name, value in asdict(own).items() if value != asdict(settings)[name]} <= {
            *CHAIN
        }


def test_the_record_of_a_run(finished, variants):
    folder, _, stored = finished
    runs = {run["variant"]: run for run in stored["runs"]}
    assert [*runs] == [*variants] and stored["seeds"] == [7] and stored["failed"] == {}
    for name, run in runs.items():
        assert (
            run["dev"] == manifest(folder, name, CHAIN[2])["metrics"]["dev"]
            and run["seed"] == 7
            and run["versions"]["torch"]
        )
    assert runs["no_task"]["overrides"] == [
        "task_distill_out.hard_label_weight=1",
        "task_distill_out.num_train_epochs=6",
    ]
    assert [stage for stage, of in runs["no_task"]["stages"].items() if not of["shared"]] == [
        "task_distill_out"
    ]
    assert runs["no_task"]["test"] is None, "the toy test file has no labels"
    assert (
        "| without attention loss |" in (folder / "ablation.md").read_text(encoding="utf-8")
        and (folder / "ablation.png").stat().st_size > 5000
    )


def test_a_second_call_runs_nothing_and_an_interrupted_one_is_resumed(workspace, monkeypatch):  # noqa: F811
    line = f"{BRIEF} --workspace {workspace.as_posix()} --seeds 7 --only no_attention"
    execute, ran = Stage.execute, []

    def cut(stage, reads, folder, settings):
        ran.append((stage.name, folder.parent.name))
        if ran[-1] == ("task_distill_mid", "no_attention") and ran.count(ran[-1]) == 1:
            raise KeyboardInterrupt
        return execute(stage, reads, folder, settings)

    monkeypatch.setattr(Stage, "execute", cut)
    assert call(line).code == 130
    before = len(ran)
    assert call(line).code == 0
    assert ran[before:] == [
        ("task_distill_mid", "no_attention"),
        ("task_distill_out", "no_attention"),
    ]
    before = len(ran)
    again = call(line)
    assert again.code == 0 and len(ran) == before and again.out.count("already finished") == 2


def test_a_variant_that_fails_is_named_and_the_others_run(workspace, monkeypatch):  # noqa: F811
    from tinybert_lite.system.errors import UserError

    execute = Stage.execute

    def fail(stage, reads, folder, settings):
        if stage.name == "general_distill" and settings.general_distill.mapping == "top":
            raise UserError("no room")
        return execute(stage, reads, folder, settings)

    monkeypatch.setattr(Stage, "execute", fail)
    done = call(f"{BRIEF} --workspace {workspace.as_posix()} --seeds 7 --only top no_prediction")
    assert done.code == 2 and "error: top, seed 7: no room" in done.err
    stored = json.loads(
        (workspace / "5_task_distill_out/ablation/ablation.json").read_text(encoding="utf-8")
    )
    assert stored["failed"] == {"top, seed 7": "no room"} and [
        run["variant"] for run in stored["runs"]
    ] == ["full", "no_prediction"]
    assert "- top, seed 7 failed: no room" in (
        workspace / "5_task_distill_out/ablation/ablation.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "more, says",
    [
        ("--only no_attentoin", "no_attention"),
        ("--task all", "one task"),
        ("--teacher_model grow", "one task"),
        ("--task_teacher other", "name a teacher of a family"),
        ("--set general_distill.paddign=x", "paddign"),
    ],
)
def test_what_an_ablation_cannot_have(workspace, more, says):
    (workspace / "other").mkdir()
    (workspace / "other/config.json").write_text('{"model_type": "roberta"}', encoding="utf-8")
    done = call(f"{BRIEF} {more}")
    assert done.code == 2 and says in done.err.splitlines()[-1] and done.err.startswith("error:")


def test_a_dry_run_writes_nothing(workspace):
    done = call(f"{BRIEF} --dry-run --seeds 7 8 --only all")
    assert (
        done.code == 0
        and done.out.count("no_layers") == 2
        and not (workspace / "5_task_distill_out").exists()
    )


def made_up(scores: dict[str, list[float]]) -> list[dict]:
    """Runs of seeds 1, 2, … with these dev accuracies; test is one tenth lower."""
    return [
        {
            "variant": name,
            "seed": seed,
            "metric": "accuracy",
            "task": "SST-2",
            "profile": "classroom",
            "dev": {"accuracy": value},
            "test": {"accuracy": value - 0.1},
            "dev_rows": 200,
            "seconds": 10 * seed,
            "machine": "a machine",
            "device": "cpu",
            "threads": 1,
            "precision": "auto",
            "versions": {"torch": "2"},
        }
        for name, values in scores.items()
        for seed, value in enumerate(values, 1)
    ]


SCORES = {
    "full": [0.80, 0.82, 0.87],
    "no_attention": [0.79, 0.78, 0.86],
    "no_layers": [0.50, 0.62],
    "temperature_2": [0.81, 0.82, 0.90],
}
SHOWN = [VARIANTS[name] for name in (*SCORES, "bottom")]


def test_the_table_from_numbers_made_by_hand():
    rows = cells(differences(made_up(SCORES), SHOWN), made_up(SCORES))
    assert rows[0] == ("", "dev", "− full", "test", "− full", "paper", "− full", "seconds")
    assert rows[1] == ("full method", "83.00 ± 3.61", "", "73.00 ± 3.61", "", "75.6", "", "20")
    assert rows[2] == (
        "without attention loss",
        "81.00 ± 4.36",
        "-2.00 ± 1.73",
        "71.00 ± 4.36",
        "-2.00 ± 1.73",
        "71.0",
        "-4.6",
        "20",
    )
    assert (
        rows[3][2] == f"{-25:.2f} ± {statistics.stdev([-30, -20]):.2f}" and rows[3][6] == "-19.3"
    ), "paired by seed"
    assert rows[4][5:7] == ("–", "–") and rows[5] == (
        "mapping bottom",
        "–",
        "–",
        "–",
        "–",
        "71.3",
        "-4.3",
        "–",
    )


def test_the_pictures_numbers():
    figure = plots.ablation(differences(made_up(SCORES), SHOWN), "SST-2, dev accuracy")
    paper, ours = figure.axes
    assert [text.get_text() for text in paper.get_yticklabels()] == [
        "without attention loss",
        "without attention and hidden loss",
        "temperature 2",
        "mapping bottom",
    ]
    assert np.allclose(
        [bar.get_width() for bar in paper.patches], [-4.6, -19.3, np.nan, -4.3], equal_nan=True
    )
    assert np.allclose(
        [bar.get_width() for bar in ours.patches], [-2, -25, 4 / 3, np.nan], equal_nan=True
    )
    assert [text.get_text() for text in paper.texts] == [
        "−4.6",
        "−19.3",
        "not in the paper",
        "−4.3",
    ]
    assert [text.get_text() for text in ours.texts] == ["−2.0", "−25.0", "+1.3", "failed"]
    dots = [points.get_offsets()[:, 0] for points in ours.collections]
    assert (
        np.allclose(dots[0], [-1, -4, -1])
        and np.allclose(dots[1], [-30, -20])
        and len(dots[3]) == 0
    )
    for ax in (paper, ours):
        low, high = ax.get_xlim()
        assert low < 0 < high and "own scale" in ax.get_xlabel()


def test_the_files_of_a_table(tmp_path, capsys):
    write_table(tmp_path, made_up(SCORES), {}, SHOWN)
    text = (tmp_path / "ablation.md").read_text(encoding="utf-8")
    assert "one dev row is 0.50 points" in text and "seeds 1, 2, 3" in text and "failed" not in text
    assert json.loads((tmp_path / "ablation.json").read_text(encoding="utf-8"))["table"][1][
        "dev_difference"
    ]["2"] == pytest.approx(-4)
    assert "without attention loss" in capsys.readouterr().out
