"""A sample of a corpus, from which its sequences are estimated."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinybert_lite.data.corpora import corpus_files, read_corpora
from tinybert_lite.data.corpus import LAYOUT
from tinybert_lite.data.corpus_parts import check_parts
from tinybert_lite.data.epochs import close_corpus, epoch_file, json_sequences
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.counted import Rows
from tinybert_lite.stages.pregenerate_training_data import tokenise, write_epoch
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import PACKED

SAMPLE_BYTES = 200_000  # bytes
UNPACKED = 3.5  # bytes of text per byte of a compressed file


@dataclass(frozen=True)
class CorpusSample:
    """Some documents of a corpus, and the size of the whole corpus."""

    sources: list[Path]
    documents: list[list[str]]
    total_bytes: float  # of the whole corpus, unpacked
    language: str = "en"

    @classmethod
    def read(cls, sources: list[Path], language: str, split: bool):
        """Check a corpus and take a sample. Raises UserError, see `corpus_parts.check_parts`, and
        for a corpus without text."""
        check_parts(sources)
        files = list(corpus_files(sources))
        sizes = [file.stat().st_size * (UNPACKED if file.suffix in PACKED else 1) for file in files]
        some = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, 20).astype(int))]
        documents = [
            document
            for file in some
            for document in _first(read_corpora([file], language, split), SAMPLE_BYTES // len(some))
        ]
        if not documents:
            raise UserError(f"{sources[0]} is empty: it needs {LAYOUT}")
        return cls(sources, documents, sum(sizes), language)

    @property
    def share(self) -> float:
        """The sample's share of the corpus, from 0 to 1; 1 for a corpus below SAMPLE_BYTES."""
        if self.total_bytes < SAMPLE_BYTES:
            return 1.0
        return min(0.99, sum(map(_bytes, self.documents)) / self.total_bytes)

    def sequences(self, vocabulary: Path, settings: Settings) -> Rows:
        """Make the sequences of the sample; return an estimate for one epoch of the whole corpus.

        Raises UserError if the whole corpus is one document, see `TokenisedCorpus.build`.
        """
        options = settings.pregenerate_training_data
        once = replace(options, dupe_factor=1, num_workers=1)
        with tempfile.TemporaryDirectory() as place:
            folder, text = Path(place), Path(place, "sample.txt")
            self._write(text)
            sources = [text] if self.share < 1 else self.sources
            tokenizer = load_tokenizer(vocabulary, settings.lower_case)
            started = time.perf_counter()
            documents = tokenise(sources, tokenizer, folder, once, self.language)
            seconds = (time.perf_counter() - started) / options.epochs_to_generate
            try:
                count = write_epoch(folder, documents, once, settings.seed, 0, folder)
                started = time.perf_counter()  # the first epoch also opens the tokens
                write_epoch(folder, documents, once, settings.seed, 1, folder)
                seconds += time.perf_counter() - started
            finally:
                close_corpus()
            made = epoch_file(folder, 0)
            rows = json_sequences(made, tokenizer.get_vocab())
            lengths = np.array([len(ids) for ids, _, _ in rows] or [options.max_seq_len])
            size = made.stat().st_size
        total, one = round(count * options.dupe_factor / self.share), max(1, count)
        return Rows(max(1, total), lengths, [], seconds / one, size / one)

    def _write(self, path: Path) -> None:
        """Write the sample as text; stage 2 needs two documents, so a single one is divided."""
        documents = self.documents
        if len(documents) == 1:
            documents = [documents[0][::2], documents[0][1::2] or documents[0]]
        path.write_text("\n\n".join("\n".join(each) for each in documents), encoding="utf-8")


def _first(documents: Iterator[list[str]], most: int) -> Iterator[list[str]]:
    """Yield the first documents, up to `most` bytes; at least one."""
    taken = 0
    for document in documents:
        yield document
        taken += _bytes(document)
        if taken >= most:
            return


def _bytes(document: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in document) + 1
