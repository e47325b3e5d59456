"""Measure speed and memory of each stage, and compare with a plain implementation (plain.py).

    python tools/benchmarks/speed.py --data_dir path/to/SST-2 --corpus reviews.txt \\
        --vocabulary bert-base-uncased-vocab.txt --output docs/speed_table.md

Teacher: BERT-base's size (12 layers, width 768); student: TinyBERT4's. Both have random weights,
which take as long as trained ones. All is measured in one run, so that ratios are valid on a busy
machine. The ceiling is the median rate of one matrix product, 4096 x 768 times 768 x 3072,
before and after each stage; operations are counted by `measure.operations`.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import plain
import torch
from joblib.externals.loky import get_reusable_executor
from measure import Peak, base, ceilings, operations, tiny

from tinybert_lite.data.batches import Batches, Examples, bucketed, in_order
from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.data_augmentation import BLOCK, Augmenter
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Augmenting, Pregenerating, Training
from tinybert_lite.stages.soft_targets import asking, with_soft_targets
from tinybert_lite.system.console import say
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.machine import set_threads
from tinybert_lite.training.loop import Loop

SST = find_task("SST-2")


@dataclass
class Line:
    """A row of the table."""

    stage: str
    rate: str
    peak: int  # bytes
    padding: float | None = None  # share of 1
    operations: float | None = None  # per second
    ratio: float | None = None  # to the plain implementation
    note: str = ""


class Timed:
    """An objective that records when each step begins; a step lasts until the next one begins."""

    def __init__(self, objective):
        self.objective, self.sizes, self.starts = objective, objective.sizes, []
        self.teacher = getattr(objective, "teacher", None)

    def __call__(self, *args):
        self.starts.append(time.perf_counter())
        return self.objective(*args)

    @property
    def steps(self) -> list[float]:
        return [b - a for a, b in zip(self.starts, self.starts[1:])]


class Kept(Intermediate):
    """Keep the teacher's outputs of each batch: the most that storing them can save in stage 4."""

    def __init__(self, *args):
        super().__init__(*args)
        self.kept = {}

    def __call__(self, student, batch, sizes=None):
        key, attended = batch["input_ids"].cpu().numpy().tobytes(), range(1, len(self.mapping))
        if key not in self.kept:
            with torch.no_grad():
                self.kept[key] = self.teacher(
                    batch, scores={self.mapping[m] for m in attended}, last_layer=max(self.mapping)
                )
        return self.terms(
            student(batch, scores=attended), self.kept[key], batch["attention_mask"], sizes
        )


class Same(Batches):
    """Batches that are the same in every epoch."""

    def epoch(self, epoch: int):
        return super().epoch(0)


def train(
    student: Encoder,
    objective,
    batches: Batches,
    device: Device,
    kind: type[Loop] = Loop,
    **settings,
) -> list[float]:
    """Train; return the seconds of each step except the last. kind: a variant of the loop."""
    timed = Timed(objective)
    if timed.teacher is not None:
        timed.teacher.to(device.name)
    kind(
        student,
        timed,
        batches,
        Training(save_every=0, **settings),
        Session(device, 0, torch.get_num_threads()).accelerator(),
        packed=device.packed,
        say=lambda text: None,
        label="speed",
    ).run()
    return timed.steps


def two_models(args, vocab_size: int) -> tuple[Encoder, Encoder]:
    """Return teacher and student of stages 3 and 4."""
    teacher = base(vocab_size, args.quick)
    width = teacher.config.hidden_size
    return teacher, tiny(vocab_size, args.quick, projection="per_layer", teacher_width=width)


def random_rows(lengths: np.ndarray, vocab_size: int) -> Examples:
    """Return rows of random tokens, of these lengths, (n,)."""
    draw = np.random.default_rng(0)
    ids = draw.integers(vocab_size // 30, vocab_size, lengths.sum())
    rows = [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]
    return Examples.joined([(rows, lengths.tolist())])


def first_rows(examples: Examples, rows: int) -> Examples:
    rows = min(rows, len(examples))
    return replace(
        examples,
        starts=examples.starts[: rows + 1],
        first=examples.first[:rows],
        ids=examples.ids[: examples.starts[rows]],
        labels=None,
    )


def general(args, vocab_size: int, device: Device) -> list[Line]:
    lines = []
    for size in (args.batch_size // 2,) if device.name == "cpu" else (32, 64, 128, 256, 512):
        teacher, student = two_models(args, vocab_size)
        examples = random_rows(np.full(4 * size, args.length), vocab_size)
        with Peak(device.name) as peak:
            steps = train(
                student,
                Intermediate(student, teacher),
                Batches(examples, size, 0),
                device,
                train_batch_size=size,
                max_steps=args.steps + 1,
                num_train_epochs=args.steps,
            )
        step = statistics.median(steps[1:])
        row = plain.training_step(
            *reversed(two_models(args, vocab_size)), examples, args.length, intermediate=True
        )
        lines.append(
            Line(
                f"3 general distillation, {size} x {args.length}",
                f"{size * args.length / step:,.0f} tokens/s",
                peak.bytes,
                0.0,
                operations(teacher, student, np.full(size, args.length)) / step,
                row * size / step,
            )
        )
    return lines


def intermediate(args, examples: Examples, vocab_size: int, device: Device) -> list[Line]:
    teacher, student = two_models(args, vocab_size)
    objective, size, steps = Intermediate(student, teacher), args.batch_size, args.steps + 1
    batches = bucketed(examples.lengths, size, np.random.default_rng([0, 0]))[:steps]
    with Peak(device.name) as peak:
        times = train(
            student,
            objective,
            Batches(examples, size, 0),
            device,
            train_batch_size=size,
            max_steps=steps,
        )[1:]
    full = train(
        student,
        objective,
        Batches(random_rows(np.full(4 * size, args.length), vocab_size), size, 0),
        device,
        train_batch_size=size,
        num_train_epochs=2,
    )
    kept = train(
        student,
        Kept(student, teacher),
        Same(first_rows(examples, 4 * size), size, 0),
        device,
        train_batch_size=size,
        num_train_epochs=5,
    )
    row = plain.training_step(
        *reversed(two_models(args, vocab_size)), examples, args.length, intermediate=True
    )
    lengths = [examples.lengths[rows] for rows in batches[1 : len(times) + 1]]
    useful, positions = sum(map(np.sum, lengths)), sum(len(rows) * rows.max() for rows in lengths)
    rate, whole = useful / sum(times), size * args.length / statistics.median(full[1:])
    later = 100 * sum(kept[4:16]) / (3 * sum(kept[:4]))
    return [
        Line(
            f"4 intermediate layers, real rows, batches of {size}",
            f"{rate:,.0f} useful tokens/s",
            peak.bytes,
            1 - useful / positions,
            sum(operations(teacher, student, rows) for rows in lengths) / sum(times),
            row * sum(map(len, lengths)) / sum(times),
            f"{100 * rate / whole:.0f} % of the {whole:,.0f} tokens/s at {size} x {args.length}; "
            f"with the teacher's outputs kept, a later epoch takes {later:.0f} % of the time of "
            "the first one",
        )
    ]


def prediction(
    args, examples: Examples, vocab_size: int, device: Device, epochs: int = 3
) -> list[Line]:
    teacher = base(vocab_size, args.quick, num_labels=2).to(device.name)
    student = tiny(vocab_size, args.quick, num_labels=2)
    some = first_rows(examples, args.batch_size // 2 * args.steps)

    def run(stored: bool, rows: Examples) -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            given = rows
            if stored:
                ask = asking(teacher, 64, device.precision, device.packed)
                given = with_soft_targets(rows, ask, "random", Path(folder))
            train(
                student,
                Prediction(None if stored else teacher),
                Batches(given, 32, 0),
                device,
                num_train_epochs=epochs,
            )
        return time.perf_counter() - started

    run(False, first_rows(examples, 64))  # to warm up
    with Peak(device.name) as peak:
        once = [run(True, some)]
    each = [run(False, some)]
    once.append(run(True, some))
    each.append(run(False, some))
    teacher = base(vocab_size, args.quick, num_labels=2)
    row = plain.training_step(student, teacher, some, args.length, intermediate=False)
    return [
        Line(
            f"5 prediction layer, {epochs} epochs",
            f"{epochs * len(some) / min(once):,.0f} rows/s",
            peak.bytes,
            ratio=row * len(some) * epochs / min(once),
            note=f"{sum(each) / sum(once):.1f} x the speed of running the teacher in each epoch, "
            f"{len(some)} rows",
        )
    ]


def masked_copies(augmenter: Augmenter, split: list[list[str]]) -> list[tuple[str, str]]:
    """Return a text and its copy with a mask for each word that the masked LM replaces."""
    mask = augmenter.tokenizer.mask_token
    return [
        (" ".join(text), " ".join(text[:i] + [mask] + text[i + 1 :]))
        for text in split
        for i in augmenter.eligible(text)
        if text[i] in augmenter.single_pieces
    ]


def augmentation(
    args, texts: list[str], tokenizer, vectors: WordVectors, device: Device
) -> list[Line]:
    model = base(len(tokenizer), args.quick, masked_lm=True).eval()
    augmenter = Augmenter(
        model,
        tokenizer,
        vectors,
        Augmenting(max_seq_length=args.length, batch_size=args.batch_size),
        device.name,
        device.precision,
        packed=device.packed,
    )
    single = base(len(tokenizer), args.quick, masked_lm=True).eval()
    counts = list(map(len, tokenizer(texts)["input_ids"]))
    usual = statistics.mode(counts) if args.quick else 15
    rows = {
        "in file order": texts[: args.texts],
        f"of {usual} tokens": [t for t, count in zip(texts, counts) if count == usual][
            : args.texts
        ],
    }
    augmenter.candidates([words(tokenizer, text) for text in texts[:10]])  # to warm up
    lines = []
    for which, chosen in rows.items():
        split = [words(tokenizer, text) for text in chosen]
        pairs = masked_copies(augmenter, split)
        masked = [copy for _, copy in pairs]
        examples = encode(masked, None, tokenizer, args.length)
        with Peak(device.name) as peak:
            started = time.perf_counter()
            augmenter.candidates(split)
            ours = (time.perf_counter() - started) / len(masked)
        padding = 1 - examples.lengths.sum() / sum(
            batch["input_ids"].numel()
            for _, batch in in_order(examples, args.batch_size, similar=0.9)
        )
        some = random.Random(0).sample(pairs, min(40, len(pairs)))
        row = plain.masked_words(single, some, tokenizer, device.name)
        lines.append(
            Line(
                f"1 augmentation, {len(chosen)} rows {which}, {len(masked)} masked words",
                f"{1 / ours:,.1f} words/s",
                peak.bytes,
                float(padding),
                operations(model, None, examples.lengths) / len(masked) / ours,
                row / ours,
                f"{examples.lengths.mean():.0f} tokens on average",
            )
        )
    return lines


@contextmanager
def cores_alone():
    """Return a function that restricts this process and its workers to some cores, on Linux."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    parallel = os.environ.get("TOKENIZERS_PARALLELISM", "true")

    def use(count: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if count > 1 else "false"
        if cores:
            os.sched_setaffinity(0, sorted(cores)[:count])

    try:
        yield use
    finally:
        use(len(cores))
        os.environ["TOKENIZERS_PARALLELISM"] = parallel


def pregeneration(args, tokenizer) -> list[Line]:
    """Measure the tokenizer and one worker on one core, and N workers on N cores."""

    def run(workers: int) -> tuple[float, int]:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, Peak() as peak:
            pregenerate(
                args.corpus,
                args.vocabulary,
                Path(folder),
                Pregenerating(epochs_to_generate=1, num_workers=workers),
                0,
            )
        return time.perf_counter() - started, peak.bytes

    with cores_alone() as use:
        use(1)
        one, _ = run(1)
        use(args.workers)
        many, peak = run(args.workers)
        get_reusable_executor().shutdown()  # else this process waits for the workers at its end
        use(1)
        sentences = [text for document in read_documents(args.corpus) for text in document]
        started = time.perf_counter()
        tokens = sum(
            len(found.ids)
            for start in range(0, len(sentences), 2000)
            for found in tokenizer.backend_tokenizer.encode_batch_fast(
                sentences[start : start + 2000], add_special_tokens=False
            )
        )
        alone = time.perf_counter() - started
    return [
        Line(
            "2 pregenerated data, one worker on one core",
            f"{tokens / one:,.0f} tokens/s",
            peak,
            note=f"{100 * alone / one:.0f} % of the speed of the tokenizer alone on one core; "
            f"{args.workers} workers on {args.workers} cores {one / many:.2f} x one",
        )
    ]


def measured(stage: int, args) -> tuple[list[Line], dict[str, list[float]], Device]:
    """Return a stage's lines, and the ceilings by library, before and after it."""
    set_threads(args.threads)
    width = 0 if args.quick else 768
    device, workspace = choose_device(args.device, args.precision, width), Workspace.find()
    dtype = torch.bfloat16 if device.precision == "bf16" else torch.float32
    tokenizer = load_tokenizer(args.vocabulary)
    if stage != 2:
        rows = list(read_table(args.data_dir / "train.tsv", SST).rows)
        texts = [row.text_a for row in random.Random(0).sample(rows, min(len(rows), 20_000))]
        examples = encode(texts, None, tokenizer, args.length)
    parts = {
        1: lambda: augmentation(
            args, texts, tokenizer, WordVectors.read(workspace.vectors), device
        ),
        2: lambda: pregeneration(args, tokenizer),
        3: lambda: general(args, len(tokenizer), device),
        4: lambda: intermediate(args, examples, len(tokenizer), device),
        5: lambda: prediction(args, examples, len(tokenizer), device),
    }
    before = ceilings(device.name, dtype, args.quick)
    lines, after = parts[stage](), ceilings(device.name, dtype, args.quick)
    return lines, {name: rates + after[name] for name, rates in before.items()}, device


def table(lines: list[Line], rates: dict[str, list[float]], device: Device) -> str:
    """Return the table; a ceiling is the best library's median rate."""
    medians = {name: statistics.median(found) for name, found in rates.items()}
    top = max(medians.values())

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.0f} %"

    products = ", ".join(f"{name} {found / 1e9:,.0f}" for name, found in medians.items())
    rate = f"{top / 1e9:,.0f} GFLOP/s in {device.computes_in} ({products})"
    head = (
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {device}; ceiling {rate}\n"
    )
    columns = "| stage | rate | padding | of the ceiling | against plain | peak memory | |"
    body = [
        f"| {x.stage} | {x.rate} | {share(x.padding)} | "
        f"{share(x.operations and x.operations / top)} | "
        f"{'' if x.ratio is None else f'{x.ratio:.1f} x'} | {x.peak / 1e9:.1f} GB | {x.note} |"
        for x in lines
    ]
    return "\n".join([head, columns, "|---" * 7 + "|", *body, ""])


def parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    workspace, add = Workspace.find(), parser.add_argument
    rows = workspace.data_file("train").parent
    add("--data_dir", type=Path, default=rows, help="folder with train.tsv of SST-2")
    add("--corpus", type=Path, default=workspace.corpus)
    add("--vocabulary", type=Path, default=workspace.vocabulary)
    add("--output", type=Path, help="file to write the table to")
    add("--stages", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    add("--steps", type=int, default=20)
    add("--length", type=int, default=128, help="tokens per sequence")
    add(
        "--batch_size",
        type=int,
        default=64,
        help="batch size of stages 1 and 4; stages 3 and 5 use half of it",
    )
    add("--texts", type=int, default=BLOCK, help="sentences that are augmented together")
    add("--workers", type=int, default=2, help="workers of stage 2, compared with one")
    add("--threads", type=int, default=0)
    add("--device", default="cpu", help="cpu or cuda; the plain implementation runs there too")
    add("--precision", default="float32", help="float32 or bf16; plain computes in float32")
    add("--quick", action="store_true", help="use very small models, for tests")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parsed(argv)
    lines, tops = [], {}
    for stage in args.stages:
        say(f"measuring stage {stage}")
        with ProcessPoolExecutor(
            1, get_context("spawn")
        ) as pool:  # a new process, so that memory is measured per stage
            found, rates, device = pool.submit(measured, stage, args).result()
        lines += found
        tops = {name: tops.get(name, []) + some for name, some in rates.items()}
        text = table(lines, tops, device)
        if args.output:
            args.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
