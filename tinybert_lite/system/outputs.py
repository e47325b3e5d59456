"""The files in a stage's folder: whose they are, making room for new ones, and putting the old ones back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, replace_file, sha256

HISTORY, STATES = "history.jsonl", "checkpoint-*"  # what a run notes beside its results
MANIFEST, RUNNING = "manifest.json", "running.json"
LOCK = ".lock"
SOFT_TARGETS = "soft_targets.npz"  # a store that outlives runs: it names what it was made from
ASIDE, PREVIOUS = "aside", ".previous"


def read_manifest(folder: Path) -> dict | None:
    """What a finished stage noted, None where none finished; a damaged one counts as none."""
    path = folder / MANIFEST
    try:
        return read_json(path) if path.is_file() else None
    except UserError:
        return None


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder inside `folder`, of a name never used before, gone afterwards; so is what a killed run left there."""
    place = folder / f".scratch-{processes.number()}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield Path(tempfile.mkdtemp(dir=place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One run at a time: raises UserError while another process is at work in `folder`.

    The system holds the lock, and gives it back when a process dies, however it dies.
    """
    if not processes.is_main():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder} is in use: another run is at work there; wait until it has ended or name another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Outputs:
    """`patterns` say what a stage, or the report after it, may write into `folder`."""

    folder: Path
    patterns: tuple[str, ...]

    def files(self) -> list[Path]:
        return sorted(
            {
                path
                for pattern in self.patterns
                for path in self.folder.glob(pattern)
                if path.is_file()
            }
        )

    def hashes(self) -> dict[str, str]:
        return {self._name(path): sha256(path) for path in self.files()}

    def owned(self) -> list[Path]:
        """What a run wrote and nobody changed since, with its notes."""
        manifest = read_manifest(self.folder) or {}
        known = {**manifest.get("outputs", {}), **manifest.get("report", {})}
        files = [
            self.folder / name
            for name, digest in known.items()
            if (self.folder / name).is_file() and sha256(self.folder / name) == digest
        ]
        notes = [
            self.folder / name
            for name in (HISTORY, RUNNING, MANIFEST)
            if (self.folder / name).is_file()
        ]
        return (
            files + self.states() + notes
        )  # the manifest last: until it is moved, the rest can be told apart

    def states(self) -> list[Path]:
        """Saved states of a run that is not finished, and files that it left half written."""
        patterns = (
            STATES,
            *(f"{pattern}.part" for pattern in (*self.patterns, HISTORY, RUNNING, MANIFEST)),
        )
        return sorted(
            {path for pattern in patterns for path in self.folder.glob(pattern) if path.is_file()}
        )

    def stores(self) -> list[Path]:
        return [path for path in (self.folder / SOFT_TARGETS,) if path.is_file()]

    def make_room(self, profile: str, identity: str) -> None:
        """Move a user's files and another profile's results aside; keep this profile's old ones until `finished`.

        A run of the same `identity` that was cut goes on with what is there. Whatever was cut, finished results survive.
        """
        if (self.folder / MANIFEST).is_file() and (self.folder / RUNNING).is_file():
            self.finished()  # cut in its last moment
        running = read_json(self.folder / RUNNING) if (self.folder / RUNNING).is_file() else {}
        if running.get("identity") == identity:
            return
        if running:
            self._move(self.files(), self._unused("unfinished"))
            self._forget([])
        self._put_back()
        owned, other = self.owned(), (read_manifest(self.folder) or {}).get("profile", profile)
        foreign = [path for path in self.files() if path not in owned]
        if other != profile:
            self._move([*owned, *foreign], self._unused(other))
        else:
            self._move(foreign, self._unused("yours"))
            self._move(owned, self.folder / PREVIOUS, silently=True)

    def set_aside(self, paths: list[Path], name: str) -> None:
        """Move files, or whole folders, of this folder into `aside/NAME-1`, or the next number that is free."""
        self._move(paths, self._unused(name))

    def restore(self) -> None:
        """After a mistake: the old results come back, the new beginnings go; states that training had saved are kept."""
        states = list(self.folder.glob(STATES))
        if (self.folder / PREVIOUS).is_dir():
            self._move(states, self._unused("failed"))
            self._forget(self.files())
            self._put_back()
        elif not states:
            (self.folder / RUNNING).unlink(missing_ok=True)

    def _forget(self, files: list[Path]) -> None:
        for path in [*files, *self.states(), self.folder / HISTORY, self.folder / RUNNING]:
            path.unlink(missing_ok=True)

    def _put_back(self) -> None:
        """Bring back what a run that was cut had moved out of its way."""
        previous, aside = self.folder / PREVIOUS, self._unused("previous")
        for path in [path for path in previous.rglob("*") if path.is_file()]:
            place = self.folder / path.relative_to(previous)
            if place.exists():
                place = aside / path.relative_to(previous)
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, place)
        shutil.rmtree(previous, ignore_errors=True)

    def finished(self) -> None:
        """The new results count: what they replace goes, and `running.json` last."""
        shutil.rmtree(self.folder / PREVIOUS, ignore_errors=True)
        for path in [*self.states(), self.folder / RUNNING]:
            path.unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _unused(self, name: str) -> Path:
        number = 1
        while (self.folder / ASIDE / f"{name}-{number}").exists():
            number += 1
        return self.folder / ASIDE / f"{name}-{number}"

    def _move(self, files: list[Path], target: Path, silently: bool = False) -> None:
        for path in files:
            place = target / self._name(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, place)
        if files and not silently:
            say(
                f"moved aside: {', '.join(path.name for path in files[:4])}{' …' if len(files) > 4 else ''} → {target}"
            )
