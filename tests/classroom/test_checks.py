"""Grading: the table, deletion, tampering, endless loops, broken files, and nbgrader's grades."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.makers.notebooks import TEXTS
from tinybert_lite.classroom import checks
from tinybert_lite.classroom.checks import grade_id, main, prepared
from tinybert_lite.system.errors import UserError
from tools.build_exercises import EXERCISES, SOLUTIONS, exercises
from tools.build_notebooks import REPOSITORY, kernels

GENERAL = "03_general_distill"
ANSWERS = {exercise.name: exercise for exercise in exercises(TEXTS[GENERAL])}
posix = pytest.mark.skipif(
    os.name != "posix", reason="a process group is killed as a whole on POSIX"
)


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # nbgrader's kernels find this very package


def submission(path, answers: dict[str, str], delete: str = "", tamper: str = ""):
    """The exercises of stage 3 with these answers, one test cell deleted, another emptied."""
    notebook = nbformat.read(EXERCISES / f"{GENERAL}.ipynb", as_version=4)
    notebook.cells = [cell for cell in notebook.cells if grade_id(cell) != f"check_{delete}"]
    for cell in notebook.cells:
        if grade_id(cell) in answers:
            cell.source = answers[grade_id(cell)]
        elif tamper and grade_id(cell) == f"check_{tamper}":
            cell.source = "pass"
            cell.metadata["nbgrader"]["points"] = 100
    notebook.cells[2:2] = [
        new_code_cell(" "),
        new_markdown_cell("my notes"),
        new_code_cell("1 / 0"),
    ]  # a student's own cells
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def solved() -> dict[str, str]:
    return {name: exercise.solution for name, exercise in ANSWERS.items()}


def three_submissions(folder, name: str):
    """Three submissions and their points by hand.

    All solved; half solved, with a wrong answer; a test cell deleted, a stub left, a test emptied.
    """
    wrong = ANSWERS["attention_loss"].wrong["scores, not probabilities"]
    submission(folder / "all" / name, solved())
    submission(folder / "half" / name, {**solved(), "attention_loss": wrong})
    submission(
        folder / "cheat" / name,
        {
            "hidden_loss": "def hidden_loss(*_):\n    return 0.0",
            "layer_mapping": solved()["layer_mapping"],
        },
        delete="layer_mapping",
        tamper="hidden_loss",
    )
    return {"all": [1, 2, 3], "half": [1, 0, 3], "cheat": [0, 0, 0]}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """What the command makes of two submissions and a broken file: status, table, JSON."""
    folder = tmp_path_factory.mktemp("class")
    three_submissions(folder / "in", "03.ipynb")
    shutil.rmtree(folder / "in" / "all")
    (folder / "in" / "broken.ipynb").write_text("{", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr(checks, "say", lines.append)
        code = main(
            [
                "--student",
                str(folder / "in"),
                "--json",
                str(folder / "grades.json"),
                "--seconds",
                "120",
            ]
        )
    found = json.loads((folder / "grades.json").read_text(encoding="utf-8"))["submissions"]
    return (
        code,
        "\n".join(lines),
        {
            one["file"].removeprefix(f"{folder / 'in'}{os.sep}").split(os.sep)[0]: one
            for one in found
        },
    )


def by_exercise(one):
    return {grade["exercise"]: (grade["points"], grade["message"]) for grade in one["grades"]}


def test_a_wrong_answer_scores_zero_and_the_rest_its_points(graded):
    found = by_exercise(graded[2]["half"])
    assert [points for points, _ in found.values()] == [1, 0, 3] and (
        graded[2]["half"]["points"],
        graded[2]["half"]["of"],
    ) == (4, 6)
    assert found["attention_loss"][1].startswith("scores, not probabilities: ")


def test_a_deleted_test_cell_scores_zero(graded):
    assert by_exercise(graded[2]["cheat"])["layer_mapping"] == (0, "its test cell was deleted")


def test_an_emptied_test_cell_is_put_back(graded):
    points, message = by_exercise(graded[2]["cheat"])["hidden_loss"]
    assert (
        points == 0
        and "the mean runs over the width too" in message
        and graded[2]["cheat"]["of"] == 6
    )


def test_a_stub_scores_zero(graded):
    assert by_exercise(graded[2]["cheat"])["attention_loss"] == (
        0,
        "NotImplementedError: your turn",
    )


def test_the_table_names_exercise_points_and_message(graded):
    table = graded[1]
    assert "exercise             points   of  message" in table
    assert (
        "layer_mapping             0    1  its test cell was deleted" in table
        and "together                  4    6" in table
    )


def test_a_broken_file_among_others_is_named_and_does_not_keep_them_waiting(graded):
    code, table, found = graded
    assert (
        code == 2
        and "is not a notebook" in found["broken.ipynb"]["error"]
        and found["broken.ipynb"]["error"] in table
    )


@pytest.mark.slow
@posix
def test_a_loop_that_cannot_be_interrupted_is_stopped(tmp_path):
    stubborn = (
        "while True:\n    try:\n        while True:\n            pass\n"
        "    except BaseException:\n        pass"
    )
    found = checks.grade(submission(tmp_path / "a.ipynb", {"layer_mapping": stubborn}), seconds=10)
    assert {(grade.points, grade.message) for grade in found.grades} == {
        (0, "not reached: the notebook was stopped after 10 seconds")
    }


@pytest.mark.slow
def test_a_loop_costs_its_own_exercise_only(tmp_path):
    answers = {
        **solved(),
        "layer_mapping": "def layer_mapping(M, N):\n    while True:\n        pass",
    }
    found = checks.grade(submission(tmp_path / "a.ipynb", answers), seconds=60)
    assert [grade.points for grade in found.grades] == [0, 2, 3] and "endless loop" in found.grades[
        0
    ].message


@pytest.mark.slow
def test_a_kernel_that_dies_keeps_what_was_earned(tmp_path):
    found = checks.grade(
        submission(tmp_path / "a.ipynb", {**solved(), "attention_loss": "import os\nos._exit(0)"}),
        seconds=120,
    )
    assert [grade.points for grade in found.grades] == [1, 0, 0] and found.grades[
        1
    ].message == "not reached: the kernel died"


def test_of_two_test_cells_with_one_name_the_last_counts_and_is_ours():
    original = nbformat.read(SOLUTIONS / f"{GENERAL}.ipynb", as_version=4)
    marks = {"nbgrader": {"grade_id": "check_layer_mapping"}}
    handed_in = new_notebook(
        cells=[
            new_code_cell("first", metadata=marks),
            new_code_cell("x = 1"),
            new_code_cell("last", metadata=marks),
        ]
    )
    made = prepared(handed_in, original)
    assert [cell.source for cell in made.cells[:2]] == ["first", "x = 1"] and made.cells[
        2
    ].source == ANSWERS["layer_mapping"].check


def test_grades_are_printed_as_json_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        checks,
        "run",
        lambda notebook, seconds, megabytes: ({str(i): "" for i in range(len(notebook.cells))}, ""),
    )
    path = submission(tmp_path / "a.ipynb", solved())
    assert main(["--student", str(path)]) == 0
    table, _, found = capsys.readouterr().out.partition("{")
    assert (
        "together                  6    6" in table
        and json.loads("{" + found)["submissions"][0]["points"] == 6
    )


def test_a_notebook_is_known_by_its_cells_and_not_by_its_name():
    for solution in SOLUTIONS.glob("*.ipynb"):
        assert (
            checks.original_of(nbformat.read(solution, as_version=4), solution)[0] == solution.stem
        )


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "is not a notebook"),
        ("{", "is not a notebook"),
        ("[]", "is not a notebook"),
        ("{}", "is not a notebook"),
        ("\udcff", "is not a notebook"),
        ('{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "is not a notebook"),
        (
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "has no exercise of the course",
        ),
        (
            '{"cells": [{"cell_type": "raw", "id": "a", "source": "", "metadata": {"nbgrader": 7}}'
            '], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "has no exercise of the course",
        ),
        ("[" * 100_000, "is not a notebook"),
    ],
)
def test_what_cannot_be_graded_is_said_in_one_sentence(content, said, tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert main(["--student", str(path)]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith("error: ") and said in error and error.count("\n") == 1


def test_a_path_that_is_not_there_or_empty_is_said(tmp_path, capsys):
    assert (
        main(["--student", str(tmp_path / "none")]) == 2 and "is missing" in capsys.readouterr().err
    )
    assert (
        main(["--student", str(tmp_path)]) == 2 and "holds no notebook" in capsys.readouterr().err
    )
    assert (
        main(["--student", str(tmp_path), "--seconds", "0"]) == 2
        and "above 0" in capsys.readouterr().err
    )


def test_without_solutions_there_is_nothing_to_grade_by(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "SOLUTIONS", tmp_path)
    with pytest.raises(UserError, match="clone"):
        checks.grade(EXERCISES / f"{GENERAL}.ipynb")


@pytest.mark.slow
def test_nbgrader_releases_the_same_notebook_and_gives_the_same_grades(tmp_path, monkeypatch):
    pytest.importorskip("nbgrader")
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    monkeypatch.setenv(
        "PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )  # it calls alembic by name
    name, course = f"{GENERAL}.ipynb", tmp_path / "course"
    shutil.copytree(SOLUTIONS, course / "source" / "ps")
    config = Config()
    config.CourseDirectory.root, config.CourseDirectory.course_id = str(course), "tinybert"
    config.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your turn")'}
    config.ExecutePreprocessor.timeout = 120
    expected = three_submissions(tmp_path / "in", name)
    with kernels(tmp_path, "smoke"):
        nbgrader = NbGraderAPI(config=config)
        assert nbgrader.generate_assignment("ps")["success"]
        for stem in TEXTS:
            released, ours = (
                nbformat.read(folder / f"{stem}.ipynb", as_version=4).cells
                for folder in (course / "release" / "ps", EXERCISES)
            )
            assert [(cell.id, cell.cell_type, cell.source) for cell in released] == [
                (cell.id, cell.cell_type, cell.source) for cell in ours
            ]
        for student, points in expected.items():
            place = course / "submitted" / student / "ps"
            place.mkdir(parents=True)
            shutil.copy(tmp_path / "in" / student / name, place / name)
            result = nbgrader.autograde("ps", student)
            assert result["success"], result
            with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
                found = {
                    grade.name: grade.score
                    for grade in book.find_submission_notebook(GENERAL, "ps", student).grades
                }
            mine = checks.grade(tmp_path / "in" / student / name, seconds=120)
            assert {f"check_{grade.exercise}": grade.points for grade in mine.grades} == found
            assert [grade.points for grade in mine.grades] == points
