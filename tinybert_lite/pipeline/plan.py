"""The plan of a run: what each stage would do and why, and the time and disk space it needs."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.models.student import describe
from tinybert_lite.pipeline.estimate import Estimate, free_memory
from tinybert_lite.pipeline.folders import GROWN
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import (
    data_augmentation,
    finetune_teacher,
    general_distill,
    pregenerate_training_data,
    pretrain,
    quantize,
    task_distill_mid,
    task_distill_out,
    undistilled,
)
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage, stale
from tinybert_lite.system.console import counted, duration, remark, say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import machine, set_threads
from tinybert_lite.system.outputs import read_manifest

STAGES = (
    pretrain.STAGE,
    data_augmentation.STAGE,
    pregenerate_training_data.STAGE,
    general_distill.STAGE,
    finetune_teacher.STAGE,
    task_distill_mid.STAGE,
    task_distill_out.STAGE,
)
REPORT = "report"  # the name of the last step in --from, --until and --only
# The numbers in titles and folder names, and keys of the stages without a number.
STAGE_KEYS = dict(zip((GROWN, "1", "2", "3", "teacher", "4", "5"), STAGES, strict=True))


@dataclass(frozen=True)
class Planned:
    """A stage of a plan. state: "to do", "done" or "not needed" · reason: why."""

    stage: Stage
    folder: Path
    state: str
    reason: str


def stages(baseline: bool = False, int8: bool = False) -> tuple[Stage, ...]:
    """Return the stages in the order of a run; the undistilled student and 8 bits are optional."""
    return (*STAGES, *[undistilled.STAGE] * baseline, *[quantize.STAGE] * int8)


def make_plan(
    workspace: Workspace, settings: Settings, chosen: list[str], force: bool = False
) -> list[Planned]:
    """Plan the `chosen` stages (names), in the order of a run.

    If a stage has to run, so do the stages that read its output; with `force` all have to run.
    """
    plan: list[Planned] = []
    for stage in stages(baseline=True, int8=True):
        if stage.name not in chosen:
            continue
        folder = stage.folder(workspace)
        if skip_reason := stage.skip_reason(workspace):
            plan.append(Planned(stage, folder, "not needed", skip_reason))
            continue
        reads, manifest = stage.reads(workspace), read_manifest(folder)
        if force:
            reason = "run again by --force"
        elif not manifest:
            reason = "not made yet"
        elif any(writes_one_of(item.stage, workspace, reads.values()) for item in to_do(plan)):
            reason = "an earlier stage makes its input again"
        else:
            reason = stale(stage, reads, folder, settings, manifest)
        state = "to do" if reason else "done"
        plan.append(Planned(stage, folder, state, reason or "up to date"))
    return plan


def writes_one_of(stage: Stage, workspace: Workspace, paths: Iterable[Path]) -> bool:
    """Whether one of the paths is the stage's folder or a file that the stage writes into it."""
    folder = stage.folder(workspace)
    return any(
        path == folder or path.parent == folder and any(map(path.match, stage.writes))
        for path in map(Path, paths)
    )


def to_do(plan: list[Planned]) -> list[Planned]:
    """Return the stages of a plan that have to run."""
    return [item for item in plan if item.state == "to do"]


def print_plan(
    plan: list[Planned], workspace: Workspace, settings: Settings, estimated: Estimate | None
) -> None:
    """Print the plan, and the estimate if a stage has to run.

    Raises UserError if the disk has too little space for it.
    """
    teacher, student = shown(workspace.teacher, workspace), workspace.student_source
    device = choose_device(settings.device, settings.precision, workspace.teacher.width)
    say(
        f"TinyBERT Lite · task {settings.task.name} · profile {settings.profile}"
        f" · seed {settings.seed}\n"
        f"workspace {workspace.root}\n"
        f"teacher {teacher} · student {shown(student, workspace)} "
        f"({describe(student, workspace.teacher)})\n"
        f"device {device} · {counted(set_threads(settings.threads), 'thread')} · {machine()}\n"
    )
    todo = to_do(plan)
    for item in plan:
        time = f"about {duration(estimated.seconds[item.stage.name])}" if item in todo else ""
        say(f"  {item.state:10} {item.stage.title:37} {time:18} {item.reason}")
        if item in todo:
            paths = item.stage.reads(workspace).values()
            names = list(dict.fromkeys(shown(path, workspace) for path in paths))
            if len(names) > 6:
                names[3:-2] = [f"… {len(names) - 5} more"]
            say(f"  {'':10} {', '.join(names)} → {shown(item.folder, workspace)}")
    if estimated:
        _print_cost(len(todo), workspace.root, estimated, device.name)


def _print_cost(stages: int, root: Path, estimated: Estimate, device: str) -> None:
    place = next(place for place in (root, *root.parents) if place.exists())
    free, memory = shutil.disk_usage(place).free, free_memory(device)
    report = " and the report" * (REPORT in estimated.seconds)
    say(
        f"\n  to do: {counted(stages, 'stage')}{report}, "
        f"about {duration(sum(estimated.seconds.values()))} on this machine, about "
        f"{estimated.memory / 1e9:.1f} GB of memory ({memory / 1e9:.1f} GB free), "
        f"{estimated.disk / 1e6:,.0f} MB on disk ({free / 1e9:,.0f} GB free)\n"
    )
    if estimated.memory > memory:
        remark(
            f"warning: the run needs about {estimated.memory / 1e9:.1f} GB of memory and "
            f"{memory / 1e9:.1f} GB are free; end other programs, or set a smaller "
            "train_batch_size, eval_batch_size or max_seq_length with --set STAGE.NAME=VALUE"
        )
    if estimated.disk > free:
        raise UserError(
            f"{root}: the run needs about {estimated.disk / 1e6:,.0f} MB and {free / 1e6:,.0f} MB "
            "are free; free some space or name another --workspace"
        )


def shown(path: Path, workspace: Workspace) -> str:
    """Return a path as text, relative to the workspace if it is inside."""
    path = Path(path)
    return str(path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path)


def choose(names: list[str], first: str | None, last: str | None, only: str | None) -> list[str]:
    """Return the names from `first` to `last`, or `only` one; each may also be a stage's key.

    Raises UserError for an unknown name, and if `first` comes after `last`."""
    numbers = {number: stage.name for number, stage in STAGE_KEYS.items() if stage.name in names}
    for name in (first, last, only):
        if name and name not in (*names, *numbers):
            raise UserError(
                f"no stage is called {name!r}: use one of {', '.join(names)}, or one of the keys "
                f"{', '.join(numbers)}"
            )
    first, last, only = (numbers.get(name, name) for name in (first, last, only))
    if only:
        return [only]
    start, end = names.index(first or names[0]), names.index(last or names[-1])
    if start > end:
        raise UserError(f"--from {first} comes after --until {last}: swap the two")
    return names[start : end + 1]
