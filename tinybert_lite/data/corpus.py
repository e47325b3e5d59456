"""Text as documents of sentences, and a corpus of any size as token ids on disk, read through memory maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinybert_lite.data.tasks import Task, read_table
from tinybert_lite.runtime import UserError


def read_documents(path: Path) -> Iterator[list[str]]:
    """One document after another: its sentences, one a line; a blank line ends a document. `.xz` is read as well."""
    import lzma

    if not path.is_file():
        raise UserError(f"{path} is missing: put a corpus there, one sentence a line, a blank line between documents")
    open_text = lzma.open if path.suffix == ".xz" else open
    document: list[str] = []
    number = 0
    try:
        with open_text(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if line:
                    document.append(line)
                elif document:
                    yield document
                    document = []
    except (lzma.LZMAError, EOFError):
        raise UserError(f"{path} is a damaged .xz file; fetch it again") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}, line {number + 1} or soon after: not UTF-8 text; save the file as UTF-8") from None
    if document:
        yield document


def documents_of(path: Path, task: Task, together: int = 8) -> Iterator[list[str]]:
    """A text's documents, or a task's rows as documents of `together` sentences."""
    if path.suffix == ".tsv":
        texts = [text for row in read_table(path, task).rows for text in (row.text_a, row.text_b) if text]
        yield from (texts[start:start + together] for start in range(0, len(texts), together))
    else:
        yield from read_documents(path)


def plain(line: str) -> str:
    """A line without WikiText's marks: ` @,@ ` is a comma inside a number, `<unk>` a word that was taken out."""
    return re.sub(r" @(.)@ ", r"\1", line).replace("<unk>", "[UNK]")


def is_held_out(number: int, held_out: int) -> bool:
    """Whether a text's document of this number (from 0) is kept from training, to measure on."""
    return held_out > 0 and number % held_out == held_out - 1


def gather_text(sources: list[Path], task: Task, held_out: int, train: Path, test: Path) -> None:
    """Write all documents of `sources` into two corpora. Documents are held out of texts alone: a task has a dev set."""
    with open(train, "w", encoding="utf-8", newline="\n") as learnt, open(test, "w", encoding="utf-8", newline="\n") as kept:
        for source in sources:
            for number, document in enumerate(documents_of(source, task)):
                file = kept if source.suffix != ".tsv" and is_held_out(number, held_out) else learnt
                file.write("\n".join(map(plain, document)) + "\n\n")


class TokenisedCorpus:
    """Token ids of all sentences in one file; memory stays flat, since the system pages it in as needed."""

    def __init__(self, folder: Path):
        self.tokens = np.memmap(folder / "tokens.i4", np.int32, "r")
        self.sentences = np.memmap(folder / "sentences.i8", np.int64, "r")  # where each starts, and the end
        self.documents = np.memmap(folder / "documents.i8", np.int64, "r")  # first sentence of each, and the end

    def __len__(self) -> int:
        return len(self.documents) - 1

    def sentence(self, number: int) -> list[int]:
        return self.tokens[self.sentences[number]:self.sentences[number + 1]].tolist()

    def document(self, number: int) -> range:
        """The numbers of its sentences."""
        return range(int(self.documents[number]), int(self.documents[number + 1]))

    def document_of(self, sentence: int) -> int:
        return int(np.searchsorted(self.documents, sentence, side="right")) - 1

    @classmethod
    def build(cls, corpus: Path, tokenizer, folder: Path, block: int = 2000) -> TokenisedCorpus:
        """Tokenise `corpus` into three files in `folder`. Raises UserError for an empty or a one-document corpus."""
        tokens_end, sentences_end, waiting = 0, 0, 0
        with (open(folder / "tokens.i4", "wb") as tokens, open(folder / "sentences.i8", "wb") as sentences,
              open(folder / "documents.i8", "wb") as documents):
            batch: list[list[str]] = []

            def write() -> None:
                nonlocal tokens_end, sentences_end
                flat = [sentence for document in batch for sentence in document]
                ids = iter(tokenizer(flat, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"])
                for document in batch:
                    rows = [row for _, row in zip(document, ids) if row]
                    if not rows:
                        continue
                    np.asarray([sentences_end], np.int64).tofile(documents)
                    np.concatenate([np.asarray(row, np.int32) for row in rows]).tofile(tokens)
                    starts = tokens_end + np.cumsum([0] + [len(row) for row in rows])
                    starts[:-1].astype(np.int64).tofile(sentences)
                    tokens_end, sentences_end = int(starts[-1]), sentences_end + len(rows)
                batch.clear()

            for document in read_documents(corpus):
                batch.append(document)
                waiting += len(document)
                if waiting >= block:
                    write()
                    waiting = 0
            if batch:
                write()
            np.asarray([sentences_end], np.int64).tofile(documents)
            np.asarray([tokens_end], np.int64).tofile(sentences)
        found = cls(folder) if sentences_end else None
        if found is None:
            raise UserError(f"{corpus} is empty: it needs sentences, one a line, a blank line between documents")
        if len(found) < 2:
            raise UserError(f"{corpus}, lines 1 to {sentences_end}: holds one document only, and next sentences are drawn from "
                            f"others; put a blank line between documents")
        return found
