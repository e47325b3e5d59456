"""`run_all --task all`: every task whose rows are at hand, one after the other, and one table of them in the end."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinybert_lite.data.tasks import OWN, TASKS, Task
from tinybert_lite.pipeline.command_line import prepared
from tinybert_lite.pipeline.report import shown_scores
from tinybert_lite.pipeline.running import missing_rows, run_all
from tinybert_lite.pipeline.workspace import GROW, Workspace
from tinybert_lite.system.console import grid, remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json

MODELS = ("teacher", "student", "undistilled")
SUMMARY = "all_tasks"


def at_hand(root: Path, data_dir: Path | None) -> list[tuple[Task, Path | None]]:
    """Tasks with training and dev rows: the list's, then a workspace's own; and their folder where `data_dir` holds them all."""
    own = sorted(path.parent.name for path in (data_dir or root).glob(f"*/{OWN}"))
    found = []
    for name in [*(task.name for task in TASKS.values() if task.dev_files), *own]:
        folders = (
            [data_dir / folder for folder in (name, name.split("-")[0])] if data_dir else [None]
        )
        for folder in [folder for folder in folders if folder is None or folder.is_dir()]:
            workspace = Workspace.find(root, name, data_dir=folder)
            if missing_rows(workspace) is None:
                found.append((workspace.task, folder))
                break
    return found


def run_all_tasks(args: argparse.Namespace) -> int:
    """Run them; a task that fails is named in the table, and the others go on. Returns the exit code: 2 where one failed."""
    root = Workspace.find(args.workspace).root
    if (
        args.teacher_model == GROW
        or args.task_teacher
        or args.teacher_logits
        or args.only
        or args.clean
    ):
        raise UserError(
            "--task all goes with one general teacher and all stages: name a task for --teacher_model grow, --task_teacher, --teacher_logits, --only or --clean"
        )
    tasks = at_hand(root, Path(args.data_dir) if args.data_dir else None)
    if not tasks:
        raise UserError(
            f"{args.data_dir or root} holds no task's folder with train.tsv and dev.tsv, such as RTE/; put GLUE's folders there or name theirs with --data_dir"
        )
    lost = [
        name
        for name, task in TASKS.items()
        if task.dev_files
        and task not in [found for found, _ in tasks]
        and not name.startswith("XNLI")
    ]
    say(
        f"tasks: {', '.join(task.name for task, _ in tasks)}"
        + (f" (no rows of {', '.join(lost)} in {args.data_dir or root})" if lost else "")
    )
    results, failed = {}, {}
    for number, (task, folder) in enumerate(tasks, 1):
        say(f"\n== {task.name}, {number} of {len(tasks)} ==")
        settings, workspace = prepared(args, task.name, str(folder) if folder else None)
        try:
            run_all(
                workspace,
                settings,
                args.first,
                args.last,
                None,
                args.force,
                args.baseline,
                args.dry_run,
                args.int8,
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
    """The table's rows: each task's dev scores by model, and what the student keeps of its teacher's."""
    models = [model for model in MODELS if any(result.get(model) for result in results.values())]
    rows = [("task", "scores", *models, "kept", "train rows")]
    for name, result in results.items():
        scores = [result.get(model) for model in models]
        metric = result["metric"]
        kept = (
            f"{100 * result['student'][metric] / result['teacher'][metric]:.1f} %"
            if result.get("teacher") and result["teacher"][metric] > 0
            else "–"
        )
        names = ", ".join(shown_scores(result["student"]))
        rows.append(
            (
                name,
                names,
                *(
                    " / ".join(f"{value:.4f}" for value in shown_scores(of).values()) if of else "–"
                    for of in scores
                ),
                kept,
                str(result["rows"]["train"]),
            )
        )
    if len(results) > 1:
        means = [
            [result[model][result["metric"]] for result in results.values() if result.get(model)]
            for model in models
        ]
        rows.append(
            (
                "mean",
                "of what decides",
                *(
                    f"{sum(values) / len(values):.4f}" if len(values) == len(results) else "–"
                    for values in means
                ),
                "",
                "",
            )
        )
    return rows


def write_summary(folder: Path, results: dict[str, dict], failed: dict[str, str]) -> None:
    """`all_tasks.json`, `all_tasks.md` and a picture into `folder`; the table on the terminal."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from tinybert_lite import plots

    rows = rows_of(results)
    say("\n" + grid(rows))
    figure = plots.across_tasks(results)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{SUMMARY}.png", dpi=110)
    plots.close([figure])
    lines = [
        "# All tasks at hand",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|" + "---|" * len(rows[0]),
        *("| " + " | ".join(row) + " |" for row in rows[1:]),
        "",
    ]
    lines += (
        [f"- {name} failed: {reason}" for name, reason in failed.items()]
        + [""] * bool(failed)
        + [f"![dev scores of all tasks]({SUMMARY}.png)", ""]
    )
    write_atomically(folder / f"{SUMMARY}.md", "\n".join(lines).encode("utf-8"))
    write_json(folder / f"{SUMMARY}.json", {"results": results, "failed": failed})
    say(f"  all tasks: {folder / 'all_tasks.md'}")
