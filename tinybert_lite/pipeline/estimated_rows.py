"""Estimate the rows that the stages will read, also of files that are not written yet."""

import random
import time
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from torch import nn

from tinybert_lite.data.epochs import count_sequences, epoch_files, json_sequences
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.pipeline.corpus_sample import CorpusSample
from tinybert_lite.pipeline.counted import MOST_TOKENS, Rows
from tinybert_lite.pipeline.inputs import SAMPLE_ROWS, Inputs, known_vocabulary
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.data_augmentation import Augmenter
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.stage import Stage

NEIGHBOURS = 64  # words whose nearest neighbours are timed
GROWTH = 0.7  # n times as many words are about n^0.7 times as many different words (Heaps' law)


@dataclass(frozen=True)
class Augmented:
    """What stage 1 will do."""

    rows: Rows  # those that it writes
    masked: float = 0.0  # masked-LM predictions, one per word
    length: int = 3  # mean tokens of their rows
    seconds: float = 0.0  # for reading texts and searching word vectors


@dataclass(frozen=True)
class EstimatedRows:
    """The rows of a run."""

    train: Rows | None = None
    dev: list[Rows] = field(default_factory=list)
    test: list[Rows] = field(default_factory=list)
    task_rows: Rows | None = None  # the training rows of stages 4 and 5
    augmented: Augmented | None = None
    sequences: list[Rows] = field(default_factory=list)  # of each epoch file of stage 2
    corpus: CorpusSample | None = None
    teacher_reads: bool = True  # whether the task teacher is a model, not a file of logits


def estimate_rows(
    todo: list[Stage], inputs: Inputs, workspace: Workspace, settings: Settings
) -> EstimatedRows:
    """Count the rows of files that exist, and estimate those that the stages will write."""
    names = {stage.name for stage in todo}
    train = inputs.rows.get("train")
    augmenting = "data_augmentation" in names
    augmented = estimate_augmentation(inputs, settings) if augmenting else None
    return EstimatedRows(
        train,
        inputs.those(workspace.task.dev_files),
        inputs.tests,
        augmented.rows if augmented else inputs.rows.get("rows", train),
        augmented,
        _sequences(names, inputs, workspace, settings),
        inputs.corpus,
        not workspace.given_logits,
    )


def estimate_augmentation(inputs: Inputs, settings: Settings) -> Augmented:
    """Estimate stage 1 from a sample of the rows: words, and variants with made-up candidates."""
    options, task, train = settings.data_augmentation, settings.task, inputs.rows["train"]
    model = nn.Identity() if inputs.masked_lm else None
    augmenter = Augmenter(model, inputs.tokenizer, inputs.vectors, options, language=task.language)
    candidates = [f"{number}" for number in range(options.M)]
    lines, masked, tokens, others = 0, 0, 0.0, []
    for number, (row, length) in enumerate(zip(train.sample, train.lengths)):
        lines += 1
        for text in filter(None, (row.text_a, row.text_b)):
            words = augmenter.words(text)
            places = augmenter.eligible(words)
            known = [i for i in places if words[i] in augmenter.single_pieces]
            apart = [words[i].lower() for i in places if i not in known]
            others += apart
            found = known + [i for i in places if words[i].lower() in inputs.vectors.place]
            drawn = augmenter.variants(
                words, dict.fromkeys(found, candidates), random.Random(number)
            )
            lines += len(drawn)
            share = len(text) / (len(row.text_a) + len(row.text_b or ""))
            masked, tokens = masked + len(known), tokens + len(known) * length * share
    count = train.first(options.max_rows).count
    scale = count / len(train.sample)
    length = tokens / max(1, masked) * (2 if options.context == "original" else 1)
    started, different = time.perf_counter(), list(dict.fromkeys(others))
    inputs.vectors.neighbours(different[:NEIGHBOURS], options.M)
    each = (time.perf_counter() - started) / NEIGHBOURS
    seconds = inputs.vectors_seconds + each * len(different) * max(1, scale) ** GROWTH
    return Augmented(
        replace(train, count=round(lines * scale)),
        masked * scale,
        max(3, round(min(length, options.max_seq_length))),
        seconds + (count + masked * scale) * train.seconds_per_row,
    )


def _sequences(
    names: set[str], inputs: Inputs, workspace: Workspace, settings: Settings
) -> list[Rows]:
    """Return the epoch files of stage 2, those to be written or those that exist."""
    options, folder = settings.pregenerate_training_data, workspace.sequences
    if "pregenerate_training_data" in names:
        vocabulary = known_vocabulary(workspace)
        one = inputs.corpus.sequences(vocabulary, settings)
        return [one] * options.epochs_to_generate
    if "general_distill" not in names or not folder.is_dir():
        return []
    files = epoch_files(folder)
    lengths = np.array([MOST_TOKENS])
    if not holds_ids(files[0]):
        rows = islice(json_sequences(files[0], inputs.tokenizer.get_vocab()), SAMPLE_ROWS)
        lengths = np.array([len(ids) for ids, _, _ in rows])
    return [Rows(count_sequences(folder, epoch), lengths) for epoch in range(len(files))]
