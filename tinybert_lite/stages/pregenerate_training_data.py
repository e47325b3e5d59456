"""Stage 2, training sequences for general distillation, one file per epoch.

Reads a corpus (files, folders and patterns of the kinds in docs/corpora.md) and a vocabulary;
writes `epoch_i.json` and `epoch_i_metrics.json` into `2_pregenerate_data/`, in the original code's
format: JSON Lines of tokens, segment_ids, is_random_next, masked_lm_positions, masked_lm_labels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinybert_lite.data.corpora import numbered, read_corpora
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.epochs import close_corpus, lines_of_documents
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.settings import Pregenerating
from tinybert_lite.stages.stage import Stage
from tinybert_lite.system import scheduler
from tinybert_lite.system.console import counted, progress, say
from tinybert_lite.system.files import write_json
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.outputs import scratch
from tinybert_lite.system.processes import in_parallel

CHUNK = 100  # documents per call of a worker process


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
    """Write the files of all epochs from one or several sources; return the sequences of each.

    The same seed gives the same bytes, whatever the number of workers, and on a scheduler's. An
    interrupted run with the same `identity` of its inputs resumes after the last documents it
    wrote. Raises UserError if a scheduler's worker does not see `output`.
    """
    output.mkdir(parents=True, exist_ok=True)
    sources = [corpus] if isinstance(corpus, Path) else corpus
    with scratch(output.resolve()) as tokens:  # a scheduler's workers are in other folders
        scheduler.need_shared(tokens)
        tokenizer = load_tokenizer(vocabulary, lower_case)
        documents = tokenise(sources, tokenizer, tokens, settings, language)
        try:
            return [
                write_epoch(tokens, documents, settings, seed, epoch, output, identity)
                for epoch in range(settings.epochs_to_generate)
            ]
        finally:
            scheduler.everywhere(close_corpus)  # some systems do not remove an open file


def tokenise(
    sources: Sequence[Path], tokenizer, tokens: Path, settings: Pregenerating, language: str
) -> int:
    """Tokenise a corpus into the folder `tokens`; return its number of documents."""
    name = sources[0] if len(sources) == 1 else Path(f"{sources[0]} to {sources[-1].name}")
    return len(
        TokenisedCorpus.build(
            name,
            tokenizer,
            tokens,
            settings.num_workers,
            language=language,
            read=lambda _: progress(
                read_corpora(sources, language, settings.split_sentences), "documents read"
            ),
        )
    )


def write_epoch(
    tokens: Path,
    documents: int,
    settings: Pregenerating,
    seed: int,
    epoch: int,
    output: Path,
    identity: str = "",
) -> int:
    """Write one epoch's file, its documents in random order; return its number of sequences."""
    documents *= settings.dupe_factor
    order = np.random.default_rng([seed, epoch]).permutation(documents).tolist()
    chunks = [order[start : start + CHUNK] for start in range(0, documents, CHUNK)]
    file = GrowingFile(output / f"epoch_{epoch}.json", identity)
    done, count = file.state.get("chunks", 0), file.state.get("sequences", 0)
    if done:
        say(f"epoch {epoch}: resuming from document {min(done * CHUNK, documents)} of {documents}")
    jobs = ((tokens, chunk, settings, seed, epoch) for chunk in chunks[done:])
    with file:
        written = in_parallel(lines_of_documents, jobs, settings.num_workers)
        written = progress(
            written, f"epoch {epoch}, chunks of {CHUNK} documents", len(chunks) - done
        )
        for number, (found, lines) in enumerate(written, done + 1):
            count += found
            file.add(lines, chunks=number, sequences=count)
    write_json(
        output / f"epoch_{epoch}_metrics.json",
        {"num_training_examples": count, "max_seq_len": settings.max_seq_len},
    )
    return count


def work(job: Job) -> dict:
    counts = pregenerate(
        [path for name, path in job.reads.items() if name != "vocabulary"],
        job.reads["vocabulary"],
        job.folder,
        job.options,
        job.session.seed,
        job.settings.lower_case,
        job.session.identity,
        job.task.language,
    )
    say(
        f"pregenerated data: {counted(len(counts), 'epoch')}, "
        f"{', '.join(map(str, counts))} sequences in {job.folder}"
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
    in_main_only=True,  # it has worker processes of its own
    skip_reason=lambda ws: (
        f"{ws.student_source} already has weights" if ws.student_has_weights else ""
    ),
)
run = STAGE.run
