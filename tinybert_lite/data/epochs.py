"""Sequences for general distillation, cut from a corpus and masked: what the worker processes of stage 2 do."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.id_rows import UNCHECKED, id_rows, record_files
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.data.tfrecord import count_records
from tinybert_lite.method.masking import mask_tokens, random_pieces, without_inner
from tinybert_lite.method.sequences import sequences
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.lines import lines_of


@lru_cache(maxsize=1)
def _opened(folder: Path) -> tuple[TokenisedCorpus, list[str], list[str]]:
    """Once a process: the corpus, what its ids number, and the pieces that a masked place may become."""
    corpus = TokenisedCorpus(folder)
    pieces = corpus.pieces()
    return corpus, pieces, random_pieces(pieces)


close_corpus = _opened.cache_clear


def lines_of_documents(
    folder: Path, documents: list[int], settings, seed: int, epoch: int
) -> tuple[int, bytes]:
    """The number of sequences in these documents of the corpus in `folder`, and their JSON Lines.

    A document has a random stream of its own, so that no other document and no number of workers changes its sequences.
    With n documents, number n + d is document d once more, with another stream.
    """
    corpus, pieces, others = _opened(folder)
    lines = []
    for number in documents:
        rng = random.Random(f"{seed} {epoch} {number}")
        for first, second, is_random in sequences(corpus, number % len(corpus), settings, rng):
            tokens = ["[CLS]", *(pieces[t] for t in first), "[SEP]"]
            segments = [0] * len(tokens)
            if second:
                tokens += [*(pieces[t] for t in second), "[SEP]"]
                segments += [1] * (len(second) + 1)
            tokens, positions, labels = mask_tokens(
                tokens,
                rng,
                settings.masked_lm_prob,
                settings.max_predictions_per_seq,
                settings.do_whole_word_mask,
                others,
            )
            lines.append(
                json_line(
                    without_inner(tokens), segments, is_random, positions, without_inner(labels)
                )
            )
    return len(lines), b"".join(lines)


def json_line(
    tokens: list[str], segments: list[int], is_random: bool, positions: list[int], labels: list[str]
) -> bytes:
    """A sequence as `epoch_i.json` has it."""
    found = {
        "tokens": tokens,
        "segment_ids": segments,
        "is_random_next": is_random,
        "masked_lm_positions": positions,
        "masked_lm_labels": labels,
    }
    return json.dumps(found, ensure_ascii=False).encode("utf-8") + b"\n"


def epoch_file(folder: Path, epoch: int) -> Path:
    """Later epochs than there are files start over, as in the original. Raises UserError where there is none."""
    files = epoch_files(folder)
    return files[epoch % len(files)]


def epoch_files(folder: Path) -> list[Path]:
    """`epoch_i.json` by their numbers, else TFRecord files by their names, or `folder` itself where it is such a file."""
    numbered = {path.stem.removeprefix("epoch_"): path for path in folder.glob("epoch_*.json")}
    files = [
        numbered[n] for n in sorted((n for n in numbered if n.isdigit()), key=int)
    ] or record_files(folder)
    if not files:
        raise UserError(
            f"{folder} holds no epoch_0.json, and no .tfrecord or .tf_record: run pregenerate_training_data first"
        )
    return files


def count_sequences(folder: Path, epoch: int) -> int:
    """From the metrics file; by counting lines or records where there is none. Raises UserError where that is no number above 0."""
    path = epoch_file(folder, epoch)
    metrics = path.with_name(f"{path.stem}_metrics.json")
    if metrics.is_file():
        found = read_json(metrics).get("num_training_examples")
        if type(found) is not int or found < 1:
            raise UserError(
                f"{metrics}: num_training_examples is {short(found)}, not a whole number above 0; run pregenerate_training_data again"
            )
        return found
    if found := count_records(path) if holds_ids(path) else sum(1 for _ in lines_of(path)):
        return found
    raise UserError(f"{path} is empty: run pregenerate_training_data again")


def json_sequences(
    path: Path, vocab: dict[str, int], max_length: int | None = None
) -> Iterator[tuple[list[int], list[int], dict]]:
    """Each line's ids and segments, cut at `max_length`, and the line itself. Raises UserError for one that is no sequence."""
    for number, line in enumerate(lines_of(path), 1):
        try:
            found = json.loads(line)
            tokens, segments = found["tokens"], found["segment_ids"]
            if not (type(tokens) is type(segments) is list and 0 < len(tokens) == len(segments)):
                raise ValueError
            ids = [vocab[token] for token in tokens[:max_length]]
        except KeyError as error:
            raise UserError(
                f"{path}, line {number}: {short(error.args[0])} is not in the vocabulary or the line lacks it; run "
                f"pregenerate_training_data again with this teacher"
            ) from None
        except (ValueError, TypeError, RecursionError):
            raise UserError(
                f"{path}, line {number}: not a sequence as JSON; run pregenerate_training_data again"
            ) from None
        yield ids, segments[:max_length], found


def read_epoch(
    folder: Path, epoch: int, tokenizer, max_length: int, file: Path | None = None
) -> Examples:
    """The masked sequences of an epoch, without what was masked, which no stage asks for; with `file` mapped from there.

    Raises UserError for a missing file, a line that is no sequence, a piece the vocabulary does not have, or a record that `id_rows` refuses.
    """
    path = epoch_file(folder, epoch)
    if holds_ids(path):
        say(f"{path.name}: {UNCHECKED}")
        sequences = (
            ([row.ids[:max_length]], [min(row.first, max_length)])
            for row in id_rows(path, tokenizer)
        )
    else:
        sequences = (
            ([ids], [segments.count(0)])
            for ids, segments, _ in json_sequences(path, tokenizer.get_vocab(), max_length)
        )
    examples, expected = Examples.joined(sequences, file), count_sequences(folder, epoch)
    if expected != len(examples):
        raise UserError(
            f"{path} holds {len(examples)} sequences, but its metrics file says {expected}; it was cut short, make it again"
        )
    return examples
