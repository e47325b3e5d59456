"""Running command lines inside the test process, and comparing what they leave."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.pipeline import running


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def call(line: str) -> Ran:
    """Run a command line, given as what follows `python -m tinybert_lite.`, in this process."""
    module, *argv = shlex.split(line)
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = importlib.import_module(f"tinybert_lite.{module}").main(argv)
    return Ran(code, out.getvalue(), err.getvalue())


def snapshot(*folders: Path) -> dict[str, bytes]:
    """Every file below the folders but locks, with its bytes."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


AUGMENT = (
    "data_augmentation --pretrained_bert_model teacher_model --glove_embs "
    "1_pre_data/glove.6B.100d.txt --glue_dir . --task_name SST-2 --N 2"
)
PREGENERATE = (
    "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir "
    "2_pregenerate_data --bert_model teacher_model --epochs_to_generate 1"
)
GENERAL = (
    "general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model "
    "--student_model student_model --output_dir 3_general_distill "
    "--num_train_epochs 1"
)
FINETUNE = (
    "finetune_teacher --data_dir SST-2 --task_name sst-2 --teacher_model teacher_model "
    "--num_train_epochs 1"
)
EVALUATE = (
    "task_distill --do_eval --student_model tuned --data_dir SST-2 --task_name sst-2 "
    "--output_dir evaluated"
)


def refused(line: str, rooms: Path, *named: str) -> str:
    """Run, and assert how every mistake is answered. Returns the message."""
    before = snapshot(rooms)
    ran = call(line)
    errors = [said for said in ran.err.splitlines() if said.startswith("error:")]
    assert ran.code == 2 and len(errors) == 1 and ran.err.splitlines()[-1] == errors[0], ran
    assert "Traceback" not in ran.out + ran.err
    assert all(name in errors[0] for name in named), errors[0]
    after = snapshot(rooms)
    lost = [path for path, content in before.items() if content not in after.values()]
    assert not lost, f"gone or overwritten: {lost}"
    return errors[0]


RUN = "run_all --profile smoke --device cpu --threads 1 " + " ".join(
    f"--set {stage}.max_steps=3"
    for stage in ("general_distill", "task_distill_out", "finetune_teacher", "task_distill_mid")
)


def results_of(root: Path) -> dict:
    return json.loads((root / "5_task_distill_out/results.json").read_text(encoding="utf-8"))


def outcome(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name not in ("manifest.json", "running.json")
    }


def states(out: str) -> dict[str, str]:
    """The plan's states by stage title."""
    found = {}
    for line in out.splitlines():
        for stage in running.stages(baseline=True):
            if stage.title in line and line.startswith(("  to do", "  done", "  not needed")):
                found[stage.name] = line[2:12].strip()
    return found
