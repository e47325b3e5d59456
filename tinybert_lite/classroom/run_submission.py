"""Run a notebook in a fresh kernel, in a process of its own, and write the result of each cell.

    python -I run_submission.py PACKAGES NOTEBOOK RESULTS SECONDS

PACKAGES is the folder where the kernel finds tinybert_lite. RESULTS becomes a JSON object, {number
of a cell, from 0: "" or its error}. It is written again after every cell, so that the cells before
an interruption are graded.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError


class ThisPython(KernelSpecManager):
    """Runs every kernel in this Python, whatever kernels are installed on the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


def main(packages: str, notebook: str, results: str, seconds: str) -> None:
    os.environ["PYTHONPATH"] = packages
    sys.path.append(packages)  # python -I does not add it
    from tinybert_lite.system.files import write_json

    said: dict[int, str] = {}

    def note(cell, cell_index, execute_reply) -> None:
        found = execute_reply["content"]
        ok = found["status"] == "ok"
        said[cell_index] = "" if ok else f"{found['ename']}: {found['evalue']}"
        write_json(Path(results), said)

    late = {
        "ename": "Timeout",
        "evalue": f"stopped after {float(seconds):g} seconds, is there an endless loop?",
        "traceback": [],
    }
    client = NotebookClient(
        nbformat.read(notebook, as_version=4),
        km=AsyncKernelManager(kernel_spec_manager=ThisPython()),
        allow_errors=True,
        timeout=float(seconds),
        interrupt_on_timeout=True,
        error_on_timeout=late,
        on_cell_executed=note,
    )
    with suppress(DeadKernelError):  # cells that were not reached score zero
        client.execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
