"""TFRecord files of tf.train.Example, without TensorFlow: the framing with its checksums, and features by name.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, its bytes, and their masked CRC-32C. The checksums are
Google's own package, and so is protobuf, which reads the bytes by the four message types below (tensorflow/core/example/*.proto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.lines import LONGEST

HEAD, TAIL = 12, 4  # bytes before and after a record's own
KINDS = (
    "bytes_list",
    "float_list",
    "int64_list",
)  # of a feature, in the order of their field numbers
INTEGERS, FLOATS = "int64_list", "float_list"
AGAIN = "fetch or make it again"
Feature = tuple[str, list]  # its kind and its values


def records(path: Path) -> Iterator[bytes]:
    """Each record's bytes, one at a time, checked. Raises UserError with the record's number for a file that is cut, damaged or no TFRecord."""
    return _frames(path, whole=True)


def count_records(path: Path) -> int:
    """By hopping from head to head; raises UserError as `records` does for what it sees on its way."""
    return sum(1 for _ in _frames(path, whole=False))


def _frames(path: Path, whole: bool) -> Iterator[bytes]:
    if not path.is_file():
        raise UserError(f"{path} is missing: put the file there or name another")
    checksum, size, number = _checksum(), path.stat().st_size, 0
    with open(path, "rb") as file:
        while head := file.read(HEAD):
            number += 1
            length = int.from_bytes(head[:8], "little")
            if len(head) == HEAD:
                if checksum(head[:8]) != head[8:]:
                    raise UserError(
                        _not_one(path, head)
                        if number == 1
                        else f"{path}, record {number}: the checksum of its length is wrong; {AGAIN}"
                    )
                if (
                    length > LONGEST
                ):  # with a right checksum still no reason to ask for so much memory
                    raise UserError(
                        f"{path}, record {number}: says that it has {length:,} bytes, more than any row; {AGAIN}"
                    )
            if len(head) < HEAD or file.tell() + length + TAIL > size:
                raise UserError(f"{path}, record {number}: the file ends within it; {AGAIN}")
            if whole:
                data = file.read(length)
                if checksum(data) != file.read(TAIL):
                    raise UserError(
                        f"{path}, record {number}: its checksum is wrong, so it is damaged; {AGAIN}"
                    )
                yield data
            else:
                file.seek(length + TAIL, 1)
                yield b""
    if not number:
        raise UserError(f"{path} is empty: it needs at least one record")


def _not_one(path: Path, head: bytes) -> str:
    packed = head.startswith(b"\x1f\x8b")
    return f"{path} is {'a gzip file: unpack it with gunzip first' if packed else 'not a TFRecord file, whatever its name says: name another'}"


def features_of(data: bytes, where: str) -> dict[str, Feature]:
    """An Example's features. Raises UserError, which begins with `where`, for bytes that are none."""
    from google.protobuf.message import DecodeError

    try:
        example = _example()().FromString(data)
        return {
            name: (kind, list(getattr(feature, kind).value))
            for name, feature in example.features.feature.items()
            if (kind := feature.WhichOneof("kind"))
        }
    except (DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{where}: is no tf.train.Example ({short(str(error))}); only such records are rows"
        ) from None


def write_records(path: Path, examples: Iterable[dict[str, list]]) -> int:
    """Integers become an int64_list, other numbers a float_list; the same bytes each time. Returns the number of records.

    The file has its name only when it is whole.
    """
    checksum, rows, count = _checksum(), iter(examples), 0

    def framed(features: dict[str, list]) -> bytes:
        example = _example()()
        for name, values in features.items():
            getattr(
                example.features.feature[name],
                FLOATS if values and isinstance(values[0], float) else INTEGERS,
            ).value.extend(values)
        data = example.SerializeToString(deterministic=True)
        head = len(data).to_bytes(8, "little")
        return head + checksum(head) + data + checksum(data)

    with GrowingFile(path) as file:
        while block := [framed(row) for row in islice(rows, 1000)]:
            file.add(b"".join(block))
            count += len(block)
    return count


@cache
def _checksum() -> Callable[[bytes], bytes]:
    """CRC-32C, turned right by 15 bits plus a constant, as TFRecord masks it; 4 bytes, little-endian."""
    try:
        from google_crc32c import value
    except ImportError:
        raise _lacks("google-crc32c") from None

    def masked(data: bytes) -> bytes:
        crc = value(data)
        return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    return masked


@cache
def _example():
    """The class of tf.train.Example, in a pool of its own, so that it meets no TensorFlow's in the same process."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise _lacks("protobuf") from None
    Field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="example.proto", package="tensorflow", syntax="proto3"
    )

    def message(name: str, inside=file.message_type):
        return inside.add(name=name)

    def field(owner, name: str, number: int, kind, label=Field.LABEL_OPTIONAL, **more) -> None:
        kind = (
            {"type": Field.TYPE_MESSAGE, "type_name": f".tensorflow.{kind}"}
            if isinstance(kind, str)
            else {"type": kind}
        )
        owner.field.add(name=name, number=number, label=label, **kind, **more)

    feature = message("Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, scalar) in enumerate(
        zip(KINDS, (Field.TYPE_BYTES, Field.TYPE_FLOAT, Field.TYPE_INT64)), 1
    ):
        field(message(kind), "value", 1, scalar, Field.LABEL_REPEATED)
        field(feature, kind, number, kind, oneof_index=0)
    features = message("Features")
    entry = message("FeatureEntry", features.nested_type)  # how protobuf writes a map
    entry.options.map_entry = True
    field(entry, "key", 1, Field.TYPE_STRING)
    field(entry, "value", 2, "Feature")
    field(features, "feature", 1, "Features.FeatureEntry", Field.LABEL_REPEATED)
    field(message("Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _lacks(package: str) -> UserError:
    return UserError(
        f'TFRecord files are read by the package {package}, which is missing: python -m pip install -e ".[tensorflow]"'
    )
