"""A corpus of any size as token ids on disk: documents of sentences, read through memory maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
                ids = iter(tokenizer(flat, add_special_tokens=False, return_attention_mask=False)["input_ids"])
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
