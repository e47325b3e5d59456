"""Run a plan, make the inputs that a stage lacks, and remove what runs wrote."""

from collections.abc import Callable
from pathlib import Path

import torch

from tinybert_lite.data.split_files import has_rows
from tinybert_lite.pipeline.check_models import check_models
from tinybert_lite.pipeline.estimate import Estimate, estimate
from tinybert_lite.pipeline.estimated_rows import estimate_rows
from tinybert_lite.pipeline.inputs import read_inputs
from tinybert_lite.pipeline.plan import (
    REPORT,
    STAGES,
    Planned,
    choose,
    make_plan,
    print_plan,
    shown,
    stages,
    to_do,
    writes_one_of,
)
from tinybert_lite.pipeline.plan_remarks import remarks
from tinybert_lite.pipeline.report import write_report
from tinybert_lite.pipeline.run_computations import Computations
from tinybert_lite.pipeline.work import WORK
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import finetune_teacher, pretrain
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage, StageResult
from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.machine import set_threads
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
    """Plan, run what is stale or missing, and report. Returns one result per stage of the plan.

    Raises UserError for inputs that are missing or that a stage would refuse, a disk that is too
    small, and a workspace in use.
    """
    names = [stage.name for stage in stages(baseline, int8)] + [REPORT]
    chosen = choose(names, first, last, only)
    processes.join(choose_device(settings.device, settings.precision).name)
    check_inputs(workspace, chosen)
    plan = make_plan(workspace, settings, chosen, force)
    if processes.is_main():
        estimated = prepare(plan, workspace, settings, REPORT in chosen)
        print_plan(plan, workspace, settings, estimated)
    processes.wait()
    if dry_run:
        return []
    with locked(workspace.root):
        results = run_plan(plan, workspace, settings, force)
        if REPORT in chosen:
            write_report(workspace, settings)
    return results


def prepare(
    plan: list[Planned], workspace: Workspace, settings: Settings, report: bool
) -> Estimate | None:
    """Open and check the inputs of the stages that have to run, of a corpus only parts.

    Returns the time, memory and disk space that the run needs; None if no stage has to run.
    Raises UserError for what a stage or the report would refuse.
    """
    todo = [item.stage for item in to_do(plan)]
    if not todo:
        return None
    set_threads(settings.threads)
    with torch.random.fork_rng():  # new parts of a model draw random weights
        check_models(workspace, settings, [stage.name for stage in todo])
    inputs = read_inputs(todo, report, workspace, settings)
    found = estimate_rows(todo, inputs, workspace, settings)
    names = [*(stage.name for stage in todo), *[REPORT] * report]
    remarks(workspace, settings, found, names)
    works = {name: WORK[name](found, settings) for name in names}
    return estimate(works, Computations(workspace, settings), settings)


def run_plan(
    plan: list[Planned], workspace: Workspace, settings: Settings, force: bool = False
) -> list[StageResult]:
    """Run the stages of a plan that have to run. Returns one result per stage of the plan."""
    results, todo = [], to_do(plan)
    for item in plan:
        if item in todo:
            say(f"── {item.stage.title} ".ljust(74, "─"))
            results.append(item.stage.run(workspace, settings, force=force))
            say(f"   {results[-1].seconds:.0f} s")
        else:
            results.append(StageResult(item.stage.name, item.folder, skipped=item.reason))
    return results


def check_inputs(workspace: Workspace, chosen: list[str]) -> None:
    """Raise UserError for a missing data file or a student that does not fit the teacher."""
    if not workspace.task.dev_files:
        raise UserError(
            f"{workspace.task_name} has no training rows, since it is a test set for another "
            "task's models: run that task, whose report includes it, or "
            "python -m tinybert_lite.evaluate"
        )
    read_rows = ("data_", "finetune", "task_", "pretrain", "baseline")
    lost = missing_rows(workspace)
    if lost and any(name.startswith(read_rows) for name in chosen):
        raise UserError(
            f"{lost} is missing: put {workspace.task_name}'s files there, name their folder with "
            "--data_dir, or fetch a public task with python -m tinybert_lite.download"
        )
    _ = workspace.student_source  # raises UserError if no student fits the teacher


def missing_rows(workspace: Workspace) -> Path | None:
    """Return the first of a task's training and dev files that does not exist, or None."""
    return next((path for path in workspace.task_files.values() if not has_rows(path)), None)


def needed(
    workspace: Workspace, upto: str, made: Callable[[Stage], bool] = lambda stage: False
) -> list[Stage]:
    """Return the stages whose outputs `upto`, a stage or the report, needs, in the order of a run.

    Stages that are `made` are left out, and so are stages that only these need.
    """
    place = [*(stage.name for stage in STAGES), REPORT].index(upto)
    read = [workspace.final_student]
    if upto != REPORT:
        read = [*STAGES[place].reads(workspace).values()]
    found: list[Stage] = []
    for stage in reversed(STAGES[:place]):
        if writes_one_of(stage, workspace, read) and not (
            stage.skip_reason(workspace) or made(stage)
        ):
            found.insert(0, stage)
            read += stage.reads(workspace).values()
    return found


def ensure(
    workspace: Workspace, settings: Settings, upto: str, quick: Settings | None = None
) -> None:
    """Make the missing inputs of a stage, so that each notebook can run alone.

    Outputs of any profile are accepted. Missing stages run with the `quick` settings, if given;
    teachers, and an interrupted run of `settings` to be resumed, run with `settings`.
    """
    for stage in needed(workspace, upto, lambda stage: _is_made(stage, stage.folder(workspace))):
        running = stage.folder(workspace) / RUNNING
        resumed = running.is_file() and read_json(running).get("profile") == settings.profile
        teacher = stage in (pretrain.STAGE, finetune_teacher.STAGE)
        stage.run(workspace, settings if resumed or teacher or not quick else quick)


def _is_made(stage: Stage, folder: Path) -> bool:
    """Whether a run has finished in `folder`, or the user has put files there instead."""
    manifest = read_manifest(folder)
    if manifest:
        return all((folder / name).is_file() for name in manifest["outputs"])
    return bool(stage.outputs(folder).files()) and not (folder / RUNNING).is_file()


def agreed(question: str, ask=input) -> bool:
    """Ask the user; False without a yes, or if there is no input to read from."""
    try:
        return ask(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def clean(workspace: Workspace, ask=input) -> None:
    """Remove what runs wrote into the stage folders, after asking."""
    outputs = [stage.outputs(stage.folder(workspace)) for stage in stages(baseline=True, int8=True)]
    found = dict.fromkeys(path for each in outputs for path in (*each.owned(), *each.stores()))
    if not found:
        say("nothing to remove: no run has written here")
        return
    say("\n".join(f"  {shown(path, workspace)}" for path in found))
    if not agreed(f"remove these {len(found)} files?", ask):
        say("nothing was removed")
        return
    for path in (*found, workspace.root / LOCK, *(each.folder / LOCK for each in outputs)):
        path.unlink(missing_ok=True)
    say(f"removed {len(found)} files; your own files and those in {ASIDE}/ were left unchanged")
