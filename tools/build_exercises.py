"""Build the exercise and solution notebooks from notebooks/exercises/source/*.py.

    python tools/build_exercises.py        # no outputs; the same bytes every time

A source is a percent script as the lessons' (tools/build_notebooks.py), with three more marks:

    # %% [solution NAME]               the answer between ### BEGIN SOLUTION and ### END SOLUTION
    # %% [check NAME: 2 points]        what tests it; only the grader sees what is between
                                       ### BEGIN HIDDEN TESTS and ### END HIDDEN TESTS
    # %% [wrong: part of a message]    a plausible wrong answer and what the check says to it; in no
                                       notebook

Solutions keep the marks and the hidden tests, so nbgrader takes them as its source; exercises are
what it would release.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":  # started as a script, Python looks beside it only
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
    """kind: markdown, code, solution, check or wrong · name: of the exercise; of a wrong answer
    what is said to it.
    """

    kind: str
    name: str
    text: str
    points: int = 0


@dataclass
class Exercise:
    """One exercise: the code before it, its answer, its check, and {part of the message: wrong
    answer}.
    """

    name: str
    solution: str
    setup: str = ""
    check: str = ""
    points: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def sources() -> list[Path]:
    return sorted((EXERCISES / "source").glob("[0-9][0-9]_*.py"))


def cells(text: str) -> list[Cell]:
    """The cells of a source. Raises ValueError for a check without points."""
    marks = [MARK.fullmatch(line) for line in text.splitlines() if line.startswith("# %%")]
    plain = re.sub(f"^{MARK.pattern}$", "# %%", text, flags=re.MULTILINE)
    found = []
    for mark, (kind, source) in zip(marks, parse(plain), strict=True):
        if mark is None:
            found.append(Cell(kind, "", source))
        elif mark[1] == "check":
            worth = POINTS.fullmatch(mark[2])
            if not worth:
                raise ValueError(
                    f"a check says what it is worth, as [check NAME: 2 points]: {mark[0]}"
                )
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
    """A solution cell with its answer taken out."""
    return SOLUTION.sub(rf"\1{STUB}", solution)


def visible(check: str) -> str:
    """A check cell without its hidden tests."""
    return HIDDEN.sub("", check)


def build(source: Path, solved: bool):
    """The notebook of a source, with answers and hidden tests where `solved`; cell ids are the
    notebook's number and the cell's.
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
    """What nbgrader wants to know of a cell."""
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
