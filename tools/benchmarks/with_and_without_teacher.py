"""Compare the distilled student with the same student trained on labels only, over seeds.

    python tools/benchmarks/with_and_without_teacher.py --workspace scratch --seeds 42 43 44 45 46
    python tools/benchmarks/with_and_without_teacher.py --workspace scratch \\
        --data_dir path/to/SST-2 --corpus reviews.txt

The first line runs all stages on the classroom rows in the classroom profile, for each seed. The
second is for a real task: rows are augmented and sequences made once; then general distillation,
fine-tuning of the teacher, both task stages and the undistilled student run for each seed. The
student is trained for three epochs on the augmented rows, about twice as many as the rows, and the
undistilled student for six epochs on the rows; for both the best dev evaluation is reported.
`--summary` only prints the tables of finished runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

from tinybert_lite import run_all
from tinybert_lite.pipeline.report import retention

PREPARE = {"data_augmentation.N": 1, "pregenerate_training_data.epochs_to_generate": 1}
REAL = {
    "general_distill.num_train_epochs": 1,
    "general_distill.max_steps": 1000,
    "finetune_teacher.num_train_epochs": 3,
    "finetune_teacher.learning_rate": 2e-4,
    "finetune_teacher.train_batch_size": 64,
    "finetune_teacher.eval_step": 500,
    "finetune_teacher.save_every": 500,
    "task_distill_mid.num_train_epochs": 1,
    "task_distill_mid.train_batch_size": 64,
    "task_distill_out.num_train_epochs": 2,
    "task_distill_out.train_batch_size": 64,
    "task_distill_out.eval_step": 500,
    "task_distill_out.learning_rate": 1e-3,
    "baseline.num_train_epochs": 6,
    "baseline.train_batch_size": 64,
    "baseline.eval_step": 500,
    "baseline.learning_rate": 1e-3,
}


def sets(values: dict, stage: str = "") -> list[str]:
    return [
        flag
        for name, value in values.items()
        for flag in ("--set", f"{stage}.{name}={value}" if stage else f"{name}={value}")
    ]


def run(*flags) -> None:
    if run_all.main([str(flag) for flag in flags]):
        raise SystemExit("a run failed: see the error above")


def measure(
    data_dir: Path | None, corpus: Path | None, workspace: Path, seeds: list[int], common: list[str]
) -> None:
    if data_dir is None:
        for seed in seeds:
            run("--workspace", workspace / f"seed_{seed}", "--seed", seed, "--baseline", *common)
        return
    (workspace / "1_pre_data").mkdir(parents=True, exist_ok=True)
    shutil.copy(corpus, workspace / "1_pre_data/documents.txt")
    common = ["--data_dir", data_dir, *common]
    run(
        "--workspace",
        workspace,
        *common,
        "--from",
        "data_augmentation",
        "--until",
        "pregenerate_training_data",
        *sets(PREPARE),
    )
    for seed in seeds:
        own = workspace / f"seed_{seed}"
        shutil.copytree(
            workspace / "2_pregenerate_data", own / "2_pregenerate_data", dirs_exist_ok=True
        )
        (own / "1_pre_data").mkdir(exist_ok=True)
        shutil.copy(workspace / "1_pre_data/aug.tsv", own / "1_pre_data/aug.tsv")
        run(
            "--workspace",
            own,
            *common,
            "--seed",
            seed,
            "--from",
            "general_distill",
            "--baseline",
            *sets(REAL),
        )


def summary(files: list[Path]) -> str:
    """Return tables of dev and test scores by seed, with the retention if every seed has one."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    metric, lines = results[0]["metric"], []
    head = (
        "| "
        + metric
        + ", % | "
        + " | ".join(f"seed {r['seed']}" for r in results)
        + " | mean ± standard deviation |"
    )
    for split, found in (
        ("dev", results),
        ("test", [next(iter(r["test"].values()), None) for r in results]),
    ):
        if None in found:
            continue
        rows = {
            model: [100 * r[model][metric] for r in found]
            for model in ("teacher", "student", "undistilled")
        }
        if all(retention(result) is not None for result in results):
            rows["retention"] = [
                100 * student / teacher
                for student, teacher in zip(rows["student"], rows["teacher"])
            ]
        rows["student - undistilled"] = [
            one - other for one, other in zip(rows["student"], rows["undistilled"])
        ]
        lines += [f"{split}:", "", head, "|---" * (len(results) + 2) + "|"]
        for name, values in rows.items():
            spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            lines.append(
                f"| {name} | "
                + " | ".join(f"{v:.2f}" for v in values)
                + f" | {statistics.mean(values):.2f}{spread} |"
            )
        lines.append("")
    sizes = results[0]["parameters"]
    return "\n".join(
        [
            *lines,
            f"parameters: student {sizes['student']:,}, teacher {sizes['teacher']:,}: "
            f"{100 * sizes['student'] / sizes['teacher']:.1f} %",
        ]
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--data_dir", type=Path, help="folder of a real task; default: the classroom rows"
    )
    parser.add_argument(
        "--corpus", type=Path, help="text, one sentence per line, a blank line between documents"
    )
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", default="0")
    parser.add_argument("--profile", default="classroom")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--summary", action="store_true", help="only print the table")
    args = parser.parse_args(argv)
    if not args.summary:
        if args.data_dir and not args.corpus:
            parser.error("--data_dir needs --corpus, the text of general distillation")
        measure(
            args.data_dir and args.data_dir.resolve(),
            args.corpus,
            args.workspace,
            args.seeds,
            [
                *("--precision", args.precision, "--threads", args.threads),
                *("--profile", args.profile),
                *(flag for value in args.assignments for flag in ("--set", value)),
            ],
        )
    print(
        summary(
            [args.workspace / f"seed_{seed}/5_task_distill_out/results.json" for seed in args.seeds]
        )
    )


if __name__ == "__main__":
    main()
