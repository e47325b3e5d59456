"""Fetch published files over HTTP, resumed and checked, and models of the Hugging Face hub.

pooch checks files but does not resume them; huggingface_hub's http_get resumes, but without
If-Range, so that a file that changed on the server would be joined from two versions.
"""

import hashlib
import http.client
import re
import shutil
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tinybert_lite.downloads.catalog import HUB, Item, Source
from tinybert_lite.models import hub
from tinybert_lite.models.tokenizers import TOKENIZER_FILES, find_vocabulary
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.system.console import progress, remark, say
from tinybert_lite.system.errors import UserError, disk_refuses
from tinybert_lite.system.files import (
    files_in,
    move_files,
    read_json,
    sha256,
    write_json,
    written_beside,
)

TIMEOUT = 30  # seconds without a byte
TRIES = 3  # broken connections in a row
CHUNK = 1_000_000  # bytes
NOTES = "downloads.json"  # beside the fetched files: their addresses, sizes and SHA-256
_BROKEN = (
    urllib.error.URLError,
    TimeoutError,
    ConnectionError,
    http.client.HTTPException,
    ssl.SSLError,
)
_STARTS = {".zip": b"PK\x03\x04", ".gz": b"\x1f\x8b"}


class NotFetched(Exception):
    """The reason why a file could not be fetched from an address."""


def obtain(source: Source, folder: Path) -> Path:
    """Fetch a file into `folder`, unless it is there, and return its path.

    Raises UserError for an existing file that is not the published one, NotFetched if no address
    works. An interrupted download is kept as `NAME.part` and resumed.
    """
    target, reasons = folder / source.file, []
    if target.is_file():
        if wrong := _mismatch(target, source, folder):
            raise UserError(
                f"{target} is not the published file: {wrong}; "
                "remove it and run the same command again"
            )
        return target
    with written_beside(target, resume=True) as part:
        for address in source.addresses:
            try:
                _with_retries(address, part, 2 * source.size + 10_000_000)
                if wrong := _mismatch(part, source, folder):
                    _forget(part)
                    raise NotFetched(f"{wrong}, so it was removed")
                break
            except NotFetched as error:
                reasons.append(f"{urlsplit(address).netloc}: {error}")
        else:
            raise NotFetched("; ".join(reasons))
        if reasons:
            remark(f"{source.file} is from {address} ({'; '.join(reasons)})")
        _note(part, source, address, folder)
    _forget(part)
    return target


def _with_retries(address: str, part: Path, most: int) -> None:
    """Call `download` again after a broken connection, until TRIES in a row add no bytes."""
    tries = 0
    while True:
        before = _size(part)
        try:
            return download(address, part, most)
        except urllib.error.HTTPError as error:
            raise NotFetched(f"the server answers {error.code} {error.reason}") from None
        except _BROKEN as error:
            tries = 1 if _size(part) > before else tries + 1
            if tries >= TRIES or _size(part) == 0:
                why = getattr(error, "reason", None) or error or type(error).__name__
                raise NotFetched(f"{why}") from None


def download(address: str, part: Path, most: int) -> None:
    """Complete `part`, resuming an earlier try if the server still has the same file.

    Raises NotFetched for a web page instead of the file or for more than `most` bytes,
    ConnectionError if the connection broke, UserError if the disk has too little room.
    """
    state = part.with_name(f"{part.name}.json")  # address and version of the bytes in `part`
    known = read_json(state) if part.is_file() and state.is_file() else {}
    have = _size(part) if known.get("version") and known["address"] == address else 0
    # Some servers refuse the default User-Agent of Python.
    headers = {"User-Agent": "tinybert-lite", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["version"]}
    request = urllib.request.Request(address, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing was left to fetch
        _forget(part)
        return download(address, part, most)
    with answer:
        if "html" in answer.headers.get("Content-Type", ""):
            raise NotFetched("the server sent a web page instead of the file")
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = int(answer.headers.get("Content-Length") or -1)
        need_room(part.parent, max(length, 0))
        if not have:
            _forget(part)  # it may hold bytes of an older version than the one recorded next
            etag = answer.headers.get("ETag") or ""
            version = "" if etag.startswith("W/") else etag
            version = version or answer.headers.get("Last-Modified")
            write_json(state, {"address": address, "version": version})
        try:
            _append(answer, part, have, length, most)
        except NotFetched:
            _forget(part)
            raise
    if length >= 0 and _size(part) < have + length:
        raise ConnectionError(
            f"the connection broke after {_size(part):,} of {have + length:,} bytes; "
            "the same command resumes from there"
        )


def _append(answer, part: Path, have: int, length: int, most: int) -> None:
    """Write the answer's bytes to `part` after the first `have`; see `download`."""
    chunks = iter(lambda: answer.read(CHUNK), b"")
    total = -(-length // CHUNK) if length >= 0 else None
    with open(part, "ab" if have else "wb") as file:
        for chunk in progress(chunks, f"{part.stem}, MB", total):
            if file.tell() == 0 and not _starts_well(part.stem, chunk):
                raise NotFetched("the server sent a web page or another kind of file")
            if file.tell() + len(chunk) > most:
                raise NotFetched(f"it is larger than {most / 1e6:.0f} MB")
            file.write(chunk)


def _starts_well(name: str, chunk: bytes) -> bool:
    page = chunk.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
    return not page and chunk.startswith(_STARTS.get(Path(name).suffix, b""))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _forget(part: Path) -> None:
    for path in (part, part.with_name(f"{part.name}.json")):
        path.unlink(missing_ok=True)


def _notes(folder: Path) -> dict:
    return read_json(folder / NOTES) if (folder / NOTES).is_file() else {}


def _mismatch(path: Path, source: Source, folder: Path) -> str:
    """Return how the checksum differs from the published or first recorded one; "" if equal."""
    wanted, by = source.checksum, "published"
    if not wanted:
        first = _notes(folder).get(source.file)
        if not first:
            return ""
        wanted, by = (
            f"sha256:{first['sha256']}",
            f"recorded in {folder / NOTES} at the first download",
        )
    kind, digest = wanted.split(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    return "" if found == digest else f"its {kind.upper()} is {found}, but {digest} was {by}"


def _note(path: Path, source: Source, address: str, folder: Path) -> None:
    note = {"address": address, "bytes": _size(path), "sha256": sha256(path)}
    write_json(folder / NOTES, _notes(folder) | {source.file: note})


def was_fetched(archive: Path) -> bool:
    """Whether the download command fetched the file (a user may have put it there by hand)."""
    return archive.name in _notes(archive.parent)


def need_room(folder: Path, size: int) -> None:
    """Raise UserError if `size` bytes do not fit on the disk, before anything is written."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder}: {size / 1e6:,.0f} MB are needed, but {free / 1e6:,.0f} MB are free; "
            "free some space or name a folder on another disk with --to"
        )


def place_model(item: Item, folder: Path) -> None:
    """Fetch a hub's model into `folder`.

    Raises UserError if `folder` holds a model already, NotFetched if the hub cannot be reached or
    has no such model.
    """
    if own := files_in(folder, "config.json", *WEIGHTS, *TOKENIZER_FILES):
        raise UserError(
            f"{folder} holds {own[0].name} already, and nothing is overwritten: "
            "name another folder with --to, or move that model away"
        )
    # The model is fetched into this folder first; a later run resumes from it.
    part = folder / f"{re.sub(r'[^a-zA-Z0-9.-]', '_', item.hub)}.part"
    part.mkdir(parents=True, exist_ok=True)
    need_room(part, item.bytes)
    try:
        hub.hub_model(item.hub, local_dir=part)
    except Exception as error:  # many kinds: no network, no such model, a proxy's answer
        if disk_refuses(error) or isinstance(error, PermissionError):
            raise
        raise NotFetched(f"{HUB}/{item.hub}: {type(error).__name__}") from None
    if not (
        (part / "config.json").is_file() and files_in(part, *WEIGHTS) and find_vocabulary(part)
    ):  # without a network huggingface_hub returns an empty folder
        raise NotFetched(
            f"{HUB}/{item.hub}: the configuration, the vocabulary or the weights are missing"
        )
    # config.json last: without it the folder does not count as a model.
    files = sorted(files_in(part, "*"), key=lambda path: path.name == "config.json")
    move_files(files, part, folder)
    shutil.rmtree(part)
    say(f"{item.name}: {folder}: {', '.join(path.name for path in files)}")
