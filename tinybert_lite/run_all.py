"""The front door: plan all stages, run what is stale or missing, report.

    python -m tinybert_lite.run_all
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tinybert_lite import (
    data_augmentation,
    finetune_teacher,
    general_distill,
    pregenerate_training_data,
    pretrain,
    quantize,
    task_distill,
    undistilled,
)
from tinybert_lite.engine.files import read_config, read_json, weights_file
from tinybert_lite.foreign.corpora import corpus_files
from tinybert_lite.foreign.teachers import check_other_teacher
from tinybert_lite.models import local_folder
from tinybert_lite.outputs import ASIDE, LOCK, RUNNING, locked, read_manifest
from tinybert_lite.runtime import (
    PRECISIONS,
    UserError,
    choose_device,
    command,
    machine,
    need_one_process,
    say,
    set_threads,
)
from tinybert_lite.settings import PROFILES, Settings, profile
from tinybert_lite.stage import Stage, StageResult, stale
from tinybert_lite.workspace import GROW, Workspace

STAGES: tuple[Stage, ...] = (
    pretrain.STAGE, data_augmentation.STAGE, pregenerate_training_data.STAGE, general_distill.STAGE,
    finetune_teacher.STAGE, task_distill.MID, task_distill.OUT,
)
REPORT = "report"
ALL = "all"  # --task all
# Seconds on two CPU cores, for the plan's first estimate; afterwards the last run's own time is shown.
TYPICAL_SECONDS = {
    "smoke": dict(pretrain=3, data_augmentation=2, pregenerate_training_data=1, general_distill=2, finetune_teacher=3,
                  task_distill_mid=3, task_distill_out=2, baseline=2, quantize=3),
    "classroom": dict(pretrain=73, data_augmentation=13, pregenerate_training_data=1, general_distill=46,
                      finetune_teacher=31, task_distill_mid=52, task_distill_out=34, baseline=17, quantize=40),
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


def make_plan(workspace: Workspace, settings: Settings, chosen: list[str], force: bool = False, baseline: bool = False,
              int8: bool = False) -> list[Planned]:
    """What each chosen stage would do. A stage whose inputs come from one that runs again runs again as well."""
    plan: list[Planned] = []
    for stage in stages(baseline, int8):
        if stage.name not in chosen:
            continue
        needless, folder = stage.needless(workspace), stage.folder(workspace)
        manifest = read_manifest(folder)
        typical = TYPICAL_SECONDS.get(settings.profile, {}).get(stage.name)
        same = manifest and manifest["stage"] == stage.name and manifest["profile"] == settings.profile
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
    return any(path == folder or path.parent == folder and any(path.match(pattern) for pattern in patterns) for folder, patterns in remade)


def print_plan(plan: list[Planned], workspace: Workspace, settings: Settings) -> None:
    say(f"TinyBERT Lite · task {settings.task.name} · profile {settings.profile} · seed {settings.seed}")
    say(f"workspace {workspace.root}")
    say(f"teacher {_shown(workspace.teacher, workspace)} · student {_shown(workspace.student_source, workspace)}")
    say(f"device {choose_device(settings.device, settings.precision)} · {set_threads(settings.threads)} threads · {machine()}")
    say("")
    for item in plan:
        time = f"about {item.seconds:.0f} s" if item.seconds and item.state == "to do" else ""
        say(f"  {item.state:10} {item.stage.title:37} {time:12} {item.reason}")
        if item.state == "to do":
            names = list(dict.fromkeys(_shown(path, workspace) for path in item.stage.reads(workspace).values()))
            reads = ", ".join(names if len(names) < 7 else [*names[:3], f"… {len(names) - 5} more", *names[-2:]])
            say(f"  {'':10} {reads} → {_shown(item.folder, workspace)}")
    todo = [item for item in plan if item.state == "to do"]
    if todo:
        known = [item.seconds for item in todo if item.seconds]
        disk = disk_need(workspace, settings, todo)
        free = shutil.disk_usage(next(place for place in (workspace.root, *workspace.root.parents) if place.exists())).free
        time = f"about {sum(known) / 60:.1f} minutes on two CPU cores, " if len(known) == len(todo) else ""
        say(f"\n  to do: {len(todo)} stages, {time}about {disk / 1e6:,.0f} MB on disk ({free / 1e9:,.0f} GB free)\n")
        if disk > free:
            raise UserError(f"{workspace.root}: the run needs about {disk / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free; make room or name another --workspace")


def _shown(path: Path, workspace: Workspace) -> str:
    return str(path.relative_to(workspace.root)) if path.is_relative_to(workspace.root) else str(path)


def disk_need(workspace: Workspace, settings: Settings, todo: list[Planned]) -> int:
    """A rough upper bound in bytes: weights a saved epoch, resume states (three times the weights), text."""
    def weights(config) -> int:
        per_layer = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
        return 4 * (config.vocab_size * config.hidden_size + config.num_hidden_layers * per_layer)

    student = read_config(workspace.student_source)
    teacher_size = weights(read_config(workspace.teacher)) if not weights_file(workspace.teacher) is None else 4 * 8_000_000
    if weights_file(workspace.teacher) is None:
        student.vocab_size = settings.pretrain.vocab_size
    size, need = weights(student), 0
    for item in todo:
        options = getattr(settings, item.stage.name)
        if item.stage.name == "data_augmentation":
            need += workspace.data_file("train").stat().st_size * (1 + options.N) if workspace.data_file("train").is_file() else 0
        elif item.stage.name == "pregenerate_training_data":
            need += 3 * sum(file.stat().st_size for file in corpus_files(workspace.corpora) if file.is_file()) * options.epochs_to_generate * options.dupe_factor
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
    return names[start:end + 1]


def run_all(workspace: Workspace, settings: Settings, first: str | None = None, last: str | None = None, only: str | None = None,
            force: bool = False, baseline: bool = False, dry_run: bool = False, int8: bool = False) -> list[StageResult]:
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


def run_plan(plan: list[Planned], workspace: Workspace, settings: Settings, force: bool, report: bool) -> list[StageResult]:
    results = []
    for item in plan:
        if item.state != "to do":
            results.append(StageResult(item.stage.name, item.folder, skipped=item.reason))
            continue
        say(f"── {item.stage.title} " + "─" * max(0, 70 - len(item.stage.title)))
        results.append(item.stage.run(workspace, settings, force=force))
        say(f"   {results[-1].seconds:.0f} s")
    if report:
        from tinybert_lite.report import write_report

        write_report(workspace, settings)
    return results


def check_inputs(workspace: Workspace, chosen: list[str]) -> None:
    """Say what is missing before minutes are spent: data files, and a student that fits the teacher."""
    if not workspace.task.dev_files:
        raise UserError(f"{workspace.task_name} has no training rows: it is a test for another task's models; run that task, whose report "
                        f"answers {workspace.task_name}/ too, or python -m tinybert_lite.evaluate")
    if any(name.startswith(("data_", "finetune", "task_", "pretrain", "baseline")) for name in chosen):
        if lost := missing_rows(workspace):
            raise UserError(f"{lost} is missing: put {workspace.task_name}'s files there or name their folder with --data_dir (python -m tinybert_lite.download fetches the public ones)")
    _ = workspace.student_source  # raises where none fits the teacher
    if task_distill.OUT.name in chosen:
        check_other_teacher(workspace)


def missing_rows(workspace: Workspace) -> Path | None:
    """The first of a task's training and dev files that is not there."""
    return next((path for path in workspace.task_files.values() if not path.is_file()), None)


def needed(workspace: Workspace, upto: str, made: Callable[[Stage], bool] = lambda stage: False) -> list[Stage]:
    """The stages whose results a stage (or the report) needs, in the order of a run; what is `made` already needs nothing more."""
    place = [*(stage.name for stage in STAGES), REPORT].index(upto)
    read = [workspace.final_student] if upto == REPORT else [*STAGES[place].reads(workspace).values()]
    found: list[Stage] = []
    for stage in reversed(STAGES[:place]):
        writes = [(stage.folder(workspace), stage.writes)]
        if any(_is_among(path, writes) for path in read) and not stage.needless(workspace) and not made(stage):
            found.append(stage)
            read += stage.reads(workspace).values()
    return found[::-1]


def ensure(workspace: Workspace, settings: Settings, upto: str, quick: Settings | None = None) -> None:
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
    found = list(dict.fromkeys(path for output in outputs for path in (*output.owned(), *output.stores())))
    if not found:
        say("nothing to remove: no run has written here")
        return
    say("\n".join(f"  {_shown(path, workspace)}" for path in found))
    if not agreed(f"remove these {len(found)} files?", ask):
        say("nothing was removed")
        return
    for path in (*found, workspace.root / LOCK, *(output.folder / LOCK for output in outputs)):
        path.unlink(missing_ok=True)
    say(f"removed {len(found)} files; what you put there yourself or what was moved into {ASIDE}/ is left alone")


def shared_flags(found: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What every command over all stages takes."""
    add = found.add_argument
    add("--profile", default="classroom", help=" | ".join(PROFILES))
    add("--task", default="SST-2", help="one of GLUE's, SNLI, XNLI-zh …, ChnSentiCorp, one of your own (own_data), or all that are at hand")
    add("--data_dir", help="folder with train.tsv, dev.tsv (and test.tsv); with --task all, of the tasks' folders")
    add("--corpus", nargs="+", metavar="PATH", help="text for stages 2 and 3: files, folders or patterns (default: wiki* in 1_pre_data/, else documents.txt)")
    add("--teacher_model", help="the general teacher: a BERT folder or hub name; grow: a small one made from the text at hand")
    add("--task_teacher", help="a teacher fine-tuned on the task; any Hugging Face sequence classifier, for stage 5 alone where it is not a BERT")
    add("--teacher_logits", metavar="FILE", help="instead of a task teacher: its logits of the training rows (.npy, or a TSV headed by the labels)")
    add("--student_model", help="a config.json, or a whole student, which skips stages 2 and 3")
    add("--workspace", help="where the numbered folders are")
    add("--device", default="auto", help="auto | cpu | cuda | mps")
    add("--precision", default="auto", help=" | ".join(PRECISIONS))
    add("--threads", type=int, default=0)
    add("--dry-run", action="store_true", help="print the plan and stop")
    add("--set", dest="assignments", action="append", default=[], metavar="stage.field=value")
    return found


def parser() -> argparse.ArgumentParser:
    found = shared_flags(argparse.ArgumentParser("python -m tinybert_lite.run_all", description="All stages: plan, run what is stale or missing, report."))
    add = found.add_argument
    add("--seed", type=int, default=42)
    add("--from", dest="first", metavar="STAGE")
    add("--until", dest="last", metavar="STAGE")
    add("--only", metavar="STAGE")
    add("--force", action="store_true", help="run the chosen stages even if they are up to date")
    add("--baseline", action="store_true", help="also train the same student on the labels alone, to compare")
    add("--int8", action="store_true", help="also train the finished student in 8 bits (quantize)")
    add("--clean", action="store_true", help="remove what runs wrote, after asking")
    return found


@command
def main(argv: list[str]) -> int | None:
    args = parser().parse_args(argv)
    need_one_process("start the stages one by one")
    if args.task.lower() == ALL:
        from tinybert_lite.all_tasks import run_all_tasks

        return run_all_tasks(args)
    settings, workspace = prepared(args, args.task, args.data_dir)
    if args.clean:
        return clean(workspace)
    run_all(workspace, settings, args.first, args.last, args.only, args.force, args.baseline, args.dry_run, args.int8)


def prepared(args: argparse.Namespace, task: str, data_dir: str | None) -> tuple[Settings, Workspace]:
    """The settings and folders of one task, from the command line."""
    models = [local_folder(name) if name and name != GROW else name for name in (args.teacher_model, args.task_teacher, args.student_model)]
    workspace = Workspace.find(args.workspace, task, data_dir=data_dir, teacher_model=models[0], task_teacher=models[1],
                               student_model=models[2], teacher_logits=args.teacher_logits, corpus=args.corpus)
    settings = profile(args.profile, workspace.task, workspace.teacher_width).override(args.assignments)
    return replace(settings, seed=args.seed, device=args.device, precision=args.precision, threads=args.threads), workspace


if __name__ == "__main__":
    raise SystemExit(main())
