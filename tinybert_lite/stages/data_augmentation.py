"""Stage 1, data augmentation (paper, Algorithm 1): make more training rows by replacing words.

Reads `train.tsv`, a BERT with its masked-LM head and word vectors; writes `aug.tsv`, with the same
columns, into `1_pre_data/`. Each original row is followed by its variants.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.tables import Row, Table, read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.stages.augmenter import Augmenter, Parts, forget_loaded, loaded
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system import processes, scheduler
from tinybert_lite.system.console import progress, remark, say
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.machine import set_threads

BLOCK = 200  # rows between two saved states, at most
CHARACTERS = 1_000_000  # in the texts of these rows; fewer rows if they are longer


def augment_table(
    table: Table, task: Task, augmenter: Augmenter, seed: int, first: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield (rows done, lines of the augmented file) per block, starting at the row `first`.

    For a pair of texts, one text is varied while the other is left unchanged. Every row has its
    own random numbers, so the lines do not depend on blocks, on `first`, or on the number of
    processes. Each process makes one block at a time; all processes get the lines of all.
    """
    parts, count = parts_of(table, first), processes.count()
    for turn in range(0, len(parts), count):
        together = parts[turn : turn + count]
        mine = together[processes.number()] if processes.number() < len(together) else range(0)
        rows = table.rows[mine.start : mine.stop]
        block = lines_of_block(rows, mine.start, sides_of(table, task), augmenter, seed)
        yield together[-1].stop, processes.gathered(block)


def augment_on_scheduler(
    table: Table, task: Task, parts: Parts, seed: int, first: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Yield what `augment_table` yields; the scheduler's workers make the blocks."""
    sides, blocks = sides_of(table, task), parts_of(table, first)
    jobs = ((parts, table.rows[b.start : b.stop], b.start, sides, seed) for b in blocks)
    try:
        lines = processes.in_parallel(lines_on_worker, jobs, 1)
        yield from zip((block.stop for block in blocks), lines)
    finally:
        scheduler.everywhere(forget_loaded)


def lines_on_worker(
    parts: Parts, rows: list[Row], first: int, sides: list[int], seed: int
) -> list[str]:
    """Call `lines_of_block` with an augmenter that is loaded once per worker process."""
    set_threads(parts.threads)  # float results are identical only with the same number
    return lines_of_block(rows, first, sides, loaded(parts), seed)


def lines_of_block(
    rows: list[Row], first: int, sides: list[int], augmenter: Augmenter, seed: int
) -> list[str]:
    """Return the lines of rows and their variants. sides: the columns of the texts to vary."""
    texts = [augmenter.words(row.fields[side]) for row in rows for side in sides]
    found = iter(zip(texts, augmenter.candidates(texts)))
    block: list[str] = []
    for number, row in enumerate(rows, first):
        block.append("\t".join(row.fields))
        rng = random.Random(f"{seed} {number}")
        for side in sides:
            for variant in augmenter.variants(*next(found), rng):
                block.append("\t".join((*row.fields[:side], variant, *row.fields[side + 1 :])))
    return block


def sides_of(table: Table, task: Task) -> list[int]:
    """Return the columns of a task's texts."""
    return [table.places["text_a"]] + ([table.places["text_b"]] if task.text_b else [])


def parts_of(table: Table, first: int = 0) -> list[range]:
    """Divide the rows from `first` on into blocks of at most BLOCK rows and about CHARACTERS."""
    parts, start, size = [], first, 0
    for number in range(first, len(table.rows)):
        row = table.rows[number]
        size += len(row.text_a) + len(row.text_b or "")
        if number + 1 - start == BLOCK or size >= CHARACTERS or number + 1 == len(table.rows):
            parts.append(range(start, number + 1))
            start, size = number + 1, 0
    return parts


def work(job: Job) -> dict:
    options, task, device = job.options, job.task, job.session.device
    table = read_table(job.reads["train"], task)
    table = replace(table, rows=table.rows[: options.max_rows or None])
    folder, files = job.reads["teacher"], {name: Path(path) for name, path in job.reads.items()}
    if options.N and not folder.has_masked_lm:
        remark(
            f"stage 1: {folder} has no masked-LM head, so candidates come from word vectors alone"
        )
    parts = Parts(
        files["teacher"].resolve(),
        files["vectors"].resolve(),
        options,
        device.name,
        device.precision,
        device.packed,
        job.session.threads,
        task.language,
        job.settings.lower_case,
        files["vocabulary"].resolve() if "vocabulary" in files else None,
        job.session.identity,
    )
    if scheduler.in_use():
        scheduler.need_shared(*files.values())
        augmented, source = augment_on_scheduler, parts
    else:
        augmented, source = augment_table, parts.augmenter()
    file, total = GrowingFile(job.folder / "aug.tsv", job.session.identity), len(table.rows)
    done, lines = file.state.get("rows", 0), file.state.get("lines", 0)
    if done:
        say(f"data augmentation: resuming from row {done} of {total}")
    header = ["\t".join(table.header)] if table.header and not done else []
    blocks = progress(
        augmented(table, task, source, job.session.seed, done),
        f"data augmentation, blocks of {BLOCK} rows",
        -(-len(parts_of(table, done)) // processes.count()),
    )
    with file:
        for rows, block in blocks:
            lines += len(block)
            text = "".join(f"{line}\n" for line in header + block)
            file.add(text.encode("utf-8"), rows=rows, lines=lines)
            header = []
    say(
        f"data augmentation: {total} rows became {lines} in {file.path}, with vectors "
        f"{job.reads['vectors'].name}"
    )
    return {"rows": total, "augmented_rows": lines, "skipped_rows": len(table.skipped)}


STAGE = Stage(
    "data_augmentation",
    "1 data augmentation",
    reads=lambda ws, teacher=None, vectors=None: {
        "train": ws.data_file("train"),
        "teacher": teacher or ws.augmentation_model,
        "vectors": vectors or ws.vectors,
        **({"vocabulary": ws.vocabulary} if ws.given_augmentation_model and not teacher else {}),
    },
    folder=lambda ws: ws.augmentation,
    writes=("aug.tsv",),
    work=work,
    sources={"teacher": ("pretrain",)},
    skip_reason=lambda ws: (
        f"{ws.given_logits.name} has logits for the rows of train.tsv only"
        if ws.given_logits
        else ""
    ),
)
run = STAGE.run
