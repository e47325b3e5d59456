"""What a file is, by its first bytes: pointers, web pages, archives and pictures are not text."""

import codecs
from pathlib import Path

from tinybert_lite.system.errors import UserError

ENOUGH = 512  # bytes that decide
POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html")
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
PACKED_STARTS = {
    b"\x1f\x8b": ".gz",
    b"\xfd7zXZ\0": ".xz",
    **{b"BZh%d1AY&SY" % level: ".bz2" for level in range(1, 10)},
}
ARCHIVES = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"(\xb5/\xfd": "a Zstandard archive",
    b"7z\xbc\xaf'\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
}
OTHERS = {
    b"ARROW1\0\0": "an Arrow file",
    b"\xff\xff\xff\xff": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an Excel or Word file",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF87a": "a picture",
    b"GIF89a": "a picture",
}


def stand_in_message(start: bytes) -> str:
    """Return what a file is that stands for the real one, and the cure; else ""."""
    if start.startswith(POINTER):
        return "is a Git LFS pointer, not the file itself; fetch the file with git lfs pull"
    if start[:ENOUGH].removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(PAGES):
        return "is a web page (HTML), not the file itself; fetch it from its direct address"
    return ""


def binary_kind_message(start: bytes) -> str:
    """Return what a file that is not UTF-8 text is, and the cure; "" if it may be text."""
    if found := stand_in_message(start):
        return found
    for mark, suffix in PACKED_STARTS.items():
        if start.startswith(mark):
            return f"is packed, but its name does not end in {suffix}; rename or unpack it"
    if start[257:262] == b"ustar":
        return "is a tar archive; unpack it and name the files in it"
    for mark, what in ARCHIVES.items():
        if start.startswith(mark):
            return f"is {what}; unpack it, or save it as UTF-8 text"
    if start.startswith(b"PAR1"):
        return "is a Parquet file, not text; if it holds rows, give it a name ending in .parquet"
    for mark, what in OTHERS.items():
        if start.startswith(mark):
            return f"is {what}, not text; name a text file"
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), "")
    zeros = start.count(0) / max(1, len(start))
    encoding = marked or ("UTF-16" if 0.4 < zeros < 0.6 else "UTF-32" if 0.6 < zeros < 0.8 else "")
    return encoding and f"is {encoding} text; save the file as UTF-8"


def refuse_stand_in(path: Path) -> None:
    """Raise UserError for a pointer or a web page in place of a file of any kind."""
    with open(path, "rb") as file:
        if said := stand_in_message(file.read(ENOUGH)):
            raise UserError(f"{path} {said}")
