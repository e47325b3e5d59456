"""Every stage that computes runs in two processes as in one."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.makers.distilling import SETTINGS, distil_general, distil_task, quick
from tests.makers.workspaces import write_toy_vectors
from tinybert_lite import task_distill
from tinybert_lite.models.weights import read_weights
from tinybert_lite.stages import data_augmentation, finetune_teacher
from tinybert_lite.system.files import read_json, write_json
from tinybert_lite.training.history import read_history

ROOT = Path(__file__).parents[2]


def all_stages(rooms: Path, root: Path) -> None:
    data_augmentation.BLOCK = 10  # several a process
    data_augmentation.STAGE.execute(
        {
            "train": rooms / "data/train.tsv",
            "teacher": rooms / "raw",
            "vectors": rooms / "vectors.txt",
        },
        root / "1",
        SETTINGS,
    )
    finetune_teacher.STAGE.execute(
        {
            "train": rooms / "data/train.tsv",
            "dev": rooms / "data/dev.tsv",
            "teacher": rooms / "calm",
        },
        root / "tuned",
        SETTINGS,
    )
    distil_general(rooms, root / "3", quick(SETTINGS))
    distil_task(task_distill.MID, rooms, root / "3", root / "4", quick(SETTINGS))
    distil_task(task_distill.OUT, rooms, root / "4", root / "5", quick(SETTINGS))


def worker(number: int, port: int, rooms: Path, root: Path) -> None:
    os.environ |= {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    torch.set_num_threads(1)
    all_stages(rooms, root)
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def both(rooms, tmp_path_factory):
    torch.set_num_threads(1)
    write_toy_vectors(rooms / "vectors.txt")
    shutil.copytree(rooms / "raw", rooms / "calm")  # no dropout, which no two processes draw alike
    write_json(
        rooms / "calm/config.json",
        {
            **read_json(rooms / "raw/config.json"),
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
    )
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    all_stages(rooms, one)
    torch.multiprocessing.spawn(worker, (free_port(), rooms, two), nprocs=2)
    return one, two


def test_the_augmented_rows_are_the_same_bytes(both):
    one, two = (root / "1/aug.tsv" for root in both)
    assert one.read_bytes() == two.read_bytes() and len(one.read_text().splitlines()) > 97


@pytest.mark.parametrize("folder", ["tuned", "3", "4", "5"])
def test_weights_and_history_are_those_of_one_process(both, folder):
    one, two = (root / folder for root in both)
    expected, found = (read_weights(place / "pytorch_model.bin") for place in (one, two))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=2e-5)
    for a, b in zip(*(read_history(place / "history.jsonl") for place in (one, two)), strict=True):
        assert a.keys() == b.keys() and all(
            a[name] == pytest.approx(b[name], rel=1e-3) for name in a if name != "dev"
        )
        assert a.get("dev") == b.get("dev")


@pytest.mark.parametrize("folder", ["1", "tuned", "3", "4", "5"])
def test_the_folder_holds_what_one_process_leaves(both, folder):
    one, two = (root / folder for root in both)
    assert sorted(path.name for path in two.rglob("*")) == sorted(
        path.name for path in one.rglob("*")
    )
    assert read_json(two / "manifest.json")["processes"] == 2
    assert (
        read_json(one / "manifest.json")["outputs"].keys()
        == read_json(two / "manifest.json")["outputs"].keys()
    )


@pytest.mark.slow
def test_torchrun_starts_a_command_that_speaks_once(both, rooms, tmp_path):
    command = (
        f"-m torch.distributed.run --nproc_per_node 2 --master_port {free_port()} -m "
        "tinybert_lite.evaluate --data_dir data --task_name sst-2 "
        f"--student_model {both[0] / '5'} --teacher_model tuned --device cpu"
    ).split()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=rooms,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    expected = next(
        line
        for line in (both[0] / "5/eval_results.txt").read_text().splitlines()
        if line.startswith("accuracy")
    )
    assert ran.stdout.splitlines().count(expected) == 1 and ran.stdout.count("agreement") == 1
