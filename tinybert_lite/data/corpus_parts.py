"""Check the head, the middle and the tail of a corpus's files, without reading all of it."""

import re
import tempfile
from pathlib import Path

from tinybert_lite.data.corpora import corpus_files, reader_of
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import PACKED

ALL = 60_000_000  # bytes read of a whole corpus
LEAST_BYTES, MOST_BYTES = 20_000, 2_000_000  # of a part


def check_parts(sources: list[Path]) -> int:
    """Read parts of each file of a corpus; a small or compressed file is read completely.

    Returns the bytes of all files. Raises UserError, with file and line, for what
    `corpora.read_corpora` refuses.
    """
    files = list(corpus_files(sources))
    part = min(MOST_BYTES, max(LEAST_BYTES, ALL // (3 * len(files))))
    for file in files:
        size = file.stat().st_size if file.is_file() else 0
        if size <= 3 * part or file.suffix in PACKED:
            for _ in reader_of(file)(file):
                pass
        else:
            for start in (0, (size - part) // 2, size - part):
                _check_part(file, start, start + part, size)
    return sum(file.stat().st_size for file in files)


def _check_part(path: Path, start: int, end: int, size: int) -> None:
    """Read the whole documents between two bytes of a file, as its reader reads them."""
    read = reader_of(path)  # found from the head
    with open(path, "rb") as file:
        file.seek(start)
        content = file.read(end - start)
    wiki = b"<doc " in content
    first = 0 if start == 0 else _after(content, b"\n<doc " if wiki else b"\n")
    last = len(content) if end >= size else content.rfind(b"\n</doc>" if wiki else b"\n")
    content = content[first : last + 8 if wiki else last]
    if not content.strip():
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(content)
        try:
            for _ in read(copy):
                pass
        except UserError as error:
            raise UserError(_moved(str(error), copy, path, start + first)) from None


def _after(content: bytes, mark: bytes) -> int:
    """The place after the first line end that begins `mark`; the end if there is none."""
    place = content.find(mark)
    return len(content) if place < 0 else place + 1


def _moved(message: str, copy: Path, path: Path, start: int) -> str:
    """A message about a part, with the file's own name and line."""
    before = 0
    with open(path, "rb") as file:
        while start > 0 and (block := file.read(min(1 << 20, start))):
            before, start = before + block.count(b"\n"), start - len(block)
    message = message.replace(str(copy), str(path))
    return re.sub(
        r", line (\d+)", lambda found: f", line {int(found[1]) + before}", message, count=1
    )
