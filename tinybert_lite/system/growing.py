"""A file that grows block by block and can be resumed after an interruption: stages 1 and 2."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_json, written_beside

KEPT = 2  # blocks whose ends are recorded
BLOCK = 1 << 20  # bytes read at once


class GrowingFile:
    """A file in a `with` statement; call `file.add(content, **state)` for each block.

    The file is `NAME.part` until the end of the `with` (see `written_beside`).
    `checkpoint-<stem>.json` records where the last blocks end, each with its `state` and the
    SHA-256 of all bytes before its end. A later run with the same `identity` resumes after the last
    undamaged block and has its `state`, or an empty state if there is no such block. Without an
    identity nothing is recorded. With several processes only the first one writes.
    """

    def __init__(self, path: Path, identity: str = ""):
        self.path, self.identity = path, identity
        self.part = path.with_name(f"{path.name}.part")
        self.notes = path.with_name(f"checkpoint-{path.stem}.json")
        self.finished, self._saved, self._digest = False, [], hashlib.sha256()
        if identity and self.notes.is_file():
            self._resume()

    @property
    def state(self) -> dict:
        """The `state` of the last block; empty before the first one."""
        return self._saved[-1]["state"] if self._saved else {}

    def _resume(self) -> None:
        try:
            notes = read_json(self.notes)
        except UserError:
            return say(f"{self.notes} is damaged: {self.path.name} starts from the beginning")
        if notes.get("identity") != self.identity:
            return
        place = self.part if self.part.is_file() else self.path
        if not place.is_file():
            return
        finished, saved = notes["finished"], notes["saved"]
        while saved:
            digest = _digest_of(place, saved[-1]["bytes"])
            if digest.hexdigest() == saved[-1]["sha256"]:
                finished = finished and saved[-1]["bytes"] == place.stat().st_size
                if finished or place == self.part:  # else the finished file was changed
                    self.finished, self._saved, self._digest = finished, saved, digest
                return
            say(f"{place} is damaged: going back to the previous block")
            saved.pop()
            finished = False

    def __enter__(self) -> GrowingFile:
        self._open = ExitStack()
        if processes.is_main() and (self.part.is_file() or not self.finished):
            part = self._open.enter_context(written_beside(self.path, bool(self.identity)))
            self._file = self._open.enter_context(open(part, "r+b" if self._saved else "wb"))
            self._file.truncate(self._saved[-1]["bytes"] if self._saved else 0)
            self._file.seek(0, 2)
        return self

    def add(self, content: bytes, **state) -> None:
        """Append a block; `state` is what a run needs to continue after it."""
        if not processes.is_main():
            return
        self._file.write(content)
        self._file.flush()
        self._digest.update(content)
        end = {"bytes": self._file.tell(), "sha256": self._digest.hexdigest(), "state": state}
        self._saved = [*self._saved, end][-KEPT:]
        self._note()

    def _note(self) -> None:
        if self.identity:
            write_json(
                self.notes,
                {"identity": self.identity, "finished": self.finished, "saved": self._saved},
            )

    def __exit__(self, kind, *error) -> None:
        if kind is None and not self.finished and processes.is_main():
            self.finished = True
            self._note()
        self._open.__exit__(kind, *error)


def _digest_of(path: Path, length: int):
    """The hash object of a file's first `length` bytes, or of all if it is shorter."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for start in range(0, length, BLOCK):
            digest.update(file.read(min(BLOCK, length - start)))
    return digest
