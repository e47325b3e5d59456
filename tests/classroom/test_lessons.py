"""Guesses and what came out; set-up; and what a notebook that runs alone makes for itself."""

from __future__ import annotations

import shutil
from dataclasses import replace

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.makers.commands import snapshot
from tests.makers.workspaces import lay_out
from tinybert_lite.classroom import lessons
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import general_distill, pregenerate_training_data
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import write_json
from tinybert_lite.system.outputs import MANIFEST, RUNNING, read_manifest
from tools.build_notebooks import kernels

# Questions ----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_guesses(monkeypatch):
    monkeypatch.setattr(lessons, "_guesses", {})
    monkeypatch.setattr(lessons, "_answers", {})


@pytest.mark.parametrize(
    "guess, measured, said",
    [
        (0.5, 0.25, "You said 0.5 nats; it is 0.25 nats: 2 times too high."),
        (1, 40, "You said 1 nats; it is 40 nats: 40 times too low."),
        (120, 100, "You said 120 nats; it is 100 nats: 20 % too high."),
        (0.26, 0.25, "You said 0.26 nats; it is 0.25 nats: very near."),
        (4, 4, "You said 4 nats; it is 4 nats: right."),
        (0, 0, "You said 0 nats; it is 0 nats: right."),
        (0.5, 0, "You said 0.5 nats; it is 0 nats: off by 0.5."),
        (-1, 2, "You said -1 nats; it is 2 nats: off by 3."),
    ],
)
def test_a_guess_is_held_against_what_came_out_in_one_sentence(guess, measured, said, capsys):
    lessons.predict("loss", "How large is it?", "nats")
    lessons.predict("loss", guess)
    assert capsys.readouterr().out == ""
    lessons.reveal("loss", measured)
    assert capsys.readouterr().out == said + "\n"


@pytest.mark.parametrize(
    "measured, said",
    [
        ("layer 1", "You said layer 1; it is layer 1: right.\n"),
        ("layer 4", "You said layer 1; it is layer 4.\n"),
    ],
)
def test_a_choice_is_held_against_what_came_out(measured, said, capsys):
    lessons.predict("which", "Which is nearest?", ["layer 1", "layer 4"])
    lessons.predict("which", "layer 1")
    lessons.reveal("which", measured)
    assert capsys.readouterr().out == said


def test_where_nobody_guessed_nothing_is_said(capsys):
    assert lessons.predict("loss", "How large is it?", "nats") is None
    assert lessons.reveal("loss", 0.5) is None
    assert capsys.readouterr() == ("", "")


def test_the_last_guess_counts(capsys):
    for guess in (3, 7.0):
        lessons.predict("loss", guess)
    lessons.reveal("loss", 7)
    assert "You said 7; it is 7: right." in capsys.readouterr().out


def asked(monkeypatch, *question):
    """What is shown to somebody who watches, and its entry field."""
    import IPython.display

    shown = []
    monkeypatch.setattr(lessons, "watched", lambda: True)
    monkeypatch.setattr(IPython.display, "display", shown.append)
    assert lessons.predict(*question) is None
    (box,) = shown
    title, row, noted = box.children
    return title.value, row.children[0], noted


def test_a_number_is_asked_for_in_its_unit_and_anything_else_refused(monkeypatch, capsys):
    title, entry, noted = asked(monkeypatch, "loss", "How large is it?", "nats")
    for text in ("much", "nan", "inf", ""):
        entry.value = text
        assert lessons._guesses == {} and noted.value in ("write a number, such as 0.25", "")
    entry.value = "0"
    assert (
        title == "How large is it?"
        and noted.value == "noted: 0.0"
        and lessons._guesses == {"loss": 0.0}
    )


def test_out_of_several_nothing_is_chosen_beforehand(monkeypatch):
    _, entry, noted = asked(monkeypatch, "which", "Which?", ("first", "last"))
    assert entry.value is None and lessons._guesses == {}
    entry.value = "last"
    assert lessons._guesses == {"which": "last"} and noted.value == "noted: last"


def test_outside_of_a_notebook_nobody_watches():
    assert not lessons.watched()


@pytest.mark.slow
def test_in_a_kernel_it_asks_whoever_watches_and_nobody_else(tmp_path, monkeypatch):
    """As nbclient runs it, and as a front end does, which lets the kernel ask for input."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("TINYBERT_UNWATCHED", raising=False)
    ask = 'lessons.predict("loss", "How large?", "nats")'
    cells = [
        "from tinybert_lite.classroom import lessons",
        ask,
        'lessons.reveal("loss", 0.25)',
        f"import os\nos.environ['TINYBERT_UNWATCHED'] = '1'\n{ask}\n"
        "del os.environ['TINYBERT_UNWATCHED']",
        ask,
        "from ipywidgets.widgets import widget\n"
        "texts = (w for w in widget._instances.values() if type(w).__name__ == 'Text')\n"
        "next(texts).value = '0.5'",
        'lessons.reveal("loss", 0.25)',
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])

    def from_the_fourth_cell_on_somebody_watches(cell, cell_index):
        client.kc.allow_stdin = cell_index >= 3

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=120,
        on_cell_start=from_the_fourth_cell_on_somebody_watches,
    )
    with kernels(tmp_path, "smoke"):
        client.execute()
    said = [
        ["".join(output.get("text", "")) or list(output.get("data", {})) for output in cell.outputs]
        for cell in notebook.cells
    ]
    assert said[:4] == [[], [], [], []]
    assert nbformat.from_dict(notebook.cells[4].outputs[0]).data[
        "application/vnd.jupyter.widget-view+json"
    ]
    assert said[6] == ["You said 0.5 nats; it is 0.25 nats: 2 times too high.\n"]


# Set-up -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argument, variable, chosen",
    [
        (None, None, "classroom"),
        (None, "", "classroom"),
        (None, "smoke", "smoke"),
        ("paper", "smoke", "paper"),
    ],
)
def test_the_profile_is_the_argument_then_the_variable_then_classroom(
    workspace, monkeypatch, capsys, argument, variable, chosen
):
    monkeypatch.delenv("TINYBERT_PROFILE", raising=False)
    if variable is not None:
        monkeypatch.setenv("TINYBERT_PROFILE", variable)
    found, settings = lessons.setup(argument)
    assert (found.root, settings) == (workspace, profile(chosen, grown=False))
    assert capsys.readouterr() == ("", "")


def test_a_profile_that_does_not_exist_names_the_nearest(workspace):
    with pytest.raises(UserError, match="the nearest is classroom"):
        lessons.setup("clasroom")


def test_what_is_off_is_one_sentence(workspace, capsys):
    (workspace / "SST-2/dev.tsv").unlink()
    lessons.setup()
    said = capsys.readouterr().out
    assert (
        said.startswith("[!!] data: ")
        and "dev.tsv is missing; run" in said
        and said.count("\n") == 1
    )


# A notebook that runs alone -----------------------------------------------------------------------

# The classroom profile, in seconds; its sequences differ from smoke's.
FULL = replace(
    profile("smoke").override(["pregenerate_training_data.short_seq_prob=0.9"]),
    profile="classroom",
    device="cpu",
    threads=1,
    seed=7,
)
NOTE = (
    "This notebook uses quick inputs of the smoke profile, in 2_pregenerate_data: "
    "run the notebooks before it for those of the normal profile.\n"
)


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """A workspace whose stage 2 has been run in the classroom profile."""
    root = lay_out(tmp_path_factory.mktemp("lessons") / "workspace")
    pregenerate_training_data.STAGE.run(Workspace.find(root), FULL)
    return root


@pytest.fixture
def finished(laid_out, tmp_path):
    shutil.copytree(laid_out, tmp_path / "finished")
    return Workspace.find(tmp_path / "finished")


@pytest.fixture
def place(workspace):
    return Workspace.find(workspace)


def profile_of(folder):
    return read_manifest(folder)["profile"]


def test_alone_it_makes_quick_inputs_says_so_and_runs_its_own_stage_in_full(place, capsys):
    lessons.ensure(place, FULL, "general_distill")
    assert capsys.readouterr().out.endswith(NOTE)
    general_distill.STAGE.run(place, FULL)
    assert (profile_of(place.sequences), profile_of(place.general_student)) == (
        "smoke",
        "classroom",
    )
    assert read_manifest(place.sequences)["seed"] == 7


def test_a_second_time_it_makes_nothing_and_still_says_what_it_runs_on(place, capsys):
    lessons.ensure(place, FULL, "general_distill")
    before = snapshot(place.root)
    capsys.readouterr()
    lessons.ensure(place, FULL, "general_distill")
    assert capsys.readouterr().out == NOTE and snapshot(place.root) == before


def test_in_the_smoke_profile_quick_inputs_are_the_real_ones(place, capsys):
    lessons.ensure(place, replace(FULL, profile="smoke"), "general_distill")
    assert profile_of(place.sequences) == "smoke" and "quick inputs" not in capsys.readouterr().out


def test_the_earlier_notebook_replaces_them_and_the_later_stage_runs_again(place, capsys):
    lessons.ensure(place, FULL, "general_distill")
    general_distill.STAGE.run(place, FULL)
    pregenerate_training_data.STAGE.run(place, FULL)
    capsys.readouterr()
    lessons.ensure(place, FULL, "general_distill")
    assert capsys.readouterr().out == "" and profile_of(place.sequences) == "classroom"
    assert (place.sequences / "aside/smoke-1/epoch_0.json").is_file()
    assert not general_distill.STAGE.run(place, FULL).skipped  # for its sequences changed


@pytest.mark.parametrize(
    "settings",
    [FULL, replace(FULL, profile="smoke"), replace(FULL, profile="paper")],
    ids=lambda settings: settings.profile,
)
def test_what_is_finished_is_left_alone_whatever_its_profile(finished, settings, capsys):
    before = snapshot(finished.root)
    lessons.ensure(finished, settings, "general_distill")
    assert snapshot(finished.root) == before and capsys.readouterr().out == ""


def test_what_the_learner_put_there_is_left_alone(finished):
    (finished.sequences / MANIFEST).unlink()
    before = snapshot(finished.root)
    lessons.ensure(finished, FULL, "general_distill")
    assert snapshot(finished.root) == before


def test_a_result_of_which_a_file_was_lost_is_made_again(finished):
    (finished.sequences / "epoch_0.json").unlink()
    lessons.ensure(finished, FULL, "general_distill")
    assert (finished.sequences / "epoch_0.json").is_file()


@pytest.fixture
def runs(monkeypatch):
    """(stage, profile) of each stage that would run."""
    found = []
    monkeypatch.setattr(
        Stage, "run", lambda self, _, settings: found.append((self.name, settings.profile))
    )
    return found


@pytest.mark.parametrize(
    "cut, resumed", [("classroom", "classroom"), ("smoke", "smoke"), (None, "smoke")]
)
def test_a_full_run_that_was_cut_goes_on_in_full(place, runs, cut, resumed):
    place.sequences.mkdir()
    (place.sequences / "epoch_0.json").write_text("half", encoding="utf-8")
    if cut:
        write_json(place.sequences / RUNNING, {"identity": "a", "profile": cut})
    else:
        (place.sequences / "epoch_0.json").unlink()
    lessons.ensure(place, FULL, "general_distill")
    assert runs == [("pregenerate_training_data", resumed)]


def test_the_tasks_teacher_is_fine_tuned_in_full_for_one_at_chance_would_be_refused(place, runs):
    lessons.ensure(place, FULL, "task_distill_mid")
    assert runs == [
        ("data_augmentation", "smoke"),
        ("pregenerate_training_data", "smoke"),
        ("general_distill", "smoke"),
        ("finetune_teacher", "classroom"),
    ]


def test_what_only_a_finished_stage_needs_is_not_made(finished, runs):
    shutil.rmtree(finished.sequences)
    finished.general_student.mkdir()
    write_json(
        finished.general_student / MANIFEST,
        {"stage": "general_distill", "profile": "classroom", "outputs": {}},
    )
    lessons.ensure(finished, FULL, "task_distill_mid")
    assert runs == [("data_augmentation", "smoke"), ("finetune_teacher", "classroom")]
