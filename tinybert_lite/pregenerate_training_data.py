"""Stage 2, pregenerated data: sequences for general distillation, one file an epoch.

    python -m tinybert_lite.pregenerate_training_data --train_corpus 1_pre_data/documents.txt \
        --output_dir 2_pregenerate_data --bert_model teacher_model --do_whole_word_mask

The files are the original's: `epoch_i.json`, JSON Lines of tokens, segment_ids, is_random_next, masked_lm_positions and
masked_lm_labels, with `epoch_i_metrics.json` beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tinybert_lite.data.batches import IGNORED, Examples
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.masking import mask_tokens, random_pieces
from tinybert_lite.data.tokens import load_tokenizer
from tinybert_lite.engine.files import read_json, write_json
from tinybert_lite.models import local_folder, vocabulary_of
from tinybert_lite.runtime import UserError, command, progress, say
from tinybert_lite.settings import Pregenerating, Settings
from tinybert_lite.stage import Session, Stage
from tinybert_lite.workspace import Workspace, resolve_teacher


def sequences(corpus: TokenisedCorpus, document: int, settings: Pregenerating, rng: random.Random) -> Iterator[tuple[list[int], list[int], bool]]:
    """Cut a document into (A, B, is_random_next), as token ids; B is empty with `one_seq`.

    Unlike the original and BERT's own script, a short target length is drawn once a sequence, not once a document.
    """
    budget = settings.max_seq_len - (2 if settings.one_seq else 3)
    numbers = list(corpus.document(document))
    chunk: list[list[int]] = []
    target, i = target_length(budget, settings.short_seq_prob, rng), 0
    while i < len(numbers):
        chunk.append(corpus.sentence(numbers[i]))
        if i == len(numbers) - 1 or sum(map(len, chunk)) >= target:
            if settings.one_seq:
                yield truncated([t for s in chunk for t in s], [], budget, rng) + (False,)
            else:
                split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                first = [t for s in chunk[:split] for t in s]
                is_random = len(chunk) == 1 or rng.random() < 0.5
                if is_random:
                    second = from_another_document(corpus, document, target - len(first), rng)
                    i -= len(chunk) - split  # the unused sentences go back
                else:
                    second = [t for s in chunk[split:] for t in s]
                yield truncated(first, second, budget, rng) + (is_random,)
            chunk, target = [], target_length(budget, settings.short_seq_prob, rng)
        i += 1


def target_length(budget: int, short_seq_prob: float, rng: random.Random) -> int:
    return rng.randint(2, budget) if rng.random() < short_seq_prob else budget


def from_another_document(corpus: TokenisedCorpus, document: int, wanted: int, rng: random.Random) -> list[int]:
    """Sentences of a document drawn in proportion to its sentence count, from a random one on, up to `wanted` tokens."""
    own, total = corpus.document(document), int(corpus.documents[-1])
    drawn = rng.randrange(total - len(own))
    other = corpus.document(corpus.document_of(drawn if drawn < own.start else drawn + len(own)))
    tokens: list[int] = []
    for number in range(rng.choice(other), other.stop):
        tokens += corpus.sentence(number)
        if len(tokens) >= wanted:
            break
    return tokens


def truncated(first: list[int], second: list[int], budget: int, rng: random.Random) -> tuple[list[int], list[int]]:
    """Pop from the longer side, at a random end, until both fit."""
    cut_front, lengths = [0, 0], [len(first), len(second)]
    while sum(lengths) > budget:
        longer = 0 if lengths[0] > lengths[1] else 1
        lengths[longer] -= 1
        cut_front[longer] += rng.random() < 0.5
    return tuple(side[cut:cut + length] for side, cut, length in zip((first, second), cut_front, lengths))


def write_epoch(corpus_folder: Path, vocabulary: Path, lower_case: bool, settings: Pregenerating, seed: int, epoch: int, output: Path) -> int:
    """Write `epoch_N.json` and its metrics; returns the number of sequences. The same bytes for the same seed and epoch."""
    tokenizer = load_tokenizer(vocabulary, lower_case)
    corpus, rng = TokenisedCorpus(corpus_folder), random.Random(f"{seed} {epoch}")
    pieces, others = tokenizer.convert_ids_to_tokens(range(len(tokenizer))), random_pieces(tokenizer)
    order = np.random.default_rng([seed, epoch]).permutation(len(corpus))
    count, path = 0, output / f"epoch_{epoch}.json"
    beside = path.with_suffix(".json.part")
    with open(beside, "w", encoding="utf-8", newline="\n") as file:
        for document in progress(order.tolist(), f"epoch {epoch}"):
            for first, second, is_random in sequences(corpus, document, settings, rng):
                tokens = ["[CLS]", *(pieces[t] for t in first), "[SEP]"]
                segments = [0] * len(tokens)
                if second:
                    tokens += [*(pieces[t] for t in second), "[SEP]"]
                    segments += [1] * (len(second) + 1)
                tokens, positions, labels = mask_tokens(tokens, rng, settings.masked_lm_prob, settings.max_predictions_per_seq,
                                                        settings.do_whole_word_mask, others)
                line = {"tokens": tokens, "segment_ids": segments, "is_random_next": is_random,
                        "masked_lm_positions": positions, "masked_lm_labels": labels}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    os.replace(beside, path)
    write_json(output / f"epoch_{epoch}_metrics.json", {"num_training_examples": count, "max_seq_len": settings.max_seq_len})
    return count


def pregenerate(corpus: Path, vocabulary: Path, output: Path, settings: Pregenerating, seed: int, lower_case: bool | None = None) -> list[int]:
    """All epochs' files; the counts. Several workers take whole epochs, so their number changes nothing."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix="tokens-") as scratch:
        TokenisedCorpus.build(corpus, load_tokenizer(vocabulary, lower_case), Path(scratch))
        jobs = [(Path(scratch), vocabulary, lower_case, settings, seed, epoch, output) for epoch in range(settings.epochs_to_generate)]
        if settings.num_workers <= 1:
            return [write_epoch(*job) for job in jobs]
        with ProcessPoolExecutor(settings.num_workers, mp_context=get_context("spawn")) as pool:
            return list(pool.map(write_epoch, *zip(*jobs)))


def epoch_file(folder: Path, epoch: int) -> Path:
    """Later epochs than there are files start over, as in the original. Raises UserError where there is none."""
    numbered = {path.stem.removeprefix("epoch_"): path for path in folder.glob("epoch_*.json")}
    files = [numbered[n] for n in sorted((n for n in numbered if n.isdigit()), key=int)]
    if not files:
        raise UserError(f"{folder} holds no epoch_0.json: run pregenerate_training_data first")
    return files[epoch % len(files)]


def count_sequences(folder: Path, epoch: int) -> int:
    """From the metrics file; by counting lines where there is none."""
    path = epoch_file(folder, epoch)
    metrics = path.with_name(f"{path.stem}_metrics.json")
    if metrics.is_file():
        return read_json(metrics)["num_training_examples"]
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def read_epoch(folder: Path, epoch: int, tokenizer, max_length: int) -> Examples:
    """Sequences of an epoch with their masked-LM targets.

    Raises UserError for a missing file, a line that is no sequence, or a piece the vocabulary does not have.
    """
    path = epoch_file(folder, epoch)
    vocab = tokenizer.get_vocab()
    examples, rows, first, targets = Examples.empty(), [], [], []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                found = json.loads(line.decode("utf-8"))
                tokens = found["tokens"][:max_length]
                ids = [vocab[token] for token in tokens]
                target = [IGNORED] * len(ids)
                for position, label in zip(found["masked_lm_positions"], found["masked_lm_labels"]):
                    if position < len(ids):
                        target[position] = vocab[label]
                first.append(sum(s == 0 for s in found["segment_ids"][: len(ids)]))
            except KeyError as error:
                raise UserError(f"{path}, line {number}: {error} is not in the vocabulary or the line lacks it; run "
                                f"pregenerate_training_data again with this teacher") from None
            except (ValueError, TypeError):
                raise UserError(f"{path}, line {number}: not a sequence as JSON; run pregenerate_training_data again") from None
            rows.append(ids)
            targets += target
    if not rows:
        raise UserError(f"{path} is empty: run pregenerate_training_data again")
    expected = count_sequences(folder, epoch)
    if expected != len(rows):
        raise UserError(f"{path} holds {len(rows)} sequences, but its metrics file says {expected}; it was cut short, make it again")
    return replace(examples.extended(rows, first), targets=np.asarray(targets, np.int32))


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    counts = pregenerate(reads["corpus"], reads["vocabulary"], folder, settings.pregenerate_training_data, session.seed, settings.lower_case)
    say(f"pregenerated data: {len(counts)} epochs, {', '.join(map(str, counts))} sequences in {folder}")
    return {"epochs": len(counts), "sequences": counts}


STAGE = Stage(
    "pregenerate_training_data", "2 pregenerated data",
    reads=lambda ws: {"corpus": ws.corpus, "vocabulary": ws.vocabulary},
    folder=lambda ws: ws.sequences, writes=("epoch_*.json",), work=work,
    needless=lambda ws: f"{ws.student_source} is a whole student" if ws.student_has_weights else "",
)


def run(workspace: Workspace, settings: Settings, force: bool = False):
    """Write the workspace's training sequences into `2_pregenerate_data/`."""
    return STAGE.run(workspace, settings, force)


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m tinybert_lite.pregenerate_training_data", description=__doc__.split("\n")[0])
    parser.add_argument("--train_corpus", required=True, type=Path, help="UTF-8, one sentence a line, a blank line between documents")
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--bert_model", required=True, help="model folder or hub name, for its vocabulary")
    parser.add_argument("--do_lower_case", action="store_true", default=None, help="default: as the model's vocabulary is")
    parser.add_argument("--do_whole_word_mask", action="store_true")
    parser.add_argument("--reduce_memory", action="store_true", help="accepted; memory is always flat here")
    parser.add_argument("--num_workers", type=int, default=1)
    parser.add_argument("--epochs_to_generate", type=int, default=3)
    parser.add_argument("--max_seq_len", type=int, default=128)
    parser.add_argument("--short_seq_prob", type=float, default=0.1)
    parser.add_argument("--masked_lm_prob", type=float, default=0.15, help="0: no masking at all")
    parser.add_argument("--max_predictions_per_seq", type=int, default=20)
    parser.add_argument("--one_seq", action="store_true", help="one segment a sequence")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args(argv)
    if args.reduce_memory:
        say("--reduce_memory has no effect: the corpus is always read through memory maps")
    names = Pregenerating.__dataclass_fields__
    settings = Settings(profile="command line", seed=args.seed, lower_case=args.do_lower_case,
                        pregenerate_training_data=Pregenerating(**{k: v for k, v in vars(args).items() if k in names}))
    teacher = resolve_teacher(local_folder(args.bert_model), Workspace.find())
    reads = {"corpus": args.train_corpus, "vocabulary": vocabulary_of(teacher)}
    STAGE.execute(reads, args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
