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

LONGEST = 1_000_000  # bytes in a line
PACKED = {".xz": lzma.open, ".bz2": bz2.open, ".gz": gzip.open}
BLOCK = 1 << 16  # bytes read and checked at once, fewer than LONGEST
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def lines_of(
    path: Path, cure: str = "put the file there or name another folder", longest: int = LONGEST
) -> Iterator[str]:
    """Yield the lines of a UTF-8 file without line ends, byte order mark and blank last lines.

    `.xz`, `.bz2` and `.gz` are unpacked. Raises UserError for a missing file (with this `cure`),
    another encoding, invalid bytes, NUL, a line of more than `longest` bytes, a damaged archive.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: {cure}")
    return chain.from_iterable(_blocks_of_lines(path, longest))


def _blocks_of_lines(path: Path, longest: int) -> Iterator[Iterable[str]]:
    blank = 0
    for number, raw in _whole_lines(path, longest):
        # str.splitlines would also split at other separators, which a text may hold.
        text = _text(path, number, raw)
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        if body := text.rstrip("\n"):
            yield repeat("", blank)
            yield body.split("\n")
            blank = len(text) - len(body)
        else:
            blank += len(text) + 1


def _whole_lines(path: Path, longest: int) -> Iterator[tuple[int, bytes]]:
    """Blocks of whole lines, each with the number of its first line, from 1."""
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
    try:
        with PACKED.get(path.suffix, open)(path, "rb") as file:
            start = file.read(BLOCK)
            if encoding := _other_encoding(start):
                raise UserError(f"{path} is {encoding} text; save the file as UTF-8")
            yield start.removeprefix(codecs.BOM_UTF8)
            while block := file.read(BLOCK):
                yield block
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        if getattr(error, "errno", None):  # from the operating system, not from bz2 or gzip
            raise
        raise UserError(f"{path} is a damaged {path.suffix} file; fetch it again") from None


def _other_encoding(start: bytes) -> str:
    """UTF-16 or UTF-32, recognised by the byte order mark or the share of zero bytes; else ""."""
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), "")
    zeros = start.count(0) / max(1, len(start))
    return marked or ("UTF-16" if 0.4 < zeros < 0.6 else "UTF-32" if 0.6 < zeros < 0.8 else "")


def _text(path: Path, number: int, raw: bytes) -> str:
    """Decode whole lines, the first of which is line `number`."""
    try:
        text = raw.decode("utf-8")
        wrong, what = raw.find(b"\0"), "holds a NUL byte"
    except UnicodeDecodeError as error:
        wrong, what = error.start, "not UTF-8 text"
    if wrong >= 0:
        number += raw.count(b"\n", 0, wrong)
        raise UserError(f"{path}, line {number}: {what}; save the file as UTF-8")
    return text
