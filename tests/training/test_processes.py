"""Two processes, one process and accumulated parts give the same numbers."""

import os
import socket
from itertools import product

import pytest
import torch

from tests.makers.loops import bert, loop, rows
from tinybert_lite.method.objectives import Intermediate
from tinybert_lite.method.quantization import calibrate, quantize
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Training
from tinybert_lite.system.device import Device
from tinybert_lite.training.history import read_history

KINDS = {"float32": False, "8 bits": True}


def train(folder, parts=1, in_8_bits=False):
    """13 rows in batches of 4: the last batch has one row, so that a second process has none."""
    folder.mkdir(exist_ok=True)
    student, teacher = (
        bert(1, dropout=0, projection="per_layer", teacher_width=24),
        bert(2, layers=4, width=24),
    )
    if in_8_bits:
        calibrate(quantize(student), [rows(13).batch(range(13))])
    settings = Training(
        learning_rate=1e-3,
        num_train_epochs=2,
        train_batch_size=4,
        gradient_accumulation_steps=parts,
    )
    accelerator = Session(Device("cpu", "no", "a test"), seed=1, threads=1).accelerator()
    result = loop(
        student, Intermediate(student, teacher), settings, folder, rows(13), accelerator=accelerator
    ).run()
    return {
        "model": student.state_dict(),
        "terms": result.last_terms,
        "processes": accelerator.num_processes,
    }


def worker(rank, port, folder):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }  # else Accelerate takes two
    torch.set_num_threads(1)
    torch.save(
        {name: train(folder / name, 1 + rank, bits) for name, bits in KINDS.items()},
        folder / f"{rank}.pt",
    )
    torch.distributed.destroy_process_group()


def test_two_processes_train_as_one_does(tmp_path):
    expected = {
        name: train(tmp_path / f"one {name}", in_8_bits=bits) for name, bits in KINDS.items()
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(worker, (port, tmp_path), nprocs=2)
    for rank, name in product((0, 1), KINDS):
        found, wanted = torch.load(tmp_path / f"{rank}.pt")[name], expected[name]
        assert found["processes"] == 2 and found["terms"] == pytest.approx(
            wanted["terms"], rel=1e-4
        )
        for part, tensor in wanted["model"].items():  # the ranges of 8 bits among them
            torch.testing.assert_close(found["model"][part], tensor, rtol=0, atol=1e-5)
    for name in KINDS:
        for one, two in zip(
            *(
                read_history(tmp_path / folder / "history.jsonl")
                for folder in (f"one {name}", name)
            ),
            strict=True,
        ):
            assert one == pytest.approx(two, rel=1e-4)
