"""A clean start that loses nothing; ready results are packed, checked, put in place, up to date."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.makers.commands import call, snapshot
from tests.makers.workspaces import lay_out
from tinybert_lite.pipeline import running as run_all
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.files import write_json
from tinybert_lite.system.outputs import locked

STAGES = ["pregenerate_training_data", "general_distill"]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def fill(folder: Path, **files: str) -> None:
    for name, content in files.items():
        place = folder / name.replace("__", "/").replace("_dot_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")


# A clean folder -----------------------------------------------------------------------------------


def test_a_stage_is_reset_by_its_name_too(workspace):
    fill(workspace / "3_general_distill", pytorch_model_dot_bin="weights")
    assert call("reset --stage general_distill --yes").code == 0
    assert not (workspace / "3_general_distill/pytorch_model.bin").exists()


def test_what_a_run_and_the_learner_wrote_moves_aside_and_the_readme_stays(workspace):
    folder = workspace / "3_general_distill"
    fill(
        folder,
        README_dot_md="about",
        pytorch_model_dot_bin="weights",
        mine_dot_txt="notes",
        drafts__a_dot_txt="first",
        RTE__x_dot_txt="another task",
        zh__x_dot_txt="another language",
        topics__x_dot_txt="a task of theirs",
    )
    fill(workspace / "topics", task_dot_json="{}")
    ran = call("reset --stage 3 --yes")
    assert ran.code == 0 and "mine.txt" in ran.out and "moved aside" in ran.out
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock",
        "README.md",
        "RTE",
        "aside",
        "topics",
        "zh",
    ]
    assert {
        str(path.relative_to(folder / "aside/before-1")): text(path)
        for path in (folder / "aside/before-1").rglob("*.*")
    } == {"pytorch_model.bin": "weights", "mine.txt": "notes", str(Path("drafts/a.txt")): "first"}


def test_a_second_reset_takes_another_folder_and_a_third_finds_nothing(workspace):
    for content in ("first", "second"):
        fill(workspace / "2_pregenerate_data", epoch_0_dot_json=content)
        call("reset --stage 2 --yes")
    assert {text(path) for path in (workspace / "2_pregenerate_data/aside").rglob("*.json")} == {
        "first",
        "second",
    }
    assert "nothing to move" in call("reset --stage 2 --yes").out


def test_what_the_course_ships_is_kept(workspace):
    fill(workspace / "1_pre_data", aug_dot_tsv="rows", glove_dot_classroom_dot_txt="vectors")
    fill(workspace / "teacher_model", README_dot_md="about", classroom__config_dot_json="{}")
    (workspace / "teacher_model/SST-2").mkdir()
    fill(workspace / "teacher_model/SST-2", config_dot_json="{}")
    assert call("reset --stage all --yes").code == 0
    assert {path.name for path in (workspace / "1_pre_data").iterdir()} == {
        ".lock",
        "aside",
        "documents.txt",
        "glove.classroom.txt",
    }
    assert {path.name for path in (workspace / "teacher_model").iterdir()} == {
        ".lock",
        "aside",
        "README.md",
        "classroom",
        "SST-2",
    }
    assert (workspace / "teacher_model/classroom/config.json").is_file()
    assert {path.name for path in (workspace / "teacher_model/SST-2").iterdir()} == {
        ".lock",
        "aside",
    }
    assert (workspace / "SST-2/train.tsv").is_file()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "enter", "nobody"])
def test_it_asks_first(workspace, monkeypatch, answer):
    fill(workspace / "3_general_distill", mine_dot_txt="notes")
    before = snapshot(workspace)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    ran = call("reset --stage 3")
    assert "[y/N]" in ran.out and "nothing was moved" in ran.out and snapshot(workspace) == before


def test_a_folder_where_a_run_is_at_work_is_left_alone(workspace):
    fill(workspace / "3_general_distill", mine_dot_txt="notes")
    with locked(workspace / "3_general_distill"):
        ran = call("reset --stage 3 --yes")
    assert (
        ran.code == 2
        and "is in use" in ran.err
        and (workspace / "3_general_distill/mine.txt").is_file()
    )


# Ready results ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A fresh workspace, and the ready results that an instructor made in a copy of it."""
    top = tmp_path_factory.mktemp("course")
    fresh, instructor = lay_out(top / "fresh"), top / "instructor"
    shutil.copytree(fresh, instructor)
    ran = call(
        f"run_all --profile smoke --device cpu --threads 1 --workspace '{instructor}' "
        f"--from {STAGES[0]} --until {STAGES[1]}"
    )
    assert ran.code == 0, ran.err
    assert call(f"reset --make_ready '{top / 'ready'}' --workspace '{instructor}'").code == 0
    return fresh, instructor, top / "ready"


@pytest.fixture
def learner(course, tmp_path):
    shutil.copytree(course[0], tmp_path / "learner")
    return tmp_path / "learner"


def ready(learner: Path, source: Path, which: str = "3"):
    return call(f"reset --ready {which} --from '{source}' --workspace '{learner}'")


def states(root: Path) -> dict[str, str]:
    return {
        item.stage.name: item.state
        for item in run_all.make_plan(Workspace.find(root), profile("smoke"), STAGES)
    }


def test_each_finished_stage_is_packed_and_no_other(course):
    assert sorted(path.name for path in course[2].iterdir()) == ["stage_2.zip", "stage_3.zip"]


@pytest.mark.parametrize("which", ["3", "all"])
def test_after_it_run_all_has_nothing_to_do(course, learner, which):
    assert set(states(learner).values()) == {"to do"}
    ran = ready(learner, course[2], which)
    assert (ran.code, ran.err) == (0, "") and set(states(learner).values()) == {"done"}
    assert (learner / "3_general_distill/history.jsonl").read_bytes() == (
        course[1] / "3_general_distill/history.jsonl"
    ).read_bytes()
    assert not list(learner.glob(".scratch*"))


def test_one_stage_alone_is_put_in_place_where_it_needs_no_other(course, learner):
    ready(learner, course[2], "2")
    assert states(learner) == {"pregenerate_training_data": "done", "general_distill": "to do"}


def test_what_lay_there_is_moved_aside_and_what_is_ready_already_is_left(course, learner):
    fill(learner / "3_general_distill", pytorch_model_dot_bin="half done", README_dot_md="about")
    ready(learner, course[2])
    assert text(learner / "3_general_distill/aside/before-1/pytorch_model.bin") == "half done"
    before = snapshot(learner)
    assert ready(learner, course[2]).code == 0 and snapshot(learner) == before


def test_only_what_the_manifest_lists_is_packed_and_twice_the_same_bytes(course, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(course[1], again)
    fill(again / "3_general_distill", private_dot_txt="the instructor's", aside__old_dot_bin="old")
    call(f"reset --make_ready '{tmp_path / 'ready'}' --workspace '{again}'")
    for name in ("stage_2.zip", "stage_3.zip"):
        assert (tmp_path / "ready" / name).read_bytes() == (course[2] / name).read_bytes()


def test_a_result_that_somebody_changed_is_not_packed(course, tmp_path):
    shutil.copytree(course[1], tmp_path / "changed")
    fill(tmp_path / "changed/3_general_distill", config_dot_json="{}")
    ran = call(f"reset --make_ready '{tmp_path / 'ready'}' --workspace '{tmp_path / 'changed'}'")
    assert (
        ran.code == 2 and "config.json is not what the stage wrote: run the stage again" in ran.err
    )


def test_an_empty_workspace_has_nothing_to_pack(workspace, tmp_path):
    ran = call(f"reset --make_ready '{tmp_path / 'ready'}'")
    assert ran.code == 2 and "no stage has finished here" in ran.err


def test_other_data_than_the_instructors_is_said(course, learner):
    with open(learner / "1_pre_data/documents.txt", "a", encoding="utf-8") as file:
        file.write("\nmy own line .\n")
    ran = ready(learner, course[2])
    assert ran.code == 0 and "ATTENTION" in ran.err and "corpus changed" in ran.err


def repacked(source: Path, target: Path, change) -> Path:
    """Stage 2's archive with its files changed by `change(dict)`."""
    with zipfile.ZipFile(source / "stage_2.zip") as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    target.mkdir()
    with zipfile.ZipFile(target / "stage_2.zip", "w") as packed:
        for name, content in change(files).items():
            packed.writestr(name, content)
    return target


def escaping(name: str):
    """A file outside of the folder, which the manifest lists with its right hash."""

    def change(files):
        manifest = json.loads(files["manifest.json"])
        content = files["epoch_0.json"]
        manifest["outputs"][name] = manifest["outputs"]["epoch_0.json"]
        return {**files, name: content, "manifest.json": json.dumps(manifest).encode()}

    return change


@pytest.mark.parametrize(
    "change, said",
    [
        (escaping("../escaped.json"), "outside of a stage's folder"),
        (escaping("/tmp/escaped.json"), "outside of a stage's folder"),
        (escaping("C:escaped.json"), "outside of a stage's folder"),
        (escaping("..\\escaped.json"), "outside of a stage's folder"),
        (escaping("aside/../../escaped.json"), "outside of a stage's folder"),
        (escaping("README.md"), "README.md is not what pregenerate_training_data wrote"),
        (lambda files: {**files, "epoch_7.json": b"{}"}, "epoch_7.json is not what"),
        (lambda files: {**files, "epoch_0.json": b"{}"}, "epoch_0.json is not what"),
        (
            lambda files: {
                name: content for name, content in files.items() if name != "epoch_0.json"
            },
            "epoch_0.json is not what",
        ),
        (
            lambda files: {
                name: content for name, content in files.items() if name != "manifest.json"
            },
            "manifest.json",
        ),
        (
            lambda files: {
                **files,
                "manifest.json": files["manifest.json"].replace(
                    b"pregenerate_training_data", b"general_distill"
                ),
            },
            "is not what",
        ),
    ],
    ids=[
        "parent",
        "absolute",
        "drive",
        "backslash",
        "hidden parent",
        "readme",
        "unlisted",
        "changed",
        "lost",
        "no manifest",
        "other stage",
    ],
)
def test_an_archive_that_is_not_what_was_packed_is_refused_and_nothing_changes(
    course, learner, tmp_path, change, said
):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ran = ready(learner, repacked(course[2], tmp_path / "bad", change), "2")
    assert ran.code == 2 and said in ran.err and ran.err.count("\n") == 1
    left = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and "bad" not in path.parts and path.name != ".lock"
    }
    assert left == before


@pytest.mark.parametrize("content", [b"", b"no zip", "half"], ids=["empty", "text", "half"])
def test_a_damaged_archive_is_one_sentence(course, learner, tmp_path, content):
    (tmp_path / "bad").mkdir()
    whole = (course[2] / "stage_2.zip").read_bytes()
    (tmp_path / "bad/stage_2.zip").write_bytes(
        whole[: len(whole) // 2] if content == "half" else content
    )
    ran = ready(learner, tmp_path / "bad", "2")
    assert (
        ran.code == 2
        and "stage_2.zip is damaged" in ran.err
        and set(states(learner).values()) == {"to do"}
    )


@pytest.mark.parametrize(
    "line, said",
    [
        ("--ready 3", "name the folder of ready results with --from"),
        ("--ready 3 --from nowhere", "stage_2.zip is missing"),
        ("--ready all --from nowhere", "stage_1.zip is missing"),
    ],
)
def test_a_missing_archive_is_named(learner, monkeypatch, line, said):
    monkeypatch.chdir(learner)
    ran = call(f"reset {line}")
    assert ran.code == 2 and said in ran.err


def test_a_missing_archive_changes_nothing_even_where_another_is_there(course, learner, tmp_path):
    (tmp_path / "part").mkdir()
    shutil.copy(course[2] / "stage_2.zip", tmp_path / "part")
    assert ready(learner, tmp_path / "part", "3").code == 2
    assert set(states(learner).values()) == {"to do"}


def test_a_run_of_the_command_line_is_not_packed(course, tmp_path):
    shutil.copytree(course[1], tmp_path / "own")
    folder = tmp_path / "own/3_general_distill"
    write_json(
        folder / "manifest.json",
        {**json.loads(text(folder / "manifest.json")), "profile": "command line"},
    )
    call(f"reset --make_ready '{tmp_path / 'ready'}' --workspace '{tmp_path / 'own'}'")
    assert [path.name for path in (tmp_path / "ready").iterdir()] == ["stage_2.zip"]
