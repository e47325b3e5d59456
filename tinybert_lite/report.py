"""What a run ends with: `results.json`, the table, `report.md` and its pictures, all in `5_task_distill_out/`."""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.cost import cost
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.engine.checkpoints import HISTORY
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.files import load_model, weights_file, write_atomically, write_json
from tinybert_lite.engine.train import read_history
from tinybert_lite.evaluate import DevSet, agreement, predict, probe, scores_on_test, write_test_predictions
from tinybert_lite.models import load_bert
from tinybert_lite.outputs import MANIFEST, Outputs, read_manifest
from tinybert_lite.runtime import UserError, choose_device, machine, say, versions
from tinybert_lite.settings import Settings
from tinybert_lite.stage import REPORT_FILES
from tinybert_lite.workspace import Workspace

PROBE_ROWS = 1000
PICTURES = "pictures"


def gather(workspace: Workspace, settings: Settings) -> dict:
    """Evaluate what the stages left: see docs/results.md for the fields."""
    task, length = workspace.task, settings.task_distill_out.max_seq_length
    device = choose_device(settings.device, settings.precision)
    for folder in (workspace.task_teacher, workspace.mid_student, workspace.final_student):
        if weights_file(folder) is None:
            raise UserError(f"{folder} holds no weights yet: run the stages before the report")
    final = load_bert(workspace.final_student)
    files = {**workspace.task_files, **{split: workspace.data_file(split) for split in task.test_files}}
    dev = DevSet(task, files, final.tokenizer, length)
    train = encode_table(read_table(files["train"], task), task, final.tokenizer, length, PROBE_ROWS)
    general = workspace.general_or_given_student

    def on_device(model: Bert) -> Bert:
        return model.to(device.name).eval()

    teacher, student = on_device(load_model(workspace.task_teacher)[0]), on_device(final.model)
    teacher_logits, student_logits = (predict(model, dev.first) for model in (teacher, student))
    undistilled = on_device(load_model(workspace.baseline)[0]) if weights_file(workspace.baseline) else None
    probes = {"teacher": probe(teacher, train, dev.first), "3": probe(on_device(load_model(general)[0]), train, dev.first),
              "4": probe(on_device(load_model(workspace.mid_student)[0]), train, dev.first), "5": probe(student, train, dev.first)}
    write_test_predictions(student, task, files, final.tokenizer, length, workspace.final_student)
    models = {"teacher": teacher, "student": student} | ({"undistilled": undistilled} if undistilled else {})
    tests = scores_on_test(models, task, files, final.tokenizer, length)
    if task.diagnostic:
        other, its_files = workspace.diagnostic
        write_test_predictions(student, other, its_files, final.tokenizer, length, workspace.final_student)
        tests |= scores_on_test(models, other, its_files, final.tokenizer, length)
    results = {
        "task": task.name, "metric": task.metric, "seed": settings.seed, "profile": settings.profile,
        "teacher": dev(teacher), "student": dev(student),
        "probe_along_the_stages": probes, "agreement": agreement(teacher_logits, student_logits),
        "test": tests,
        "cost": {"teacher": cost(teacher, dev.first), "student": cost(student, dev.first)},
        "rows": {"train": len(read_table(files["train"], task).rows), "dev": len(dev.first)},
        "seconds": {stage: manifest["seconds"] for stage, manifest in manifests(workspace).items()},
        "folders": {"teacher": str(workspace.task_teacher), "student": str(workspace.final_student), "data": str(workspace.data_dir)},
        "device": str(device), "machine": machine(), "versions": versions(),
    }
    if undistilled:
        results["undistilled"] = dev(undistilled)
    results["parameters"] = {name: results["cost"][name]["parameters"] for name in ("teacher", "student")}
    return results


def manifests(workspace: Workspace) -> dict[str, dict]:
    """The manifests of the stages that this workspace's student went through, by stage."""
    folders = (workspace.teacher, workspace.augmentation, workspace.sequences, workspace.general_student, workspace.task_teacher,
               workspace.mid_student, workspace.final_student, workspace.baseline)
    found = [manifest for folder in folders if (manifest := read_manifest(folder))]
    return {manifest["stage"]: manifest for manifest in found}


def table(results: dict) -> list[tuple[str, ...]]:
    """Rows of text for the terminal and the report."""
    cost, metric = results["cost"], results["metric"]

    def row(name: str, scores: dict, parts: dict) -> tuple[str, ...]:
        return (name, f"{scores[metric]:.4f}", f"{parts['parameters'] / 1e6:.2f} M", f"{parts['bytes'] / 1e6:.1f} MB", f"{parts['milliseconds_a_row']:.2f} ms")

    rows = [("", f"dev {metric}", "parameters", "float32", "a row"), row("teacher", results["teacher"], cost["teacher"]),
            row("student", results["student"], cost["student"])]
    if "undistilled" in results:
        rows.append(row("student, undistilled", results["undistilled"], cost["student"]))
    return rows


def grid(rows: list[tuple[str, ...]]) -> str:
    """Cells under each other."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)


def shown_scores(scores: dict[str, float]) -> dict[str, float]:
    """Without the means of two of them, which only decide."""
    return {name: value for name, value in scores.items() if "_and_" not in name}


def summary(results: dict) -> str:
    cost, metric = results["cost"], results["metric"]
    smaller = cost["teacher"]["parameters"] / cost["student"]["parameters"]
    faster = cost["teacher"]["milliseconds_a_row"] / cost["student"]["milliseconds_a_row"]
    kept = results["student"][metric] / results["teacher"][metric] if results["teacher"][metric] else float("nan")
    return (f"The student keeps {100 * kept:.1f} % of the teacher's dev score, agrees with it on {100 * (results['agreement'] or 0):.1f} % of the rows, "
            f"has {smaller:.1f} × fewer parameters and is {faster:.1f} × faster here.")


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
        say(f"  {split} {metric}: " + ", ".join(f"{name} {values[metric]:.4f}" for name, values in scores.items()))
    write_atomically(folder / "report.md", report_text(results, rows, pictures).encode("utf-8"))
    manifest = read_manifest(folder)
    if manifest:  # so that the next run knows these files as its own
        manifest["report"] = Outputs(folder, REPORT_FILES).hashes()
        write_json(folder / MANIFEST, manifest)
    say(f"  report: {folder / 'report.md'}")
    return results


def report_text(results: dict, rows: list[tuple[str, ...]], pictures: list[Path]) -> str:
    lines = [f"# {results['task']}: teacher and student", "", summary(results), ""]
    lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])] + ["| " + " | ".join(row) + " |" for row in rows[1:]]
    lines += ["", f"Profile {results['profile']}, seed {results['seed']}, {results['rows']['train']} training and {results['rows']['dev']} dev rows. "
              f"{results['machine']}, {results['device']}. " + ", ".join(f"{k} {v}" for k, v in results["versions"].items()) + ".", ""]
    lines += ["| stage | seconds |", "|---|---|"] + [f"| {stage} | {seconds:.1f} |" for stage, seconds in results["seconds"].items()] + [""]
    for picture in pictures:
        lines += [f"![{picture.stem.replace('_', ' ')}]({PICTURES}/{picture.name})", ""]
    return "\n".join(lines)


def draw(workspace: Workspace, results: dict, folder: Path) -> list[Path]:
    """The report's pictures: losses per term and layer, accuracy along the stages, cost."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from tinybert_lite.classroom import plots

    folder.mkdir(parents=True, exist_ok=True)
    histories = {stage: read_history(path / HISTORY) for stage, path in (
        ("general distillation", workspace.general_student), ("intermediate layers", workspace.mid_student), ("prediction layer", workspace.final_student))}
    figures = {f"losses_{name.replace(' ', '_')}": plots.loss_curves(events, name) for name, events in histories.items() if events}
    figures["along_the_stages"] = plots.along_the_stages(results)
    figures["cost"] = plots.cost_card(results)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=110)
    plots.close(figures.values())
    return paths
