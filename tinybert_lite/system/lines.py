"""Text files as lines. Only this file decodes bytes, and it refuses those that are not UTF-8."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from pathlib import Path

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.first_bytes import binary_kind_message, refuse_stand_in

LONGEST_LINE_BYTES = 1_000_000  # bytes in a line
LARGEST_FILE_BYTES = 1 << 30  # bytes of a file that is read as a whole
PACKED = {".xz": lzma.open, ".bz2": bz2.open, ".gz": gzip.open}
BLOCK = 1 << 16  # bytes read and checked at once, fewer than LONGEST_LINE_BYTES


def lines_of(
    path: Path,
    cure: str = "put the file there or name another folder",
    longest: int = LONGEST_LINE_BYTES,
    errors: str = "strict",
) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without line ends, byte order mark and blank last lines.

    `.xz`, `.bz2` and `.gz` are unpacked. With errors="surrogateescape", invalid bytes become lone
    surrogates. Raises UserError for a missing file (with this `cure`), a file that is not text
    (see `first_bytes`), another encoding, invalid bytes, NUL, a line of more than `longest` bytes,
    a damaged archive.
    """
    _need(path, cure)
    return chain.from_iterable(_blocks_of_lines(path, longest, errors))


def text_of(path: Path) -> str:
    """Return a UTF-8 file as a whole, checked like `lines_of`; at most 2^30 bytes."""
    _need(path, "put the file there or name another")
    blocks, size = [], 0
    for block in _blocks(path):
        blocks.append(block)
        size += len(block)
        if size > LARGEST_FILE_BYTES:
            raise UserError(
                f"{path} is larger than {LARGEST_FILE_BYTES:,} bytes; write one row per line"
            )
    return _text(path, 1, b"".join(blocks), "strict")


def start_of(path: Path) -> str:
    """Return the first characters of a text file, from which its kind is found."""
    _need(path, "put the file there or name another")
    return next(_blocks(path), b"").decode("utf-8", "ignore")


def _need(path: Path, cure: str) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing: {cure}")


def _blocks_of_lines(path: Path, longest: int, errors: str) -> Iterator[Iterable[str]]:
    blank = 0
    for number, raw in _whole_lines(path, longest):
        # str.splitlines would also split at other separators, which a text may hold.
        text = _text(path, number, raw, errors)
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        if body := text.rstrip("\n"):
            yield repeat("", blank)
            yield body.split("\n")
            blank = len(text) - len(body)
        else:
            blank += len(text) + 1


def _whole_lines(path: Path, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, each with the number of its first line, from 1."""
    number, rest = 1, b""
    for block in _blocks(path):
        first = block.find(b"\n")
        if len(rest) + (len(block) if first < 0 else first) > longest:
            raise UserError(
                f"{path}, line {number}: longer than {longest:,} bytes; "
                "break it into lines, each ended by a line feed"
            )
        whole, end, rest = (rest + block).rpartition(b"\n")
        if end:
            yield number, whole
            number += whole.count(b"\n") + 1
    yield number, rest


def _blocks(path: Path) -> Iterator[bytes]:
    if path.suffix in PACKED:
        refuse_stand_in(path)
    try:
        with PACKED.get(path.suffix, open)(path, "rb") as file:
            start = file.read(BLOCK)
            if said := binary_kind_message(start):
                raise UserError(f"{path} {said}")
            # Old spreadsheets end lines with CR alone.
            by_cr = b"\r" in start[:-1] and b"\n" not in start
            block = start.removeprefix(codecs.BOM_UTF8)
            while block:
                yield block.replace(b"\r", b"\n") if by_cr else block
                block = file.read(BLOCK)
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        if getattr(error, "errno", None):  # from the operating system, not from bz2 or gzip
            raise
        raise UserError(f"{path} is a damaged {path.suffix} file; fetch it again") from None


def _text(path: Path, number: int, raw: bytes, errors: str) -> str:
    """Decode whole lines, the first of which is line `number`."""
    try:
        text = raw.decode("utf-8", errors)
        wrong, what = raw.find(b"\0"), "holds a NUL byte"
    except UnicodeDecodeError as error:
        wrong, what = error.start, "not UTF-8 text"
    if wrong >= 0:
        number += raw.count(b"\n", 0, wrong)
        raise UserError(f"{path}, line {number}: {what}; save the file as UTF-8")
    return text
