"""Measure the accuracy lost by 8 bits: predictions in 8 bits against those in float32.

    python tools/benchmarks/eight_bits.py --workspaces DIR/seed_42 DIR/seed_43 … \\
        --results results.json --threads 1
    python tools/benchmarks/eight_bits.py --task STS-B --model tuned --data_dir path/to/STS-B \\
        --workspaces scratch --results results.json

The first line takes finished runs of run_all, each with its own seed: the student is calibrated
(post-training), trained in 8 bits with its teacher's soft targets, trained in 8 bits with the
labels only, and trained as long in floating point, which separates the effect of 8 bits from that
of longer training. Scores are over all rows with labels, dev and test together. The second line
takes any fine-tuned model, which learns from labels. An interrupted run resumes. --summary only
prints the table of a results file.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import quantize
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.metrics import scores
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import stale
from tinybert_lite.system.files import write_json
from tinybert_lite.system.machine import machine, versions
from tinybert_lite.system.outputs import read_manifest

WAYS = {  # name -> settings, and whether it learns soft targets
    "post-training": (["quantize.post_training=true"], False),
    "8-bit training": ([], True),
    "8-bit training, labels": ([], False),
    "floating point, as long": (["quantize.do_quant=false"], True),
}
RESAMPLES = 10_000


def logits_of(
    folder: Path, files: dict[str, Path], task: Task, max_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a model's logits (n, K) and the labels (n,) of all rows of these files."""
    bert = load_with_tokenizer(folder, num_labels=task.num_labels, projection="none")
    parts = [
        encode_table(read_table(path, task), task, bert.tokenizer, max_length).labelled()
        for path in files.values()
    ]
    return np.concatenate([predict(bert.model, part) for part in parts]), np.concatenate(
        [part.labels for part in parts]
    )


def measure(workspace: Workspace, settings: Settings, model: Path | None, ways: list[str]) -> dict:
    """Return the predictions (key `answers`) and scores of each way on the labelled rows."""
    task, teacher = workspace.task, not model and workspace.task_teacher.path.exists()
    files = {split: workspace.data_file(split) for split in (task.dev_files[0], *task.test_files)}
    files = {
        split: path
        for split, path in files.items()
        if path.is_file() and any(row.label for row in read_table(path, task, None).rows)
    }
    reads = quantize.reads_of(workspace, rows=workspace.data_file("train") if model else None) | {
        "student": model or workspace.final_student
    }
    reads.pop("teacher", None) if not teacher else None
    folders = {"float32": reads["student"]}
    for way in ways:
        sets, asks = WAYS[way]
        if asks and not teacher and way == "8-bit training":
            continue
        own = {name: path for name, path in reads.items() if name != "teacher" or asks}
        folders[way] = (
            workspace.final_student / "eight_bits" / way.replace(", ", "_").replace(" ", "_")
        )
        wanted = settings.override(sets)
        manifest = read_manifest(folders[way])
        if not manifest or stale(quantize.STAGE, own, folders[way], wanted, manifest):
            quantize.STAGE.execute(own, folders[way], wanted)
    found = {
        "seed": settings.seed,
        "task": task.name,
        "metric": task.metric,
        "files": list(files),
        "seconds": {},
        "models": {},
    }
    for way, folder in folders.items():
        logits, labels = logits_of(folder, files, task, settings.quantize.max_seq_length)
        answers = logits[:, 0] if task.is_regression else logits.argmax(1)
        found["models"][way] = {"scores": scores(task, logits, labels), "answers": answers.tolist()}
        if way != "float32":
            found["seconds"][way] = read_manifest(folder)["seconds"]
    found["labels"] = labels.tolist()
    return found


def metric_of(run: dict, way: str, rows: np.ndarray | slice = slice(None)) -> float:
    """Return the accuracy of some rows in percent, or 100 × Pearson."""
    answers, labels = (
        np.asarray(values)[rows] for values in (run["models"][way]["answers"], run["labels"])
    )
    return 100 * float(
        np.corrcoef(answers, labels)[0, 1]
        if "pearson" in run["metric"]
        else (answers == labels).mean()
    )


def interval(runs: list[dict], way: str, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean difference to float32.

    Seeds and rows are resampled with replacement; the rows are the same for every seed.
    """
    draw, n, differences = np.random.default_rng(seed), len(runs[0]["labels"]), []
    for _ in range(RESAMPLES):
        rows = draw.integers(0, n, n)
        chosen = [runs[i] for i in draw.integers(0, len(runs), len(runs))]
        differences.append(
            np.mean([metric_of(run, way, rows) - metric_of(run, "float32", rows) for run in chosen])
        )
    return float(np.quantile(differences, 0.025)), float(np.quantile(differences, 0.975))


def summary(runs: list[dict]) -> str:
    """Return the table: one column per seed, mean ± standard deviation, difference to float32.

    After these come its 95 % interval and the share of predictions that are the same as in float32.
    """
    ways = list(runs[0]["models"])
    unit = "100 × Pearson" if "pearson" in runs[0]["metric"] else "accuracy, %"
    lines = [
        f"| {unit}, {len(runs[0]['labels'])} rows ({' and '.join(runs[0]['files'])}) | "
        + " | ".join(f"seed {run['seed']}" for run in runs)
        + " | mean ± standard deviation | − float32 | 95 % interval | predictions kept |",
        "|---" * (len(runs) + 5) + "|",
    ]
    for way in ways:
        values = [metric_of(run, way) for run in runs]
        spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        rest = " |  |  |  |"
        if way != "float32":
            low, high = interval(runs, way)
            kept = [
                np.mean(
                    np.asarray(run["models"][way]["answers"]) == run["models"]["float32"]["answers"]
                )
                for run in runs
            ]
            kept = "" if "pearson" in runs[0]["metric"] else f"{100 * np.mean(kept):.1f} %"
            difference = np.mean([a - metric_of(run, "float32") for a, run in zip(values, runs)])
            rest = f" | {difference:+.2f} | {low:+.2f} to {high:+.2f} | {kept} |"
        lines.append(
            f"| {way} | "
            + " | ".join(f"{value:.2f}" for value in values)
            + f" | {np.mean(values):.2f}{spread}"
            + rest
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add(
        "--workspaces",
        type=Path,
        nargs="+",
        default=[],
        help="workspaces of finished runs; with --model an empty folder",
    )
    add("--task", default="SST-2")
    add("--data_dir", type=Path)
    add("--task_teacher", type=Path, help="the --task_teacher of the runs, if they had one")
    add("--model", type=Path, help="a fine-tuned model instead of the runs' students")
    add("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    add("--profile", default="classroom")
    add("--precision", default="auto")
    add("--threads", type=int, default=0)
    add("--set", dest="assignments", action="append", default=[], metavar="quantize.field=value")
    add("--results", type=Path, required=True)
    add("--summary", action="store_true", help="only print the table")
    args = parser.parse_args(argv)
    runs = json.loads(args.results.read_text(encoding="utf-8"))["runs"] if args.summary else []
    for place in args.workspaces if not args.summary else []:
        workspace = Workspace.find(
            place, args.task, data_dir=args.data_dir, task_teacher=args.task_teacher
        )
        manifest = read_manifest(args.model or workspace.final_student) or {"seed": 42}
        settings = profile(args.profile, workspace.task, workspace.teacher_is_grown).override(
            args.assignments
        )
        settings = replace(
            settings, seed=manifest["seed"], precision=args.precision, threads=args.threads
        )
        runs.append(measure(workspace, settings, args.model, args.ways))
        write_json(args.results, {"machine": machine(), "versions": versions(), "runs": runs})
    print(summary(runs))


if __name__ == "__main__":
    main()
