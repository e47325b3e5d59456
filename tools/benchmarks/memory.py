"""Measure whether the memory of whole commands grows with the data.

Peak anonymous memory; mapped files do not count.

    python tools/benchmarks/memory.py --corpus reviews.txt --output docs/memory_table.md

It runs stage 2 on a corpus and on ten copies of it, and a few steps of stage 4 on a thousand and on
a million generated rows, with a teacher of BERT-base's size and a student of TinyBERT4's, both with
random weights. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from measure import anonymous, base, tiny

from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import find_task
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.workspace import Workspace


def peak(*command) -> tuple[float, float]:
    """Run Python with these arguments; return its peak megabytes and its seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen([sys.executable, *map(str, command)], stdout=log, stderr=log)
        most = 0
        while child.poll() is None:
            most = max(most, anonymous(psutil.Process(child.pid)))
            time.sleep(0.05)
        if child.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(map(str, command[:2]))} stopped:\n{log.read()[-2000:]}")
    return most / 1e6, time.perf_counter() - started


def write_rows(path: Path, count: int, sentences: list[str]) -> None:
    """Write rows of half of one sentence and half of another, so that few are identical."""
    draw = random.Random(0)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write("sentence\tlabel\n")
        for number in range(count):
            one, other = (draw.choice(sentences).split() for _ in range(2))
            file.write(
                f"{' '.join(one[: len(one) // 2 + 1] + other[len(other) // 2 :])}\t{number % 2}\n"
            )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    workspace = Workspace.find()
    parser.add_argument("--corpus", type=Path, default=workspace.corpus)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="use very small models, for tests")
    args = parser.parse_args(argv)
    lines = ["| command | data | peak memory, MB | seconds |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for times in (1, 10):
            corpus = folder / "corpus.txt"
            corpus.write_text(
                times * (args.corpus.read_text(encoding="utf-8").strip() + "\n\n"), encoding="utf-8"
            )
            megabytes, took = peak(
                "-m",
                "tinybert_lite.pregenerate_training_data",
                "--train_corpus",
                corpus,
                "--output_dir",
                folder / f"sequences-{times}",
                "--bert_model",
                workspace.teacher,
                "--epochs_to_generate",
                1,
                "--num_workers",
                args.workers,
            )
            lines.append(
                f"| pregenerate_training_data, {args.workers} workers | "
                f"{corpus.stat().st_size / 1e6:.0f} MB | {megabytes:,.0f} | {took:.0f} |"
            )
        tokenizer = load_tokenizer(workspace.vocabulary)
        torch.manual_seed(0)
        teacher = base(len(tokenizer), args.quick, num_labels=2)
        width = teacher.config.hidden_size
        student = tiny(len(tokenizer), args.quick, projection="per_layer", teacher_width=width)
        for name, model in (("teacher", teacher), ("student", student)):
            save_model_folder(model, tokenizer, folder / name)
            save_weights(model, folder / name)
        del teacher, student, model
        data = folder / "data"
        data.mkdir()
        sentences = [
            row.text_a for row in read_table(workspace.data_file("train"), find_task("SST-2")).rows
        ]
        (data / "dev.tsv").write_bytes(workspace.data_file("dev").read_bytes())
        for count in args.rows:
            write_rows(data / "train.tsv", count, sentences)
            megabytes, took = peak(
                "-m",
                "tinybert_lite.task_distill",
                "--data_dir",
                data,
                "--task_name",
                "sst-2",
                "--teacher_model",
                folder / "teacher",
                "--student_model",
                folder / "student",
                "--output_dir",
                folder / f"out-{count}",
                "--allow_weak_teacher",
                "--num_train_epochs",
                320 / count,
            )
            lines.append(
                f"| task_distill, stage 4, 10 steps | {count:,} rows | {megabytes:,.0f} | "
                f"{took:.0f} |"
            )
    found = "\n".join(lines) + "\n"
    print(found)
    if args.output:
        args.output.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
