"""Compare the plan's estimates with the seconds of five runs, small and large.

    python tools/benchmarks/plans.py --folder DIR --sst2 SST-2 --vocabulary vocab.txt

Each run has its own folder in DIR. An interrupted run is resumed, and keeps the estimate that was
made before its start. `--sst2`: a folder with the real SST-2; `--vocabulary`: for a teacher of
BERT-base's size with random weights, 200 steps. A run without its files is left out. `--quick`:
very small runs, for tests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from measure import base

from tinybert_lite import own_data
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.folders import SHIPPED
from tinybert_lite.pipeline.plan import REPORT, STAGES, make_plan, print_plan
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.report import markdown_table, write_report
from tinybert_lite.pipeline.running import prepare, run_plan
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.system.outputs import read_manifest

ESTIMATE = "estimate.json"  # in a run's folder
ALL = [stage.name for stage in STAGES] + [REPORT]
WEAK = "finetune_teacher.allow_weak_teacher=true"  # with few rows a teacher may be at chance
Run = Callable[[argparse.Namespace, Path], tuple[Workspace, list[str], list[str]]]


def classroom(args: argparse.Namespace, root: Path):
    """The course's own run."""
    return Workspace.find(root), ALL, []


def first_rows(args: argparse.Namespace, root: Path):
    """The first 5,000 rows of the real SST-2."""
    for name in ("train.tsv", "dev.tsv"):
        with open(args.sst2 / name, encoding="utf-8") as file:
            lines = list(islice(file, 65 if args.quick else 5001))
        (root / "rows").mkdir(exist_ok=True)
        (root / "rows" / name).write_text("".join(lines), encoding="utf-8")
    return Workspace.find(root, data_dir=root / "rows"), ALL, []


def large_teacher(args: argparse.Namespace, root: Path):
    """200 steps of general distillation with a random teacher of 12 layers and width 768."""
    tokenizer = load_tokenizer(args.vocabulary)
    if not (root / "teacher/pytorch_model.bin").is_file():
        model = base(len(tokenizer), args.quick, masked_lm=True)
        save_model_folder(model, tokenizer, root / "teacher")
        save_weights(model, root / "teacher")
    steps = f"general_distill.max_steps={5 if args.quick else 200}"
    chosen = ["pregenerate_training_data", "general_distill"]
    return Workspace.find(root, teacher_model=root / "teacher"), chosen, [steps]


def chinese(args: argparse.Namespace, root: Path):
    """The course's Chinese task."""
    return Workspace.find(root, "ChnSentiCorp"), ALL, []


def own_rows(args: argparse.Namespace, root: Path):
    """A user's own task of 300 rows, taken from the course's rows."""
    lines = (SHIPPED / "SST-2/train.tsv").read_text(encoding="utf-8").splitlines()[:301]
    (root / "mine.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not (root / "mine/task.json").is_file():
        own_data.make(root, root / "mine.tsv", "sentence", "label")
    return Workspace.find(root, "mine"), ALL, []


RUNS: dict[str, Run] = {
    "own": own_rows,
    "classroom": classroom,
    "chinese": chinese,
    "large teacher": large_teacher,
    "sst2": first_rows,
}
NEEDS = {"sst2": "sst2", "large teacher": "vocabulary"}


def measure(name: str, args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Estimate and run; return the table's rows, one for the run and one per stage."""
    root = args.folder.resolve() / name.replace(" ", "_")
    root.mkdir(parents=True, exist_ok=True)
    workspace, chosen, sets = RUNS[name](args, root)
    kind = "smoke" if args.quick else "classroom"
    settings = profile(kind, workspace.task, workspace.teacher_is_grown).override([WEAK, *sets])
    plan = make_plan(workspace, settings, chosen)
    if not (root / ESTIMATE).is_file():
        estimated = prepare(plan, workspace, settings, REPORT in chosen)
        print_plan(plan, workspace, settings, estimated)
        write_json(root / ESTIMATE, {"seconds": estimated.seconds})
    saved = read_json(root / ESTIMATE)
    run_plan(plan, workspace, settings)
    if REPORT in chosen and "report" not in saved:
        started = time.perf_counter()
        write_report(workspace, settings)
        saved["report"] = time.perf_counter() - started
        write_json(root / ESTIMATE, saved)
    taken = {
        item.stage.name: read_manifest(item.folder)["seconds"]
        for item in plan
        if item.stage.name in saved["seconds"]
    }
    if "report" in saved:
        taken[REPORT] = saved["report"]
    both = {stage: (saved["seconds"][stage], seconds) for stage, seconds in taken.items()}
    total = tuple(map(sum, zip(*both.values())))
    return [_row(name, "all", *total), *(_row(name, stage, *of) for stage, of in both.items())]


def _row(name: str, stage: str, estimated: float, taken: float) -> tuple[str, ...]:
    ratio = f"{estimated / max(0.01, taken):.2f}"
    return name, stage, f"{estimated:.1f}", f"{taken:.1f}", ratio


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--folder", type=Path, required=True)
    add("--sst2", type=Path)
    add("--vocabulary", type=Path)
    add("--only", nargs="+", choices=RUNS, default=[*RUNS])
    add("--quick", action="store_true")
    args = parser.parse_args(argv)
    rows = []
    for name in args.only:
        if name in NEEDS and getattr(args, NEEDS[name]) is None:
            print(f"{name}: left out, since --{NEEDS[name]} is not given")
            continue
        rows += measure(name, args)
    head = ("run", "stage", "estimated, seconds", "taken, seconds", "estimated / taken")
    print("\n".join(["", *markdown_table([head, *rows])]))


if __name__ == "__main__":
    main()
