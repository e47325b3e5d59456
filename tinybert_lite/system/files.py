"""Model folders: reading weights of several kinds, writing them atomically, and the hand-off between stages."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from tinybert_lite.system import processes
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a final name never holds half a file. Of several processes the first one writes."""
    if not processes.is_main():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        replace_file(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def replace_file(source: Path, target: Path) -> None:
    """Rename over `target`. Windows refuses that while another program holds the target open, so wait a moment there.

    Raises UserError where it stays held.
    """
    for seconds in (0.1, 0.2, 0.4, 0.8, None):
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) is None:
                raise
            if seconds is None:
                raise UserError(
                    f"{target} is held open by another program; close what shows or reads it and run again"
                ) from None
            time.sleep(seconds)


def write_json(path: Path, value) -> None:
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def read_json(path: Path) -> dict:
    """A JSON object. Raises UserError for a missing file, another encoding, or anything else."""
    try:
        found = json.loads("\n".join(lines_of(path)))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); mend it or take it from the model's source again"
        ) from None
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object; take it from the model's source again")
    return found
