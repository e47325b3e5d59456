"""Kill a stage with SIGKILL at a chosen event, start it again, and compare with a whole run.

    python -m tests.fault_harness FOLDER --points 64 --seed 0

Events are steps, blocks, files synced, renamed and removed: before and after each. A point is drawn
between the first saved state and the manifest. One process imports everything and forks the runs,
so that a point takes a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sys
import traceback
from functools import partial, wraps
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch

from tests.makers import make_bert_folder
from tests.makers.workspaces import (
    make_toy_teacher,
    write_toy_corpus,
    write_toy_data,
    write_toy_vectors,
)
from tinybert_lite.pipeline.plan import stages
from tinybert_lite.stages import data_augmentation, pregenerate_training_data
from tinybert_lite.stages.settings import (
    Augmenting,
    Distilling,
    FineTuning,
    Predicting,
    Pregenerating,
    Pretraining,
    Quantizing,
    Settings,
    Training,
)
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system import files
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.outputs import MANIFEST
from tinybert_lite.training.loop import Loop

STAGES = {stage.name: stage for stage in stages(baseline=True, int8=True)}
BRIEF = dict(
    max_seq_length=32, learning_rate=3e-3, train_batch_size=8, num_train_epochs=3, save_every=2
)
SETTINGS = Settings(
    profile="smoke",
    device="cpu",
    threads=1,
    pretrain=Pretraining(**BRIEF),
    data_augmentation=Augmenting(N=3, M=4, max_seq_length=32),
    pregenerate_training_data=Pregenerating(epochs_to_generate=2, max_seq_len=32),
    general_distill=Distilling(**BRIEF),
    finetune_teacher=FineTuning(eval_step=2, **BRIEF),
    task_distill_mid=Distilling(schedule="constant", **BRIEF),
    task_distill_out=Predicting(eval_step=2, **BRIEF),
    baseline=Training(**BRIEF),
    quantize=Quantizing(eval_step=2, calibration_rows=16, **BRIEF),
)


def make_inputs(root: Path) -> None:
    data = write_toy_data(root / "data")
    make_toy_teacher(root / "tuned", classifier=True)
    raw = make_toy_teacher(root / "raw")
    make_bert_folder(root / "student", layers=1, masked_lm=False)
    write_toy_vectors(root / "vectors.txt")
    corpus = write_toy_corpus(root / "corpus.txt", 10)
    pregenerate_training_data.pregenerate(
        corpus,
        raw / "vocab.txt",
        root / "sequences",
        Pregenerating(epochs_to_generate=2, max_seq_len=32),
        1,
    )
    assert data.is_dir()


def reads(stage: str, root: Path) -> dict[str, Path]:
    task = {
        "rows": root / "data/train.tsv",
        "train": root / "data/train.tsv",
        "dev": root / "data/dev.tsv",
    }
    return {
        "pretrain": {"text": root / "corpus.txt", "model": root / "raw"},
        "data_augmentation": {
            "train": root / "data/train.tsv",
            "teacher": root / "raw",
            "vectors": root / "vectors.txt",
        },
        "pregenerate_training_data": {
            "corpus": root / "corpus.txt",
            "vocabulary": root / "raw/vocab.txt",
        },
        "general_distill": {
            "sequences": root / "sequences",
            "teacher": root / "raw",
            "student": root / "student",
        },
        "finetune_teacher": {**task, "teacher": root / "raw"},
        "task_distill_mid": {**task, "teacher": root / "tuned", "student": root / "student"},
        "task_distill_out": {**task, "teacher": root / "tuned", "student": root / "student"},
        "baseline": {**task, "student": root / "student"},
        "quantize": {**task, "teacher": root / "tuned", "student": root / "tuned"},
    }[stage]


class Events:
    """Records events, and kills its process at one of them."""

    def __init__(self, folder: Path, die_at: int = -1):
        self.folder, self.die_at, self.seen = folder, die_at, []

    def happen(self, what: str) -> None:
        if len(self.seen) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen.append(what)

    def watch(self, owner, name: str) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def watched(*args, **kwargs):
            place = next(
                (Path(a).name for a in args[1:2] + args[:1] if isinstance(a, (str, os.PathLike))),
                "",
            )
            self.happen(f"before {name} {place}")
            found = function(*args, **kwargs)
            self.happen(f"after {name} {place}")
            return found

        setattr(owner, name, watched)

    def install(self) -> None:
        for owner, name in (
            (Loop, "_step"),
            (GrowingFile, "add"),
            (GrowingFile, "_note"),
            (files.os, "replace"),
            (files.os, "fsync"),
            (Path, "unlink"),
            (Path, "write_text"),
        ):
            self.watch(owner, name)


def forked(work, log: Path) -> int:
    """Run `work` in a child; its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(stage: Stage, root: Path, folder: Path, die_at: int = -1) -> None:
    data_augmentation.BLOCK, pregenerate_training_data.CHUNK = 5, 2
    torch.set_num_threads(1)
    events = Events(folder, die_at)
    events.install()
    stage.execute(reads(stage.name, root), folder, SETTINGS)
    Path(f"{folder}.events.json").write_text(json.dumps(events.seen))


def outcome(folder: Path) -> dict[str, bytes]:
    """All files of a stage except its manifest; of that the metrics."""
    left = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (MANIFEST, ".lock")
    }
    metrics = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["metrics"]
    return {
        **left,
        "metrics": {name: value for name, value in metrics.items() if name != "resumed_from"},
    }


def points(events: list[str], count: int, rng: random.Random) -> list[int]:
    """Events to die at: after the first saved state is in place, and before the manifest is."""
    first = next(
        i for i, what in enumerate(events) if re.match(r"after replace checkpoint-\S+", what)
    )
    last = next(i for i, what in enumerate(events) if what == f"after replace {MANIFEST}")
    return sorted(rng.sample(range(first + 1, last), min(count, last - first - 1)))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    root, rng, failed = args.folder, random.Random(args.seed), 0
    root.mkdir(parents=True, exist_ok=True)
    if forked(partial(make_inputs, root), root / "inputs.log"):
        raise SystemExit((root / "inputs.log").read_text())
    for number, stage in enumerate(STAGES.values()):
        share = args.points // len(STAGES) + (number < args.points % len(STAGES))
        if not share:
            continue
        whole = root / stage.name / "whole"
        whole.parent.mkdir()
        if forked(partial(run, stage, root, whole), root / "whole.log"):
            raise SystemExit((root / "whole.log").read_text())
        expected, events = outcome(whole), json.loads(Path(f"{whole}.events.json").read_text())
        for at in points(events, share, rng):
            folder, log = root / stage.name / f"killed-{at}", root / "run.log"
            killed = forked(partial(run, stage, root, folder, at), log)
            resumed = forked(partial(run, stage, root, folder), log)
            text = log.read_text()
            resumed_at = re.search(r"(?:going on|resum\w+) from [a-z ]*(\d+)", text)
            problem = (
                f"was not killed ({killed})"
                if killed != -signal.SIGKILL
                else f"did not end: {text}"
                if resumed
                else "did not resume from a later step"
                if not resumed_at or int(resumed_at[1]) < 1
                else "differs: " + ", ".join(different)
                if (different := differences(expected, outcome(folder)))
                else ""
            )
            failed += bool(problem)
            how = resumed_at[0] if resumed_at else "started again"
            print(
                f"{stage.name}: killed {events[at]}, {how}: {problem or 'the same bytes'}",
                flush=True,
            )
    return 1 if failed else 0


def differences(a: dict, b: dict) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


if __name__ == "__main__":
    raise SystemExit(main())
