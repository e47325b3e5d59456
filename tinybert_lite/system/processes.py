"""Several processes for one run, as torchrun and `accelerate launch` start them, and workers.

All processes compute, and the first one prints and writes files. With one process these functions
do nothing.
"""

import os
from collections.abc import Iterable

from tinybert_lite.system.errors import UserError


def need_one_process(cure: str) -> None:
    """Raise UserError if several processes were started; `cure` ends the message."""
    if count() > 1:
        raise UserError(f"this command runs in one process, but {count()} were started: {cure}")


def in_parallel(function, arguments, workers: int):
    """Call `function(*args)` for each of `arguments` in worker processes; yields in order."""
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

        PartialState(cpu=device == "cpu")


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
