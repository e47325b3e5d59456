"""Measure how fast stage 2 makes sequences: splitting only, one worker, several workers.

    python tools/benchmarks/corpora.py --corpus brown.txt.xz reviews.txt.xz \\
        --vocabulary vocab.txt --output docs/corpora_table.md

Each corpus is first written in WikiExtractor's form, in paragraphs of five sentences, so that all
work from an article's file to the sequences is measured. On a busy machine only the rates by CPU
seconds are valid, not those by the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from html import escape
from pathlib import Path

from joblib.externals.loky import get_reusable_executor

from tinybert_lite.data.corpora import read_corpora
from tinybert_lite.data.epochs import count_sequences
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import Pregenerating
from tinybert_lite.system.lines import lines_of

TOGETHER = 5  # sentences per paragraph


def measured(work: Callable[[], object]) -> tuple[float, float, object]:
    """Return seconds by the clock, CPU seconds of this process and its workers, and the result."""

    def used() -> float:
        return sum(
            sum(resource.getrusage(who)[:2])
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )

    started, before = time.perf_counter(), used()
    found = work()
    seconds = time.perf_counter() - started
    get_reusable_executor().shutdown()  # the CPU time of workers is counted after they have ended
    return seconds, used() - before, found


def as_wiki_extractor(corpus: Path, language: str, megabytes: float, path: Path) -> float:
    """Write a corpus's first documents as articles; return the megabytes (10^6 bytes) of text."""
    size, space = 0, "" if language == "zh" else " "
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for number, document in enumerate(read_corpora([corpus], language)):
            paragraphs = [
                space.join(document[start : start + TOGETHER])
                for start in range(0, len(document), TOGETHER)
            ]
            file.write(
                f'<doc id="{number}" url="" title="{number}">\n{number}\n\n'
                + escape("\n".join(paragraphs), quote=False)
                + "\n\n</doc>\n"
            )
            size += sum(len(paragraph.encode()) for paragraph in paragraphs)
            if size >= megabytes * 1e6:
                break
    return size / 1e6


def line(corpus: Path, args) -> str:
    """Return a row of the table."""
    with tempfile.TemporaryDirectory() as place:
        wiki = Path(place) / "wiki_00"
        size = as_wiki_extractor(corpus, args.language, args.megabytes, wiki)
        lines = measured(lambda: sum(1 for _ in lines_of(wiki)))[1]
        _, split, sentences = measured(lambda: sum(map(len, read_corpora([wiki], args.language))))

        def stage_2(workers: int) -> tuple[float, float]:
            settings = Pregenerating(
                epochs_to_generate=1, num_workers=workers, do_whole_word_mask=True
            )
            return measured(
                lambda: pregenerate(
                    wiki,
                    args.vocabulary,
                    Path(place) / f"{workers}",
                    settings,
                    0,
                    language=args.language,
                )
            )[:2]

        one, two = stage_2(1), stage_2(args.workers)
        sequences = count_sequences(Path(place) / "1", 0)
        assert (Path(place) / "1/epoch_0.json").read_bytes() == (
            Path(place) / f"{args.workers}/epoch_0.json"
        ).read_bytes()
    return (
        f"| {corpus.name} | {size:.1f} | {sentences:,} | {sequences:,} | {size / split:.0f} | "
        f"{sentences / split:,.0f} | {100 * (split - lines) / one[1]:.0f} % | "
        f"{size / one[1]:.2f} | {size / one[0]:.2f} | {size / two[1]:.2f} | {size / two[0]:.2f} "
        f"| {one[0] / two[0]:.2f} x |"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", nargs="+", type=Path, required=True)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--workers", type=int, default=2, help="compared with one worker")
    parser.add_argument(
        "--megabytes", type=float, default=20, help="largest part of each corpus that is read"
    )
    parser.add_argument(
        "--output", type=Path, help="file to write the table to; to an existing file rows are added"
    )
    args = parser.parse_args(argv)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # so that one worker uses one core
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    head = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} logical CPUs, load "
        f"{load:.1f} at the start; MB are 10^6 bytes of text. "
        "*CPU* is by the CPU seconds of all processes, *clock* by the clock, *splitting's share* "
        "of one worker's CPU seconds.\n\n"
        "| corpus | MB | sentences | sequences | read and split, MB/s CPU | sentences/s CPU | "
        "splitting's share | one worker, MB/s CPU | clock | "
        "two workers, MB/s CPU | clock | by the clock |\n" + "|---" * 12 + "|\n"
    )
    if not (args.output and args.output.is_file()):
        print(head, end="")
        if args.output:
            args.output.write_text(head, encoding="utf-8")
    for corpus in args.corpus:
        row = line(corpus, args)
        print(row, flush=True)
        if args.output:
            with open(args.output, "a", encoding="utf-8") as file:
                file.write(row + "\n")


if __name__ == "__main__":
    main()
