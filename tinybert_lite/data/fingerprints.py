"""SHA-256 of what a stage reads: a file, a model folder, training sequences, a task's rows, a corpus."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tinybert_lite.data.corpora import files_below
from tinybert_lite.data.tables import holds_ids
from tinybert_lite.models.configuration import config_file
from tinybert_lite.models.folder import is_bert
from tinybert_lite.models.tokenizers import TOKENIZER_FILES
from tinybert_lite.models.weights import parts_of, weights_file
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256


def fingerprint(path: Path) -> str:
    """SHA-256 of a file; of a folder, of the files in it that matter: a model's, sequences, or rows, else all, as in a corpus."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise UserError(f"{path} is missing; run the stage that makes it, or name another")
    if config_file(path).is_file():
        vocabulary = (
            [path / "vocab.txt"]
            if is_bert(path)
            else sorted({p for pattern in TOKENIZER_FILES for p in path.glob(pattern)})
        )
        weights = weights_file(path)
        files = [
            p
            for p in (config_file(path), *(parts_of(weights) if weights else ()), *vocabulary)
            if p.is_file()
        ]
    else:
        files = sorted(
            [*path.glob("epoch_*.json"), *path.glob("*.tsv"), *filter(holds_ids, path.iterdir())]
        ) or files_below(path)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()
