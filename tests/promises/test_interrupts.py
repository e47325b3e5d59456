"""Ctrl-C and "interrupt kernel": the step is finished and saved, and the next run resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault_harness import SETTINGS, STAGES, outcome, reads

ROOT = Path(__file__).parents[2]
SLOW = """
import time
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.fault_harness import SETTINGS, STAGES, reads
from tinybert_lite.training.loop import Loop
from tinybert_lite.system.command import command
step = Loop._step
def slow(self, *args):
    print("step", self._done, flush=True)
    time.sleep(0.3)
    return step(self, *args)
Loop._step = slow
root, folder = Path({root!r}), Path({folder!r})
def run(argv=None):
    STAGES["general_distill"].execute(reads("general_distill", root), folder, SETTINGS)
"""


def in_terminal(code: str) -> tuple[str, str]:
    """What was said, and how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", code + "raise SystemExit(command(run)([]))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = ""
    while "step 4" not in said:
        said += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    return said + out, err


def in_notebook(code: str) -> tuple[str, str]:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(ROOT), env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        sent, said, error, interrupted = client.execute(code + "run()"), "", "", False
        while True:
            message = client.get_iopub_msg(timeout=60)
            content = message["content"]
            if message["msg_type"] == "stream":
                said += content["text"]
            elif message["msg_type"] == "error":
                error = content["ename"]
            elif (
                message["msg_type"] == "status"
                and content["execution_state"] == "idle"
                and message["parent_header"].get("msg_id") == sent
            ):
                return said, error
            if "step 4" in said and not interrupted:
                interrupted = True
                manager.interrupt_kernel()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize(
    "where, ending",
    [
        (in_terminal, "stopped; run the same command again: it resumes"),
        pytest.param(in_notebook, "KeyboardInterrupt", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_saves_the_step_and_the_next_run_resumes(where, ending, root, tmp_path):
    said, end = where(SLOW.format(root=str(root), folder=str(tmp_path / "cut")))
    assert (
        "stopped after step 5 of" in said
        and "the same command or cell resumes from there" in said
        and ending in end
    )
    assert (tmp_path / "cut/checkpoint-5.pt").is_file() and not (
        tmp_path / "cut/manifest.json"
    ).exists()
    for folder in ("cut", "whole"):
        STAGES["general_distill"].execute(
            reads("general_distill", root), tmp_path / folder, SETTINGS
        )
    assert (
        json.loads((tmp_path / "cut/manifest.json").read_text(encoding="utf-8"))["metrics"][
            "resumed_from"
        ]
        == 5
    )
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
