"""Read TensorFlow's checkpoint format, the tensor bundle, without TensorFlow.

`NAME.index` is a LevelDB table with one protocol buffer per tensor, which says where in
`NAME.data-00000-of-00001` its bytes are (TensorFlow's core/util/tensor_bundle, core/lib/io/table).
Checksums are compared only if `google-crc32c` is installed (the extra `tensorflow`), since in pure
Python those of a BERT-base would take a minute.
"""

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from reprlib import repr as short
from typing import NamedTuple

import torch

from tinybert_lite.system.errors import UserError

try:
    from google_crc32c import extend
except ImportError:
    extend = None

# TensorFlow's number of a data type -> the data type
DTYPES = {1: torch.float32, 2: torch.float64, 14: torch.bfloat16, 19: torch.float16}
END = 0xDB4775248B80FB57.to_bytes(8, "little")  # a table's last bytes
FOOTER, TRAILER = 48, 5  # bytes of a table's footer, and of a block's type and checksum
# The index of a BERT-large with its optimizer's state has 1,200 names in 0.1 MB.
LARGEST_INDEX, LONGEST_NAME, MOST_NAMES = 1 << 24, 1000, 100_000
CHUNK = 1 << 20


class Entry(NamedTuple):
    """A tensor's data type and shape, and the place of its bytes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    file: Path
    start: int
    end: int
    checksum: int


class Bundle:
    """The tensors of an index file by name. Raises UserError for any other or a damaged file."""

    def __init__(self, index: Path):
        self.index = index
        try:
            if index.stat().st_size > LARGEST_INDEX:
                raise ValueError(f"it is larger than {LARGEST_INDEX:,} bytes")
            rows = dict(_table(index.read_bytes()))
            header = dict(_fields(rows.pop(b"")))
            if header.get(2):
                raise ValueError("its numbers are big-endian")
            self.shards, self.rows = header[1], {name.decode(): row for name, row in rows.items()}
        except Exception as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> UserError:
        # Damaged bytes raise many kinds of errors; this file raises ValueError with a reason.
        reason = error if type(error) is ValueError else "it is truncated or overwritten"
        return UserError(
            f"{self.index} is not the index of a TensorFlow checkpoint ({reason}); fetch the "
            f"checkpoint again"
        )

    def entries(self, names: Collection[str]) -> dict[str, Entry]:
        """Return the entries of these vectors and matrices.

        Raises UserError unless all their bytes are in existing files and do not overlap.
        """
        try:
            found = {name: self._entry(name) for name in names}
        except Exception as error:
            raise self._damaged(error) from None
        for name, entry in found.items():
            if not entry.file.is_file():
                raise UserError(
                    f"{entry.file} is missing: put all files of the TensorFlow checkpoint into one "
                    f"folder"
                )
            if entry.end > entry.file.stat().st_size:
                raise UserError(
                    f"{entry.file} is truncated: it ends before the tensor {name} does; fetch the "
                    f"checkpoint again"
                )
        if sum(entry.end - entry.start for entry in found.values()) > sum(
            file.stat().st_size for file in {entry.file for entry in found.values()}
        ):
            raise self._damaged(ValueError("its tensors overlap"))
        return found

    def _entry(self, name: str) -> Entry:
        fields = {1: 0, 2: b"", 3: 0, 4: 0, 5: 0, 6: b""} | dict(_fields(self.rows[name]))
        shape = tuple(
            dict(_fields(size)).get(1, 0) for number, size in _fields(fields[2]) if number == 2
        )
        if 7 in fields:
            raise ValueError(f"{name} is saved in slices")
        if fields[1] not in DTYPES:
            raise ValueError(f"{name} has data type {short(fields[1])}, not a floating-point type")
        if (
            len(shape) not in (1, 2)
            or 0 in shape
            or math.prod(shape) * DTYPES[fields[1]].itemsize != fields[5]
        ):
            raise ValueError(f"{name} of shape {short(shape)} cannot have {short(fields[5])} bytes")
        file = self.index.with_name(f"{self.index.stem}.data-{fields[3]:05d}-of-{self.shards:05d}")
        return Entry(
            DTYPES[fields[1]],
            shape,
            file,
            fields[4],
            fields[4] + fields[5],
            int.from_bytes(fields[6], "little"),
        )


def read_tensor(name: str, entry: Entry) -> torch.Tensor:
    """Read a tensor without a second copy. Raises UserError if its checksum is wrong."""
    buffer, checksum = bytearray(entry.end - entry.start), 0
    with open(entry.file, "rb") as file:
        file.seek(entry.start)
        for start in range(0, len(buffer), CHUNK):
            chunk = file.read(min(CHUNK, len(buffer) - start))
            buffer[start : start + len(chunk)] = chunk
            checksum = extend(checksum, chunk) if extend else 0
    if extend and _masked(checksum) != entry.checksum:
        raise UserError(
            f"{entry.file}: the checksum of {name} is wrong, so the file is damaged; fetch the "
            f"checkpoint again"
        )
    return torch.frombuffer(buffer, dtype=entry.dtype).reshape(entry.shape)


def _masked(checksum: int) -> int:
    """Mask a checksum as LevelDB stores it, since the data may hold checksums themselves."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each row's key and value. A table has blocks of rows, an index block, and a footer."""
    if data[-len(END) :] != END:
        raise ValueError("its end is missing")
    footer, seen, count, last = data[-FOOTER:], 0, 0, None
    _, _, at = _place(footer, 0)  # of the meta block, which is empty
    for _, place in _block(data, *_place(footer, at)[:2]):
        start, size, _ = _place(place, 0)
        seen += size + TRAILER
        if seen > len(data):
            raise ValueError("its blocks overlap")
        for key, value in _block(data, start, size):
            count += 1
            if count > MOST_NAMES or last is not None and key <= last:
                raise ValueError("it has too many names, or they are not sorted")
            yield key, value
            last = key


def _place(data: bytes, at: int) -> tuple[int, int, int]:
    """Read a block's start and size; return them and the position after them."""
    start, at = _varint(data, at)
    size, at = _varint(data, at)
    return start, size, at


def _block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield a block's rows; a key is stored without the prefix that the previous key has too."""
    block = _taken(data, start, size + TRAILER)
    if block[size]:
        raise ValueError("it is compressed, which TensorFlow's own writer never does")
    if extend and _masked(extend(0, block[: size + 1])) != int.from_bytes(
        block[size + 1 :], "little"
    ):
        raise ValueError("its checksum is wrong")
    restarts = int.from_bytes(_taken(block, size - 4, 4), "little")  # a number of positions
    rows, key, at = _taken(block, 0, size - 4 - 4 * restarts), b"", 0
    while at < len(rows):
        shared, own, at = _place(rows, at)
        length, at = _varint(rows, at)
        if shared > len(key) or shared + own > LONGEST_NAME:
            raise ValueError("a name in it is invalid")
        key = key[:shared] + _taken(rows, at, own)
        yield key, _taken(rows, at + own, length)
        at += own + length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
        else:
            size, at = _varint(message, at) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], at)
            value, at = _taken(message, at, size), at + size
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number stored in groups of seven bits, the lowest first; also return its end."""
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ValueError("a number in it is too long")


def _taken(data: bytes, start: int, size: int) -> bytes:
    if min(start, size) < 0 or start + size > len(data):
        raise ValueError("it is truncated")
    return data[start : start + size]
