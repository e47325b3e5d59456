"""`run_all --processes N`: the numbers of one process, and a worker that is killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.makers.commands import RUN, call
from tinybert_lite.models.weights import read_weights
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.system.processes import number_of_processes
from tinybert_lite.training.history import read_history

ROOT = Path(__file__).parents[2]
FOLDERS = ("teacher_model/SST-2", "3_general_distill", "4_task_distill_mid", "5_task_distill_out")


def start(line: str) -> subprocess.Popen:
    """Start a command line as two processes with one thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", *f"tinybert_lite.{line} --processes 2 --threads 1".split()],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def calm(workspace):
    """The toy workspace without dropout, which differs between processes."""
    for config in workspace.glob("*_model/config.json"):
        none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        write_json(config, read_json(config) | none)
    return workspace


def results(root: Path) -> list:
    weights = read_weights(root / FOLDERS[-1] / "pytorch_model.bin")
    return [weights, *(read_history(root / folder / "history.jsonl") for folder in FOLDERS)]


def test_two_processes_give_the_losses_and_scores_of_one(calm):
    two = start(f"{RUN} --workspace .")
    printed, _ = two.communicate(timeout=300)
    assert two.returncode == 0, printed
    assert printed.count("── 3 general distillation") == 1
    manifests = [read_json(calm / folder / "manifest.json") for folder in FOLDERS]
    assert [manifest["processes"] for manifest in manifests] == [2, 2, 2, 2]
    weights, *histories = results(calm)
    assert call(f"{RUN} --workspace . --threads 1 --force").code == 0
    expected, *others = results(calm)
    for name, tensor in expected.items():
        assert tensor.allclose(weights[name], rtol=0, atol=2e-5)
    for history, other in zip(histories, others, strict=True):
        for line, same in zip(history, other, strict=True):
            assert line.pop("dev", None) == same.pop("dev", None)
            assert line == pytest.approx(same, rel=1e-3)


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_with_one_sentence_and_the_same_command_resumes(calm):
    line = (
        f"{RUN} --workspace . --until 3 --set general_distill.max_steps=2000 "
        "--set general_distill.num_train_epochs=1000 --set general_distill.save_every=5"
    )
    run = start(line)
    while not [*calm.glob("3_general_distill/checkpoint-*.pt")]:
        assert run.poll() is None
        time.sleep(0.1)
    workers = psutil.Process(run.pid).children(recursive=True)
    next(one for one in workers if one.environ().get("RANK") == "1").kill()
    printed, _ = run.communicate(timeout=120)
    assert run.returncode == 2
    assert printed.splitlines()[-1] == (
        "error: process 1 of 2 was ended by SIGKILL; the same command resumes from the last saved "
        "state"
    )
    run = start(line)
    for text in run.stdout:
        if "resumes from saved step" in text:
            break
    else:
        pytest.fail("it did not resume")
    run.terminate()
    run.communicate(timeout=120)


def test_the_number_of_processes():
    assert number_of_processes("3", "cpu") == 3 and number_of_processes("auto", "cpu") == 1
    for wrong in ("0", "two", "-1"):
        with pytest.raises(UserError, match="whole number from 1, or auto"):
            number_of_processes(wrong, "auto")
