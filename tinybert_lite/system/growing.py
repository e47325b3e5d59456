"""A file that grows block by block and goes on after a cut: what stages 1 and 2 write."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, replace_file, write_json

KEPT = 2  # states to go back to


class GrowingFile:
    """`with GrowingFile(path, identity) as file`: `file.add(content, **state)` block by block.

    It lies in `path.part` until the end of the `with`. `checkpoint-<name>.json` notes how far the last blocks reach, each
    with the SHA-256 of all before its end; a later run of the same `identity` goes on after the last that is whole, with its
    `state` (empty: at the beginning). Without an identity nothing is noted. Of several processes the first one writes.
    """

    def __init__(self, path: Path, identity: str = ""):
        self.path, self.identity = path, identity
        self.part, self.notes = (
            path.with_name(path.name + ".part"),
            path.with_name(f"checkpoint-{path.stem}.json"),
        )
        self.finished, self._saved, self._digest = False, [], hashlib.sha256()
        if identity and self.notes.is_file():
            self._go_on()

    @property
    def state(self) -> dict:
        return self._saved[-1]["state"] if self._saved else {}

    def _go_on(self) -> None:
        try:
            notes = read_json(self.notes)
        except UserError:
            say(f"{self.notes} is damaged: starting {self.path.name} again")
            return
        if notes.get("identity") != self.identity:
            return
        place = self.part if self.part.is_file() else self.path
        while notes["saved"]:
            digest, last = digest_of(place, notes["saved"][-1]["bytes"]), notes["saved"][-1]
            if digest.hexdigest() == last["sha256"]:
                self._saved, self._digest = notes["saved"], digest
                self.finished = notes["finished"] and last["bytes"] == place.stat().st_size
                break
            say(f"{place} is damaged: going back to the block before")
            notes["saved"].pop()
            notes["finished"] = False
        if place == self.path and not self.finished:  # somebody changed the whole file
            self._saved, self._digest = [], hashlib.sha256()

    def __enter__(self) -> GrowingFile:
        if processes.is_main() and not self.finished:
            self._file = open(self.part, "r+b" if self._saved else "wb")
            self._file.truncate(self._saved[-1]["bytes"] if self._saved else 0)
            self._file.seek(0, 2)
        return self

    def add(self, content: bytes, **state) -> None:
        if not processes.is_main():
            return
        self._file.write(content)
        self._file.flush()
        self._digest.update(content)
        self._saved = [
            *self._saved,
            {"bytes": self._file.tell(), "sha256": self._digest.hexdigest(), "state": state},
        ][-KEPT:]
        self._note()

    def _note(self) -> None:
        if self.identity:
            write_json(
                self.notes,
                {"identity": self.identity, "finished": self.finished, "saved": self._saved},
            )

    def __exit__(self, error, *_) -> None:
        if not processes.is_main():
            return
        if not self.finished:
            self._file.close()
            self.finished = error is None
            if self.finished:
                self._note()
        if self.finished and self.part.is_file():
            replace_file(self.part, self.path)


def digest_of(path: Path, length: int):
    """The hash object of a file's first bytes; of nothing where there is no file."""
    digest = hashlib.sha256()
    if path.is_file():
        with open(path, "rb") as file:
            while length > 0 and (block := file.read(min(length, 1 << 20))):
                digest.update(block)
                length -= len(block)
    return digest
