"""A writer of TensorFlow checkpoints for tests, byte for byte as TensorFlow's own
(tests/golden/tensorflow), and Google's names.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from google_crc32c import value as crc32c

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bfloat16": 14, "float16": 19}
END = bytes.fromhex("57fb808b247547db")


def variables(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's tensors as Google's code names and turns them."""
    found = {}
    for name, tensor in state.items():
        *path, leaf = name.replace("layer.", "layer_").split(".")
        if path[0] == "classifier":
            found["output_weights" if leaf == "weight" else "output_bias"] = tensor
        elif path == ["cls", "seq_relationship"]:
            found[
                "cls/seq_relationship/output_weights"
                if leaf == "weight"
                else "cls/seq_relationship/output_bias"
            ] = tensor
        elif path == ["cls", "predictions"]:
            found["cls/predictions/output_bias"] = tensor
        elif path[-1] == "LayerNorm":
            found["/".join(path) + ("/gamma" if leaf == "weight" else "/beta")] = tensor
        elif path[-1].endswith("embeddings"):
            found["/".join(path)] = tensor
        elif not name.startswith(("fit_dense", "cls.predictions.decoder")):
            found["/".join(path) + ("/kernel" if leaf == "weight" else "/bias")] = (
                tensor.T if leaf == "weight" else tensor
            )
    return {name: tensor.contiguous() for name, tensor in found.items()}


def with_optimizer(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With what training leaves beside the model."""
    slots = {
        f"{name}/{slot}": torch.ones_like(tensor)
        for name, tensor in found.items()
        for slot in ("adam_m", "adam_v")
    }
    return {**found, **slots, "global_step": torch.tensor(7)}


def write_checkpoint(
    prefix: Path, found: dict[str, torch.Tensor], shards: int = 1, block_size: int = 1 << 18
) -> Path:
    """`prefix`.index and its data files; tensor i of the sorted names goes into file i modulo
    `shards`. Returns the index.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    contents, rows = (
        [bytearray() for _ in range(shards)],
        [(b"", message((1, shards), (3, message((1, 1)))))],
    )
    for i, (name, tensor) in enumerate(sorted(found.items(), key=lambda item: item[0].encode())):
        raw, content = (
            tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
            contents[i % shards],
        )
        shape = message(*((2, message((1, size))) for size in tensor.shape))
        rows.append(
            (
                name.encode(),
                message(
                    (1, DTYPES[str(tensor.dtype).removeprefix("torch.")]),
                    (2, shape),
                    (3, i % shards),
                    (4, len(content)),
                    (5, len(raw)),
                    (6, masked(raw)),
                ),
            )
        )
        content += raw
    for i, content in enumerate(contents):
        prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{shards:05d}").write_bytes(content)
    index = prefix.with_name(prefix.name + ".index")
    index.write_bytes(table(rows, block_size))
    return index


def write_folder(
    folder: Path,
    state: dict[str, torch.Tensor],
    config: str,
    name: str = "bert_model.ckpt",
    **options,
) -> Path:
    """As Google ships a model, without the vocabulary."""
    write_checkpoint(folder / name, with_optimizer(variables(state)), **options)
    (folder / "bert_config.json").write_text(config, encoding="utf-8")
    return folder


def table(rows: list[tuple[bytes, bytes]], block_size: int = 1 << 18) -> bytes:
    """LevelDB's format: blocks, an empty one of remarks, one that lists the others under a key
    between their neighbours', the footer.
    """
    content, listed, waiting = bytearray(), [], []
    for i, (key, value) in enumerate(rows):
        waiting.append((key, value))
        following = rows[i + 1][0] if i + 1 < len(rows) else None
        if following is None or len(block(waiting)) >= block_size:
            listed.append((between(key, following), appended(content, block(waiting))))
            waiting = []
    remarks = appended(content, block([]))
    last = appended(content, block(listed, every=1))
    return bytes(content) + (remarks + last).ljust(40, b"\0") + END


def block(rows, every: int = 16) -> bytes:
    """Rows whose keys leave out what they share with the one before, whole at each `every`."""
    content, starts, before = bytearray(), [0], b""
    for i, (key, value) in enumerate(rows):
        shared = len(os.path.commonprefix([before, key])) if i % every else 0
        if i and not i % every:
            starts.append(len(content))
        content += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        before = key
    return bytes(content) + b"".join(
        start.to_bytes(4, "little") for start in (*starts, len(starts))
    )


def appended(content: bytearray, raw: bytes, kind: int = 0) -> bytes:
    """Put a block of a kind (0: plain) and its checksum there; where it is."""
    place = varint(len(content)) + varint(len(raw))
    content += raw + bytes([kind]) + masked(raw + bytes([kind])).to_bytes(4, "little")
    return place


def between(key: bytes, following: bytes | None) -> bytes:
    """A short key that is not before `key` and before the `following` one."""
    if following is None:
        place = next((i for i, byte in enumerate(key) if byte != 255), len(key))
        return key[:place] + bytes([key[place] + 1]) if place < len(key) else key
    shared = len(os.path.commonprefix([key, following]))
    if shared < min(len(key), len(following)) and key[shared] + 1 < following[shared]:
        return key[:shared] + bytes([key[shared] + 1])
    return key


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protocol buffer: numbers that are 0 are left out, a checksum (field 6) has four bytes."""
    found = b""
    for number, value in fields:
        if number == 6:
            found += varint(number << 3 | 5) + value.to_bytes(4, "little")
        elif isinstance(value, bytes):
            found += varint(number << 3 | 2) + varint(len(value)) + value
        elif value:
            found += varint(number << 3) + varint(value)
    return found


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def masked(raw: bytes) -> int:
    crc = crc32c(raw)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
