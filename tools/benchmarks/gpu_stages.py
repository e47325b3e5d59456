"""A part of `gpu_check.py`: stages 1, 3, 4 and 5 at growing batch sizes."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from measure import Peak, base, ceilings, operations, tiny
from speed import SST, masked_copies, random_rows, train

from tinybert_lite.data.batches import Batches, bucketed
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.data_augmentation import BLOCK, Augmenter
from tinybert_lite.stages.settings import Augmenting
from tinybert_lite.stages.soft_targets import asking
from tinybert_lite.system.device import Device

Row = dict[str, str]  # a row of the results, by column
BERT_PIECES = 30_522
LEAST_GAIN = 1.03  # a larger batch has to be so many times as fast
WARM_UP = 2  # steps that are not counted


def one_line(error: BaseException) -> str:
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {first}"


def tried(head: Row, function: Callable[[], Row]) -> Row:
    """Return `head` with the function's columns, or with its error in one line."""
    try:
        return head | function()
    except Exception as error:  # the next row is measured all the same
        return head | {"error": one_line(error)}
    finally:
        free()


def free() -> None:
    """Free a GPU's memory for the next models."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def pieces(args) -> int:
    """Return the vocabulary size of the measured models."""
    return max(BERT_PIECES * (not args.quick), len(load_tokenizer(args.vocabulary)))


def texts_of(args) -> list[str]:
    return [row.text_a for row in read_table(args.data_dir / "train.tsv", SST).rows]


def real_lengths(args, count: int) -> np.ndarray:
    """Return the lengths of `count` rows, drawn from those of the task's rows."""
    found = encode(texts_of(args), None, load_tokenizer(args.vocabulary), args.length).lengths
    return np.random.default_rng(0).choice(found, count)


@dataclass
class Measured:
    rate: float  # of `unit`, per second
    unit: str
    operations: float  # per second
    peak: int  # bytes


def trained(args, device: Device, objective_of, lengths_of, size: int, **parts) -> Measured:
    """Train a new student for some steps on rows of `lengths_of(count)`.

    objective_of: a function from the student to its objective.
    """
    student = tiny(pieces(args), args.quick, **parts)
    objective, steps = objective_of(student), args.steps + WARM_UP + 1
    examples = random_rows(lengths_of(steps * size), len(load_tokenizer(args.vocabulary)))
    if isinstance(objective, Prediction):
        targets = np.random.default_rng(0).normal(size=(len(examples), 2)).astype(np.float32)
        examples = replace(examples, soft_targets=targets)
    with Peak(device.name) as peak:
        times = train(
            student,
            objective,
            Batches(examples, size, 0),
            device,
            train_batch_size=size,
            num_train_epochs=1,
        )[WARM_UP:]
    batches = bucketed(examples.lengths, size, np.random.default_rng([0, 0]))[WARM_UP:-1]
    lengths, seconds = examples.lengths[np.concatenate(batches)], sum(times)
    done = operations(getattr(objective, "teacher", None), student, lengths)
    count, unit = lengths.sum(), "tokens/s"
    if isinstance(objective, Prediction):
        count, unit = len(lengths), "rows/s"
    return Measured(count / seconds, unit, done / seconds, peak.bytes)


def asked(args, device: Device, teacher, size: int) -> Measured:
    """Compute the soft targets of stage 5."""
    examples = random_rows(
        real_lengths(args, size * args.steps), len(load_tokenizer(args.vocabulary))
    )
    ask = asking(teacher.to(device.name), size, device.precision)
    ask(examples)  # to warm up
    with Peak(device.name) as peak:
        started = time.perf_counter()
        ask(examples)
        seconds = time.perf_counter() - started
    done = operations(teacher, None, examples.lengths)
    return Measured(len(examples) / seconds, "rows/s", done / seconds, peak.bytes)


def augmented(args, device: Device, augmenter: Augmenter, split, size: int) -> Measured:
    """Find the candidates of stage 1; the nearest words are cached before."""
    augmenter.settings = replace(augmenter.settings, batch_size=size)
    masked = [copy for _, copy in masked_copies(augmenter, split)]
    lengths = encode(masked, None, augmenter.tokenizer, args.length).lengths
    with Peak(device.name) as peak:
        started = time.perf_counter()
        augmenter.candidates(split)
        seconds = time.perf_counter() - started
    done = operations(augmenter.model, None, lengths)
    return Measured(len(masked) / seconds, "masked words/s", done / seconds, peak.bytes)


def stages(args, device: Device) -> dict[str, Callable[[], Callable[[int], Measured]]]:
    """Return, by stage, a function that makes its models and returns size → Measured."""
    vocab_size = pieces(args)

    def distilling(lengths_of):
        teacher = base(vocab_size, args.quick)
        parts = {"projection": "per_layer", "teacher_width": teacher.config.hidden_size}
        return lambda size: trained(
            args, device, lambda student: Intermediate(student, teacher), lengths_of, size, **parts
        )

    def augmenting():
        tokenizer = load_tokenizer(args.vocabulary)
        augmenter = Augmenter(
            base(vocab_size, args.quick, masked_lm=True),
            tokenizer,
            WordVectors.read(Workspace.find().vectors),
            Augmenting(max_seq_length=args.length),
            device.name,
            device.precision,
        )
        split = [words(tokenizer, text) for text in texts_of(args)[: 8 if args.quick else BLOCK]]
        augmenter.candidates(split)  # to warm up
        return lambda size: augmented(args, device, augmenter, split, size)

    def asking_teacher():
        teacher = base(vocab_size, args.quick, num_labels=2).eval()
        return lambda size: asked(args, device, teacher, size)

    return {
        f"3 general distillation, {args.length} tokens": lambda: distilling(
            lambda count: np.full(count, args.length)
        ),
        "4 intermediate layers, lengths of real rows": lambda: distilling(
            lambda count: real_lengths(args, count)
        ),
        "5 the teacher's logits": asking_teacher,
        "5 the student": lambda: (
            lambda size: trained(
                args,
                device,
                lambda student: Prediction(),
                lambda count: real_lengths(args, count),
                size,
                num_labels=2,
            )
        ),
        "1 augmentation": augmenting,
    }


def growing(
    sizes: list[int], measure: Callable[[int], Measured], until: float
) -> tuple[dict[int, Measured], str]:
    """Measure at growing batch sizes; return the results by size, and why it stopped.

    It stops at an error such as too little memory, without a gain of LEAST_GAIN, and at the time
    `until`. An error at the first size is raised.
    """
    found: dict[int, Measured] = {}
    for size in sizes:
        try:
            found[size] = measure(size)
        except Exception as error:  # cuBLAS has its own errors for too little memory
            if not found:
                raise
            return found, f"{type(error).__name__} at {size}"
        finally:
            free()
        *before, last = (each.rate for each in found.values())
        if before and last < LEAST_GAIN * max(before):
            return found, f"no gain at {size}"
        if time.monotonic() > until:
            return found, f"out of time after {size}"
    return found, f"largest size {sizes[-1]}"


def training(args, device: Device) -> Iterator[Row]:
    """Yield for each stage the best batch size, rate, share of the ceiling and peak memory."""
    dtype = torch.bfloat16 if device.precision == "bf16" else torch.float32
    top = statistics.median(ceilings(device.name, dtype, args.quick)["PyTorch"])
    yield {
        "stage": f"a matrix product in {device.computes_in}",
        "rate": f"{top / 1e12:.3g} TFLOP/s",
    }
    every = stages(args, device)
    for number, (stage, prepare) in enumerate(every.items()):
        left = args.deadline - time.monotonic()
        until = time.monotonic() + left / (len(every) - number)

        def best_of(prepare=prepare, until=until) -> Row:
            found, why = growing(args.sizes, prepare(), until)
            size = max(found, key=lambda each: found[each].rate)
            best = found[size]
            rates = ", ".join(f"{each}: {value.rate:,.0f}" for each, value in found.items())
            return {
                "best batch size": str(size),
                "rate": f"{best.rate:,.0f} {best.unit}",
                "of the product": f"{100 * best.operations / top:.0f} %",
                "peak memory": f"{best.peak / 1e9:.2f} GB",
                "rates by batch size": f"{rates}; {why}",
            }

        yield tried({"stage": stage}, best_of)
