"""Time two smoke runs at once, one after the other, and one alone, for both ways of waiting.

    python tools/benchmarks/sharing.py --repeats 3

Each run is a process of its own with all cores. ACTIVE is OpenMP's default, in which threads that
wait keep their core busy; PASSIVE is what the command lines set. The cases take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

from tinybert_lite.pipeline.report import markdown_table
from tinybert_lite.system.console import say

POLICIES = ("ACTIVE", "PASSIVE")
WAYS = {"alone": (1, 1), "at once": (2, 1), "one after the other": (1, 2)}  # programs, times


def seconds(policy: str, programs: int, times: int, arguments: list[str]) -> float:
    """Return the wall time of `times` rounds of so many runs at once, each in a new workspace."""
    started = time.perf_counter()
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "OMP_WAIT_POLICY": policy}
            command = [sys.executable, "-m", "tinybert_lite.run_all", *arguments, "--workspace"]
            running = [
                subprocess.Popen(
                    [*command, os.path.join(folder, str(number))],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for number in range(programs)
            ]
            if any([program.wait() for program in running]):
                raise RuntimeError(f"a run failed: {' '.join(command)}")
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one stage only, for tests")
    args = parser.parse_args(argv)
    arguments = ["--profile", "smoke", *["--only", "1"] * args.quick]
    found: dict[tuple[str, str], list[float]] = {}
    for repeat in range(args.repeats):
        for policy in POLICIES:
            for way, (programs, times) in WAYS.items():
                say(f"round {repeat + 1} of {args.repeats}: {policy}, {way}")
                taken = seconds(policy, programs, times, arguments)
                found.setdefault((policy, way), []).append(taken)
    lines = [("threads wait", "two smoke runs", "seconds, median", "spread", "÷ one alone")]
    for (policy, way), times in found.items():
        median = statistics.median(times)
        ratio = median / statistics.median(found[policy, "alone"])
        spread = f"{min(times):.1f} to {max(times):.1f}"
        way = "one alone" if way == "alone" else way
        lines.append((policy, way, f"{median:.1f}", spread, f"{ratio:.2f}"))
    print("\n".join(markdown_table(lines)))


if __name__ == "__main__":
    main()
