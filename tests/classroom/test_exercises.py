"""Every exercise: its stub raises, its solution passes, each wrong answer gets its own message.

The notebooks equal their source.
"""

from __future__ import annotations

import re

import nbformat
import pytest

from tests.makers.notebooks import TEXTS, code_cells, outputs, pictures
from tinybert_lite.classroom import checking
from tools.build_exercises import EXERCISES, SOLUTIONS, build, cells, exercises, stub, visible
from tools.build_notebooks import execute, kernels, write

ALL = {
    f"{stem[:2]} {exercise.name}": exercise
    for stem, text in TEXTS.items()
    for exercise in exercises(text)
}
WRONG = [(name, said) for name, exercise in ALL.items() for said in exercise.wrong]
each = pytest.mark.parametrize("name", ALL)
each_notebook = pytest.mark.parametrize("stem", TEXTS)


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """The figures that a check would show."""
    figures: list = []
    monkeypatch.setattr(checking, "show", figures.append)
    return figures


def checked(exercise, answer: str, check: str) -> str:
    """What the check says to an answer, "" where it passes."""
    space: dict = {}
    exec(exercise.setup + answer, space)
    try:
        exec(check, space)
    except AssertionError as error:
        return str(error)
    return ""


def test_there_are_three_exercises_a_stage_or_more():
    assert len(TEXTS) == 9 and len(ALL) >= 27
    for text in TEXTS.values():
        levels = re.findall(
            r"^# \*(warm-up|core|stretch) · \d+ minutes · "
            r"difficulty [●○]{3} · importance [●○]{3}\*$",
            text,
            re.MULTILINE,
        )
        assert len(levels) == len(exercises(text)) >= 3 and set(levels) == {
            "warm-up",
            "core",
            "stretch",
        }


def test_names_are_unique():
    assert len({exercise.name for exercise in ALL.values()}) == len(ALL)


@each
def test_a_stub_says_that_it_is_your_turn_and_sees_what_is_expected(name, drawn):
    exercise = ALL[name]
    with pytest.raises(NotImplementedError, match="your turn"):
        checked(exercise, stub(exercise.solution), visible(exercise.check))
    assert len(drawn) == 1


@each
def test_the_solution_passes_hidden_tests_too(name, drawn, capsys):
    exercise = ALL[name]
    assert "HIDDEN" in exercise.check and checked(exercise, exercise.solution, exercise.check) == ""
    assert (
        len(drawn) == 2
        and capsys.readouterr().out == f"{exercise.name}: every property holds\n" * 2
    )


@pytest.mark.parametrize("name, said", WRONG)
def test_a_wrong_answer_is_told_what_is_wrong_with_it(name, said, drawn):
    exercise = ALL[name]
    message = checked(exercise, exercise.wrong[said], visible(exercise.check))
    assert said in message
    assert not [other for other in exercise.wrong if other != said and other in message], (
        "another wrong answer's message"
    )
    assert ": " in message and drawn, "a counter-example and a picture"


@each
@pytest.mark.parametrize("nothing", ["None", "{}"])
def test_an_answer_of_another_kind_is_told_what_is_wanted(name, nothing, drawn):
    exercise = ALL[name]
    message = checked(
        exercise, f"def {exercise.name}(*arguments):\n    return {nothing}", visible(exercise.check)
    )
    assert (
        "wanted" in message
        and ("None" if nothing == "None" else "dict") in message
        and len(drawn) == 1
    )


@each
def test_an_exercise_knows_three_wrong_answers_or_more(name):
    assert len(ALL[name].wrong) >= 3


@each
def test_the_answer_has_types_and_a_docstring_and_the_stub_keeps_them(name):
    space: dict = {}
    exec(ALL[name].setup + stub(ALL[name].solution), space)
    function = space[ALL[name].name]
    assert (
        function.__doc__
        and "return" in function.__annotations__
        and "SOLUTION" not in stub(ALL[name].solution)
    )


@each_notebook
@pytest.mark.parametrize("folder, solved", [(EXERCISES, False), (SOLUTIONS, True)])
def test_committed_notebooks_equal_their_source_and_have_no_outputs(stem, folder, solved, tmp_path):
    for copy in ("a", "b"):
        write(build(EXERCISES / "source" / f"{stem}.py", solved), tmp_path / f"{copy}.ipynb")
    stored = (folder / f"{stem}.ipynb").read_bytes()
    assert (tmp_path / "a.ipynb").read_bytes() == (tmp_path / "b.ipynb").read_bytes() == stored, (
        "run: python tools/build_exercises.py"
    )
    assert outputs(nbformat.read(folder / f"{stem}.ipynb", as_version=4)) == []


@each_notebook
def test_hints_and_reasons_are_folded_and_links_lead_somewhere(stem):
    prose = "\n".join(cell.text for cell in cells(TEXTS[stem]) if cell.kind == "markdown")
    assert prose.count("<details>") == prose.count("</details>") >= 2 * len(exercises(TEXTS[stem]))
    assert prose.count("<summary>Why it matters</summary>") == len(exercises(TEXTS[stem]))
    targets = re.findall(r"\]\(([^)]+\.ipynb)\)", prose)
    assert targets and all((EXERCISES / target).is_file() for target in targets)


def test_an_exercise_shows_neither_answers_nor_hidden_tests():
    for stem in TEXTS:
        text = (EXERCISES / f"{stem}.ipynb").read_text(encoding="utf-8")
        assert not re.search("SOLUTION|HIDDEN|wrong:", text)


def test_a_check_without_points_is_refused():
    with pytest.raises(ValueError, match="has no points"):
        cells("# %% [check x]\npass\n")


def test_one_solution_notebook_runs_and_draws(tmp_path):
    run_solutions(["03_general_distill"], tmp_path)


@pytest.mark.slow
def test_all_solution_notebooks_run_and_draw(tmp_path):
    run_solutions(list(TEXTS), tmp_path)


def run_solutions(stems, workspace):
    with kernels(workspace, "smoke"):
        for stem in stems:
            notebook = execute(build(EXERCISES / "source" / f"{stem}.py", solved=True))
            assert len(pictures(notebook)) == 2 * len(exercises(TEXTS[stem]))
            assert len(code_cells(notebook)) == 1 + 2 * len(exercises(TEXTS[stem]))
