"""A Dask scheduler and its workers as processes of this machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cluster:
    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


@contextmanager
def cluster(folder: Path, workers: int = 2, *flags: str, **environment: str) -> Iterator[Cluster]:
    """Start them, with `folder` as their current folder; end them afterwards.

    flags: more flags of `dask worker`. environment: of the workers. A worker has no nanny, which
    would start it again, so that its process is the one to kill.
    """
    started: list[subprocess.Popen] = []

    def start(*line: str, **more: str) -> subprocess.Popen:
        own = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
        command = [sys.executable, "-m", "dask", *line]
        with open(folder / f"{len(started)}.log", "wb") as log:
            run = subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log)
        started.append(run)
        return run

    file = folder / "scheduler.json"
    try:
        here = "--host 127.0.0.1 --port 0 --no-dashboard --scheduler-file".split()
        scheduler = start("scheduler", *here, str(file))
        address = ""
        while not address:
            assert scheduler.poll() is None, (folder / "0.log").read_text()
            time.sleep(0.05)
            if file.is_file() and (text := file.read_text()):
                address = json.loads(text)["address"]
        line = ["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *flags]
        found = [start(*line, **environment) for _ in range(workers)]
        if workers:
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(workers)
        yield Cluster(address.replace("tcp://", "dask://"), scheduler, found)
    finally:
        for run in started:
            run.kill()
            run.wait()
