"""Build the exercise and solution notebooks from notebooks/exercises/source/*.py.

    python tools/build_exercises.py        # no outputs; the same bytes every time

A source is a percent script like those of the lessons (tools/build_notebooks.py), with three more
marks:

    # %% [solution NAME]               the answer, between ### BEGIN SOLUTION and ### END SOLUTION
    # %% [check NAME: 2 points]        its test; only the grader sees the part between
                                       ### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS
    # %% [wrong: part of a message]    a plausible wrong answer, with a part of the check's message;
                                       it is not written into a notebook

Solution notebooks keep the marks and the hidden tests, so they can be nbgrader's source; exercise
notebooks are what nbgrader would release.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":  # a script finds only modules in its own folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.build_notebooks import METADATA, NOTEBOOKS, parse, write

EXERCISES, SOLUTIONS = NOTEBOOKS / "exercises", NOTEBOOKS / "solutions"
MARK = re.compile(r"# %% \[(solution|check|wrong):? (.+)\]")
POINTS = re.compile(r"(\w+): (\d+) points?")
STUB = 'raise NotImplementedError("your turn")'
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"\n### BEGIN HIDDEN TESTS\n.*?\n### END HIDDEN TESTS", re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """A cell of a source.

    kind: markdown, code, solution, check or wrong · name: of the exercise; for a wrong answer a
    part of the check's message.
    """

    kind: str
    name: str
    text: str
    points: int = 0


@dataclass
class Exercise:
    """An exercise: its solution, the code before it, its check, and wrong answers by message."""

    name: str
    solution: str
    setup: str = ""
    check: str = ""
    points: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def sources() -> list[Path]:
    return sorted((EXERCISES / "source").glob("[0-9][0-9]_*.py"))


def cells(text: str) -> list[Cell]:
    """Return the cells of a source. Raises ValueError for a check without points."""
    marks = [MARK.fullmatch(line) for line in text.splitlines() if line.startswith("# %%")]
    plain = re.sub(f"^{MARK.pattern}$", "# %%", text, flags=re.MULTILINE)
    found = []
    for mark, (kind, source) in zip(marks, parse(plain), strict=True):
        if mark is None:
            found.append(Cell(kind, "", source))
        elif mark[1] == "check":
            worth = POINTS.fullmatch(mark[2])
            if not worth:
                raise ValueError(f"{mark[0]!r} has no points: write [check NAME: 2 points]")
            found.append(Cell("check", worth[1], source, int(worth[2])))
        else:
            found.append(Cell(mark[1], mark[2], source))
    return found


def exercises(text: str) -> list[Exercise]:
    found: list[Exercise] = []
    setup = ""
    for cell in cells(text):
        if cell.kind == "code":
            setup += cell.text + "\n"
        elif cell.kind == "solution":
            found.append(Exercise(cell.name, cell.text, setup))
        elif cell.kind == "check":
            found[-1].check, found[-1].points = cell.text, cell.points
        elif cell.kind == "wrong":
            found[-1].wrong[cell.name] = cell.text
    return found


def stub(solution: str) -> str:
    """Return a solution cell without its answer."""
    return SOLUTION.sub(rf"\1{STUB}", solution)


def visible(check: str) -> str:
    """Return a check cell without its hidden tests."""
    return HIDDEN.sub("", check)


def build(source: Path, solved: bool):
    """Return the notebook of a source, with answers and hidden tests if `solved`.

    A cell's id consists of the numbers of the notebook and of the cell.
    """
    notebook = new_notebook(metadata={**METADATA})
    for cell in cells(source.read_text(encoding="utf-8")):
        if cell.kind == "wrong":
            continue
        make = new_markdown_cell if cell.kind == "markdown" else new_code_cell
        hide = {"solution": stub, "check": visible}.get(cell.kind, str) if not solved else str
        notebook.cells.append(
            make(
                hide(cell.text),
                id=f"ex{source.name[:2]}-{len(notebook.cells) + 1:02d}",
                metadata=metadata(cell),
            )
        )
    return notebook


def metadata(cell: Cell) -> dict:
    """Return nbgrader's metadata of a cell."""
    if cell.kind == "solution":
        ours = {"grade": False, "grade_id": cell.name, "locked": False, "solution": True}
    elif cell.kind == "check":
        ours = {
            "grade": True,
            "grade_id": f"check_{cell.name}",
            "locked": True,
            "points": cell.points,
            "solution": False,
        }
    else:
        return {}
    return {"nbgrader": {**ours, "schema_version": 3, "task": False}}


def main() -> None:
    for source in sources():
        for folder, solved in ((EXERCISES, False), (SOLUTIONS, True)):
            size = write(build(source, solved), folder / f"{source.stem}.ipynb")
            print(f"{folder.name}/{source.stem}.ipynb {size / 1000:4.0f} kB")


if __name__ == "__main__":
    main()
