"""Stage 2, pregenerated data: sequences for general distillation, one file an epoch.

    python -m tinybert_lite.pregenerate_training_data --train_corpus 1_pre_data/documents.txt \
        --output_dir 2_pregenerate_data --bert_model teacher_model --do_whole_word_mask

A corpus is files, folders and patterns of any of the kinds in docs/corpora.md; the flags of BERT's own create_pretraining_data.py
are understood as well.
The files are the original's: `epoch_i.json`, JSON Lines of tokens, segment_ids, is_random_next, masked_lm_positions and
masked_lm_labels, with `epoch_i_metrics.json` beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinybert_lite.data.corpora import numbered, read_corpora
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.epochs import close_corpus, lines_of_documents
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Pregenerating, Settings
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.files import write_json
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.outputs import scratch
from tinybert_lite.system.processes import in_parallel

CHUNK = 100  # documents that a worker cuts at a time


def pregenerate(
    corpus: Path | Sequence[Path],
    vocabulary: Path,
    output: Path,
    settings: Pregenerating,
    seed: int,
    lower_case: bool | None = None,
    identity: str = "",
    language: str = "en",
) -> list[int]:
    """All epochs' files from one or several files and folders; the counts. The same bytes for the same seed, whatever the number of workers.

    With an `identity` of its inputs a run that was cut goes on after the last documents that it wrote.
    """
    output.mkdir(parents=True, exist_ok=True)
    sources = [corpus] if isinstance(corpus, Path) else corpus
    with scratch(output) as tokens:
        documents = len(
            TokenisedCorpus.build(
                sources[0] if len(sources) == 1 else Path(f"{sources[0]} to {sources[-1].name}"),
                load_tokenizer(vocabulary, lower_case),
                tokens,
                settings.num_workers,
                language=language,
                read=lambda _: read_corpora(sources, language, settings.split_sentences),
            )
        )
        try:
            return [
                write_epoch(tokens, documents, settings, seed, epoch, output, identity)
                for epoch in range(settings.epochs_to_generate)
            ]
        finally:
            close_corpus()  # some systems remove no file that is open


def write_epoch(
    tokens: Path,
    documents: int,
    settings: Pregenerating,
    seed: int,
    epoch: int,
    output: Path,
    identity: str = "",
) -> int:
    """Write `epoch_N.json`, its documents in an order of its own, and its metrics; returns the number of sequences."""
    documents *= settings.dupe_factor
    order = np.random.default_rng([seed, epoch]).permutation(documents).tolist()
    chunks = [order[start : start + CHUNK] for start in range(0, documents, CHUNK)]
    file = GrowingFile(output / f"epoch_{epoch}.json", identity)
    done, count = file.state.get("chunks", 0), file.state.get("sequences", 0)
    if done:
        say(f"epoch {epoch}: going on from document {min(done * CHUNK, documents)} of {documents}")
    jobs = ((tokens, chunk, settings, seed, epoch) for chunk in chunks[done:])
    with file:
        written = in_parallel(lines_of_documents, jobs, settings.num_workers)
        for done, (found, lines) in enumerate(
            progress(written, f"epoch {epoch}, {CHUNK} documents each", len(chunks) - done),
            done + 1,
        ):
            count += found
            file.add(lines, chunks=done, sequences=count)
    write_json(
        output / f"epoch_{epoch}_metrics.json",
        {"num_training_examples": count, "max_seq_len": settings.max_seq_len},
    )
    return count


def work(reads: dict[str, Path], folder: Path, settings: Settings, session: Session) -> dict:
    corpus = [path for name, path in reads.items() if name != "vocabulary"]
    counts = pregenerate(
        corpus,
        reads["vocabulary"],
        folder,
        settings.pregenerate_training_data,
        session.seed,
        settings.lower_case,
        session.identity,
        settings.task.language,
    )
    say(
        f"pregenerated data: {len(counts)} epochs, {', '.join(map(str, counts))} sequences in {folder}"
    )
    return {"epochs": len(counts), "sequences": counts}


STAGE = Stage(
    "pregenerate_training_data",
    "2 pregenerated data",
    reads=lambda ws, corpora=None, vocabulary=None: {
        **numbered("corpus", corpora or ws.corpora),
        "vocabulary": vocabulary or ws.vocabulary,
    },
    folder=lambda ws: ws.sequences,
    writes=("epoch_*.json",),
    work=work,
    needless=lambda ws: f"{ws.student_source} is a whole student" if ws.student_has_weights else "",
)


def run(workspace, settings: Settings, force: bool = False):
    """Write the workspace's training sequences into `2_pregenerate_data/`."""
    return STAGE.run(workspace, settings, force)
