"""How fast each stage is, and how much memory it takes, beside a plain implementation: one table, written to a file.

    python tools/benchmarks/speed.py --data_dir path/to/SST-2 --corpus reviews.txt --output docs/speed_table.md

Teacher: BERT-base's size (12 layers, width 768), student: TinyBERT4's, both with random weights, which cost what trained ones do.
Everything is measured in this one run, so that the ratios stand on a noisy machine. The ceiling is the median rate of one float32 matrix
product, 4096 x 768 times 768 x 3072; operations are counted by `operations` below, 2 for a multiply-add, a backward pass as twice
its forward. "Plain" takes one sentence at a time, padded to the maximum, runs every teacher layer with autograd kept, and stores nothing.
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig

from tinybert_lite.cost import multiply_adds
from tinybert_lite.data.batches import Batches, Examples, bucketed
from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tasks import find_task, read_table
from tinybert_lite.data.tokens import encode, load_tokenizer, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data_augmentation import Augmenter
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.objectives import Intermediate, Prediction
from tinybert_lite.engine.train import Loop
from tinybert_lite.pregenerate_training_data import pregenerate
from tinybert_lite.runtime import Device, say, set_threads
from tinybert_lite.settings import Augmenting, Pregenerating, Training
from tinybert_lite.soft_targets import with_soft_targets
from tinybert_lite.stage import Session
from tinybert_lite.workspace import Workspace

SST, LENGTH = find_task("SST-2"), 128


@dataclass
class Line:
    """A row of the table; shares are of 1."""

    stage: str
    rate: str
    padding: float | None = None
    of_ceiling: float | None = None
    ratio: float | None = None  # to the plain implementation
    note: str = ""


def seconds(function: Callable, repeats: int = 3) -> float:
    """Median time of a call, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def ceiling(device: str) -> float:
    """Operations a second of the matrix product that a large feed-forward layer is."""
    a, b = torch.randn(4096, 768, device=device), torch.randn(768, 3072, device=device)
    return 2 * 4096 * 768 * 3072 / seconds(lambda: float((a @ b)[0, 0]), 15)


def bert(layers: int, width: int, intermediate: int, vocab_size: int, **parts) -> Bert:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=vocab_size, num_hidden_layers=layers, hidden_size=width, intermediate_size=intermediate, num_attention_heads=12)
    return Bert(config, **parts)


def base(vocab_size: int, **parts) -> Bert:
    return bert(12, 768, 3072, vocab_size, **parts)


def tiny(vocab_size: int, **parts) -> Bert:
    return bert(4, 312, 1200, vocab_size, **parts)


def operations(teacher: Bert | None, student: Bert | None, lengths: np.ndarray) -> float:
    """Of one step on rows of these lengths: the teacher forward once, student and projections forward and backward."""
    total = 0.0
    for length, count in zip(*np.unique(lengths, return_counts=True)):
        one = multiply_adds(teacher, int(length)) if teacher else 0
        if student:
            one += 3 * multiply_adds(student, int(length))
            for fit in student.fit_denses or ():
                one += 3 * int(length) * fit.in_features * fit.out_features
        total += 2.0 * one * count
    return total


class Timed:
    """An objective that notes when each step begins: a step lasts until the next one does, optimizer and all."""

    def __init__(self, objective):
        self.objective, self.teacher, self.sizes, self.starts = objective, getattr(objective, "teacher", None), objective.sizes, []

    def __call__(self, *args):
        self.starts.append(time.perf_counter())
        return self.objective(*args)

    @property
    def steps(self) -> list[float]:
        return [b - a for a, b in zip(self.starts, self.starts[1:])]


def train(student: Bert, objective, examples: Examples, batch_size: int, steps: int, device: Device) -> list[float]:
    timed = Timed(objective)
    settings = Training(train_batch_size=batch_size, max_steps=steps, num_train_epochs=steps, save_step=0)
    session = Session(device, 0, torch.get_num_threads())
    Loop(student, timed, Batches(examples, batch_size, 0), settings, session.accelerator(), say=lambda text: None, label="speed").run()
    return timed.steps


def plain_step(student: Bert, teacher: Bert, examples: Examples, rows, intermediate: bool) -> float:
    """One optimizer step as a plain script takes it, one sentence at a time; its seconds."""
    optimizer = torch.optim.AdamW(student.parameters(), foreach=False, fused=False)
    started = time.perf_counter()
    for row in rows:
        batch = {name: tensor for name, tensor in examples.batch([row]).items() if name != "labels"}
        short = LENGTH - batch["input_ids"].shape[1]
        batch = {name: torch.nn.functional.pad(tensor, (0, short)) for name, tensor in batch.items()}
        if intermediate:
            objective = Intermediate.__new__(Intermediate)
            objective.padding, objective.mapping = "reference", list(range(0, 13, 3))
            every = range(1, 13)
            learning, teaching = student(batch, scores=range(1, 5)), teacher(batch, scores=every)
            loss = sum(Intermediate.terms(objective, learning, teaching, batch["attention_mask"]).values())
        else:
            targets = teacher(batch, logits=True).logits
            loss = -(targets.softmax(-1) * student(batch, logits=True).logits.log_softmax(-1)).sum()
        (loss / len(rows)).backward()
    optimizer.step()
    return time.perf_counter() - started


def random_rows(count: int, length: int, vocab_size: int) -> Examples:
    rows = np.random.default_rng(0).integers(1000, vocab_size, (count, length)).tolist()
    return Examples.joined([(rows, [length] * count)])


def general(args, top: float, vocab_size: int, device: Device) -> list[Line]:
    teacher, student = base(vocab_size), tiny(vocab_size, projection="per_layer", teacher_width=768)
    examples = random_rows(32 * 4, LENGTH, vocab_size)
    step = statistics.median(train(student, Intermediate(student, teacher), examples, 32, args.steps, device)[1:])
    done = operations(teacher, student, np.full(32, LENGTH))
    teacher.requires_grad_(True)
    plain = plain_step(student, teacher, examples, range(8), True) / 8
    return [Line("3 general distillation, 32 x 128", f"{32 * LENGTH / step:,.0f} tokens/s", 0.0, done / step / top, plain * 32 / step)]


def intermediate(args, top: float, examples: Examples, vocab_size: int, device: Device) -> list[Line]:
    teacher, student = base(vocab_size), tiny(vocab_size, projection="per_layer", teacher_width=768)
    objective, size = Intermediate(student, teacher), args.batch_size
    full = statistics.median(train(student, objective, random_rows(4 * size, LENGTH, vocab_size), size, 4, device)[1:])
    batches = bucketed(examples.lengths, size, np.random.default_rng([0, 0]))[: args.steps + 1]
    times = train(student, objective, examples, size, args.steps + 1, device)
    lengths = [examples.lengths[rows] for rows in batches[: len(times)]]
    useful, places = sum(map(np.sum, lengths)), sum(len(rows) * rows.max() for rows in lengths)
    rate = sum(map(np.sum, lengths[1:])) / sum(times[1:])
    of_top = sum(operations(teacher, student, rows) for rows in lengths[1:]) / sum(times[1:]) / top
    teacher.requires_grad_(True)
    plain = plain_step(student, teacher, examples, range(8), True) / 8
    ours = sum(times[1:]) / sum(map(len, lengths[1:]))
    whole = size * LENGTH / full
    return [Line(f"4 intermediate layers, real rows, batches of {size}", f"{rate:,.0f} useful tokens/s", 1 - useful / places, of_top, plain / ours,
                 f"{100 * rate / whole:.0f} % of the {whole:,.0f} tokens/s at {size} x {LENGTH}")]


def prediction(args, examples: Examples, vocab_size: int, device: Device, epochs: int = 3) -> list[Line]:
    teacher, student = base(vocab_size, num_labels=2), tiny(vocab_size, num_labels=2)
    rows = min(len(examples), 32 * args.steps)
    some = encode_part(examples, rows)
    settings = Training(num_train_epochs=epochs, save_step=0)

    def run(stored: bool) -> float:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            given = with_soft_targets(some, teacher, "random", Path(folder), 64) if stored else some
            session = Session(device, 0, torch.get_num_threads())
            Loop(student, Prediction(None if stored else teacher), Batches(given, 32, 0), settings, session.accelerator(),
                 say=lambda text: None, label="speed").run()
        return time.perf_counter() - started

    each, once = run(False), run(True)
    teacher.requires_grad_(True)
    plain = plain_step(student, teacher, some, range(8), False) / 8 * rows * epochs
    return [Line(f"5 prediction layer, {epochs} epochs", f"{epochs * rows / once:,.0f} rows/s", None, None, plain / once,
                 f"{each / once:.1f} x the speed of asking the teacher in each epoch")]


def encode_part(examples: Examples, rows: int) -> Examples:
    return replace(examples, starts=examples.starts[: rows + 1], first=examples.first[:rows], ids=examples.ids[: examples.starts[rows]], labels=None)


def augmentation(args, top: float, texts: list[str], tokenizer, vectors: WordVectors) -> list[Line]:
    model = base(len(tokenizer), masked_lm=True).eval()
    augmenter = Augmenter(model, tokenizer, vectors, Augmenting(max_seq_length=LENGTH, batch_size=args.batch_size))
    split = [words(tokenizer, text) for text in texts]
    masked = [" ".join(text[:i] + [tokenizer.mask_token] + text[i + 1:]) for text in split for i in augmenter.eligible(text) if text[i] in augmenter.single_pieces]
    examples = encode(masked, None, tokenizer, LENGTH)
    ours = seconds(lambda: augmenter.candidates(split), 1)
    forward = seconds(lambda: predict_states(model, examples, args.batch_size), 1)
    batches = [np.sort(examples.lengths)[i:i + args.batch_size] for i in range(0, len(masked), args.batch_size)]
    padding = 1 - examples.lengths.sum() / sum(len(b) * b.max() for b in batches)
    some = encode_part(examples, min(24, len(masked)))
    single = seconds(lambda: predict_states(model, some, 1), 1) / len(some) * len(masked)
    padded = seconds(lambda: predict_states(model, random_rows(8, LENGTH, len(tokenizer)), 1), 1) / 8 * len(masked)
    of_top = operations(model, None, examples.lengths) / ours / top
    return [Line(f"1 augmentation, {len(masked)} masked words", f"{len(masked) / ours:,.1f} words/s", float(padding), of_top, padded / ours,
                 f"{100 * forward / ours:.0f} % of the time is the forward pass; {single / ours:.1f} x one masked word a forward of the same length")]


@torch.inference_mode()
def predict_states(model: Bert, examples: Examples, size: int) -> None:
    order = np.argsort(examples.lengths, kind="stable")
    for start in range(0, len(order), size):
        model(examples.batch(order[start:start + size]))


def pregeneration(args, corpus: Path, vocabulary: Path, tokenizer) -> list[Line]:
    sentences = [sentence for document in read_documents(corpus) for sentence in document]
    backend, found = tokenizer.backend_tokenizer, []
    alone = seconds(lambda: found.append(sum(len(backend.encode(s, add_special_tokens=False).ids) for s in sentences)), 1)
    times = {}
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            pregenerate(corpus, vocabulary, Path(folder), Pregenerating(epochs_to_generate=1, num_workers=workers), 0)
            times[workers] = time.perf_counter() - started
    return [Line("2 pregenerated data, one worker", f"{found[0] / times[1]:,.0f} tokens/s", None, None, None,
                 f"{100 * alone / times[1]:.0f} % of the tokenizer alone; two workers {times[1] / times[2]:.2f} x")]


def table(lines: list[Line], top: float, device: Device) -> str:
    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.0f} %"

    head = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {device}; ceiling {top / 1e9:,.0f} GFLOP/s\n"
    body = [f"| {x.stage} | {x.rate} | {share(x.padding)} | {share(x.of_ceiling)} | {'' if x.ratio is None else f'{x.ratio:.1f} x'} | {x.note} |" for x in lines]
    return "\n".join([head, "| stage | rate | padding | of the ceiling | against plain | |", "|---" * 6 + "|", *body, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    workspace = Workspace.find()
    parser.add_argument("--data_dir", type=Path, default=workspace.data_file("train").parent, help="folder with train.tsv of SST-2")
    parser.add_argument("--corpus", type=Path, default=workspace.corpus)
    parser.add_argument("--output", type=Path, help="a file for the table")
    parser.add_argument("--stages", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch_size", type=int, default=64, help="of stage 4 and of masked words")
    parser.add_argument("--texts", type=int, default=60, help="sentences to augment")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    set_threads(args.threads)
    device = Device("cpu", "no", "float32")
    vocabulary = workspace.vocabulary
    tokenizer = load_tokenizer(vocabulary)
    table_rows = read_table(args.data_dir / "train.tsv", SST).rows
    texts = [row.text_a for row in random.Random(0).sample(table_rows, min(len(table_rows), 20_000))]
    examples = encode(texts, None, tokenizer, LENGTH)
    top = ceiling(device.name)
    parts = {
        1: lambda: augmentation(args, top, texts[: args.texts], tokenizer, WordVectors.read(workspace.vectors)),
        2: lambda: pregeneration(args, args.corpus, vocabulary, tokenizer),
        3: lambda: general(args, top, len(tokenizer), device),
        4: lambda: intermediate(args, top, examples, len(tokenizer), device),
        5: lambda: prediction(args, examples, len(tokenizer), device),
    }
    lines = []
    for stage in args.stages:
        say(f"measuring stage {stage}")
        lines += parts[stage]()
    found = table(lines, top, device)
    print(found)
    if args.output:
        args.output.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
