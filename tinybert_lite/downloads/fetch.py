"""Fetching: published files over HTTP, resumed and checked, and models of the Hugging Face hub.

Pooch and torch.hub check and name files as well, but neither goes on with half a file.
"""

from __future__ import annotations

import errno
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
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, replace_file, sha256, write_json

TIMEOUT, TRIES, CHUNK = (
    30,
    3,
    1_000_000,
)  # seconds without a byte; broken connections in a row; bytes
NOTES = "downloads.json"  # beside what was fetched: its address, size and SHA-256
_BROKEN = (
    urllib.error.URLError,
    TimeoutError,
    ConnectionError,
    http.client.HTTPException,
    ssl.SSLError,
)
_OWN_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_STARTS = {".zip": b"PK\x03\x04", ".gz": b"\x1f\x8b"}


class NotFetched(Exception):
    """Why an address did not give the file."""


def obtain(source: Source, folder: Path) -> Path:
    """The whole file in `folder`, which may have been put there by hand. Raises NotFetched where no address gives it."""
    target, part, reasons = folder / source.file, folder / f"{source.file}.part", []
    folder.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        if wrong := _mismatch(target, source, folder):
            raise UserError(
                f"{target} is not the file that is published: {wrong}; remove it and run the same command again"
            )
        return target
    for address in source.addresses:
        try:
            _with_retries(address, part, 2 * source.size + 10_000_000)
            if wrong := _mismatch(part, source, folder):
                _forget(part)
                raise NotFetched(f"{wrong}, so it was removed")
        except NotFetched as error:
            reasons.append(f"{urlsplit(address).netloc}: {error}")
            continue
        if reasons:
            remark(f"{source.file} is from {address} ({'; '.join(reasons)})")
        _note(part, source, address, folder)
        replace_file(part, target)
        _forget(part)
        return target
    raise NotFetched("; ".join(reasons))


def _with_retries(address: str, part: Path, most: int) -> None:
    """`download`, again as long as each try brings something."""
    tries = 0
    while True:
        before = _size(part)
        try:
            return download(address, part, most)
        except urllib.error.HTTPError as error:
            raise NotFetched(f"the server says {error.code} {error.reason}") from None
        except _BROKEN as error:
            tries = 1 if _size(part) > before else tries + 1
            if tries >= TRIES or _size(part) == 0:
                raise NotFetched(
                    f"{getattr(error, 'reason', None) or error or type(error).__name__}"
                ) from None


def download(address: str, part: Path, most: int) -> None:
    """Bring `part` to the whole file, going on where an earlier try ended if the server still has the same file.

    Raises NotFetched for a page in place of the file or for more than `most` bytes, ConnectionError where it broke off.
    """
    state = part.with_name(part.name + ".json")  # whose bytes these are
    known = read_json(state) if part.is_file() and state.is_file() else {}
    have = _size(part) if known.get("version") and known["address"] == address else 0
    headers = {
        "User-Agent": "tinybert-lite",
        "Accept-Encoding": "identity",
    }  # some servers refuse Python's own name
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["version"]}
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(address, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing was left to fetch
        _forget(part)
        return download(address, part, most)
    with answer:
        if "html" in answer.headers.get("Content-Type", ""):
            raise NotFetched("a web page came in place of the file")
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = int(answer.headers.get("Content-Length") or -1)
        total = have + length if length >= 0 else None
        need_room(part.parent, max(length, 0))
        if not have:
            _forget(part)  # before the new file's version is noted beside the old one's bytes
            etag = answer.headers.get("ETag") or ""
            write_json(
                state,
                {
                    "address": address,
                    "version": (not etag.startswith("W/") and etag)
                    or answer.headers.get("Last-Modified"),
                },
            )
        chunks = iter(lambda: answer.read(CHUNK), b"")
        wrong = ""
        with open(part, "ab" if have else "wb") as file:
            for chunk in progress(
                chunks, f"{part.stem}, MB", -(-length // CHUNK) if total else None
            ):
                if file.tell() == 0 and not _starts_well(part.stem, chunk):
                    wrong = "a web page or another kind of file came in its place"
                elif file.tell() + len(chunk) > most:
                    wrong = f"it is larger than {most / 1e6:.0f} MB"
                if wrong:
                    break
                file.write(chunk)
    if wrong:
        _forget(part)
        raise NotFetched(wrong)
    if total is not None and _size(part) < total:
        raise ConnectionError(
            f"the connection broke off after {_size(part):,} of {total:,} bytes, and the same command goes on from there"
        )


def _starts_well(name: str, chunk: bytes) -> bool:
    return chunk.startswith(_STARTS.get(Path(name).suffix, b"")) and not chunk.lstrip()[
        :9
    ].lower().startswith((b"<!doctype", b"<html"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


def _mismatch(path: Path, source: Source, folder: Path) -> str:
    """What is wrong with its checksum, the published one or else the one of the first download; "" where nothing is."""
    noted = (
        read_json(folder / NOTES).get(source.file, {}).get("sha256")
        if (folder / NOTES).is_file()
        else None
    )
    wanted = source.checksum or (noted and f"sha256:{noted}")
    if not wanted:
        return ""
    kind, digest = wanted.split(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    by = "published" if source.checksum else f"noted in {folder / NOTES} at the first download"
    return "" if found == digest else f"its {kind.upper()} is {found}, but {digest} was {by}"


def _note(path: Path, source: Source, address: str, folder: Path) -> None:
    notes = read_json(folder / NOTES) if (folder / NOTES).is_file() else {}
    notes[source.file] = {"address": address, "bytes": _size(path), "sha256": sha256(path)}
    write_json(folder / NOTES, notes)


def was_fetched(archive: Path) -> bool:
    """By us, not by hand."""
    notes = archive.with_name(NOTES)
    return notes.is_file() and archive.name in read_json(notes)


def need_room(folder: Path, size: int) -> None:
    """Raise UserError where the disk has too little room, before anything is written."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{folder}: {size / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free; make room or name a folder on another disk with --to"
        )


def place_model(item: Item, folder: Path) -> None:
    """Fetch a hub's model into `folder`. Raises UserError where there is a model already, NotFetched where it does not come."""
    own = [
        path.name
        for pattern in ("config.json", *WEIGHTS, *TOKENIZER_FILES)
        for path in folder.glob(pattern)
    ]
    if own:
        raise UserError(
            f"{folder} holds {own[0]} already, and nothing is overwritten: name another folder with --to, or move that model away"
        )
    part = (
        folder / f"{re.sub(r'[^a-zA-Z0-9.-]', '_', item.hub)}.part"
    )  # whole before anything of it is seen
    part.mkdir(parents=True, exist_ok=True)
    need_room(part, item.bytes)
    try:
        hub.hub_model(item.hub, local_dir=part)
    except Exception as error:  # many kinds: no network, no such model, a proxy's answer
        if isinstance(error, OSError) and error.errno in _OWN_DISK:
            raise
        raise NotFetched(f"{HUB}/{item.hub}: {type(error).__name__}") from None
    if (
        not (part / "config.json").is_file()
        or not any((part / weights).is_file() for weights in WEIGHTS)
        or find_vocabulary(part) is None
    ):
        raise NotFetched(
            f"{HUB}/{item.hub}: it came without configuration, vocabulary or weights"
        )  # as huggingface_hub answers without a network
    files = sorted(
        (path for path in part.iterdir() if path.is_file()),
        key=lambda path: path.name == "config.json",
    )  # what makes it a model comes last
    for path in files:
        replace_file(path, folder / path.name)
    shutil.rmtree(part)
    say(f"{item.name}: {folder}: {', '.join(path.name for path in files)}")
