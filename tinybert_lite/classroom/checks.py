"""Grade exercises that were handed in.

    python -m tinybert_lite.classroom.checks --student PATH [--json FILE] [--seconds 60]

Each notebook runs in a fresh kernel, in a process with limits. Test cells are put back as they were written, hidden tests
included; a test cell that was deleted scores zero.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tinybert_lite.classroom import run_submission
from tinybert_lite.classroom.sandbox import run_limited
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
SOLUTIONS = REPOSITORY / "notebooks" / "solutions"
MOST_BYTES = 20_000_000  # of a notebook that is handed in
LINE = 110  # of a message in the table


@dataclass(frozen=True)
class Grade:
    """One exercise: points given, points there are, and why not all ("" where all)."""

    exercise: str
    points: float
    of: float
    message: str


@dataclass(frozen=True)
class Submission:
    """A notebook that was handed in: its file, whose exercises it holds, and their grades; `error` where it is none."""

    file: str
    notebook: str = ""
    grades: tuple[Grade, ...] = ()
    error: str = ""

    def as_json(self) -> dict:
        return {
            **asdict(self),
            "points": sum(grade.points for grade in self.grades),
            "of": sum(grade.of for grade in self.grades),
        }


def grade(path: Path, seconds: float = 60, megabytes: int = 4096) -> Submission:
    """Grade one notebook. Raises UserError for a file that is no notebook or holds no exercise of ours."""
    handed_in = read(path)
    name, original = original_of(handed_in, path)
    notebook = prepared(handed_in, original)
    said, unreached = run(notebook, seconds, megabytes)
    by_test = {grade_id(cell): said.get(str(i), unreached) for i, cell in enumerate(notebook.cells)}
    grades = []
    for test, cell in tests(original).items():
        message = by_test.get(test, "its test cell was deleted").removeprefix("AssertionError: ")
        points = cell.metadata["nbgrader"]["points"]
        grades.append(Grade(test.removeprefix("check_"), 0 if message else points, points, message))
    return Submission(str(path), name, tuple(grades))


def read(path: Path):
    """A notebook as somebody handed it in. Raises UserError where it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{path} has more than {MOST_BYTES // 10**6} MB: clear its outputs and hand it in again"
        )
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError:
        raise
    except Exception as error:  # somebody's file: whatever can be wrong with it
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise UserError(
            f"{path} is no notebook ({reason[0][:LINE]}): save it in Jupyter and hand it in again"
        ) from error
    return notebook


def original_of(notebook, path: Path) -> tuple[str, nbformat.NotebookNode]:
    """(name, notebook) of the solutions that a notebook shares the most marked cells with. Raises UserError for none."""
    files = sorted(SOLUTIONS.glob("*.ipynb"))
    if not files:
        raise UserError(
            f"{SOLUTIONS} holds no solutions to grade by: run this in a clone of the project, with `pip install -e .`"
        )
    originals = {file.stem: nbformat.read(file, as_version=4) for file in files}
    marked = {grade_id(cell) for cell in notebook.cells} - {""}
    name = max(
        originals, key=lambda name: len(marked & {grade_id(cell) for cell in originals[name].cells})
    )
    if not marked & {grade_id(cell) for cell in originals[name].cells}:
        raise UserError(
            f"{path} holds no exercise of ours: hand in a notebook made from one in notebooks/exercises/"
        )
    return name, originals[name]


def grade_id(cell) -> str:
    """nbgrader's name of a cell, "" for one without."""
    marks = cell.metadata.get("nbgrader")
    return str(marks.get("grade_id", "")) if isinstance(marks, dict) else ""


def tests(original) -> dict:
    """The test cells by their names, in order."""
    return {
        grade_id(cell): cell
        for cell in original.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }


def prepared(handed_in, original):
    """The code of a student's notebook, with each test cell as it was written. Of two with one name the last counts, as for nbgrader."""
    ours, placed, cells = tests(original), set(), []
    for cell in reversed(handed_in.cells):
        name = grade_id(cell)
        if name in ours and name not in placed:
            placed.add(name)
            cells.append(ours[name])
        elif cell.cell_type == "code":
            cells.append(new_code_cell(cell.source))
    return new_notebook(cells=cells[::-1])


def run(notebook, seconds: float, megabytes: int) -> tuple[dict[str, str], str]:
    """({number of a cell that was reached: "" or its error}, why others were not). A cell may take half of the time."""
    with tempfile.TemporaryDirectory() as scratch:
        work, file, results = (
            Path(scratch, "work"),
            Path(scratch, "notebook.ipynb"),
            Path(scratch, "results.json"),
        )
        work.mkdir()
        nbformat.write(notebook, file)
        child = [
            sys.executable,
            "-I",
            run_submission.__file__,
            str(REPOSITORY),
            str(file),
            str(results),
            str(seconds / 2),
        ]
        finished = run_limited(child, work, seconds, megabytes)
        said = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    if finished.out_of_time:
        return said, f"not reached: the notebook was stopped after {seconds:g} seconds"
    last = finished.output.strip().splitlines()[-1:] or ["it ended early"]
    return said, f"not reached: {'the kernel died' if finished.code == 0 else last[0]}"


def table(submissions: list[Submission]) -> str:
    lines = []
    for submission in submissions:
        lines.append(submission.file)
        if submission.error:
            lines.append(f"  {submission.error}")
            continue
        lines.append(f"  {'exercise':20} {'points':>6} {'of':>4}  message")
        for grade in submission.grades:
            message = " ".join(grade.message.split())
            lines.append(
                f"  {grade.exercise:20} {grade.points:6g} {grade.of:4g}  {message if len(message) <= LINE else message[: LINE - 1] + '…'}".rstrip()
            )
        total = submission.as_json()
        lines.append(f"  {'together':20} {total['points']:6g} {total['of']:4g}")
    return "\n".join(lines)


def files_in(path: Path) -> list[Path]:
    """A notebook, or all in a folder and below. Raises UserError for none."""
    if not path.exists():
        raise UserError(
            f"{path} is missing: name a notebook that was handed in, or a folder of them"
        )
    files = (
        [path]
        if path.is_file()
        else sorted(
            file for file in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in file.parts
        )
    )
    if not files:
        raise UserError(f"{path} holds no notebook (*.ipynb)")
    return files


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.classroom.checks",
        description="Grade exercises that were handed in.",
    )
    parser.add_argument(
        "--student", required=True, type=Path, help="a notebook, or a folder of them"
    )
    parser.add_argument(
        "--json", type=Path, help="write the grades there (else they are printed after the table)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="time limit of a notebook; one cell may take half of it",
    )
    parser.add_argument(
        "--megabytes",
        type=int,
        default=4096,
        help="memory limit of a process; torch with CUDA may need more",
    )
    args = parser.parse_args(argv)
    if not 0 < args.seconds < 1e6 or args.megabytes < 1:
        raise UserError("--seconds and --megabytes must be above 0")
    submissions = []
    for path in files_in(args.student):
        try:
            submissions.append(grade(path, args.seconds, args.megabytes))
        except UserError as error:  # one broken file must not keep a class waiting
            submissions.append(Submission(str(path), error=str(error)))
    broken = [submission.error for submission in submissions if submission.error]
    if len(broken) < len(submissions):
        say(table(submissions))
        found = json.dumps(
            {"submissions": [submission.as_json() for submission in submissions]},
            indent=1,
            ensure_ascii=False,
        )
        if args.json:
            args.json.write_text(found + "\n", encoding="utf-8")
        else:
            say(found)
    if broken:
        raise UserError(broken[0] + (f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""))


if __name__ == "__main__":
    raise SystemExit(main())
