"""The front door: plan all stages, run what is stale or missing, report.

python -m tinybert_lite.run_all
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.corpora import corpus_files
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import (
    data_augmentation,
    finetune_teacher,
    general_distill,
    pregenerate_training_data,
    pretrain,
    quantize,
    task_distill,
    undistilled,
)
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage, stale
from tinybert_lite.system.console import say
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import machine, set_threads
from tinybert_lite.system.outputs import read_manifest

STAGES: tuple[Stage, ...] = (
    pretrain.STAGE,
    data_augmentation.STAGE,
    pregenerate_training_data.STAGE,
    general_distill.STAGE,
    finetune_teacher.STAGE,
    task_distill.MID,
    task_distill.OUT,
)
REPORT = "report"
# Seconds on two CPU cores, for the plan's first estimate; afterwards the last run's own time is shown.
TYPICAL_SECONDS = {
    "smoke": dict(
        pretrain=3,
        data_augmentation=2,
        pregenerate_training_data=1,
        general_distill=2,
        finetune_teacher=3,
        task_distill_mid=3,
        task_distill_out=2,
        baseline=2,
        quantize=3,
    ),
    "classroom": dict(
        pretrain=73,
        data_augmentation=13,
        pregenerate_training_data=1,
        general_distill=46,
        finetune_teacher=31,
        task_distill_mid=52,
        task_distill_out=34,
        baseline=17,
        quantize=40,
    ),
}


@dataclass(frozen=True)
class Planned:
    stage: Stage
    folder: Path
    state: str  # "done", "to do", "not needed"
    reason: str
    seconds: float | None


def stages(baseline: bool, int8: bool = False) -> tuple[Stage, ...]:
    """Those of every run, with the undistilled student and the 8-bit one where asked for."""
    return (*STAGES, *[undistilled.STAGE] * baseline, *[quantize.STAGE] * int8)


def make_plan(
    workspace: Workspace,
    settings: Settings,
    chosen: list[str],
    force: bool = False,
    baseline: bool = False,
    int8: bool = False,
) -> list[Planned]:
    """What each chosen stage would do. A stage whose inputs come from one that runs again runs again as well."""
    plan: list[Planned] = []
    for stage in stages(baseline, int8):
        if stage.name not in chosen:
            continue
        needless, folder = stage.needless(workspace), stage.folder(workspace)
        manifest = read_manifest(folder)
        typical = TYPICAL_SECONDS.get(settings.profile, {}).get(stage.name)
        same = (
            manifest and manifest["stage"] == stage.name and manifest["profile"] == settings.profile
        )
        seconds = manifest["seconds"] if same else typical
        if needless:
            plan.append(Planned(stage, folder, "not needed", needless, None))
            continue
        reason = "asked for" if force else ""
        remade = [(item.folder, item.stage.writes) for item in plan if item.state == "to do"]
        if not reason and not manifest:
            reason = "not made yet"
        if not reason and any(_is_among(path, remade) for path in stage.reads(workspace).values()):
            reason = "what it reads is made again"
        if not reason:
            reason = stale(stage, stage.reads(workspace), folder, settings, manifest)
        state = "to do" if reason else "done"
        plan.append(Planned(stage, folder, state, reason or "up to date", seconds))
    return plan


def _is_among(path: Path, remade: list[tuple[Path, tuple[str, ...]]]) -> bool:
    """Whether a stage that runs again writes this folder or this file."""
    path = Path(path)
    return any(
        path == folder or path.parent == folder and any(path.match(pattern) for pattern in patterns)
        for folder, patterns in remade
    )


def print_plan(plan: list[Planned], workspace: Workspace, settings: Settings) -> None:
    say(
        f"TinyBERT Lite · task {settings.task.name} · profile {settings.profile} · seed {settings.seed}"
    )
    say(f"workspace {workspace.root}")
    say(
        f"teacher {_shown(workspace.teacher, workspace)} · student {_shown(workspace.student_source, workspace)}"
    )
    say(
        f"device {choose_device(settings.device, settings.precision)} · {set_threads(settings.threads)} threads · {machine()}"
    )
    say("")
    for item in plan:
        time = f"about {item.seconds:.0f} s" if item.seconds and item.state == "to do" else ""
        say(f"  {item.state:10} {item.stage.title:37} {time:12} {item.reason}")
        if item.state == "to do":
            names = list(
                dict.fromkeys(
                    _shown(path, workspace) for path in item.stage.reads(workspace).values()
                )
            )
            reads = ", ".join(
                names if len(names) < 7 else [*names[:3], f"… {len(names) - 5} more", *names[-2:]]
            )
            say(f"  {'':10} {reads} → {_shown(item.folder, workspace)}")
    todo = [item for item in plan if item.state == "to do"]
    if todo:
        known = [item.seconds for item in todo if item.seconds]
        disk = disk_need(workspace, settings, todo)
        free = shutil.disk_usage(
            next(place for place in (workspace.root, *workspace.root.parents) if place.exists())
        ).free
        time = (
            f"about {sum(known) / 60:.1f} minutes on two CPU cores, "
            if len(known) == len(todo)
            else ""
        )
        say(
            f"\n  to do: {len(todo)} stages, {time}about {disk / 1e6:,.0f} MB on disk ({free / 1e9:,.0f} GB free)\n"
        )
        if disk > free:
            raise UserError(
                f"{workspace.root}: the run needs about {disk / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free; make room or name another --workspace"
            )


def _shown(path: Path, workspace: Workspace) -> str:
    path = Path(path)
    return (
        str(path.relative_to(workspace.root)) if path.is_relative_to(workspace.root) else str(path)
    )


def disk_need(workspace: Workspace, settings: Settings, todo: list[Planned]) -> int:
    """A rough upper bound in bytes: weights a saved epoch, resume states (three times the weights), text."""

    def weights(config, vocab_size: int) -> int:
        per_layer = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
        return 4 * (vocab_size * config.hidden_size + config.num_hidden_layers * per_layer)

    student, teacher = workspace.student_source.config, workspace.teacher
    vocab_size, teacher_size = settings.pretrain.vocab_size, 4 * 8_000_000  # of a grown teacher
    if teacher.weights_file:
        vocab_size = student.vocab_size
        teacher_size = weights(teacher.config, teacher.config.vocab_size)
    size, need = weights(student, vocab_size), 0
    for item in todo:
        options = getattr(settings, item.stage.name)
        if item.stage.name == "data_augmentation":
            need += (
                workspace.data_file("train").stat().st_size * (1 + options.N)
                if workspace.data_file("train").is_file()
                else 0
            )
        elif item.stage.name == "pregenerate_training_data":
            need += (
                3
                * sum(
                    file.stat().st_size
                    for file in corpus_files(workspace.corpora)
                    if file.is_file()
                )
                * options.epochs_to_generate
                * options.dupe_factor
            )
        elif item.stage.name in ("pretrain", "finetune_teacher"):
            need += 4 * teacher_size
        else:
            need += int(size * (4 + options.num_train_epochs))
    return need


def choose(names: list[str], first: str | None, last: str | None, only: str | None) -> list[str]:
    """The stages between --from and --until, or --only one."""
    for name in (first, last, only):
        if name and name not in names:
            raise UserError(f"no stage is called {name!r}: there are {', '.join(names)}")
    if only:
        return [only]
    start, end = names.index(first) if first else 0, names.index(last) if last else len(names) - 1
    if start > end:
        raise UserError(f"--from {first} comes after --until {last}")
    return names[start : end + 1]
