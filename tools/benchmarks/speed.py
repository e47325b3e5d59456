"""How fast each stage is, and how much memory it takes, beside a plain implementation: one table, written to a file.

    python tools/benchmarks/speed.py --data_dir path/to/SST-2 --corpus reviews.txt --vocabulary bert-base-uncased-vocab.txt --output docs/speed_table.md

Teacher: BERT-base's size (12 layers, width 768), student: TinyBERT4's, both with random weights, which cost what trained ones do.
Everything is measured in this one run, so that the ratios stand on a noisy machine. The ceiling is the median rate of one matrix
product, 4096 x 768 times 768 x 3072, before and after each stage; operations are counted by `measure.operations`. "Plain" takes one sentence at a time, padded to
the maximum, runs every teacher layer with autograd kept, the decoder at every place and a sort of the vocabulary, and stores nothing.
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
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from measure import Peak, base, ceiling, operations, tiny

from tinybert_lite.data.batches import Batches, Examples, bucketed, in_order
from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import find_task
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.encoder import Bert
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

SST, LENGTH = find_task("SST-2"), 128


@dataclass
class Line:
    """A row of the table."""

    stage: str
    rate: str
    peak: int  # bytes
    padding: float | None = None  # of 1
    operations: float | None = None  # a second
    ratio: float | None = None  # to the plain implementation
    note: str = ""


class Timed:
    """An objective that notes when each step begins: a step lasts until the next one does, optimizer and all."""

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
    """Remembers the teacher's outputs for each batch: what a stage 4 that stores them could gain at most."""

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
    """The same batches in every epoch."""

    def epoch(self, epoch: int):
        return super().epoch(0)


def train(student: Bert, objective, batches: Batches, device: Device, **settings) -> list[float]:
    """Seconds of each step but the last."""
    timed = Timed(objective)
    if timed.teacher is not None:
        timed.teacher.to(device.name)
    Loop(
        student,
        timed,
        batches,
        Training(save_every=0, **settings),
        Session(device, 0, torch.get_num_threads()).accelerator(),
        say=lambda text: None,
        label="speed",
    ).run()
    return timed.steps


def plain_step(
    student: Bert, teacher: Bert, examples: Examples, intermediate: bool, rows: int = 8
) -> float:
    """Seconds a row of one optimizer step as a plain script takes it, one sentence at a time."""
    device = next(student.parameters()).device
    teacher = teacher.requires_grad_(True).to(device)
    optimizer = torch.optim.AdamW(student.parameters(), foreach=False, fused=False)
    started = time.perf_counter()
    for row in range(rows):
        batch = examples.batch([row])
        batch = {
            name: torch.nn.functional.pad(tensor, (0, LENGTH - tensor.shape[1])).to(device)
            for name, tensor in batch.items()
            if name != "labels"
        }
        if intermediate:
            objective = Intermediate.__new__(Intermediate)
            objective.padding, objective.mapping = "original", list(range(0, 13, 3))
            learning, teaching = (
                student(batch, scores=range(1, 5)),
                teacher(batch, scores=range(1, 13)),
            )
            loss = sum(objective.terms(learning, teaching, batch["attention_mask"]).values())
        else:
            targets = teacher(batch, logits=True).logits
            loss = -(targets.softmax(-1) * student(batch, logits=True).logits.log_softmax(-1)).sum()
        (loss / rows).backward()
    optimizer.step()
    loss.item()  # waits for the device
    return (time.perf_counter() - started) / rows


def random_rows(count: int, length: int, vocab_size: int) -> Examples:
    rows = np.random.default_rng(0).integers(1000, vocab_size, (count, length)).tolist()
    return Examples.joined([(rows, [length] * count)])


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
    for size in (32,) if device.name == "cpu" else (32, 64, 128, 256, 512):
        teacher, student = (
            base(vocab_size),
            tiny(vocab_size, projection="per_layer", teacher_width=768),
        )
        examples = random_rows(size * 4, LENGTH, vocab_size)
        with Peak(device.name) as peak:
            step = statistics.median(
                train(
                    student,
                    Intermediate(student, teacher),
                    Batches(examples, size, 0),
                    device,
                    train_batch_size=size,
                    max_steps=args.steps + 1,
                    num_train_epochs=args.steps,
                )[1:]
            )
        done = operations(teacher, student, np.full(size, LENGTH)) / step
        plain = plain_step(student, teacher, examples, True) * size / step
        lines.append(
            Line(
                f"3 general distillation, {size} x {LENGTH}",
                f"{size * LENGTH / step:,.0f} tokens/s",
                peak.bytes,
                0.0,
                done,
                plain,
            )
        )
    return lines


def intermediate(args, examples: Examples, vocab_size: int, device: Device) -> list[Line]:
    teacher, student = base(vocab_size), tiny(vocab_size, projection="per_layer", teacher_width=768)
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
    full = statistics.median(
        train(
            student,
            objective,
            Batches(random_rows(4 * size, LENGTH, vocab_size), size, 0),
            device,
            train_batch_size=size,
            num_train_epochs=2,
        )[1:]
    )
    kept = train(
        student,
        Kept(student, teacher),
        Same(first_rows(examples, 4 * size), size, 0),
        device,
        train_batch_size=size,
        num_train_epochs=5,
    )
    plain = plain_step(student, teacher, examples, True)
    lengths = [examples.lengths[rows] for rows in batches[1 : len(times) + 1]]
    useful, places = sum(map(np.sum, lengths)), sum(len(rows) * rows.max() for rows in lengths)
    rate, whole = useful / sum(times), size * LENGTH / full
    return [
        Line(
            f"4 intermediate layers, real rows, batches of {size}",
            f"{rate:,.0f} useful tokens/s",
            peak.bytes,
            1 - useful / places,
            sum(operations(teacher, student, rows) for rows in lengths) / sum(times),
            plain * sum(map(len, lengths)) / sum(times),
            f"{100 * rate / whole:.0f} % of the {whole:,.0f} tokens/s at {size} x {LENGTH}; with the teacher's outputs kept a later epoch takes "
            f"{100 * sum(kept[4:16]) / (3 * sum(kept[:4])):.0f} % of the first one's time",
        )
    ]


def prediction(
    args, examples: Examples, vocab_size: int, device: Device, epochs: int = 3
) -> list[Line]:
    teacher, student = (
        base(vocab_size, num_labels=2).to(device.name),
        tiny(vocab_size, num_labels=2),
    )
    some = first_rows(examples, 32 * args.steps)

    def run(stored: bool, rows: Examples) -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            given = (
                with_soft_targets(rows, asking(teacher, 64), "random", Path(folder))
                if stored
                else rows
            )
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
    plain = plain_step(student, teacher, some, False) * len(some) * epochs
    return [
        Line(
            f"5 prediction layer, {epochs} epochs",
            f"{epochs * len(some) / min(once):,.0f} rows/s",
            peak.bytes,
            ratio=plain / min(once),
            note=f"{sum(each) / sum(once):.1f} x the speed of asking the teacher in each epoch, {len(some)} rows",
        )
    ]


@torch.inference_mode()
def one_word_a_forward(
    model: Bert, masked: list[str], tokenizer, device: str, length: int = 0
) -> float:
    """Seconds a masked word where each has a forward pass of its own, decoder at all places, the whole vocabulary sorted."""
    started = time.perf_counter()
    for text in masked:
        batch = encode([text], None, tokenizer, LENGTH).batch([0])
        at = int((batch["input_ids"][0] == tokenizer.mask_token_id).nonzero()[0])
        short = max(0, length - batch["input_ids"].shape[1])
        batch = {
            name: torch.nn.functional.pad(tensor, (0, short)).to(device)
            for name, tensor in batch.items()
        }
        scores = model(
            batch, masked_lm=torch.ones_like(batch["input_ids"], dtype=torch.bool)
        ).masked_lm
        scores[at].argsort(descending=True).tolist()
    return (time.perf_counter() - started) / len(masked)


def augmentation(
    args, texts: list[str], tokenizer, vectors: WordVectors, device: Device
) -> list[Line]:
    model = base(len(tokenizer), masked_lm=True).eval()
    augmenter = Augmenter(
        model,
        tokenizer,
        vectors,
        Augmenting(max_seq_length=LENGTH, batch_size=args.batch_size),
        device.name,
        device.precision,
    )
    rows = {
        "as they come": texts[: args.texts],
        "of 15 tokens": [
            text for text, ids in zip(texts, tokenizer(texts)["input_ids"]) if len(ids) == 15
        ][: args.texts],
    }
    augmenter.candidates([words(tokenizer, text) for text in texts[:10]])  # to warm up
    lines = []
    for which, chosen in rows.items():
        split = [words(tokenizer, text) for text in chosen]
        masked = [
            " ".join(text[:i] + [tokenizer.mask_token] + text[i + 1 :])
            for text in split
            for i in augmenter.eligible(text)
            if text[i] in augmenter.single_pieces
        ]
        examples = encode(masked, None, tokenizer, LENGTH)
        with Peak(device.name) as peak:
            started = time.perf_counter()
            augmenter.candidates(split)
            ours = (time.perf_counter() - started) / len(masked)
        padding = 1 - examples.lengths.sum() / sum(
            batch["input_ids"].numel()
            for _, batch in in_order(examples, args.batch_size, similar=0.9)
        )
        some = random.Random(0).sample(masked, min(40, len(masked)))
        one_word_a_forward(model, some[:3], tokenizer, device.name)
        single, padded = (
            one_word_a_forward(model, some, tokenizer, device.name),
            one_word_a_forward(model, some[:10], tokenizer, device.name, LENGTH),
        )
        lines.append(
            Line(
                f"1 augmentation, {len(chosen)} rows {which}, {len(masked)} masked words",
                f"{1 / ours:,.1f} words/s",
                peak.bytes,
                float(padding),
                operations(model, None, examples.lengths) / len(masked) / ours,
                padded / ours,
                f"{single / ours:.1f} x one masked word a forward of the same length ({examples.lengths.mean():.0f} tokens on average)",
            )
        )
    return lines


def pregeneration(corpus: Path, vocabulary: Path, tokenizer) -> list[Line]:
    """The tokenizer and one worker on one core, two workers on two (the cores on Linux alone; elsewhere as the system likes)."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []

    def use(count: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if count > 1 else "false"
        if cores:
            os.sched_setaffinity(0, cores[:count])

    def run(workers: int) -> tuple[float, int]:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, Peak() as peak:
            pregenerate(
                corpus,
                vocabulary,
                Path(folder),
                Pregenerating(epochs_to_generate=1, num_workers=workers),
                0,
            )
        return time.perf_counter() - started, peak.bytes

    use(1)
    one, _ = run(1)
    use(2)
    two, peak = run(2)
    get_reusable_executor().shutdown()  # the workers, for which this process would wait at its end
    use(1)
    sentences = [sentence for document in read_documents(corpus) for sentence in document]
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
            note=f"{100 * alone / one:.0f} % of the tokenizer alone on one core; two workers on two cores {one / two:.2f} x one",
        )
    ]


def measured(stage: int, args) -> tuple[list[Line], list[float], Device]:
    """A stage's lines, with the ceiling before and after; in a process of its own, so that its memory is its own."""
    set_threads(args.threads)
    device, workspace = choose_device(args.device), Workspace.find()
    dtype = torch.bfloat16 if device.precision == "bf16" else torch.float32
    tokenizer = load_tokenizer(args.vocabulary)
    if stage != 2:
        table_rows = list(read_table(args.data_dir / "train.tsv", SST).rows)
        texts = [
            row.text_a for row in random.Random(0).sample(table_rows, min(len(table_rows), 20_000))
        ]
        examples = encode(texts, None, tokenizer, LENGTH)
    parts = {
        1: lambda: augmentation(
            args, texts, tokenizer, WordVectors.read(workspace.vectors), device
        ),
        2: lambda: pregeneration(args.corpus, args.vocabulary, tokenizer),
        3: lambda: general(args, len(tokenizer), device),
        4: lambda: intermediate(args, examples, len(tokenizer), device),
        5: lambda: prediction(args, examples, len(tokenizer), device),
    }
    before = ceiling(device.name, dtype)
    return parts[stage](), before + ceiling(device.name, dtype), device


def table(lines: list[Line], top: float, device: Device) -> str:
    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.0f} %"

    rate = f"{top / 1e9:,.0f} GFLOP/s in {'bf16' if device.precision == 'bf16' else 'float32'}"
    head = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {device}; ceiling {rate}\n"
    body = [
        f"| {x.stage} | {x.rate} | {share(x.padding)} | {share(x.operations and x.operations / top)} | {'' if x.ratio is None else f'{x.ratio:.1f} x'} | "
        f"{x.peak / 1e9:.1f} GB | {x.note} |"
        for x in lines
    ]
    return "\n".join(
        [
            head,
            "| stage | rate | padding | of the ceiling | against plain | peak memory | |",
            "|---" * 7 + "|",
            *body,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    workspace = Workspace.find()
    parser.add_argument(
        "--data_dir",
        type=Path,
        default=workspace.data_file("train").parent,
        help="folder with train.tsv of SST-2",
    )
    parser.add_argument("--corpus", type=Path, default=workspace.corpus)
    parser.add_argument("--vocabulary", type=Path, default=workspace.vocabulary)
    parser.add_argument("--output", type=Path, help="a file for the table")
    parser.add_argument("--stages", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch_size", type=int, default=64, help="of stage 4 and of masked words")
    parser.add_argument(
        "--texts",
        type=int,
        default=BLOCK,
        help="sentences to augment; the stage takes as many at once",
    )
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--device", default="cpu", help="cpu, or cuda, where plain runs are on the GPU too"
    )
    args = parser.parse_args()
    lines, tops = [], []
    for stage in args.stages:
        say(f"measuring stage {stage}")
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            found, rates, device = pool.submit(measured, stage, args).result()
        lines, tops = lines + found, tops + rates
        text = table(lines, statistics.median(tops), device)
        if args.output:
            args.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
