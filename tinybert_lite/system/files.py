"""Files written safely: beside the target, synced to disk, and renamed when complete."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tinybert_lite.system import processes
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of


@contextmanager
def written_beside(target: Path, resume: bool = False) -> Iterator[Path]:
    """Yield the path `NAME.part` to write to; at the end sync that file and rename it to `target`.

    `target` is always the old file or the complete new one. After an error `NAME.part` is removed,
    but with `resume` it is kept for a later run. With several processes only the first one writes;
    the others get the null device. Raises UserError while another program holds `target` open.
    """
    if not processes.is_main():
        yield Path(os.devnull)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        replace_file(part, target)
    except BaseException as error:
        if not resume:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)  # the error for a full disk names no file
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step, see `written_beside`."""
    with written_beside(path) as part:
        part.write_bytes(content)


def replace_file(source: Path, target: Path) -> None:
    """Rename `source` to `target` and replace a file of that name.

    Windows refuses this while another program holds the target open, so on Windows wait up to 1.5
    seconds. Raises UserError if the target is still open then.
    """
    for seconds in (0.1, 0.2, 0.4, 0.8, None):
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) is None:
                raise
            if seconds is None:
                raise UserError(
                    f"{target} is held open by another program; "
                    "close that program and run the command again"
                ) from None
            time.sleep(seconds)


def move_files(paths: Iterable[Path], source: Path, target: Path) -> None:
    """Move files in the folder `source` to the same places in the folder `target`, one by one."""
    for path in paths:
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, place)


def files_in(folder: Path, *patterns: str) -> list[Path]:
    """List the files in `folder` that match any of the glob patterns, sorted, each once."""
    return sorted({path for p in patterns for path in folder.glob(p) if path.is_file()})


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value) -> None:
    """Write indented JSON in UTF-8, see `written_beside`."""
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def read_json(path: Path) -> dict:
    """Read a JSON object. Raises UserError if the file is missing, not UTF-8, or not an object."""
    try:
        found = json.loads("\n".join(lines_of(path)))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); fix it or get the file from its source again"
        ) from None
    if not isinstance(found, dict):
        raise UserError(
            f"{path} holds no JSON object; fix it or get the file from its source again"
        )
    return found
