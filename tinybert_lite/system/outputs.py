"""The files of a stage's folder: moving old results away for a run, and restoring them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from tinybert_lite.system import processes
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError, disk_refuses
from tinybert_lite.system.files import files_in, move_files, read_json, sha256, write_json

HISTORY, STATES = "history.jsonl", "checkpoint-*"  # what a run records beside its results
MANIFEST, RUNNING = "manifest.json", "running.json"
LOCK = ".lock"
SOFT_TARGETS = "soft_targets.npz"  # kept between runs: it contains the identity of its inputs
ASIDE, PREVIOUS = "aside", ".previous"


def read_manifest(folder: Path) -> dict | None:
    """Read the manifest of a finished stage; None if it is missing or damaged."""
    try:
        return read_json(folder / MANIFEST)
    except UserError:
        return None


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Yield a new empty folder inside `folder`; remove it afterwards, and those of killed runs."""
    place = folder / f".scratch-{processes.number()}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield Path(tempfile.mkdtemp(dir=place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` for one run. Raises UserError while another process has locked it.

    The operating system frees the lock when the process ends, even if it is killed.
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
            f"{folder} is in use by another run; wait until it has ended or name another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class Outputs:
    """The results in `folder`: the files that match `patterns`, of one stage or the report.

    While a run writes new results, the old ones are in `.previous/`, and `running.json` contains
    the identity of the run.
    """

    folder: Path
    patterns: tuple[str, ...]

    def files(self) -> list[Path]:
        """List the results."""
        return files_in(self.folder, *self.patterns)

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each result by its relative path."""
        return {path.relative_to(self.folder).as_posix(): sha256(path) for path in self.files()}

    def owned(self) -> list[Path]:
        """List the results that are unchanged since a run wrote them, and the run's records.

        The manifest is last: until it is moved, it distinguishes the run's files from a user's.
        """
        manifest = read_manifest(self.folder) or {}
        known = {**manifest.get("outputs", {}), **manifest.get("report", {})}
        unchanged = [
            path
            for name, digest in known.items()
            if (path := self.folder / name).is_file() and sha256(path) == digest
        ]
        records = [self.folder / name for name in (HISTORY, RUNNING, MANIFEST)]
        return unchanged + self.states() + [path for path in records if path.is_file()]

    def states(self) -> list[Path]:
        """List saved states of an unfinished run, and its incomplete files (`.part`)."""
        half = (f"{name}.part" for name in (*self.patterns, HISTORY, RUNNING, MANIFEST))
        return files_in(self.folder, STATES, *half)

    def stores(self) -> list[Path]:
        """List the files that are kept between runs."""
        return files_in(self.folder, SOFT_TARGETS)

    @contextmanager
    def replaced(self, profile: str, identity: str, stage: str, **more: object) -> Iterator[None]:
        """Replace the old results by what the `with` block writes, the manifest last.

        After an error the old results are restored. After an interruption, or on a full disk, all
        files are left unchanged, so that a run of the same `identity` can resume. With several
        processes only the first one moves files. more: to be stored while it runs.
        """
        if processes.is_main():
            self.make_room(profile, identity)
        try:
            running = {"identity": identity, "stage": stage, "profile": profile, **more}
            write_json(self.folder / RUNNING, running)
            processes.wait()
            yield
        except Exception as error:
            if processes.is_main() and not disk_refuses(error):
                self.restore()
            raise
        if processes.is_main():
            self.finished()
        processes.wait()

    def make_room(self, profile: str, identity: str) -> None:
        """Move a user's files and other profiles' results aside, own results to `.previous/`.

        The files of an interrupted run of the same `identity` are left unchanged, to be resumed;
        those of another identity are moved aside. Raises UserError for a damaged running.json.
        """
        running = self.folder / RUNNING
        if (self.folder / MANIFEST).is_file() and running.is_file():
            self.finished()  # interrupted just before its end
        if running.is_file():
            if read_json(running).get("identity") == identity:
                return
            self.set_aside(self.files(), "unfinished")
            self._remove_run()
        self._put_back()
        owned, other = self.owned(), (read_manifest(self.folder) or {}).get("profile", profile)
        foreign = [path for path in self.files() if path not in owned]
        if other != profile:
            self.set_aside([*owned, *foreign], other)
        else:
            self.set_aside(foreign, "yours")
            try:
                move_files(owned, self.folder, self.folder / PREVIOUS)
            except Exception:  # on Windows, a file that another program holds open
                self._put_back()
                raise

    def set_aside(self, paths: list[Path], name: str) -> None:
        """Move files and folders of this folder to `aside/NAME-N`, N the first free number."""
        if not paths:
            return
        target = self._unused(name)
        move_files(paths, self.folder, target)
        names = ", ".join(path.name for path in paths[:4])
        say(f"moved aside: {names}{' …' if len(paths) > 4 else ''} → {target}")

    def restore(self) -> None:
        """After an error, restore the old results and remove the new ones.

        States that training had saved are moved aside; if there are no old results they are left
        unchanged, so that the same run can be resumed.
        """
        states = files_in(self.folder, STATES)
        if (self.folder / PREVIOUS).is_dir():
            self.set_aside(states, "failed")
            self._remove_run(self.files())
            self._put_back()
        elif not states:
            (self.folder / RUNNING).unlink(missing_ok=True)

    def _remove_run(self, results: list[Path] = ()) -> None:
        for path in [*results, *self.states(), self.folder / HISTORY, self.folder / RUNNING]:
            path.unlink(missing_ok=True)

    def _put_back(self) -> None:
        """Restore the results that an interrupted run had moved into `.previous/`."""
        previous = self.folder / PREVIOUS
        found = files_in(previous, "**/*")
        taken = [path for path in found if (self.folder / path.relative_to(previous)).exists()]
        move_files(taken, previous, self._unused("previous"))
        move_files([path for path in found if path not in taken], previous, self.folder)
        shutil.rmtree(previous, ignore_errors=True)

    def finished(self) -> None:
        """Accept the new results: remove the old ones, the saved states, and running.json last."""
        shutil.rmtree(self.folder / PREVIOUS, ignore_errors=True)
        for path in [*self.states(), self.folder / RUNNING]:
            path.unlink(missing_ok=True)

    def _unused(self, name: str) -> Path:
        places = (self.folder / ASIDE / f"{name}-{number}" for number in count(1))
        return next(place for place in places if not place.exists())
