"""The folder of an export: it takes its place when it is whole, and is replaced only as an export left it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, sha256

NOTE = "exported"  # in config.json: the format, and the SHA-256 of each file


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `target` at the end. Raises UserError where that holds anything but an untouched export."""
    beside, old = (target.with_name(f".{target.name}.{word}") for word in ("part", "old"))
    _tidy(target, beside, old)  # what a killed run left
    if target.exists() and not (
        target.is_dir() and (as_exported(target) or not any(target.iterdir()))
    ):
        raise UserError(
            f"{target} is there and not as an export left it; name another --output_dir, or move it away"
        )
    beside.mkdir(parents=True)
    try:
        yield beside
        if target.exists():
            target.rename(old)
        beside.rename(target)
    finally:
        _tidy(target, beside, old)


def _tidy(target: Path, beside: Path, old: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (beside, old):
        shutil.rmtree(left, ignore_errors=True)


def as_exported(folder: Path) -> bool:
    """Whether it holds what `export` wrote, nothing changed and nothing added."""
    if not (folder / "config.json").is_file():
        return False
    note = read_json(folder / "config.json").get(NOTE)
    return isinstance(note, dict) and note.get("files") == digests(folder)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file; of config.json without the note."""
    config = {
        name: value for name, value in read_json(folder / "config.json").items() if name != NOTE
    }
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return files | {
        "config.json": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    }
