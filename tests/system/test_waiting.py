"""Threads wait passively in the command lines, and as the environment says elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPORT = "import atexit, os; atexit.register(lambda: print(os.environ.get('OMP_WAIT_POLICY')))"


def policy_at_the_end(folder: Path, policy: str, *arguments: str) -> str:
    """Run Python in a new process; return its wait policy when it ends."""
    (folder / "sitecustomize.py").write_text(REPORT)
    environment = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["PYTHONPATH"] = f"{folder}{os.pathsep}{ROOT}"
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    command = [sys.executable, *arguments]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    return ran.stdout.strip().splitlines()[-1]


def test_an_import_changes_nothing(tmp_path):
    assert policy_at_the_end(tmp_path, "", "-c", "import tinybert_lite") == "None"


@pytest.mark.parametrize("policy, found", [("", "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_a_command_line_waits_passively_if_the_environment_says_nothing(tmp_path, policy, found):
    assert policy_at_the_end(tmp_path, policy, "-m", "tinybert_lite.reset", "--help") == found
