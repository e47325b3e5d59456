"""The report of a run in `5_task_distill_out/`: results.json, a table and pictures."""

from pathlib import Path

from tinybert_lite.pipeline.results import gather
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import REPORT_FILES
from tinybert_lite.system import processes
from tinybert_lite.system.console import counted, grid, say
from tinybert_lite.system.files import write_atomically, write_json
from tinybert_lite.system.outputs import HISTORY, MANIFEST, Outputs, read_manifest
from tinybert_lite.training.history import read_history

PICTURES = "pictures"


def write_report(workspace: Workspace, settings: Settings) -> dict:
    """Evaluate, write results.json, report.md and pictures, and print the table.

    Returns the results. Raises UserError if a model of the run has no weights yet.
    """
    results, folder = gather(workspace, settings), workspace.final_student
    if not processes.is_main():
        return results
    write_json(folder / "results.json", results)
    pictures = draw(workspace, results, folder / PICTURES)
    rows = table(results)
    say(f"\n{grid(rows)}\n\n  {summary(results)}")
    for split, scores in results["test"].items():
        metric = next(iter(scores["student"]))  # the diagnostic set has its own metric
        values = (f"{name} {found[metric]:.4f}" for name, found in scores.items())
        say(f"  {split} {metric}: {', '.join(values)}")
    write_markdown(folder / "report.md", report_lines(results, rows, pictures))
    if manifest := read_manifest(folder):  # the next run then knows that a run wrote these files
        manifest["report"] = Outputs(folder, REPORT_FILES).hashes()
        write_json(folder / MANIFEST, manifest)
    say(f"  report: {folder / 'report.md'}")
    return results


def table(results: dict) -> list[tuple[str, ...]]:
    """Return score, size and time of teacher, student and undistilled student, below a header."""
    metric, cost = results["metric"], results["cost"]
    cost = {**cost, "undistilled": cost["student"]}
    rows = [("", f"dev {metric}", "parameters", "float32 size", "time per row")]
    titles = {"teacher": "teacher", "student": "student", "undistilled": "student, undistilled"}
    for name, title in titles.items():
        if scores := results.get(name):
            rows.append(
                (
                    title,
                    f"{scores[metric]:.4f}",
                    f"{cost[name]['parameters'] / 1e6:.2f} M",
                    f"{cost[name]['bytes'] / 1e6:.1f} MB",
                    f"{cost[name]['milliseconds_a_row']:.2f} ms",
                )
            )
    return rows


def shown_scores(scores: dict[str, float]) -> dict[str, float]:
    """Return the scores without means of two scores, which are only used as a primary metric."""
    return {name: value for name, value in scores.items() if "_and_" not in name}


def retention(results: dict) -> float | None:
    """Return the student's primary metric in percent of the teacher's.

    None if that has no meaning: the teacher's score is unknown, 0 or at chance, or one of the two
    is negative.
    """
    metric, teacher = results["metric"], results.get("teacher")
    if not teacher or not results.get("teacher_above_chance", True):
        return None
    scores = teacher[metric], results["student"][metric]
    return 100 * scores[1] / scores[0] if scores[0] > 0 and scores[1] >= 0 else None


def summary(results: dict) -> str:
    """Return one to three sentences on scores, size and speed."""
    student = results["cost"]["student"]
    if not results["teacher"]:
        return (
            f"The student's dev score is {results['student'][results['metric']]:.4f}, with "
            f"{student['parameters'] / 1e6:.2f} M parameters. "
            "The teacher has no score: only the logits of the training rows are known."
        )
    teacher, kept, same = results["cost"]["teacher"], retention(results), results["agreement"]
    compared = [
        *([] if kept is None else [f"has {kept:.1f} % of the teacher's dev score"]),
        *(
            []
            if same is None
            else [f"agrees with the teacher on {100 * same:.1f} % of the dev rows"]
        ),
    ]
    smaller = teacher["parameters"] / student["parameters"]
    slower = teacher["milliseconds_a_row"] / student["milliseconds_a_row"]
    chance = (
        "No retention is given, since the teacher's dev score is not above chance, or a score is "
        "negative."
    )
    return " ".join(
        [
            *[chance] * (kept is None),
            *[f"The student {' and '.join(compared)}."] * bool(compared),
            f"The teacher has {smaller:.1f} times as many parameters and takes {slower:.1f} times "
            "as long per row here.",
        ]
    )


def report_lines(results: dict, rows: list[tuple[str, ...]], pictures: list[Path]) -> list[str]:
    """Return the lines of report.md."""
    counts = results["rows"]
    seconds = [(stage, f"{value:.1f}") for stage, value in results["seconds"].items()]
    return [
        f"# {results['task']}: teacher and student",
        "",
        summary(results),
        "",
        *markdown_table(rows),
        f"Profile {results['profile']}, seed {results['seed']}, {counts['train']} training and "
        f"{counts['dev']} dev rows. {results['machine']}, {results['device']}. "
        f"{listed(results['versions'])}.",
        "",
        *(
            f"Left out: {counted(found['rows'], 'row')} of {name}; the first is {found['first']}.\n"
            for name, found in results["left_out"].items()
        ),
        *markdown_table([("stage", "seconds"), *seconds]),
        *(f"![{path.stem.replace('_', ' ')}]({PICTURES}/{path.name})\n" for path in pictures),
    ]


def listed(versions: dict[str, str]) -> str:
    """Return versions as text, such as "python 3.12, torch 2.13"."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def markdown_table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table, header first, and an empty line at the end."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|" + "---|" * len(rows[0]), *body, ""]


def write_markdown(path: Path, lines: list[str]) -> None:
    """Write lines to a UTF-8 file."""
    write_atomically(path, "\n".join(lines).encode())


def plots_without_screen():
    """Import the package's plots, so that matplotlib opens no window (importing takes a second)."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from tinybert_lite import plots

    return plots


def draw(workspace: Workspace, results: dict, folder: Path) -> list[Path]:
    """Draw losses per term and layer, probes after each stage, and cost; return the files."""
    plots, figures = plots_without_screen(), {}
    titles = {
        workspace.general_student: "general distillation",
        workspace.mid_student: "intermediate layers",
        workspace.final_student: "prediction layer",
    }
    if workspace.why_layers_are_not_matched:
        titles.pop(workspace.mid_student)
    for place, title in titles.items():
        if events := read_history(place / HISTORY):
            figures[f"losses_{title.replace(' ', '_')}"] = plots.loss_curves(events, title)
    if results["probe_along_the_stages"]:
        figures["along_the_stages"] = plots.along_the_stages(results)
    if "teacher" in results["cost"]:
        figures["cost"] = plots.cost_card(results)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)
    return [folder / f"{name}.png" for name in figures]
