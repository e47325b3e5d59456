"""Parts of `gpu_check.py`: parity with the CPU, latency, the tests, and the default run."""

from __future__ import annotations

import copy
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import send_to_device
from gpu_stages import Row, pieces, tried
from measure import base, tiny
from speed import random_rows

from tinybert_lite.data.masked_lm import Masked
from tinybert_lite.method.objectives import Intermediate, Labels, MaskedLm, Prediction
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.folders import FINISHED, RESULTS, SHIPPED
from tinybert_lite.system.device import Device
from tinybert_lite.system.files import read_json
from tinybert_lite.training.frozen import KINDS, prepare_linears

# Parity -------------------------------------------------------------------------------------------


def terms_on(student, objective, batch, device: str, precision: str) -> dict[str, float]:
    """Return the loss terms, by name, and the norm of the gradient, of copies of the models."""
    student, objective = copy.deepcopy((student, objective))
    student.to(device).eval()
    if getattr(objective, "teacher", None) is not None:
        prepare_linears(objective.teacher.to(device), precision)
    batch = send_to_device(batch, device)
    with torch.autocast(device, KINDS.get(precision), enabled=precision in KINDS):
        terms = objective(student, batch)
    sum(terms.values()).backward()
    norm = torch.nn.utils.clip_grad_norm_(student.parameters(), math.inf)
    return {name: value.item() for name, value in terms.items()} | {"gradient norm": norm.item()}


def furthest(found: dict[str, float], expected: dict[str, float]) -> str:
    """Return the largest relative difference, and the name of its term."""
    if found.keys() != expected.keys():
        raise ValueError(f"terms {sorted(found)} instead of {sorted(expected)}")
    far = {name: abs(found[name] - value) / abs(value) for name, value in expected.items()}
    name = max(far, key=lambda name: (math.isnan(far[name]), far[name]))
    return f"{far[name]:.1e} ({name})"


def parity(args, device: Device) -> Iterator[Row]:
    """Yield how far each objective's terms are from those of the CPU in float32, without TF32."""
    torch.set_float32_matmul_precision("highest")
    tokenizer, vocab_size = load_tokenizer(args.vocabulary), pieces(args)
    examples = random_rows(
        np.linspace(args.length // 4, args.length, 8).astype(int), len(tokenizer)
    )
    labelled = examples.with_labels((np.arange(8) % 2).astype(np.float32))
    masked = Masked(examples, tokenizer, 0.15, 0).batch(range(8))

    def distilling(padding: str):
        teacher = base(vocab_size, args.quick)
        width = teacher.config.hidden_size
        student = tiny(vocab_size, args.quick, projection="per_layer", teacher_width=width)
        return student, Intermediate(student, teacher, padding=padding), examples.batch(range(8))

    def classifier(kind):
        return kind(vocab_size, args.quick, num_labels=2)

    for what, made in {
        "3 and 4, attention scores and hidden states": lambda: distilling("exact"),
        "3 and 4, padding as in the original code": lambda: distilling("original"),
        "5, soft targets": lambda: (
            classifier(tiny),
            Prediction(classifier(base)),
            examples.batch(range(8)),
        ),
        "fine-tuning, labels": lambda: (classifier(base), Labels(), labelled.batch(range(8))),
        "masked LM": lambda: (base(vocab_size, args.quick, masked_lm=True), MaskedLm(), masked),
    }.items():

        def compared(made=made) -> Row:
            models = made()
            expected = terms_on(*models, "cpu", "no")
            return {
                "terms": str(len(expected) - 1),
                **{
                    name: furthest(terms_on(*models, device.name, precision), expected)
                    for name, precision in (("float32", "no"), ("bf16", "bf16"))
                },
            }

        yield tried({"losses and gradient norm": what}, compared)


# Latency ------------------------------------------------------------------------------------------


def latency(args, device: Device) -> Iterator[Row]:
    """Yield milliseconds of BERT-base and TinyBERT4 with a classifier; models take turns."""
    # here, since these need the packages of the serving benchmark
    from serving import compete
    from serving_models import random_batch
    from serving_table import median

    vocab_size = pieces(args)
    models = {
        (name, dtype): prepare_linears(
            kind(vocab_size, args.quick, num_labels=2).to(device.name).eval(), precision
        )
        for name, kind in (("BERT-base", base), ("TinyBERT4", tiny))
        for dtype, precision in (("float32", "no"), ("bf16", "bf16"))
    }

    def logits(model, dtype: str, batch) -> list:
        with torch.autocast(device.name, torch.bfloat16, enabled=dtype == "bf16"):
            return model(batch, logits=True).logits.tolist()  # waits for the device

    for rows in (1, 32):
        batch = send_to_device(random_batch(rows, args.length, vocab_size), device.name)
        calls = {
            (name, dtype): lambda model=model, dtype=dtype, batch=batch: logits(model, dtype, batch)
            for (name, dtype), model in models.items()
        }
        seconds, rounds = (0.01, 2) if args.quick else (1.0, 5)
        for name, by_dtype in compete(calls, seconds, rounds).items():
            for dtype, times in by_dtype.items():
                low, high = np.percentile(np.concatenate(times), (10, 90))
                yield {
                    "model": name,
                    "batch": f"{rows} x {args.length}",
                    "precision": dtype,
                    "ms, median": f"{median(times):.2f}",
                    "10th to 90th percentile": f"{low:.2f} to {high:.2f}",
                }


# Programs -----------------------------------------------------------------------------------------


def program(args, line: list[str]) -> subprocess.CompletedProcess:
    """Run `python line` in the repository until the part's deadline; return it with its output.

    Raises RuntimeError if it takes longer.
    """
    seconds = max(1.0, args.deadline - time.monotonic())
    try:
        return subprocess.run(
            [sys.executable, *line],
            cwd=SHIPPED,
            env={**os.environ, "PYTHONPATH": str(SHIPPED)},
            timeout=seconds,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"python {' '.join(line[:2])} took longer than {seconds:.0f} s"
        ) from None


def tests(args, device: Device) -> Iterator[Row]:
    """Run the tests that need CUDA; yield the summary and each failure."""
    files = [
        str(path.relative_to(SHIPPED))
        for path in sorted((SHIPPED / "tests").rglob("test_*.py"))
        if "pytest.mark.cuda" in path.read_text(encoding="utf-8")
    ]
    plain = "-q -rfE -m cuda -p no:cacheprovider -o addopts=".split()
    done = program(args, ["-m", "pytest", *plain, *files])
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["no output"]
    yield {"tests that need CUDA": lines[-1]}
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            yield {"tests that need CUDA": line}


def default_run(args, device: Device) -> Iterator[Row]:
    """Run all stages with the default settings in a new workspace; yield seconds and scores."""
    few = "--profile smoke".split() if args.quick else []
    for stage in ("general_distill", "finetune_teacher", "task_distill_mid", "task_distill_out"):
        few += ["--set", f"{stage}.max_steps=2"] * args.quick
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "workspace"
        if args.workspace:
            shutil.copytree(args.workspace, folder)
        folder.mkdir(exist_ok=True)
        started = time.perf_counter()
        line = ["-m", "tinybert_lite.run_all", "--workspace", str(folder), "--device", device.name]
        done = program(args, [*line, *few])
        seconds = time.perf_counter() - started
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise RuntimeError(f"run_all ended with exit code {done.returncode}: {last}")
        results = read_json(folder / FINISHED / RESULTS)
    yield {"default run": "the whole command", "result": f"{seconds:.0f} s"}
    for name, taken in results["seconds"].items():
        yield {"default run": name, "result": f"{taken:.0f} s"}
    for who in ("teacher", "student"):
        scores = ", ".join(f"{name} {value:.4f}" for name, value in results[who].items())
        yield {"default run": f"{who}, dev", "result": scores}
    yield {"default run": "device", "result": str(results["device"])}
