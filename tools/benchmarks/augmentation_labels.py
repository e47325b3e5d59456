"""Measure how many augmented rows keep their label, for each source of candidates.

    python -m tinybert_lite.run_all --until finetune_teacher
    python tools/benchmarks/augmentation_labels.py

In each training row the same words are replaced in three ways: by the masked LM's candidates, by
neighbours in the word vectors, by random words. Words that are one word piece and have a vector are
eligible, so that both sources have candidates. It prints the share of rows for which the fine-tuned
teacher still predicts the row's label, mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import random
import statistics
from dataclasses import replace

import numpy as np

from tinybert_lite.data.tables import label_ids, read_table
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.system.machine import set_threads


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workspace")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument(
        "--p",
        type=float,
        nargs="+",
        default=[0.4, 1.0],
        help="probabilities that an eligible word is replaced",
    )
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args(argv)
    set_threads(args.threads)
    workspace = Workspace.find(args.workspace)
    task, settings = workspace.task, profile("classroom").data_augmentation
    tuned, raw = (
        load_with_tokenizer(workspace.task_teacher),
        load_with_tokenizer(workspace.teacher, masked_lm=True),
    )
    vectors = WordVectors.read(workspace.vectors)
    augmenter = Augmenter(raw.model, raw.tokenizer, vectors, replace(settings, N=1))

    table = read_table(workspace.data_file("train"), task)
    labels = label_ids(table.rows, task)
    texts = [words(raw.tokenizer, row.text_a) for row in table.rows]
    by_masked_lm = [
        {
            place: options
            for place, options in found.items()
            if text[place] in augmenter.single_pieces and text[place] in vectors.place
        }
        for text, found in zip(texts, augmenter.candidates(texts))
    ]
    near = vectors.neighbours(
        sorted({text[place] for text, found in zip(texts, by_masked_lm) for place in found}),
        settings.M,
    )
    by_vectors = [
        {place: near[text[place]] for place in found} for text, found in zip(texts, by_masked_lm)
    ]
    draw = random.Random(0)
    at_random = [
        {place: draw.sample(augmenter.usable, settings.M) for place in found}
        for found in by_masked_lm
    ]

    def kept(rows: list[str]) -> float:
        logits = predict(tuned.model, encode(rows, None, tuned.tokenizer, 64))
        return 100 * float(np.mean(logits.argmax(1) == labels))

    print(
        f"{len(texts)} rows, {np.mean([len(found) for found in by_masked_lm]):.1f} eligible "
        f"words of {np.mean([len(text) for text in texts]):.1f} per row"
    )
    print(
        "\n| rows whose label the teacher still predicts, % | "
        + " | ".join(f"p = {p:g}" for p in args.p)
        + " |\n"
        + "|---" * (1 + len(args.p))
        + "|"
    )
    print(
        "| unchanged rows | "
        + " | ".join([f"{kept([' '.join(text) for text in texts]):.1f}"] * len(args.p))
        + " |"
    )
    for source, candidates in (
        ("masked LM", by_masked_lm),
        ("word vectors", by_vectors),
        ("random words", at_random),
    ):
        cells = []
        for p in args.p:
            augmenter.settings = replace(settings, N=1, p=p)
            shares = []
            for seed in args.seeds:
                rngs = (random.Random(f"{seed} {row}") for row in range(len(texts)))
                shares.append(
                    kept(
                        [
                            next(iter(augmenter.variants(*given)), " ".join(given[0]))
                            for given in zip(texts, candidates, rngs)
                        ]
                    )
                )
            cells.append(
                f"{statistics.mean(shares):.1f} ± "
                f"{statistics.stdev(shares) if len(shares) > 1 else 0:.1f}"
            )
        print(f"| {source} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
