"""Coverage-guided fuzzing of the readers of tables, vectors, vocabularies and sequences.

    pip install atheris
    python tools/fuzz.py --minutes 10

Each reader has a quarter of the time, in its own process. It may refuse a damaged file with
a UserError; any other exception, a hang or more than 4 GB of memory is a crash: its input is kept
in --folder, and the exit code is 1. Inputs that reached new code are kept there too, so that the
next run starts from them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "good", "##ly"]
SEQUENCE = json.dumps(
    {
        "tokens": ["[CLS]", "film", "[SEP]", "good", "[SEP]"],
        "segment_ids": [0, 0, 0, 1, 1],
        "is_random_next": False,
    }
)
SCORED = (
    "index\tgenre\tsentence1\tsentence2\tscore\n0\tnews\ta film\ta movie\t4.5\n"
    "1\tnews\tgood\tbad\t0\n"
)
WORDS = [
    *PIECES,
    "sentence1",
    "score",
    "label",
    "index",
    "tokens",
    "segment_ids",
    "nan",
    "1e39",
    "\t",
    "\r\n",
    "\ufeff",
]
SEEDS = {  # name of a reader's file -> valid contents to start from
    "table.tsv": [
        "sentence\tlabel\ngood film\t1\nbad\t0\n",
        '\ufeffindex\tsentence\tlabel\r\n0\t"good\t1\r\n1\tfilm\t0',
        SCORED,
        "gj04\t1\t\tgood\ngj04\t0\t*\tbad\n",
    ],
    "vectors.txt": ["2 2\nfilm 1 0.5\ngood -2e3 1\n", "the 1 2\n. . . 3 4\n2 7 8"],
    "vocab.txt": ["\n".join(PIECES) + "\n", "\ufeff" + "\r\n".join([*PIECES, "Film"])],
    "epoch_0.json": [SEQUENCE + "\n", f"{SEQUENCE}\r\n{SEQUENCE}\n\n"],
}


def readers(folder: Path) -> dict:
    """Return for each file a function that reads it and uses the result as the stages do."""
    import atheris
    import torch  # noqa: F401, imported first, so that they are not instrumented
    import transformers  # noqa: F401

    with atheris.instrument_imports(include=["tinybert_lite"]):
        from tinybert_lite.data.epochs import read_epoch
        from tinybert_lite.data.tables import label_ids, read_table
        from tinybert_lite.data.tasks import TASKS
        from tinybert_lite.data.tokens import encode
        from tinybert_lite.data.vectors import WordVectors
        from tinybert_lite.models.tokenizers import load_tokenizer
        from tinybert_lite.system.errors import UserError
    (folder / "pieces.txt").write_text("\n".join(PIECES), encoding="utf-8")
    known = load_tokenizer(folder / "pieces.txt")

    def table(path: Path) -> None:
        for name in ("SST-2", "STS-B", "CoLA"):
            for labelled in (True, False):
                try:
                    rows = read_table(path, TASKS[name], labelled).rows
                    assert (
                        rows
                        and all(row.text_a.strip() for row in rows)
                        and len(label_ids(rows, TASKS[name])) == len(rows)
                    )
                except UserError:
                    pass

    def vectors(path: Path) -> None:
        found = WordVectors.read(path, most=100)
        assert found.matrix.shape[0] == len(found.words)
        found.neighbours(found.words[:3], 2)

    def vocabulary(path: Path) -> None:
        assert len(encode(["a good film"], None, load_tokenizer(path), 16)) == 1

    def sequences(path: Path) -> None:
        examples = read_epoch(path.parent, 0, known, 16)
        examples.batch(range(len(examples)))

    def answered(read):
        def run(path: Path) -> None:
            try:
                read(path)
            except UserError as error:
                assert str(path) in str(error) and "\n" not in str(error).replace(str(path), "")

        return run

    return dict(zip(SEEDS, map(answered, (table, vectors, vocabulary, sequences))))


def fuzz(name: str, seconds: int, kept: Path) -> None:
    """Run a reader on mutated copies of its seeds; does not return."""
    import atheris

    with tempfile.TemporaryDirectory() as folder:
        read, path = readers(Path(folder))[name], Path(folder) / name

        def once(content: bytes) -> None:
            for version in (
                content,
                content.decode("utf-8", "ignore").replace("\0", "").encode("utf-8"),
            ):  # most changes are no UTF-8
                path.write_bytes(version)
                read(path)

        corpus = kept / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(SEEDS[name]):
            (corpus / f"seed_{number}").write_bytes(text.encode("utf-8"))
        dictionary = kept / "words.txt"
        dictionary.write_text(
            "".join(
                '"' + "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8")) + '"\n'
                for word in WORDS
            ),
            encoding="ascii",
        )
        options = {
            "max_total_time": seconds,
            "max_len": 4096,
            "len_control": 0,
            "dict": dictionary,
            "timeout": 60,
            "rss_limit_mb": 4096,
            "print_final_stats": 1,
            "seed": 1,
        }
        atheris.Setup(
            [
                sys.argv[0],
                *(f"-{option}={value}" for option, value in options.items()),
                f"-artifact_prefix={kept}/{name}-",
                str(corpus),
            ],
            once,
        )
        atheris.Fuzz()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="for all readers together")
    parser.add_argument(
        "--folder", type=Path, default=Path("fuzzed"), help="folder for inputs that are kept"
    )
    parser.add_argument("--reader", choices=SEEDS, help="run only this reader")
    args = parser.parse_args(argv)
    seconds = max(1, round(60 * args.minutes / len(SEEDS)))
    if args.reader:
        fuzz(args.reader, seconds, args.folder)
    crashed = False
    for name in SEEDS:
        ran = subprocess.run(
            [
                sys.executable,
                __file__,
                "--reader",
                name,
                "--minutes",
                str(args.minutes),
                "--folder",
                str(args.folder),
            ],
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        executions = re.findall(r"number_of_executed_units: (\d+)", ran.stdout)
        reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", ran.stdout)
        if ran.returncode or not executions or not reached:
            crashed = True
            print(f"{name}: CRASH\n{ran.stdout[-3000:]}", flush=True)
        else:
            edges, features, inputs = reached[-1]
            print(
                f"{name}: {executions[-1]} executions, {edges} edges, {features} features, "
                f"{inputs} inputs kept",
                flush=True,
            )
    return 1 if crashed else 0


if __name__ == "__main__":
    raise SystemExit(main())
