"""Killed anywhere after its first saved state, every stage resumes and ends with the same bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.makers.sampling import sampled

pytestmark = pytest.mark.skipif(
    not hasattr(__import__("os"), "fork"), reason="the harness forks its runs"
)


@pytest.mark.parametrize("count", sampled([4, 16, 80], default=[4]))
def test_a_stage_killed_anywhere_resumes_and_ends_with_the_same_bytes(tmp_path, count):
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fault_harness",
            str(tmp_path / "runs"),
            "--points",
            str(count),
            "--seed",
            str(count),
        ],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    lines = [line for line in ran.stdout.splitlines() if ": killed " in line]
    assert (
        ran.returncode == 0
        and len(lines) == count
        and all(line.endswith("the same bytes") for line in lines)
    ), ran.stdout + ran.stderr
