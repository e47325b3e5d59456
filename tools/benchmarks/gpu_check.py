"""Measure everything that needs a GPU, in a given time, into one file.

    python tools/benchmarks/gpu_check.py --output gpu_check.md

Parts: parity of the losses with the CPU; waits for the device in a training step; rates of stages
1, 3, 4 and 5 at growing batch sizes; variants of a step of stage 3; latency; the default run; the
tests that need CUDA. Each part runs in its own process. A part that fails or hangs leaves one line
in the file; one that no longer fits into the time is named and left out. The models have the sizes
of BERT-base and TinyBERT4 and random weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from gpu_parts import default_run, latency, parity, tests
from gpu_stages import Row, one_line, training
from gpu_steps import variants, waits

from tinybert_lite.pipeline.report import markdown_table
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.files import write_atomically
from tinybert_lite.system.machine import machine, set_threads, versions

SPARE = 5  # seconds of a part's time in which it stops by itself, before it is ended


@dataclass(frozen=True)
class Part:
    title: str
    rows: Callable[..., Iterator[Row]]
    least: int  # seconds on a GPU, roughly; with less time the part is left out


PARTS = {
    "parity": Part("Losses on the device against the CPU's in float32", parity, 30),
    "waits": Part("Waits for the device", waits, 25),
    "training": Part("Stages at the best batch size", training, 120),
    "variants": Part("Variants of the step of stage 3", variants, 60),
    "latency": Part("Latency", latency, 25),
    "run": Part("python -m tinybert_lite.run_all", default_run, 60),
    "tests": Part("Tests", tests, 40),
}


def allowed(names: list[str], left: float) -> float:
    """Return the seconds for the first of these parts: all that the others do not need.

    It is at least what the part itself needs, or 0 if there is less.
    """
    first, *later = (PARTS[name].least for name in names)
    if left < first:
        return 0.0
    return max(first, left - sum(later))


def here(name: str, args: argparse.Namespace, device: Device, seconds: float) -> Iterator[Row]:
    """Run a part in this process for about `seconds`; an error becomes the last row."""
    args.deadline = time.monotonic() + seconds
    try:
        for row in PARTS[name].rows(args, device):
            yield row
            if time.monotonic() > args.deadline:
                yield {"error": f"stopped after {seconds:.0f} s"}
                return
    except Exception as error:  # the next part runs all the same
        yield {"error": one_line(error)}


def apart(name: str, argv: list[str], batch_size: int, seconds: float) -> list[Row]:
    """Run a part in a new process, which is ended after `seconds`; return its rows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        file.touch()
        child = subprocess.Popen(
            [
                *(sys.executable, __file__, *argv, "--part", name, "--rows", str(file)),
                *("--batch_size", str(batch_size), "--until", str(time.time() + seconds - SPARE)),
            ]
        )
        try:
            code = child.wait(seconds)
            error = f"the process ended with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            error = f"ended after {seconds:.0f} s"
            for process in [*psutil.Process(child.pid).children(recursive=True), child]:
                process.kill()
            child.wait()
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return rows + [{"error": error}] * bool(error)


def table(rows: list[Row]) -> list[str]:
    """Return the lines of a Markdown table with every column of the rows."""
    columns = [*dict.fromkeys(name for row in rows for name in row)]
    cells = [
        tuple(row.get(name, "").replace("|", "/").replace("\n", " ") for name in columns)
        for row in rows
    ]
    return markdown_table([tuple(columns), *cells]) if rows else ["No results.", ""]


def report(args: argparse.Namespace, device: Device, found: dict[str, tuple[float, list]]) -> str:
    """Return the file. found: by part, seconds and rows."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# GPU check",
        "",
        f"{machine()}; {device}; CUDA {torch.version.cuda}; {packages}"
        + "; very small models" * args.quick,
        "",
    ]
    for name, (seconds, rows) in found.items():
        lines += [f"## {PARTS[name].title}", "", f"{seconds:.0f} seconds", "", *table(rows)]
    return "\n".join(lines)


def best_batch_size(rows: list[Row], default: int) -> int:
    """Return the best batch size of stage 3 in the rows of the part `training`."""
    sizes = (row.get("best batch size") for row in rows if row.get("stage", "").startswith("3"))
    return int(next(filter(None, sizes), default))


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    workspace, add = Workspace.find(), parser.add_argument
    add("--output", type=Path, required=True, help="Markdown file, written after each part")
    add("--device", default="cuda")
    add("--precision", default="auto", help="of the stages and variants")
    add("--minutes", type=float, default=8, help="time of all parts")
    add("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    add("--sizes", nargs="+", type=int, default=[32, 64, 128, 256, 512, 1024, 2048])
    add("--batch_size", type=int, default=128, help="of the variants, if stage 3 has no result")
    add("--steps", type=int, default=15, help="measured steps per batch size")
    add("--length", type=int, default=128, help="tokens per sequence")
    add("--data_dir", type=Path, default=workspace.data_file("train").parent)
    add("--vocabulary", type=Path, default=workspace.vocabulary)
    add("--workspace", type=Path, help="the default run starts from a copy of this folder")
    add("--quick", action="store_true", help="very small models, in this process, for tests")
    for name, kind in (("--part", str), ("--rows", Path), ("--until", float)):
        add(name, type=kind, help=argparse.SUPPRESS)  # of the process of one part
    args = parser.parse_args(argv)
    if args.quick:
        args.sizes, args.steps, args.length = args.sizes[:2], 2, 16
    return args


@command
def main(argv: list[str]) -> None:
    args = parsed(argv)
    device = choose_device(args.device, args.precision)
    if args.part:
        with open(args.rows, "a", encoding="utf-8") as file:
            for row in here(args.part, args, device, args.until - time.time()):
                say(f"  {', '.join(row.values())}")
                file.write(json.dumps(row) + "\n")
                file.flush()
        return
    if args.quick:
        set_threads(1)
    end, found = time.monotonic() + 60 * args.minutes, {}
    for number, name in enumerate(args.parts):
        left = end - time.monotonic()
        seconds, started = allowed(args.parts[number:], left), time.monotonic()
        say(f"{PARTS[name].title}: {seconds:.0f} of {left:.0f} s left")
        if not seconds:
            why = f"left out: {left:.0f} s left, about {PARTS[name].least} s needed"
            rows = [{"error": why}]
        elif args.quick:
            rows = list(here(name, args, device, seconds))
        else:
            rows = apart(name, argv, args.batch_size, seconds)
        if name == "training":
            args.batch_size = best_batch_size(rows, args.batch_size)
        found[name] = time.monotonic() - started, rows
        write_atomically(args.output, report(args, device, found).encode())
    say(f"written: {args.output}")


if __name__ == "__main__":
    raise SystemExit(main())
