"""Read text as documents of sentences; store a corpus of any size as memory-mapped token ids."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tinybert_lite.data.chinese import word_starts
from tinybert_lite.data.special_tokens import SpecialTokens
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.method.masking import with_inner
from tinybert_lite.system import scheduler
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of
from tinybert_lite.system.processes import in_parallel

LAYOUT = "one sentence per line, a blank line between documents"
TOKENIZER = "tokenizer.json"  # beside a tokenised corpus, for worker processes
Reader = Callable[[Path], Iterator[list[str]]]


def read_documents(path: Path) -> Iterator[list[str]]:
    """Yield each document's sentences: one per line; a blank line ends a document."""
    document: list[str] = []
    for line in map(str.strip, lines_of(path, f"put a corpus there, {LAYOUT}")):
        if line:
            document.append(line)
        elif document:
            yield document
            document = []
    if document:
        yield document


def documents_of(
    path: Path, task: Task, is_table: bool, together: int = 8, read: Reader = read_documents
) -> Iterator[list[str]]:
    """Yield the documents that `read` finds in a text; of a table, groups of `together` texts."""
    if is_table:
        rows = read_table(path, task).rows
        texts = [text for row in rows for text in (row.text_a, row.text_b) if text]
        yield from (texts[start : start + together] for start in range(0, len(texts), together))
    else:
        yield from read(path)


def plain(line: str) -> str:
    """Undo WikiText's marks: ` @,@ ` for a comma inside a number, `<unk>` for a rare word."""
    return re.sub(r" @(.)@ ", r"\1", line).replace("<unk>", "[UNK]")


def is_held_out(number: int, held_out: int) -> bool:
    """Whether document `number` (from 0) is used to evaluate: one in every `held_out` documents."""
    return held_out > 0 and number % held_out == held_out - 1


def gather_text(
    sources: list[Path],
    task: Task,
    held_out: int,
    train: Path,
    test: Path,
    read: Reader = read_documents,
    rows: Path | None = None,
) -> None:
    """Write all documents of `sources` into two files: `train`, and `test` to evaluate on.

    A .tsv file and the source `rows` hold a task's rows, any other holds text. Only documents of
    texts are held out. A task's rows all go into `train`, since a task has its own dev set.
    """
    with (
        open(train, "w", encoding="utf-8", newline="\n") as learnt,
        open(test, "w", encoding="utf-8", newline="\n") as kept,
    ):
        for source in sources:
            is_table = source.suffix == ".tsv" or source == rows
            for number, document in enumerate(documents_of(source, task, is_table, read=read)):
                file = kept if not is_table and is_held_out(number, held_out) else learnt
                file.write("\n".join(map(plain, document)) + "\n\n")


def pieces_by_id(vocabulary: dict[str, int]) -> list[str]:
    """Return the pieces by id; "" for an id without a piece, that of a duplicate line."""
    pieces = [""] * (max(vocabulary.values()) + 1)
    for piece, number in vocabulary.items():
        pieces[number] = piece
    return pieces


@lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / TOKENIZER))


def tokenised(
    folder: Path, documents: list[list[str]], one_thread: bool, language: str = "en"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokenise documents with the tokenizer stored in `folder`.

    Returns token ids (T,) int32, tokens per sentence (S,) int64 and sentences per document (n,)
    int64. Empty sentences and documents are left out. A token inside a word gets its id plus the
    vocabulary's size, see `TokenisedCorpus.pieces`: in Chinese ("zh"), whose words the segmenter
    finds, and in vocabularies that do not mark such pieces with ##.
    """
    if one_thread:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer, chinese = _tokenizer(folder), language == "zh"
    size = len(pieces_by_id(tokenizer.get_vocab()))
    marked = type(tokenizer.model).__name__ == "WordPiece"
    # The fast variant returns no offsets.
    encode = tokenizer.encode_batch if chinese or not marked else tokenizer.encode_batch_fast
    # In byte-level BPE a sentence inside a sequence begins with a space, as in running text.
    space = " " * (tokenizer.encode("a").tokens != tokenizer.encode(" a").tokens)
    lone_space = tokenizer.token_to_id("▁")  # SentencePiece's before Chinese; part of the next word
    texts = [space + sentence for document in documents for sentence in document]
    found = iter(encode(texts, add_special_tokens=False))
    ids, lengths, counts = array("i"), array("q"), array("q")
    for document in documents:
        before = len(lengths)
        for sentence, encoding in zip(document, found):
            if not (row := encoding.ids):
                continue
            if chinese:
                starts = word_starts(sentence)
                after_space = [False, *(token == lone_space for token in row)]
                inner = (
                    after or start - len(space) not in starts
                    for after, (start, _) in zip(after_space, encoding.offsets)
                )
                row = [token + size * is_inner for token, is_inner in zip(row, inner)]
            elif not marked:
                words = [None, *encoding.word_ids]
                inner = (word is not None and word == last for last, word in zip(words, words[1:]))
                row = [token + size * is_inner for token, is_inner in zip(row, inner)]
            ids.fromlist(row)
            lengths.append(len(row))
        if len(lengths) > before:
            counts.append(len(lengths) - before)
    return np.asarray(ids), np.asarray(lengths), np.asarray(counts)


def _blocks(documents: Iterable[list[str]], sentences: int) -> Iterator[list[list[str]]]:
    """Yield lists of documents with at least `sentences` sentences; the last list may have less."""
    block: list[list[str]] = []
    waiting = 0
    for document in documents:
        block.append(document)
        waiting += len(document)
        if waiting >= sentences:
            yield block
            block, waiting = [], 0
    if block:
        yield block


class TokenisedCorpus:
    """Token ids of all sentences in one memory-mapped file, so it may be larger than the memory."""

    def __init__(self, folder: Path):
        self.folder = folder

        def mapped(name, kind):  # a plain array is read many times faster than a memmap
            return np.asarray(np.memmap(folder / name, kind, "r"))

        self.tokens = mapped("tokens.i4", np.int32)
        self.sentences = mapped("sentences.i8", np.int64)  # first token of each, and the end
        self.documents = mapped("documents.i8", np.int64)  # first sentence of each, and the end

    def __len__(self) -> int:
        return len(self.documents) - 1

    def sentence(self, number: int) -> list[int]:
        """Return the token ids of a sentence."""
        return self.tokens[self.sentences[number] : self.sentences[number + 1]].tolist()

    def document(self, number: int) -> range:
        """Return the numbers of a document's sentences."""
        return range(int(self.documents[number]), int(self.documents[number + 1]))

    def document_of(self, sentence: int) -> int:
        """Return the number of the document that holds a sentence."""
        return int(np.searchsorted(self.documents, sentence, side="right")) - 1

    def pieces(self) -> list[str]:
        """Return 2 V word pieces by id: the vocabulary's, then the same inside a word."""
        return with_inner(pieces_by_id(_tokenizer(self.folder).get_vocab()))

    @classmethod
    def build(
        cls,
        corpus: Path,
        tokenizer,
        folder: Path,
        workers: int = 1,
        block: int = 2000,
        language: str = "en",
        read: Reader = read_documents,
    ) -> TokenisedCorpus:
        """Tokenise the documents that `read` finds in `corpus` into files in `folder`.

        Raises UserError for an empty corpus or a single document.
        """
        (folder / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        SpecialTokens.of(tokenizer).write(folder)
        tokens_end = sentences_end = 0
        with (
            open(folder / "tokens.i4", "wb") as tokens,
            open(folder / "sentences.i8", "wb") as sentences,
            open(folder / "documents.i8", "wb") as documents,
        ):
            one_thread = workers > 1 or scheduler.in_use()
            jobs = ((folder, some, one_thread, language) for some in _blocks(read(corpus), block))
            for ids, lengths, counts in in_parallel(tokenised, jobs, workers):
                tokens.write(ids)  # not ids.tofile, which does not report a full disk
                sentences.write(tokens_end + np.cumsum(lengths) - lengths)
                documents.write(sentences_end + np.cumsum(counts) - counts)
                tokens_end, sentences_end = tokens_end + len(ids), sentences_end + len(lengths)
            documents.write(np.asarray([sentences_end], np.int64))
            sentences.write(np.asarray([tokens_end], np.int64))
        if not sentences_end:
            raise UserError(f"{corpus} is empty: it needs {LAYOUT}")
        found = cls(folder)
        if len(found) < 2:
            raise UserError(
                f"{corpus}, sentences 1 to {sentences_end}: holds one document only, but random "
                "next sentences need another; put a blank line between documents"
            )
        return found
