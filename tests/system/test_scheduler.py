"""Stages 1 and 2 on a Dask scheduler's workers: the bytes of one process, also if one is killed."""

import os
import socket
import sys
import time
from threading import Thread

import psutil
import pytest

from tests.makers.cluster import ROOT, cluster
from tests.makers.commands import AUGMENT, PREGENERATE, RUN, call, outcome, refused, states
from tests.makers.workspaces import write_toy_corpus
from tinybert_lite.data import epochs
from tinybert_lite.stages import augmenter, data_augmentation, pregenerate_training_data
from tinybert_lite.system import machine, optional, scheduler
from tinybert_lite.system.growing import GrowingFile

STAGES = {"1_pre_data": f"{AUGMENT} --device cpu", "2_pregenerate_data": PREGENERATE}
MANY = f"{PREGENERATE} --dupe_factor 150"  # 18 calls


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(data_augmentation, "BLOCK", 5)
    monkeypatch.setattr(pregenerate_training_data, "CHUNK", 1)


@pytest.fixture
def many_calls(workspace):
    """A corpus for MANY, of more calls than are sent ahead to two workers."""
    write_toy_corpus(workspace / "1_pre_data/documents.txt", documents=12, sentences=30)


def on_workers(function):
    """What a function returns in each worker of the connected scheduler."""
    return [*scheduler._client.run(function).values()]


@pytest.mark.parametrize(
    "folder", [pytest.param("1_pre_data", marks=pytest.mark.slow), "2_pregenerate_data"]
)
def test_the_bytes_are_those_of_one_process(folder, two, workspace, small_blocks, monkeypatch):
    assert call(STAGES[folder]).code == 0
    expected = outcome(workspace / folder)
    used, held = [], []
    everywhere = scheduler.everywhere

    def look(function):
        used.extend(on_workers(epochs._opened.cache_info) + on_workers(augmenter.loaded.cache_info))
        everywhere(function)
        held.extend(on_workers(epochs._opened.cache_info) + on_workers(augmenter.loaded.cache_info))

    monkeypatch.setattr(scheduler, "everywhere", look)
    ran = call(f"{STAGES[folder]} --scheduler {two.address}")
    assert ran.code == 0 and "2 workers" in ran.out, ran.err
    assert outcome(workspace / folder) == expected and len(expected) > 1
    assert sum(info.currsize for info in used) == 2, "both workers computed"
    assert sum(info.currsize for info in held) == 0, "the workers keep no file open"


@pytest.mark.slow
def test_run_all_makes_both_stages_and_continues_without_the_scheduler(two, workspace):
    assert call(f"{RUN} --until 2").code == 0
    expected = {folder: outcome(workspace / folder) for folder in STAGES}
    ran = call(f"{RUN} --until 2 --force --scheduler {two.address}")
    assert ran.code == 0 and "2 workers" in ran.out, ran.err
    assert {folder: outcome(workspace / folder) for folder in STAGES} == expected
    planned = states(call(f"{RUN} --threads 2 --dry-run").out)
    assert {name for name, state in planned.items() if state == "done"} == {
        "data_augmentation",
        "pregenerate_training_data",
    }


@pytest.mark.slow
def test_a_killed_worker_changes_no_byte(workspace, tmp_path, many_calls, monkeypatch):
    """It is suspended until it has calls to make, and then killed."""
    assert call(MANY).code == 0
    expected, add, lost = outcome(workspace / "2_pregenerate_data"), GrowingFile.add, []
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as started:
        worker, other = started.workers

        def add_and_suspend(self, content, **state):
            add(self, content, **state)
            if state["chunks"] == 1:
                client = scheduler._client
                (address,) = (at for at, pid in client.run(os.getpid).items() if pid == worker.pid)
                psutil.Process(worker.pid).suspend()
                Thread(target=kill, args=(client, address), daemon=True).start()

        def kill(client, address):
            while not (calls := client.processing()[address]):
                time.sleep(0.01)
            lost.extend(calls)
            worker.kill()

        monkeypatch.setattr(GrowingFile, "add", add_and_suspend)
        ran = call(f"{MANY} --scheduler {started.address}")
        assert ran.code == 0, ran.err
        assert lost and worker.wait() < 0 and other.poll() is None
    assert outcome(workspace / "2_pregenerate_data") == expected


@pytest.mark.slow
def test_a_lost_scheduler_is_one_sentence_and_the_run_resumes(
    workspace, tmp_path, many_calls, monkeypatch
):
    assert call(MANY).code == 0
    expected, add = outcome(workspace / "2_pregenerate_data"), GrowingFile.add
    (tmp_path / "cluster").mkdir()
    with cluster(tmp_path / "cluster") as started:

        def add_and_kill(self, content, **state):
            add(self, content, **state)
            if state["chunks"] == 3:
                started.scheduler.kill()

        monkeypatch.setattr(GrowingFile, "add", add_and_kill)
        line = f"{MANY} --scheduler {started.address}"
        refused(line, workspace, "the connection to the scheduler was lost", "which resumes")
    monkeypatch.setattr(GrowingFile, "add", add)
    assert call(MANY).code == 0
    assert outcome(workspace / "2_pregenerate_data") == expected


@pytest.mark.parametrize(
    "address", ["HOST:8786", "tcp://HOST:8786", "dask://HOST", "dask://HOST:0x", "dask://HOST:1/x"]
)
def test_another_form_of_address(address, workspace):
    refused(
        f"{PREGENERATE} --scheduler {address}", workspace, address, "write it as dask://HOST:PORT"
    )


@pytest.mark.parametrize("listens, said", [(False, "Timed out"), (True, "silence")])
@pytest.mark.parametrize("line", [AUGMENT, RUN])
def test_no_scheduler_answers(line, listens, said, workspace, monkeypatch):
    monkeypatch.setattr(scheduler, "PATIENCE", 0.5)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if listens:
            port.listen()
        address = f"dask://127.0.0.1:{port.getsockname()[1]}"
        refused(f"{line} --scheduler {address}", workspace, address, said, "start one with dask")


def test_no_workers(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "PATIENCE", 1)
    with cluster(tmp_path, 0) as started:
        line = f"{PREGENERATE} --scheduler {started.address}"
        refused(line, workspace, "the scheduler has no workers", "dask worker 127.0.0.1:")


@pytest.mark.slow
def test_workers_of_another_kind(workspace, tmp_path):
    package = tmp_path / "packages/tinybert_lite"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('damaged')")
    for number, (flags, path, named) in enumerate(
        [
            (["--nthreads", "2"], ROOT, "has 2 threads; start it again with --nworkers 2"),
            ([], package.parent, "cannot import tinybert_lite (ImportError"),
        ]
    ):
        (tmp_path / f"{number}").mkdir()
        with cluster(tmp_path / f"{number}", 2, *flags, PYTHONPATH=str(path)) as started:
            refused(f"{PREGENERATE} --scheduler {started.address}", workspace, named)


def test_workers_of_another_version(two, workspace, monkeypatch):
    monkeypatch.setattr(machine, "version", lambda package: "1.0")
    refused(f"{PREGENERATE} --scheduler {two.address}", workspace, "has torch", "this process 1.0")


def test_files_that_workers_do_not_see(two, workspace, monkeypatch):
    class Hidden:
        def resolve(self):
            return type(workspace)("/nowhere")

        __str__ = __fspath__ = lambda self: "corpus"

    with scheduler.connected(two.address), pytest.raises(Exception, match="corpus: the worker tcp"):
        scheduler.need_shared(Hidden())


def test_the_missing_package_is_named(workspace, monkeypatch):
    def missing(name):
        raise ImportError

    monkeypatch.setattr(optional, "import_module", missing)
    refused(f"{PREGENERATE} --scheduler dask://HOST:1", workspace, 'pip install -e ".[cluster]"')


def test_several_processes_are_refused(workspace, monkeypatch):
    refused(f"{RUN} --processes 2 --scheduler dask://HOST:1", workspace, "--processes 2", "in one")
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(f"{RUN} --scheduler dask://HOST:1", workspace, "but 2 were started", "without it")
    refused(f"{AUGMENT} --scheduler dask://HOST:1", workspace, "but 2 were started", "without it")


def test_without_the_flag_dask_is_not_needed(workspace, monkeypatch):
    for package in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, package, None)  # an import raises ImportError
    assert call(f"{PREGENERATE} --num_workers 2").code == 0
