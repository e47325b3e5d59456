"""Worker processes of a Dask scheduler, on this machine or on others, in place of joblib's own.

with connected("dask://HOST:PORT"):
    ...  # `processes.in_parallel` computes there
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tinybert_lite.system.errors import UserError, one_line
from tinybert_lite.system.machine import versions
from tinybert_lite.system.optional import optional

FLAG = "--scheduler"
PATIENCE = 5  # seconds to wait for a scheduler, for its first worker, and for its workers' reply
ALONE = "run stages 1 and 2 with --scheduler in one process, then the others in several without it"
AHEAD = 4  # calls per worker that are sent before the results of the first are needed
_client = None  # of the `connected` block that is running


def in_use() -> bool:
    """Whether `in_parallel` computes on a scheduler's workers."""
    return _client is not None


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Compute on the workers of `dask://HOST:PORT` in the `with` block; without one, do nothing.

    Raises UserError for another form of address, a scheduler that does not answer or has no
    workers, and workers with several threads or with other versions of the packages.
    """
    global _client
    if not address:
        yield
        return
    where = _tcp(address)
    distributed = optional(
        "distributed", "distributed", "cluster", f"{FLAG} {address}: workers are reached"
    )
    for name in [*logging.root.manager.loggerDict]:  # errors are reported here in one sentence
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # A client alone would wait for a port that is open but silent, and a running event loop,
        # as in a notebook, admits no second one in its thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _answer(distributed, where)).result()
        client = distributed.Client(where, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"{FLAG} {address}: no Dask scheduler answers there ({one_line(error) or 'silence'}); "
            "start one with dask scheduler, and name the address that it prints"
        ) from None
    try:
        _check_workers(client, address)
        _client = client
        yield
    finally:
        _client = None
        client.close(PATIENCE)


async def _answer(distributed, where: str) -> None:
    found = await asyncio.wait_for(distributed.core.connect(where, timeout=PATIENCE), PATIENCE + 1)
    found.abort()


def _tcp(address: str) -> str:
    """Return Dask's own form of an address."""
    try:
        found = urlsplit(address)
        if found.hostname and found.port and address == f"dask://{found.netloc}":
            return f"tcp://{found.netloc}"
    except ValueError:  # a port that is no number, or too large
        pass
    raise UserError(f"{FLAG} {address}: is not an address; write it as dask://HOST:PORT")


def _check_workers(client, address: str) -> None:
    from tinybert_lite.system.console import counted, say  # which imports this module

    try:
        client.wait_for_workers(1, PATIENCE)
    except TimeoutError:
        raise UserError(
            f"{FLAG} {address}: the scheduler has no workers; start some on each machine with "
            f"dask worker {_tcp(address).removeprefix('tcp://')} --nworkers CORES --nthreads 1"
        ) from None
    for worker, threads in client.nthreads().items():
        if threads != 1:  # tokenizers and models are not safe for several threads
            raise UserError(
                f"{FLAG} {address}: the worker {worker} has {threads} threads; start it again with "
                f"--nworkers {threads} --nthreads 1"
            )
    mine, found = versions(), client.run(versions, on_error="return")
    for worker, others in found.items():
        if isinstance(others, BaseException):
            raise UserError(
                f"{FLAG} {address}: the worker {worker} cannot import tinybert_lite "
                f"({one_line(others)}); install it there too"
            )
        for package, number in mine.items():
            if others.get(package) != number:
                raise UserError(
                    f"{FLAG} {address}: the worker {worker} has {package} {others.get(package)}, "
                    f"this process {number}; install the same version on all machines"
                )
    say(f"scheduler  {address}, {counted(len(found), 'worker')}")


def need_shared(*paths: Path) -> None:
    """Raise UserError if a worker does not see one of these files or folders."""
    for path in paths if in_use() else ():
        for worker, seen in _client.run(Path(path).resolve().exists).items():
            if not seen:
                raise UserError(
                    f"{path}: the worker {worker} does not see it; put it on a file system that "
                    "all machines share"
                )


def everywhere(function) -> None:
    """Call `function()` in this process and in each of the scheduler's workers."""
    function()
    if in_use() and _client.status == "running":
        _client.run(function, on_error="return")


def results(function, arguments: Iterable[tuple]) -> Iterator:
    """Yield `function(*args)` for each of `arguments` in order, from the scheduler's workers.

    A call whose worker has died is repeated by another one. At most AHEAD calls per worker wait, so
    that memory does not grow. Raises UserError if one call's workers die again and again, and if
    the scheduler is lost.
    """
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    waiting = deque()
    try:
        for args in arguments:
            waiting.append(_client.submit(function, *args, pure=False))
            if len(waiting) >= AHEAD * max(1, len(_client.nthreads())):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KilledWorker as error:
        raise UserError(
            f"{FLAG}: several workers died in the same call ({one_line(error)}); read their logs, "
            "give each worker more memory, and run the same command again, which resumes"
        ) from None
    except (CancelledError, CommClosedError):
        raise UserError(
            f"{FLAG}: the connection to the scheduler was lost; start it and its workers, and run "
            "the same command again, which resumes"
        ) from None
