"""Grade exercises that were handed in.

    python -m tinybert_lite.classroom.checks --student PATH [--json FILE] [--seconds 60]

Each notebook runs in a fresh kernel, in a process with limits. Test cells are restored, hidden
tests included; a test cell that was deleted scores zero.
"""

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
MOST_BYTES = 20_000_000  # size limit of a notebook that is handed in
LINE = 110  # characters of a message in the table


@dataclass(frozen=True)
class Grade:
    """One exercise: points earned, points possible, and a message if some were not earned."""

    exercise: str
    points: float
    of: float
    message: str


@dataclass(frozen=True)
class Submission:
    """A notebook that was handed in: its file, the name of its original, and its grades.

    error: why the file could not be graded, else "".
    """

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
    """Grade one notebook.

    Raises UserError for a file that is not a notebook or has no exercise of the course.
    """
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
    """Read a notebook that was handed in. Raises UserError for any other file."""
    if path.stat().st_size > MOST_BYTES:
        most = f"{MOST_BYTES // 10**6} MB"
        raise UserError(f"{path} is larger than {most}: clear its outputs and hand it in again")
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError:
        raise
    except Exception as error:  # a damaged file raises errors of many kinds
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise UserError(
            f"{path} is not a notebook ({reason[0][:LINE]}): "
            "save it in Jupyter and hand it in again"
        ) from error
    return notebook


def original_of(notebook, path: Path) -> tuple[str, nbformat.NotebookNode]:
    """Find the course's notebook that has the most test cells in common with a submission.

    Returns its name and its version with solutions. Raises UserError if there is none.
    """
    files = sorted(SOLUTIONS.glob("*.ipynb"))
    if not files:
        raise UserError(
            f"{SOLUTIONS} has no solutions to compare with: run this in a clone of the project, "
            "installed with `pip install -e .`"
        )
    originals = {file.stem: nbformat.read(file, as_version=4) for file in files}
    marked = set(map(grade_id, notebook.cells)) - {""}
    shared = {
        name: len(marked.intersection(map(grade_id, original.cells)))
        for name, original in originals.items()
    }
    name = max(shared, key=shared.get)
    if not shared[name]:
        raise UserError(
            f"{path} has no exercise of the course: hand in a notebook made from one in "
            "notebooks/exercises/"
        )
    return name, originals[name]


def grade_id(cell) -> str:
    """Return nbgrader's name of a cell, "" if it has none."""
    marks = cell.metadata.get("nbgrader")
    return str(marks.get("grade_id", "")) if isinstance(marks, dict) else ""


def tests(original) -> dict:
    """Return the test cells of an original notebook by name, in order."""
    return {
        grade_id(cell): cell
        for cell in original.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }


def prepared(handed_in, original):
    """Return the code cells of a student's notebook with each test cell restored.

    If two test cells have the same name, the last one is graded, as in nbgrader.
    """
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
    """Run a notebook within limits of time and memory; one cell may take half of the time.

    Returns {number of each cell that ran: "" or its error}, and why the others did not run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        names = ("work", "notebook.ipynb", "results.json")
        work, file, results = (Path(scratch, name) for name in names)
        work.mkdir()
        nbformat.write(notebook, file)
        arguments = map(str, (REPOSITORY, file, results, seconds / 2))
        child = [sys.executable, "-I", run_submission.__file__, *arguments]
        finished = run_limited(child, work, seconds, megabytes)
        said = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    if finished.out_of_time:
        return said, f"not reached: the notebook was stopped after {seconds:g} seconds"
    last = finished.output.strip().splitlines()[-1:] or ["it ended early"]
    return said, f"not reached: {'the kernel died' if finished.code == 0 else last[0]}"


def table(submissions: list[Submission]) -> str:
    """Return the points of every exercise as text, with the first LINE characters of messages."""
    lines = []
    for submission in submissions:
        lines.append(submission.file)
        if submission.error:
            lines.append(f"  {submission.error}")
            continue
        lines.append(f"  {'exercise':20} {'points':>6} {'of':>4}  message")
        for grade in submission.grades:
            message = " ".join(grade.message.split())
            if len(message) > LINE:
                message = f"{message[: LINE - 1]}…"
            line = f"  {grade.exercise:20} {grade.points:6g} {grade.of:4g}  {message}"
            lines.append(line.rstrip())
        total = submission.as_json()
        lines.append(f"  {'together':20} {total['points']:6g} {total['of']:4g}")
    return "\n".join(lines)


def files_in(path: Path) -> list[Path]:
    """Return a notebook, or all in a folder and its sub-folders. Raises UserError for none."""
    if path.is_file():
        return [path]
    if not path.exists():
        raise UserError(f"{path} is missing: name a notebook that was handed in, or a folder")
    files = sorted(path.rglob("*.ipynb"))
    files = [file for file in files if ".ipynb_checkpoints" not in file.parts]
    if not files:
        raise UserError(f"{path} holds no notebook (*.ipynb): name another folder")
    return files


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.classroom.checks",
        description="Grade exercises that were handed in.",
    )
    add = parser.add_argument
    add("--student", required=True, type=Path, help="a notebook, or a folder of them")
    add("--json", type=Path, help="write the grades to this file; by default they are printed")
    limit = "time limit per notebook; one cell may take half of it"
    add("--seconds", type=float, default=60, help=limit)
    limit = "memory limit per process; torch with CUDA may need more"
    add("--megabytes", type=int, default=4096, help=limit)
    args = parser.parse_args(argv)
    if not 0 < args.seconds < 1e6 or args.megabytes < 1:
        raise UserError("--seconds and --megabytes must be above 0")
    submissions = []
    for path in files_in(args.student):
        try:
            submissions.append(grade(path, args.seconds, args.megabytes))
        except UserError as error:  # the other files are still graded
            submissions.append(Submission(str(path), error=str(error)))
    broken = [submission.error for submission in submissions if submission.error]
    if len(broken) < len(submissions):
        say(table(submissions))
        found = {"submissions": [submission.as_json() for submission in submissions]}
        found = json.dumps(found, indent=1, ensure_ascii=False)
        if args.json:
            args.json.write_text(found + "\n", encoding="utf-8")
        else:
            say(found)
    if broken:
        raise UserError(broken[0] + (f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""))


if __name__ == "__main__":
    raise SystemExit(main())
