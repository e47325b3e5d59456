"""The files in a stage's folder: whose they are, making room for new ones, and putting the old ones back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite import processes
from tinybert_lite.engine.files import read_json, sha256
from tinybert_lite.runtime import UserError, say

MANIFEST, RUNNING = "manifest.json", "running.json"
LOGS = ("history.jsonl", "checkpoint.pt", "checkpoint.json")  # ours, and not hashed
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


@dataclass(frozen=True)
class Outputs:
    """`patterns` say what a stage, or the report after it, may write into `folder`."""

    folder: Path
    patterns: tuple[str, ...]

    def files(self) -> list[Path]:
        return sorted({path for pattern in self.patterns for path in self.folder.glob(pattern) if path.is_file()})

    def hashes(self) -> dict[str, str]:
        return {self._name(path): sha256(path) for path in self.files()}

    def owned(self) -> list[Path]:
        """What a run wrote and nobody changed since, with its notes."""
        manifest = read_manifest(self.folder) or {}
        known = {**manifest.get("outputs", {}), **manifest.get("report", {})}
        files = [self.folder / name for name, digest in known.items()
                 if (self.folder / name).is_file() and sha256(self.folder / name) == digest]
        return files + [self.folder / name for name in (MANIFEST, RUNNING, *LOGS) if (self.folder / name).is_file()]

    def stores(self) -> list[Path]:
        return [path for path in (self.folder / SOFT_TARGETS,) if path.is_file()]

    def make_room(self, profile: str, identity: str) -> None:
        """Move a user's files and another profile's results aside; keep this profile's old ones until `finished`.

        A run of the same `identity` that was cut goes on with what is there.
        """
        running = read_json(self.folder / RUNNING) if (self.folder / RUNNING).is_file() else {}
        if running.get("identity") == identity:
            return
        manifest = read_manifest(self.folder) or {}
        other = manifest.get("profile") or running.get("profile") or profile
        owned = self.owned()
        foreign = [path for path in self.files() if path not in owned]
        if other != profile:
            self._move([*owned, *foreign], self._unused(other))
        else:
            self._move(foreign, self._unused("unfinished" if running else "yours"))
            shutil.rmtree(self.folder / PREVIOUS, ignore_errors=True)
            self._move(owned, self.folder / PREVIOUS, silently=True)

    def restore(self) -> None:
        """After a mistake: the old results come back, the new beginnings go."""
        previous = self.folder / PREVIOUS
        if not previous.is_dir():
            if not (self.folder / "checkpoint.pt").is_file():
                (self.folder / RUNNING).unlink(missing_ok=True)
            return
        for path in [*self.files(), *(self.folder / name for name in (RUNNING, *LOGS))]:
            path.unlink(missing_ok=True)
        for path in [path for path in previous.rglob("*") if path.is_file()]:
            path.replace(self.folder / path.relative_to(previous))
        shutil.rmtree(previous)

    def finished(self) -> None:
        shutil.rmtree(self.folder / PREVIOUS, ignore_errors=True)
        (self.folder / RUNNING).unlink(missing_ok=True)

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
            path.replace(place)
        if files and not silently:
            say(f"moved aside: {', '.join(path.name for path in files[:4])}{' …' if len(files) > 4 else ''} → {target}")
