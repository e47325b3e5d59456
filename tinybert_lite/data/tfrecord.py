"""Read and write TFRecord files of tf.train.Example without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, its content,
and the masked CRC-32C of the content. The package google-crc32c computes the checksums. The package
protobuf decodes the content; its message types are built below, as in
tensorflow/core/example/*.proto.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.growing import GrowingFile
from tinybert_lite.system.lines import LONGEST_LINE_BYTES
from tinybert_lite.system.optional import optional

HEAD, TAIL = 12, 4  # bytes before and after a record's content
BYTES, FLOATS, INTEGERS = "bytes_list", "float_list", "int64_list"  # kinds of features
AGAIN = "fetch or make it again"
NEED = "tensorflow", "TFRecord files are read"  # arguments of `optional`
Feature = tuple[str, list]  # its kind and its values


@dataclass(frozen=True)
class Record:
    """A tf.train.Example: its features by name."""

    features: dict[str, Feature]
    where: str  # FILE, record N

    def values(self, name: str, *kinds: str) -> list:
        """Return a feature's values. Raises UserError if it is missing or of another kind."""
        if name not in self.features:
            raise UserError(
                f"{self.where}: has no feature {name!r}, it has {short(sorted(self.features))}; "
                "name a file that BERT's create_pretraining_data.py or run_classifier.py wrote"
            )
        kind, values = self.features[name]
        if kind not in kinds:
            raise UserError(
                f"{self.where}: the feature {name!r} is a {kind}, but must be "
                f"{' or '.join(kinds)}; {AGAIN}"
            )
        return values

    def integers(self, name: str) -> list[int]:
        """Return the values of an int64 feature, see `values`."""
        return self.values(name, INTEGERS)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records one at a time, with both checksums verified.

    Raises UserError with the record's number for a file that is truncated, damaged or not a
    TFRecord file, and for a record that is not a tf.train.Example.
    """
    example_class = _example()
    from google.protobuf.message import DecodeError

    for number, data in enumerate(_frames(path, whole=True), 1):
        where = f"{path}, record {number}"
        try:
            features = {
                name: (kind, list(getattr(feature, kind).value))
                for name, feature in example_class.FromString(data).features.feature.items()
                if (kind := feature.WhichOneof("kind"))
            }
        except (DecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{where}: is not a tf.train.Example ({short(str(error))}); {AGAIN}"
            ) from None
        yield Record(features, where)


def count_records(path: Path) -> int:
    """Count records by their lengths only; raises UserError for lengths that are wrong."""
    return sum(1 for _ in _frames(path, whole=False))


def _frames(path: Path, whole: bool) -> Iterator[bytes]:
    if not path.is_file():
        raise UserError(f"{path} is missing: put the file there or name another")
    checksum, size, number = _checksum(), path.stat().st_size, 0
    with open(path, "rb") as file:
        while head := file.read(HEAD):
            number += 1
            where = f"{path}, record {number}"
            length = int.from_bytes(head[:8], "little")
            if len(head) == HEAD:
                if checksum(head[:8]) != head[8:]:
                    raise UserError(
                        _not_tfrecord(path, head)
                        if number == 1
                        else f"{where}: the checksum of the record's length is wrong; {AGAIN}"
                    )
                if length > LONGEST_LINE_BYTES:  # do not allocate so much for a right checksum
                    raise UserError(
                        f"{where}: a length of {length:,} bytes is more than any row has; {AGAIN}"
                    )
            if len(head) < HEAD or file.tell() + length + TAIL > size:
                raise UserError(f"{where}: the file ends within this record; {AGAIN}")
            if not whole:
                file.seek(length + TAIL, 1)
                yield b""
                continue
            data = file.read(length)
            if checksum(data) != file.read(TAIL):
                raise UserError(f"{where}: the checksum is wrong, so it is damaged; {AGAIN}")
            yield data
    if not number:
        raise UserError(f"{path} is empty: it needs at least one record")


def _not_tfrecord(path: Path, head: bytes) -> str:
    if head.startswith(b"\x1f\x8b"):
        return f"{path} is a gzip file: unpack it with gunzip first"
    return f"{path} is not a TFRecord file, although its name is that of one: name another file"


def write_records(path: Path, examples: Iterable[dict[str, list]]) -> int:
    """Write integers as int64_list, other numbers as float_list; return the number of records.

    The same examples give the same bytes. An incomplete file never appears under the name `path`.
    """
    checksum, rows, count = _checksum(), iter(examples), 0

    def framed(features: dict[str, list]) -> bytes:
        example = _example()()
        for name, values in features.items():
            kind = FLOATS if values and isinstance(values[0], float) else INTEGERS
            getattr(example.features.feature[name], kind).value.extend(values)
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
    """Return the masked CRC-32C, 4 bytes: rotated right by 15 bits, plus TFRecord's constant."""
    value = optional("google_crc32c", "google-crc32c", *NEED).value

    def masked(data: bytes) -> bytes:
        crc = value(data)
        return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")

    return masked


@cache
def _example():
    """Return the class tf.train.Example, in its own pool: TensorFlow registers the same name."""
    optional("google.protobuf", "protobuf", *NEED)
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    def field(name: str, number: int, label="LABEL_OPTIONAL", message="", **more) -> dict:
        if message:
            more["type_name"] = f".tensorflow.{message}"
        return {"name": name, "number": number, "label": label, **more}

    repeated, kinds = "LABEL_REPEATED", (BYTES, FLOATS, INTEGERS)
    lists = [
        {"name": kind, "field": [field("value", 1, repeated, type=scalar)]}
        for kind, scalar in zip(kinds, ("TYPE_BYTES", "TYPE_FLOAT", "TYPE_INT64"))
    ]
    oneof = [field(kind, n, message=kind, oneof_index=0) for n, kind in enumerate(kinds, 1)]
    feature = {"name": "Feature", "oneof_decl": [{"name": "kind"}], "field": oneof}
    entry = {  # how protobuf writes a map
        "name": "FeatureEntry",
        "options": {"map_entry": True},
        "field": [field("key", 1, type="TYPE_STRING"), field("value", 2, message="Feature")],
    }
    features = {
        "name": "Features",
        "nested_type": [entry],
        "field": [field("feature", 1, repeated, "Features.FeatureEntry")],
    }
    example = {"name": "Example", "field": [field("features", 1, message="Features")]}
    file = descriptor_pb2.FileDescriptorProto(
        name="example.proto",
        package="tensorflow",
        syntax="proto3",
        message_type=[*lists, feature, features, example],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
