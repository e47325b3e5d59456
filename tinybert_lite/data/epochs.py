"""Write and read training sequences: one `epoch_i.json` or TFRecord file per epoch.

Stage 2's worker processes write the sequences of a tokenised corpus; stage 3 reads them.
"""

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.data.batches import Examples
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.id_rows import UNCHECKED, id_rows, tfrecord_files
from tinybert_lite.data.special_tokens import SpecialTokens
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.data.tfrecord import count_records
from tinybert_lite.method.masking import mask_tokens, random_pieces, without_inner
from tinybert_lite.method.sequences import sequences
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json
from tinybert_lite.system.lines import lines_of

AGAIN = "run pregenerate_training_data again"


@lru_cache(maxsize=1)
def _opened(folder: Path) -> tuple[TokenisedCorpus, list[str], list[str], SpecialTokens]:
    """Open a corpus once per process; return it, its pieces, random pieces, special tokens."""
    corpus, special = TokenisedCorpus(folder), SpecialTokens.read(folder)
    pieces = corpus.pieces()
    return corpus, pieces, random_pieces(pieces, special.all), special


close_corpus = _opened.cache_clear


def lines_of_documents(
    folder: Path, documents: list[int], settings, seed: int, epoch: int
) -> tuple[int, bytes]:
    """Make the sequences of these documents; return their number, and the sequences as JSON Lines.

    folder: of the tokenised corpus. Each document has its own random numbers, so its sequences
    depend neither on other documents nor on the number of workers. In a corpus of n documents the
    number n + d means document d once more, with other random numbers.
    """
    corpus, pieces, others, special = _opened(folder)
    count = special.count(pair=not settings.one_seq)
    lines = []
    for number in documents:
        rng = random.Random(f"{seed} {epoch} {number}")
        document = number % len(corpus)
        for first, second, is_random in sequences(corpus, document, settings, rng, count):
            tokens, segments = special.around(
                [pieces[t] for t in first], [pieces[t] for t in second]
            )
            tokens, positions, labels = mask_tokens(
                tokens,
                rng,
                settings.masked_lm_prob,
                settings.max_predictions_per_seq,
                settings.do_whole_word_mask,
                others,
                special.tokens,
                special.mask,
            )
            tokens, labels = without_inner(tokens), without_inner(labels)
            lines.append(json_line(tokens, segments, is_random, positions, labels))
    return len(lines), b"".join(lines)


def json_line(
    tokens: list[str], segments: list[int], is_random: bool, positions: list[int], labels: list[str]
) -> bytes:
    """Return a sequence as a line of `epoch_i.json`."""
    found = {
        "tokens": tokens,
        "segment_ids": segments,
        "is_random_next": is_random,
        "masked_lm_positions": positions,
        "masked_lm_labels": labels,
    }
    return json.dumps(found, ensure_ascii=False).encode("utf-8") + b"\n"


def epoch_file(folder: Path, epoch: int) -> Path:
    """Return the file of an epoch; after the last file the first is used again, as in the original.

    Raises UserError if there are no files.
    """
    files = epoch_files(folder)
    return files[epoch % len(files)]


def epoch_files(folder: Path) -> list[Path]:
    """Return the files of all epochs: `epoch_i.json` by number, else TFRecord files by name.

    `folder` may also be a single TFRecord file. Raises UserError if there are no files.
    """
    numbers = (path.stem.removeprefix("epoch_") for path in folder.glob("epoch_*.json"))
    found = sorted((number for number in numbers if number.isdigit()), key=int)
    files = [folder / f"epoch_{number}.json" for number in found] or tfrecord_files(folder)
    if not files:
        raise UserError(
            f"{folder} holds no epoch_0.json, and no .tfrecord or .tf_record file: run "
            "pregenerate_training_data first"
        )
    return files


def metrics_file(path: Path) -> Path:
    """Return the file beside `epoch_i.json` that holds the number and the length of sequences."""
    return path.with_name(f"{path.stem}_metrics.json")


def count_sequences(folder: Path, epoch: int) -> int:
    """Return the number of sequences of an epoch, from the metrics file or else by counting.

    Raises UserError for an empty file and for a metrics file without a number above 0.
    """
    path = epoch_file(folder, epoch)
    metrics = metrics_file(path)
    if metrics.is_file():
        found = read_json(metrics).get("num_training_examples")
        if type(found) is not int or found < 1:
            raise UserError(
                f"{metrics}: num_training_examples is {short(found)}, not a whole number above 0; "
                f"{AGAIN}"
            )
        return found
    if found := count_records(path) if holds_ids(path) else sum(1 for _ in lines_of(path)):
        return found
    raise UserError(f"{path} is empty: {AGAIN}")


def json_sequences(
    path: Path, vocab: dict[str, int], max_length: int | None = None
) -> Iterator[tuple[list[int], list[int], dict]]:
    """Yield for each line its ids and segments, cut at `max_length`, and the line as an object.

    Raises UserError with file and line if a line is not a sequence of this vocabulary's pieces.
    """
    for number, line in enumerate(lines_of(path), 1):
        try:
            found = json.loads(line)
            tokens, segments = found["tokens"], found["segment_ids"]
            if not (type(tokens) is type(segments) is list and 0 < len(tokens) == len(segments)):
                raise ValueError
            ids = [vocab[token] for token in tokens[:max_length]]
        except KeyError as error:
            raise UserError(
                f"{path}, line {number}: {short(error.args[0])} is missing in the vocabulary or in "
                f"the line; {AGAIN} with this teacher"
            ) from None
        except (ValueError, TypeError, RecursionError):
            raise UserError(f"{path}, line {number}: is not a sequence as JSON; {AGAIN}") from None
        yield ids, segments[:max_length], found


def read_epoch(
    folder: Path, epoch: int, tokenizer, max_length: int, file: Path | None = None
) -> Examples:
    """Read an epoch's masked sequences, cut at `max_length`; with `file` the ids are memory-mapped.

    The labels of masked positions are not read, since no stage needs them. Raises UserError for a
    missing file, for invalid rows (see `json_sequences`, `id_rows`), and if the number of sequences
    differs from the metrics file.
    """
    path = epoch_file(folder, epoch)
    if holds_ids(path):
        say(f"{path.name}: {UNCHECKED}")
        found = ((row.ids[:max_length], row.first) for row in id_rows(path, tokenizer))
    else:
        lines = json_sequences(path, tokenizer.get_vocab(), max_length)
        found = ((ids, segments.count(0)) for ids, segments, _ in lines)
    blocks = (([ids], [min(first, max_length)]) for ids, first in found)
    examples, expected = Examples.joined(blocks, file), count_sequences(folder, epoch)
    if expected != len(examples):
        raise UserError(
            f"{path} holds {len(examples)} sequences, but its metrics file says {expected}, so it "
            f"is incomplete or changed; {AGAIN}"
        )
    return examples
