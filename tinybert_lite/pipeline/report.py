"""What a run ends with: `results.json`, the table, `report.md` and its pictures, all in `5_task_distill_out/`."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.pipeline.results import gather
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import REPORT_FILES
from tinybert_lite.system.console import grid, say
from tinybert_lite.system.files import write_atomically, write_json
from tinybert_lite.system.outputs import HISTORY, MANIFEST, Outputs, read_manifest
from tinybert_lite.training.history import read_history

PICTURES = "pictures"


def table(results: dict) -> list[tuple[str, ...]]:
    """Rows of text for the terminal and the report."""
    cost, metric = results["cost"], results["metric"]

    def row(name: str, scores: dict, parts: dict) -> tuple[str, ...]:
        return (
            name,
            f"{scores[metric]:.4f}",
            f"{parts['parameters'] / 1e6:.2f} M",
            f"{parts['bytes'] / 1e6:.1f} MB",
            f"{parts['milliseconds_a_row']:.2f} ms",
        )

    rows = [("", f"dev {metric}", "parameters", "float32", "a row")]
    rows += [
        row(name, results[name], cost[name]) for name in ("teacher", "student") if results[name]
    ]
    if "undistilled" in results:
        rows.append(row("student, undistilled", results["undistilled"], cost["student"]))
    return rows


def shown_scores(scores: dict[str, float]) -> dict[str, float]:
    """Without the means of two of them, which only decide."""
    return {name: value for name, value in scores.items() if "_and_" not in name}


def summary(results: dict) -> str:
    cost, metric = results["cost"], results["metric"]
    if not results["teacher"]:
        return (
            f"The student's dev score is {results['student'][metric]:.4f}, with {cost['student']['parameters'] / 1e6:.2f} M parameters. "
            f"Its teacher was known by logits of the training rows alone."
        )
    smaller = cost["teacher"]["parameters"] / cost["student"]["parameters"]
    faster = cost["teacher"]["milliseconds_a_row"] / cost["student"]["milliseconds_a_row"]
    kept = (
        results["student"][metric] / results["teacher"][metric]
        if results["teacher"][metric]
        else float("nan")
    )
    return (
        f"The student keeps {100 * kept:.1f} % of the teacher's dev score, agrees with it on {100 * (results['agreement'] or 0):.1f} % of the rows, "
        f"has {smaller:.1f} × fewer parameters and is {faster:.1f} × faster here."
    )


def write_report(workspace: Workspace, settings: Settings) -> dict:
    """Evaluate, write results.json, report.md and pictures, and print the table. Returns the results."""
    results = gather(workspace, settings)
    folder = workspace.final_student
    write_json(folder / "results.json", results)
    pictures = draw(workspace, results, folder / PICTURES)
    rows = table(results)
    say("\n" + grid(rows))
    say("\n  " + summary(results))
    for split, scores in results["test"].items():
        metric = next(iter(scores["student"]))  # the diagnostic set has one of its own
        say(
            f"  {split} {metric}: "
            + ", ".join(f"{name} {values[metric]:.4f}" for name, values in scores.items())
        )
    write_atomically(folder / "report.md", report_text(results, rows, pictures).encode("utf-8"))
    manifest = read_manifest(folder)
    if manifest:  # so that the next run knows these files as its own
        manifest["report"] = Outputs(folder, REPORT_FILES).hashes()
        write_json(folder / MANIFEST, manifest)
    say(f"  report: {folder / 'report.md'}")
    return results


def report_text(results: dict, rows: list[tuple[str, ...]], pictures: list[Path]) -> str:
    lines = [f"# {results['task']}: teacher and student", "", summary(results), ""]
    lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])] + [
        "| " + " | ".join(row) + " |" for row in rows[1:]
    ]
    lines += [
        "",
        f"Profile {results['profile']}, seed {results['seed']}, {results['rows']['train']} training and {results['rows']['dev']} dev rows. "
        f"{results['machine']}, {results['device']}. "
        + ", ".join(f"{k} {v}" for k, v in results["versions"].items())
        + ".",
        "",
    ]
    lines += (
        ["| stage | seconds |", "|---|---|"]
        + [f"| {stage} | {seconds:.1f} |" for stage, seconds in results["seconds"].items()]
        + [""]
    )
    for picture in pictures:
        lines += [f"![{picture.stem.replace('_', ' ')}]({PICTURES}/{picture.name})", ""]
    return "\n".join(lines)


def draw(workspace: Workspace, results: dict, folder: Path) -> list[Path]:
    """The report's pictures: losses per term and layer, accuracy along the stages, cost."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from tinybert_lite import plots

    folder.mkdir(parents=True, exist_ok=True)
    titles = {
        workspace.general_student: "general distillation",
        workspace.mid_student: "intermediate layers",
        workspace.final_student: "prediction layer",
    }
    histories = {
        title: read_history(path / HISTORY)
        for path, title in titles.items()
        if not (workspace.without_layers and path == workspace.mid_student)
    }
    figures = {
        f"losses_{name.replace(' ', '_')}": plots.loss_curves(events, name)
        for name, events in histories.items()
        if events
    }
    if results["probe_along_the_stages"]:
        figures["along_the_stages"] = plots.along_the_stages(results)
    if "teacher" in results["cost"]:
        figures["cost"] = plots.cost_card(results)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=110)
    plots.close(figures.values())
    return paths
