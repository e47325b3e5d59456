"""`run_all --task all`: run every task whose files exist, and compare the results in one table."""

import argparse
from pathlib import Path

from tinybert_lite.data.tasks import OWN, TASKS, Task
from tinybert_lite.pipeline.command_line import prepared
from tinybert_lite.pipeline.report import (
    markdown_table,
    plots_without_screen,
    retention,
    shown_scores,
    write_markdown,
)
from tinybert_lite.pipeline.running import missing_rows, run_all
from tinybert_lite.pipeline.workspace import GROW, Workspace
from tinybert_lite.system.console import grid, remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json

MODELS = ("teacher", "student", "undistilled")
SUMMARY = "all_tasks"


def at_hand(root: Path, data_dir: Path | None) -> list[tuple[Task, Path | None]]:
    """Return the tasks whose training and dev files exist, with their folders in `data_dir`.

    The tasks of the package's list come first, then the user's own tasks.
    """
    own = sorted(path.parent.name for path in (data_dir or root).glob(f"*/{OWN}"))
    found = []
    for name in [*(task.name for task in TASKS.values() if task.dev_files), *own]:
        for folder in _folders(data_dir, name) if data_dir else [None]:
            workspace = Workspace.find(root, name, data_dir=folder)
            if missing_rows(workspace) is None:
                found.append((workspace.task, folder))
                break
    return found


def _folders(parent: Path, name: str) -> list[Path]:
    """Return a task's folders: by its name in any case (XNLI-zh: also XNLI) or published name."""
    published = TASKS[name].folders if name in TASKS else ()
    names = [name.lower(), name.split("-")[0].lower(), *published]
    # CLUE's archive of CLUEWSC holds a folder in a folder.
    folders = [path for path in sorted(parent.glob("*")) if path.is_dir()]
    inner = [path / name for path in folders for name in published if (path / name).is_dir()]
    found = [path for path in folders + inner if path.name.lower() in names]
    return sorted(found, key=lambda path: (path.name != name, names.index(path.name.lower())))


def run_all_tasks(args: argparse.Namespace) -> int:
    """Run the tasks one after the other. Returns the exit code: 2 if one failed.

    A failed task is listed in the summary and does not stop the others. Raises UserError for flags
    that are for one task only, and if there is no task to run.
    """
    root = Workspace.find(args.workspace).root
    one_task = args.task_teacher, args.teacher_logits, args.only, args.clean
    if args.teacher_model == GROW or any(one_task):
        raise UserError(
            "--task all runs all stages of each task with one general teacher: name one task, or "
            "leave out --task_teacher, --teacher_logits, --only, --clean and --teacher_model grow"
        )
    tasks = at_hand(root, Path(args.data_dir) if args.data_dir else None)
    if not tasks:
        raise UserError(
            f"{args.data_dir or root} has no folder of a task, such as RTE/, with training and dev "
            "rows (train.tsv and dev.tsv, or JSON, CSV, Parquet): put GLUE's or CLUE's folders "
            "there, or name the folder that contains them with --data_dir"
        )
    names = [task.name for task, _ in tasks]
    languages = {task.language for task, _ in tasks}
    lost = [
        name
        for name, task in TASKS.items()
        if task.dev_files and name not in names and not name.startswith("XNLI")
        if task.language in languages
    ]
    missing = f" (no rows of {', '.join(lost)} in {args.data_dir or root})" if lost else ""
    say(f"tasks: {', '.join(names)}{missing}")
    results, failed = {}, {}
    for number, (task, folder) in enumerate(tasks, 1):
        say(f"\n== {task.name}, {number} of {len(tasks)} ==")
        settings, workspace = prepared(args, task.name, folder)
        try:
            run_all(
                workspace,
                settings,
                args.first,
                args.last,
                force=args.force,
                baseline=args.baseline,
                dry_run=args.dry_run,
                int8=args.int8,
            )
            if not args.dry_run and not args.last:
                results[task.name] = read_json(workspace.final_student / "results.json")
        except UserError as error:
            failed[task.name] = str(error)
            remark(f"error: {task.name}: {error}")
    if results:
        write_summary(Workspace.find(root).final_student, results, failed)
    return 2 if failed else 0


def rows_of(results: dict[str, dict]) -> list[tuple[str, ...]]:
    """Return the table's rows: the dev scores of each task's models, and the mean over all tasks.

    The mean is that of the primary metrics, and is given only for models that every task has.
    """
    models = [model for model in MODELS if any(result.get(model) for result in results.values())]
    rows = [("task", "scores", *models, "retention", "training rows")]
    for name, result in results.items():
        scores = [shown_scores(result.get(model) or {}).values() for model in models]
        kept = retention(result)
        rows.append(
            (
                name,
                ", ".join(shown_scores(result["student"])),
                *(" / ".join(f"{value:.4f}" for value in each) or "–" for each in scores),
                "–" if kept is None else f"{kept:.1f} %",
                str(result["rows"]["train"]),
            )
        )
    if len(results) > 1:
        means = []
        for model in models:
            scores = [
                result[model][result["metric"]] for result in results.values() if result.get(model)
            ]
            complete = len(scores) == len(results)
            means.append(f"{sum(scores) / len(scores):.4f}" if complete else "–")
        rows.append(("mean", "primary metrics", *means, "", ""))
    return rows


def write_summary(folder: Path, results: dict[str, dict], failed: dict[str, str]) -> None:
    """Write `all_tasks.json`, `all_tasks.md` and `all_tasks.png`, and print the table."""
    rows = rows_of(results)
    say(f"\n{grid(rows)}")
    folder.mkdir(parents=True, exist_ok=True)
    plots_without_screen().across_tasks(results).savefig(folder / f"{SUMMARY}.png", dpi=110)
    failures = [f"- {name} failed: {reason}" for name, reason in failed.items()]
    picture = f"![dev scores of all tasks]({SUMMARY}.png)"
    lines = ["# All tasks", "", *markdown_table(rows), *failures, "", picture, ""]
    write_markdown(folder / f"{SUMMARY}.md", lines)
    write_json(folder / f"{SUMMARY}.json", {"results": results, "failed": failed})
    say(f"  all tasks: {folder / 'all_tasks.md'}")
