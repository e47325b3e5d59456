"""Make the files that stages read: unpack members of fetched archives, divide MRPC's rows."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tinybert_lite.downloads.catalog import Item
from tinybert_lite.downloads.fetch import CHUNK, need_room, obtain, was_fetched
from tinybert_lite.system.console import progress, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import written_beside

LARGEST_UNPACKED_BYTES = 8_000_000_000  # of one file; glove.840B.300d.txt has 5.6 billion
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    KeyError,
    RuntimeError,
)


def place_files(item: Item, folder: Path, targets: tuple[str, ...], keep: bool = False) -> None:
    """Fetch the sources of `item` and make the files of `targets` that are missing in `folder`.

    Fetched archives are removed unless `keep`; a user's own archives are kept. Raises UserError for
    a file that is damaged or not the published one, NotFetched if no address works.
    """
    missing = [target for target in targets if not (folder / target).exists()]
    if not missing:
        return say(
            f"{item.name}: {folder} holds {', '.join(targets)} already, and nothing is overwritten"
        )
    archives = [obtain(source, folder) for source in item.sources]
    contents = MAKERS[item.maker](archives) if item.maker else _members(item, archives)
    for target in missing:
        with written_beside(folder / target) as part, open(part, "wb") as file:
            file.writelines(contents[target])
    for archive in archives:
        if not keep and was_fetched(archive):
            archive.unlink()
    say(f"{item.name}: {folder}: {', '.join(missing)}")


def _members(item: Item, archives: list[Path]) -> dict[str, Iterator[bytes]]:
    """Return contents by our file names. Other members and an archive's own paths are not used."""
    return {
        target: _chunks(archive, member)
        for source, archive in zip(item.sources, archives)
        for member, target in source.members
    }


def _chunks(archive: Path, member: str) -> Iterator[bytes]:
    with opened(archive, member) as (file, size):
        need_room(archive.parent, size)
        yield from progress(
            iter(lambda: file.read(CHUNK), b""),
            f"{member.rsplit('/', 1)[-1]}, MB",
            -(-size // CHUNK),
        )


@contextmanager
def opened(archive: Path, member: str) -> Iterator[tuple[BinaryIO, int]]:
    """Yield a regular file in a zip or tar.gz, or a plain file itself, and its size in bytes.

    Raises UserError for a damaged archive or a member that is too large.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as whole:
                found = whole.getinfo(member)
                yield whole.open(found), _bounded(archive, member, found.file_size)
        elif archive.suffix == ".gz":
            with tarfile.open(archive, "r:gz") as whole:
                found = whole.getmember(member)
                if not found.isreg():
                    raise KeyError(member)
                yield whole.extractfile(found), _bounded(archive, member, found.size)
        else:
            with open(archive, "rb") as file:
                yield file, _bounded(archive, member, archive.stat().st_size)
    except _DAMAGED as error:
        raise UserError(
            f"{archive} is damaged or holds no {member} ({error}); "
            "remove it and run the same command again"
        ) from None


def _bounded(archive: Path, member: str, size: int) -> int:
    if size > LARGEST_UNPACKED_BYTES:
        raise UserError(
            f"{archive}: {member} would have {size / 1e9:.0f} GB, more than any published file; "
            "remove the archive and fetch it again"
        )
    return size


def _mrpc(archives: list[Path]) -> dict[str, Iterator[bytes]]:
    """Make GLUE's three files from Microsoft's two files and GLUE's list of pairs in its dev set.

    GLUE's test file has no labels.
    """
    train, test, dev_ids = (
        [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()]
        for path in archives
    )
    dev = {tuple(row[:2]) for row in dev_ids}
    for path, rows in zip(archives, (train, test)):
        if any(len(row) != 5 for row in rows):
            raise UserError(
                f"{path} holds a row without five columns; remove it and run the same command again"
            )
    header, rows = train[0], train[1:]
    tables = {
        "train.tsv": [header, *(row for row in rows if tuple(row[1:3]) not in dev)],
        "dev.tsv": [header, *(row for row in rows if tuple(row[1:3]) in dev)],
        "test.tsv": [
            ["index", *header[1:]],
            *([str(number), *row[1:]] for number, row in enumerate(test[1:])),
        ],
    }
    return {
        name: (("\t".join(row) + "\n").encode("utf-8") for row in table)
        for name, table in tables.items()
    }


MAKERS = {"mrpc": _mrpc}
