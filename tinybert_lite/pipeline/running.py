"""The front door: plan all stages, run what is stale or missing, report.

python -m tinybert_lite.run_all
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinybert_lite.pipeline.plan import (
    REPORT,
    STAGES,
    Planned,
    _is_among,
    _shown,
    choose,
    make_plan,
    print_plan,
    stages,
)
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import finetune_teacher, pretrain, task_distill_out
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage, StageResult
from tinybert_lite.stages.teachers import check_other_teacher
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.outputs import ASIDE, LOCK, RUNNING, locked, read_manifest


def run_all(
    workspace: Workspace,
    settings: Settings,
    first: str | None = None,
    last: str | None = None,
    only: str | None = None,
    force: bool = False,
    baseline: bool = False,
    dry_run: bool = False,
    int8: bool = False,
) -> list[StageResult]:
    """Plan, run what is stale or missing, and report. Returns the stages' results."""
    names = [stage.name for stage in stages(baseline, int8)] + [REPORT]
    chosen = choose(names, first, last, only)
    check_inputs(workspace, chosen)
    plan = make_plan(workspace, settings, chosen, force, baseline, int8)
    print_plan(plan, workspace, settings)
    if dry_run:
        return []
    with locked(workspace.root):
        return run_plan(plan, workspace, settings, force, report=REPORT in chosen)


def run_plan(
    plan: list[Planned], workspace: Workspace, settings: Settings, force: bool, report: bool
) -> list[StageResult]:
    results = []
    for item in plan:
        if item.state != "to do":
            results.append(StageResult(item.stage.name, item.folder, skipped=item.reason))
            continue
        say(f"── {item.stage.title} " + "─" * max(0, 70 - len(item.stage.title)))
        results.append(item.stage.run(workspace, settings, force=force))
        say(f"   {results[-1].seconds:.0f} s")
    if report:
        from tinybert_lite.pipeline.report import write_report

        write_report(workspace, settings)
    return results


def check_inputs(workspace: Workspace, chosen: list[str]) -> None:
    """Say what is missing before minutes are spent: data files, and a student that fits the teacher."""
    if not workspace.task.dev_files:
        raise UserError(
            f"{workspace.task_name} has no training rows: it is a test for another task's models; run that task, whose report "
            f"answers {workspace.task_name}/ too, or python -m tinybert_lite.evaluate"
        )
    if any(
        name.startswith(("data_", "finetune", "task_", "pretrain", "baseline")) for name in chosen
    ):
        if lost := missing_rows(workspace):
            raise UserError(
                f"{lost} is missing: put {workspace.task_name}'s files there or name their folder with --data_dir (python -m tinybert_lite.download fetches the public ones)"
            )
    _ = workspace.student_source  # raises where none fits the teacher
    if task_distill_out.STAGE.name in chosen:
        check_other_teacher(workspace)


def missing_rows(workspace: Workspace) -> Path | None:
    """The first of a task's training and dev files that is not there."""
    return next((path for path in workspace.task_files.values() if not path.is_file()), None)


def needed(
    workspace: Workspace, upto: str, made: Callable[[Stage], bool] = lambda stage: False
) -> list[Stage]:
    """The stages whose results a stage (or the report) needs, in the order of a run; what is `made` already needs nothing more."""
    place = [*(stage.name for stage in STAGES), REPORT].index(upto)
    read = (
        [workspace.final_student] if upto == REPORT else [*STAGES[place].reads(workspace).values()]
    )
    found: list[Stage] = []
    for stage in reversed(STAGES[:place]):
        writes = [(stage.folder(workspace), stage.writes)]
        if (
            any(_is_among(path, writes) for path in read)
            and not stage.skip_reason(workspace)
            and not made(stage)
        ):
            found.append(stage)
            read += stage.reads(workspace).values()
    return found[::-1]


def ensure(
    workspace: Workspace, settings: Settings, upto: str, quick: Settings | None = None
) -> None:
    """Make whatever a stage needs and is missing; for notebooks that run alone. What is there stays, of whatever profile.

    `quick` settings serve where given, but not for a teacher, which has to know its task, nor where a full run was cut, which goes on.
    """
    for stage in needed(workspace, upto, lambda stage: _is_there(stage, stage.folder(workspace))):
        running = stage.folder(workspace) / RUNNING
        was_cut = running.is_file() and read_json(running).get("profile") == settings.profile
        in_full = quick is None or was_cut or stage in (pretrain.STAGE, finetune_teacher.STAGE)
        stage.run(workspace, settings if in_full else quick)


def _is_there(stage: Stage, folder: Path) -> bool:
    """Whether a run finished here, or the user put files of their own in its place."""
    manifest = read_manifest(folder)
    if manifest:
        return all((folder / name).is_file() for name in manifest["outputs"])
    return bool(stage.outputs(folder).files()) and not (folder / RUNNING).is_file()


def agreed(question: str, ask=input) -> bool:
    try:
        return ask(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # nobody there to ask
        return False


def clean(workspace: Workspace, ask=input) -> None:
    """Remove what runs wrote from the stage folders, after asking."""
    outputs = [stage.outputs(stage.folder(workspace)) for stage in stages(baseline=True, int8=True)]
    found = list(
        dict.fromkeys(path for output in outputs for path in (*output.owned(), *output.stores()))
    )
    if not found:
        say("nothing to remove: no run has written here")
        return
    say("\n".join(f"  {_shown(path, workspace)}" for path in found))
    if not agreed(f"remove these {len(found)} files?", ask):
        say("nothing was removed")
        return
    for path in (*found, workspace.root / LOCK, *(output.folder / LOCK for output in outputs)):
        path.unlink(missing_ok=True)
    say(
        f"removed {len(found)} files; what you put there yourself or what was moved into {ASIDE}/ is left alone"
    )
