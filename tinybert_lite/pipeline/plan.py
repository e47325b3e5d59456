"""The plan of a run: what each stage would do and why, and the time and disk space it needs."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.corpora import corpus_files
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.student import described
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
from tinybert_lite.system.console import say
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
# Seconds per stage on two CPU cores: the estimate before a stage has run for the first time.
TYPICAL_SECONDS = {
    "smoke": {
        "pretrain": 3,
        "data_augmentation": 2,
        "pregenerate_training_data": 1,
        "general_distill": 2,
        "finetune_teacher": 3,
        "task_distill_mid": 3,
        "task_distill_out": 2,
        "baseline": 2,
        "quantize": 3,
    },
    "classroom": {
        "pretrain": 73,
        "data_augmentation": 13,
        "pregenerate_training_data": 1,
        "general_distill": 46,
        "finetune_teacher": 31,
        "task_distill_mid": 52,
        "task_distill_out": 34,
        "baseline": 17,
        "quantize": 40,
    },
}


@dataclass(frozen=True)
class Planned:
    """One stage of a plan. `state`: "to do", "done" or "not needed"; `reason`: its reason."""

    stage: Stage
    folder: Path
    state: str
    reason: str
    seconds: float | None = None  # of the last run with this profile, else typical ones


def stages(baseline: bool = False, int8: bool = False) -> tuple[Stage, ...]:
    """The stages in the order of a run, optionally with the undistilled student and 8 bits."""
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
        seconds = TYPICAL_SECONDS.get(settings.profile, {}).get(stage.name)
        if manifest and (manifest["stage"], manifest["profile"]) == (stage.name, settings.profile):
            seconds = manifest["seconds"]
        if force:
            reason = "run again by --force"
        elif not manifest:
            reason = "not made yet"
        elif any(writes_one_of(item.stage, workspace, reads.values()) for item in to_do(plan)):
            reason = "an earlier stage makes its input again"
        else:
            reason = stale(stage, reads, folder, settings, manifest)
        state = "to do" if reason else "done"
        plan.append(Planned(stage, folder, state, reason or "up to date", seconds))
    return plan


def writes_one_of(stage: Stage, workspace: Workspace, paths: Iterable[Path]) -> bool:
    """Whether a path is the stage's folder or a file that the stage writes into it."""
    folder = stage.folder(workspace)
    return any(
        path == folder or path.parent == folder and any(map(path.match, stage.writes))
        for path in map(Path, paths)
    )


def to_do(plan: list[Planned]) -> list[Planned]:
    """The stages of a plan that have to run."""
    return [item for item in plan if item.state == "to do"]


def print_plan(plan: list[Planned], workspace: Workspace, settings: Settings) -> None:
    """Print the plan. Raises UserError if the disk has too little space for it."""
    teacher, student = shown(workspace.teacher, workspace), workspace.student_source
    device = choose_device(settings.device, settings.precision)
    say(
        f"TinyBERT Lite · task {settings.task.name} · profile {settings.profile}"
        f" · seed {settings.seed}\n"
        f"workspace {workspace.root}\n"
        f"teacher {teacher} · student {shown(student, workspace)} "
        f"({described(student, workspace.teacher)})\n"
        f"device {device} · {set_threads(settings.threads)} threads · {machine()}\n"
    )
    todo = to_do(plan)
    for item in plan:
        time = f"about {item.seconds:.0f} s" if item.seconds and item in todo else ""
        say(f"  {item.state:10} {item.stage.title:37} {time:12} {item.reason}")
        if item in todo:
            paths = item.stage.reads(workspace).values()
            names = list(dict.fromkeys(shown(path, workspace) for path in paths))
            if len(names) > 6:
                names[3:-2] = [f"… {len(names) - 5} more"]
            say(f"  {'':10} {', '.join(names)} → {shown(item.folder, workspace)}")
    if todo:
        _print_cost(todo, workspace, settings)


def _print_cost(todo: list[Planned], workspace: Workspace, settings: Settings) -> None:
    seconds = [item.seconds for item in todo if item.seconds]
    time = f"about {sum(seconds) / 60:.1f} minutes on two CPU cores, "
    root, need = workspace.root, disk_need(workspace, settings, todo)
    free = shutil.disk_usage(next(place for place in (root, *root.parents) if place.exists())).free
    say(
        f"\n  to do: {len(todo)} stages, {time if len(seconds) == len(todo) else ''}"
        f"about {need / 1e6:,.0f} MB on disk ({free / 1e9:,.0f} GB free)\n"
    )
    if need > free:
        raise UserError(
            f"{root}: the run needs about {need / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free; "
            f"free some space or name another --workspace"
        )


def shown(path: Path, workspace: Workspace) -> str:
    """The path as text, relative to the workspace if it is in there."""
    path = Path(path)
    return str(path.relative_to(workspace.root) if path.is_relative_to(workspace.root) else path)


def disk_need(workspace: Workspace, settings: Settings, todo: list[Planned]) -> int:
    """Estimate an upper bound of the bytes that the stages write.

    It counts texts, the weights of each saved epoch, and saved states (three times the weights).
    """
    student, teacher = _weight_bytes(workspace.student_source), 4 * 8_000_000
    if workspace.teacher.weights_file:
        teacher = _weight_bytes(workspace.teacher)
    need = 0
    for item in todo:
        options = getattr(settings, item.stage.name)
        match item.stage.name:
            case "data_augmentation":
                need += _text_bytes([workspace.data_file("train")]) * (1 + options.N)
            case "pregenerate_training_data":
                copies = options.epochs_to_generate * options.dupe_factor
                need += 3 * _text_bytes(corpus_files(workspace.corpora)) * copies
            case "pretrain" | "finetune_teacher":
                need += 4 * teacher
            case _:
                need += int(student * (4 + options.num_train_epochs))
    return need


def _weight_bytes(model: ModelFolder) -> int:
    """Bytes of a BERT in float32: word embeddings and the matrices of the layers."""
    config = model.config
    width = config.hidden_size
    per_layer = 4 * width**2 + 2 * width * getattr(config, "intermediate_size", 4 * width)
    return 4 * (config.vocab_size * width + config.num_hidden_layers * per_layer)


def _text_bytes(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def choose(names: list[str], first: str | None, last: str | None, only: str | None) -> list[str]:
    """Return the names from `first` to `last`, or `only` one.

    Raises UserError for an unknown name, and if `first` comes after `last`."""
    for name in (first, last, only):
        if name and name not in names:
            raise UserError(f"no stage is called {name!r}: use one of {', '.join(names)}")
    if only:
        return [only]
    start, end = names.index(first or names[0]), names.index(last or names[-1])
    if start > end:
        raise UserError(f"--from {first} comes after --until {last}: swap the two")
    return names[start : end + 1]
