"""A real task, several seeds: the distilled student against the same student trained on the labels alone.

    python tools/benchmarks/with_and_without_teacher.py --data_dir path/to/SST-2 --corpus reviews.txt --workspace scratch

Grows a teacher on the corpus and the task's rows, fine-tunes it, augments once; then, for each seed, general distillation,
both task stages and the undistilled student. One hour and a half on two CPU cores with bf16. `--summary` prints the table
of what is already there. The student sees the augmented rows once (and 30,000 of them in stage 4), the undistilled one the
original rows three times; the better of their dev evaluations counts for both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

from tinybert_lite import run_all

GROW = {"vocab_size": 8000, "num_train_epochs": 1, "max_steps": 1800, "save_step": 300, "learning_rate": 7e-4}
TUNE = {"num_train_epochs": 2, "learning_rate": 3e-4, "train_batch_size": 64, "eval_step": 500, "save_step": 500}
PREPARE = {"data_augmentation.N": 1, "pregenerate_training_data.epochs_to_generate": 1}
STUDENT = {
    "general_distill.num_train_epochs": 1, "general_distill.max_steps": 300,
    "task_distill_mid.num_train_epochs": 1, "task_distill_mid.max_rows": 30000, "task_distill_mid.train_batch_size": 64,
    "task_distill_out.num_train_epochs": 1, "task_distill_out.train_batch_size": 64, "task_distill_out.eval_step": 500,
    "task_distill_out.learning_rate": 1e-3,
    "baseline.num_train_epochs": 3, "baseline.train_batch_size": 64, "baseline.eval_step": 500, "baseline.learning_rate": 1e-3,
}


def sets(values: dict, stage: str = "") -> list[str]:
    return [flag for name, value in values.items() for flag in ("--set", f"{stage}.{name}={value}" if stage else f"{name}={value}")]


def run(*flags) -> None:
    if run_all.main([str(flag) for flag in flags]):
        raise SystemExit("stopped: see the error above")


def measure(data_dir: Path, corpus: Path, workspace: Path, seeds: list[int], common: list[str]) -> None:
    (workspace / "1_pre_data").mkdir(parents=True, exist_ok=True)
    shutil.copy(corpus, workspace / "1_pre_data/documents.txt")
    common = ["--data_dir", data_dir, *common]
    run("--workspace", workspace, *common, "--only", "grow_teacher", *sets(GROW, "grow_teacher"))
    teacher = ["--teacher_model", workspace / "teacher_model/classroom"]
    run("--workspace", workspace, *common, *teacher, "--only", "finetune_teacher", *sets(TUNE, "finetune_teacher"))
    run("--workspace", workspace, *common, *teacher, "--from", "data_augmentation", "--until", "pregenerate_training_data", *sets(PREPARE))
    for seed in seeds:
        own = workspace / f"seed_{seed}"
        shutil.copytree(workspace / "2_pregenerate_data", own / "2_pregenerate_data", dirs_exist_ok=True)
        (own / "1_pre_data").mkdir(exist_ok=True)
        shutil.copy(workspace / "1_pre_data/aug.tsv", own / "1_pre_data/aug.tsv")
        run("--workspace", own, *common, *teacher, "--task_teacher", workspace / "teacher_model/SST-2", "--seed", seed,
            "--from", "general_distill", "--baseline", *sets(STUDENT))


def summary(files: list[Path]) -> str:
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    metric, models = results[0]["metric"], ("teacher", "student", "undistilled")
    lines = [f"| dev {metric} | " + " | ".join(f"seed {r['seed']}" for r in results) + " | mean | standard deviation |", "|---" * (len(results) + 3) + "|"]
    for model in models:
        values = [100 * r[model][metric] for r in results]
        spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else ""
        lines.append(f"| {model} | " + " | ".join(f"{v:.2f}" for v in values) + f" | {statistics.mean(values):.2f} | {spread} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data_dir", type=Path)
    parser.add_argument("--corpus", type=Path, help="one sentence a line, a blank line between documents")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--summary", action="store_true", help="only print the table")
    args = parser.parse_args()
    if not args.summary:
        measure(args.data_dir.resolve(), args.corpus, args.workspace, args.seeds, ["--precision", args.precision, "--threads", args.threads])
    print(summary([args.workspace / f"seed_{seed}/5_task_distill_out/results.json" for seed in args.seeds]))


if __name__ == "__main__":
    main()
