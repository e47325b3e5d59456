"""Compare stage 2 on the package's own worker processes and on the workers of a Dask scheduler.

    dask scheduler --host 127.0.0.1 --port 8786 &
    dask worker 127.0.0.1:8786 --nworkers 2 --nthreads 1 &
    python tools/benchmarks/clusters.py --corpus reviews.txt.xz --vocabulary vocab.txt \\
        --scheduler dask://127.0.0.1:8786

Both have the same number of workers. They take turns, after a first turn that is not counted, in
which workers import the package. The corpus is read in WikiExtractor's form (`corpora.py`). Rates
per core are by the workers' CPU seconds, which also hold on a busy machine; those by the clock do
not. The main process's CPU seconds per million tokens limit how many workers help.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import median

import psutil
from corpora import as_wiki_extractor

from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.pregenerate_training_data import tokenise, write_epoch
from tinybert_lite.stages.settings import Pregenerating
from tinybert_lite.system import scheduler

OWN, DASK = "own processes", "Dask workers"
MAIN, WORKERS, SCHEDULER = "main process", "workers", "scheduler"


def cpu_seconds() -> dict[str, float]:
    """Return the CPU seconds so far of the main process, of the workers, and of the scheduler."""
    if scheduler.in_use():
        workers = sum(scheduler._client.run(time.process_time).values())
        server = scheduler._client.run_on_scheduler(time.process_time)
    else:
        children = psutil.Process().children(recursive=True)
        workers, server = sum(sum(one.cpu_times()[:2]) for one in children), 0.0
    return {MAIN: time.process_time(), WORKERS: workers, SCHEDULER: server}


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of a call by the clock, and the CPU seconds."""
    before, started = cpu_seconds(), time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    return {"clock": seconds} | {name: now - before[name] for name, now in cpu_seconds().items()}


def turn(wiki: Path, vocabulary: Path, workers: int, folder: Path) -> tuple[int, bytes, dict]:
    """Run both steps of stage 2; return the tokens, the epoch's file, and what each step took."""
    settings = Pregenerating(num_workers=workers, do_whole_word_mask=True)
    folder.mkdir()
    tokenizer, documents, found = load_tokenizer(vocabulary), [], {}
    found["read and tokenise"] = measured(
        lambda: documents.append(tokenise([wiki], tokenizer, folder, settings, "en"))
    )
    found["write one epoch"] = measured(
        lambda: write_epoch(folder, documents[0], settings, 0, 0, folder)
    )
    tokens = (folder / "tokens.i4").stat().st_size // 4
    return tokens, (folder / "epoch_0.json").read_bytes(), found


def spread(values: list[float], form: str) -> str:
    """Return the median, and in brackets the least and the largest."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(args: argparse.Namespace) -> str:
    taken = defaultdict(list)
    with redirect_stdout(StringIO()), scheduler.connected(args.scheduler):
        workers = len(scheduler._client.nthreads())
    with tempfile.TemporaryDirectory() as place:
        wiki, files = Path(place) / "wiki_00", set()
        size = as_wiki_extractor(args.corpus, "en", args.megabytes, wiki)
        for number in range(args.rounds + 1):
            order = (OWN, DASK) if number % 2 else (DASK, OWN)
            for which in order:
                address = args.scheduler if which == DASK else None
                with redirect_stdout(StringIO()), scheduler.connected(address):
                    folder = Path(place) / f"{which} {number}"
                    tokens, file, found = turn(wiki, args.vocabulary, workers, folder)
                files.add(file)
                for step, seconds in found.items() if number else ():
                    taken[step, which].append(seconds)
        assert len(files) == 1, "the bytes differ"
    lines = [
        f"{args.corpus.name}: {size:.1f} MB, {tokens / 1e6:.2f} million tokens; {workers} "
        f"workers, medians of {args.rounds} turns (least to largest), load "
        f"{os.getloadavg()[0]:.1f} at the end",
        "",
        "| step | computed by | tokens/s by the clock | tokens/s per worker's core | main process, "
        "CPU seconds per million tokens | scheduler |",
        "|---|---|---|---|---|---|",
    ]
    for (step, which), rows in sorted(taken.items()):
        clock, core = (
            spread([tokens / row[name] for row in rows], ",.0f") for name in ("clock", WORKERS)
        )
        own, server = (
            spread([row[name] / tokens * 1e6 for row in rows], ".2f") for name in (MAIN, SCHEDULER)
        )
        lines.append(f"| {step} | {which} | {clock} | {core} | {own} | {server} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--scheduler", required=True, metavar="dask://HOST:PORT")
    parser.add_argument(
        "--megabytes", type=float, default=20, help="largest part of the corpus that is read"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns that are counted")
    args = parser.parse_args(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # so that one worker uses one core
    print(table(args))


if __name__ == "__main__":
    main()
