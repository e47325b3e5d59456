"""Two processes, one process and accumulated parts give the same numbers."""

import os
import socket

import pytest
import torch

from tests.test_engine_train import bert, loop, rows
from tinybert_lite.engine.objectives import Intermediate
from tinybert_lite.engine.train import read_history
from tinybert_lite.runtime import Device
from tinybert_lite.settings import Training
from tinybert_lite.stage import Session


def train(folder, parts=1):
    """13 rows of many lengths in batches of 4: the last batch has one row, so that a second process has none."""
    student, teacher = bert(1, dropout=0, projection="per_layer", teacher_width=24), bert(2, layers=4, width=24)
    settings = Training(learning_rate=1e-3, num_train_epochs=2, train_batch_size=4, gradient_accumulation_steps=parts)
    accelerator = Session(Device("cpu", "no", "a test"), seed=1, threads=1).accelerator()
    result = loop(student, Intermediate(student, teacher), settings, folder, rows(13), accelerator=accelerator).run()
    return {"model": student.state_dict(), "terms": result.last_terms, "processes": accelerator.num_processes}


def worker(rank, port, folder):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                   "OMP_NUM_THREADS": "1"}  # else Accelerate takes two
    torch.set_num_threads(1)
    torch.save(train(folder, parts=1 + rank), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_train_as_one_does(tmp_path):
    (tmp_path / "one").mkdir()
    expected = train(tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(worker, (port, tmp_path), nprocs=2)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found["processes"] == 2 and found["terms"] == pytest.approx(expected["terms"], rel=1e-4)
        for name, tensor in expected["model"].items():
            torch.testing.assert_close(found["model"][name], tensor, rtol=0, atol=1e-5)
    for one, two in zip(*(read_history(folder / "history.jsonl") for folder in (tmp_path / "one", tmp_path)), strict=True):
        assert one == pytest.approx(two, rel=1e-4)
