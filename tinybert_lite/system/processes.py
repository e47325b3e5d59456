"""Several processes for one run, as torchrun and `accelerate launch` start them, and workers.

All processes compute, and the first one prints and writes files. With one process these functions
do nothing.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterable
from datetime import timedelta

from tinybert_lite.system import scheduler
from tinybert_lite.system.errors import UserError

PATIENCE = timedelta(days=30)  # how long processes wait for one that works alone


def need_one_process(cure: str) -> None:
    """Raise UserError if several processes were started; `cure` ends the message."""
    if count() > 1:
        raise UserError(f"this command runs in one process, but {count()} were started: {cure}")


def in_parallel(function, arguments, workers: int):
    """Call `function(*args)` for each of `arguments` in worker processes; yields in order.

    The processes are those of the scheduler, if one is connected (`scheduler.connected`), else
    `workers` processes of this machine.
    """
    if scheduler.in_use():
        return scheduler.results(function, arguments)
    import warnings

    from joblib import Parallel, delayed

    warnings.filterwarnings(  # joblib's warning after Ctrl-C
        "ignore", "[0-9]+ tasks which were still being processed", UserWarning
    )
    return Parallel(workers, batch_size=1, return_as="generator")(
        delayed(function)(*args) for args in arguments
    )


def number() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def count() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the first process, which prints and writes files."""
    return number() == 0


def join(device: str) -> None:
    """Connect the processes to compute on `device`.

    On a CPU, Accelerate needs the device by name; otherwise each process would run alone.
    """
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=device == "cpu", timeout=PATIENCE)


def wait() -> None:
    """Wait until all processes have reached this call."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def gathered(items: list) -> list:
    """Return the items of all processes, in the order of the processes."""
    if count() == 1:
        return items
    from accelerate.utils import gather_object

    return gather_object(items)


def from_main(value):
    """Return the value that the first process has, in all processes."""
    if count() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def largest(value):
    """Replace each number of a tensor (n,) by its maximum over all processes, in place."""
    if count() > 1:
        import torch.distributed

        torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return value


def summed(numbers: Iterable[float], device: str) -> list[float]:
    """Sum each number over all processes, with a tensor on `device`."""
    if count() == 1:
        return list(numbers)
    import torch

    total = torch.tensor(list(numbers), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    return total.tolist()


def leave() -> None:
    """Disconnect from the other processes."""
    if count() > 1:
        import torch.distributed

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def number_of_processes(wanted: str, device: str) -> int:
    """Return N of `--processes N`; auto is the number of GPUs, on a CPU 1.

    Raises UserError for anything else.
    """
    import torch

    if wanted == "auto":
        return max(1, torch.cuda.device_count()) if device in ("auto", "cuda") else 1
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"--processes {wanted}: use a whole number from 1, or auto")
    return int(wanted)


def launch(module: str, argv: list[str], workers: int) -> int:
    """Run `python -m module argv` in this many processes of this machine; return the exit code.

    PyTorch's elastic launcher starts them, and ends all of them when one has ended with an error.
    Ctrl-C reaches each process, which then saves a state. Raises UserError if one was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        1,
        1,
        workers,
        run_id="run",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    if hasattr(config, "signals_to_handle"):  # older launchers end the processes on Ctrl-C
        config.signals_to_handle = "SIGTERM,SIGHUP,SIGQUIT"
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        elastic_launch(config, sys.executable)("-u", "-m", module, *argv)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0 or rank > 0 and failure.exitcode != 130:
            how = (
                f"was ended by {signal.Signals(-failure.exitcode).name}"
                if failure.exitcode < 0
                else f"ended with exit code {failure.exitcode}"
            )
            raise UserError(
                f"process {rank} of {workers} {how}; the same command resumes from the last saved "
                f"state"
            ) from None
        return failure.exitcode  # the first process has printed the reason
    except SignalException as stop:
        return 128 + stop.sigval
    finally:
        signal.signal(signal.SIGINT, before)
    return 0
