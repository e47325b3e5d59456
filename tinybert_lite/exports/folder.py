"""The folder of an export: replaced in one step, and only if its files are unchanged."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import files_in, read_json, replace_file, sha256

NOTE = "exported"  # in config.json: the format, and the SHA-256 of each file


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` at the end.

    After an error `target` is left unchanged. The old folder is renamed before the new one takes
    its name, since no folder can be renamed to one that holds files. Raises UserError if `target`
    is anything but an unchanged export or an empty folder.
    """
    beside, old = (target.with_name(f".{target.name}.{word}") for word in ("part", "old"))
    _clean_up(target, beside, old)  # files of a killed run
    if target.exists() and not (
        target.is_dir() and (as_exported(target) or not any(target.iterdir()))
    ):
        raise UserError(
            f"{target} exists and is not an unchanged export: "
            "name another --output_dir, or move this one away"
        )
    beside.mkdir(parents=True)
    try:
        yield beside
        if target.exists():
            replace_file(target, old)
        replace_file(beside, target)
    finally:
        _clean_up(target, beside, old)


def _clean_up(target: Path, beside: Path, old: Path) -> None:
    if old.exists() and not target.exists():
        replace_file(old, target)
    for left in (beside, old):
        shutil.rmtree(left, ignore_errors=True)


def as_exported(folder: Path) -> bool:
    """Whether `folder` holds an export in which no file was changed, added or removed."""
    if not (folder / "config.json").is_file():
        return False
    note = read_json(folder / "config.json").get(NOTE)
    return isinstance(note, dict) and note.get("files") == digests(folder)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by relative path; `NOTE` in config.json is left out."""
    config = read_json(folder / "config.json")
    config.pop(NOTE, None)
    found = {path.relative_to(folder).as_posix(): sha256(path) for path in files_in(folder, "**/*")}
    text = json.dumps(config, sort_keys=True)
    return found | {"config.json": hashlib.sha256(text.encode()).hexdigest()}
