"""Several processes on one job, as torchrun and `accelerate launch` start them: one speaks and writes, all compute.

Nothing here does anything where there is one process.
"""

from __future__ import annotations

import os

from tinybert_lite.system import processes
from tinybert_lite.system.errors import UserError


def need_one_process(cure: str) -> None:
    """Raise UserError under torchrun, for what is not done by several processes."""
    if processes.count() > 1:
        raise UserError(
            f"this command runs in one process, and {processes.count()} were started: {cure}"
        )


def in_parallel(function, arguments, workers: int):
    """`function(*args)` for each of `arguments`, by several processes; results come as they are done, in order."""
    import warnings

    from joblib import Parallel, delayed

    warnings.filterwarnings(
        "ignore", "[0-9]+ tasks which were still being processed", UserWarning
    )  # after Ctrl-C
    return Parallel(workers, batch_size=1, return_as="generator")(
        delayed(function)(*args) for args in arguments
    )


def number() -> int:
    """Which process this is, from 0."""
    return int(os.environ.get("RANK", 0))


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    return number() == 0


def join(device: str) -> None:
    """Meet the other processes. On a CPU they have to be told so, or each would believe that it is alone."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=device == "cpu")


def wait() -> None:
    """Until all have come here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def gathered(items: list) -> list:
    """The items of all processes, in the processes' order."""
    if count() == 1:
        return items
    from accelerate.utils import gather_object

    return gather_object(items)


def largest(value):
    """Each number of a tensor (n,), the largest of all processes; the tensor itself is overwritten."""
    if count() > 1:
        import torch.distributed

        torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return value


def leave() -> None:
    if count() > 1:
        import torch.distributed

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
