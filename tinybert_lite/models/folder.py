"""A model folder: its kind, its files, and the heads in its weights, each found once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from transformers import AlbertConfig, BertConfig

from tinybert_lite.models.configuration import BERTS, find_config, read_config
from tinybert_lite.models.tokenizers import TOKENIZER_FILES, find_vocabulary
from tinybert_lite.models.weights import find_weights, names_in, parts_of, projection_in
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, sha256

PRE_DATA = "1_pre_data"  # a workspace's folder, which may also hold the vocabulary
BERT, ALBERT, CLASSIFIER, LOGITS = "bert", "albert", "other classifier", "file of logits"
SERVED = {
    "int8": "model.int8.onnx",
    "onnx": "model.onnx",
}  # files of a serving folder, the fastest first


class ModelFolder(os.PathLike):
    """A model folder, or a file of logits that replaces a teacher. It can be used as a path.

    Each property is read once and then cached, so make a new object after writing into the folder.
    weights: a weights file to use instead of the folder's own.
    """

    def __init__(self, path: str | os.PathLike, weights: Path | None = None):
        self.path, self.name, self._weights = Path(path), Path(path).name, weights

    @classmethod
    def at(cls, place: str | os.PathLike) -> ModelFolder:
        """Return `place` if it is a ModelFolder, else a new ModelFolder for this path."""
        return place if isinstance(place, cls) else cls(place)

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    @cached_property
    def kind(self) -> str:
        """BERT (also without config.json), ALBERT, CLASSIFIER (another architecture) or LOGITS."""
        if self.path.is_file():
            return LOGITS
        values = read_json(self.config_file) if self.has_config else {}
        model_type = values.get("model_type", BERT)
        return BERT if model_type in BERTS else ALBERT if model_type == ALBERT else CLASSIFIER

    @property
    def has_layers(self) -> bool:
        """Whether stage 4 can match the layers: true for a BERT and an ALBERT with vocab.txt.

        An ALBERT with a sentencepiece vocabulary has no word pieces in common with a student.
        """
        return self.kind == BERT or self.kind == ALBERT and find_vocabulary(self.path) is not None

    @cached_property
    def config_file(self) -> Path:
        """config.json, or bert_config.json if only that file exists."""
        return find_config(self.path)

    @property
    def has_config(self) -> bool:
        return self.config_file.is_file()

    @cached_property
    def config(self) -> BertConfig | AlbertConfig:
        """The checked configuration of a BERT or an ALBERT. Raises UserError for any other."""
        return read_config(self.config_file)

    @cached_property
    def weights_file(self) -> Path | None:
        return self._weights or find_weights(self.path)

    @cached_property
    def weight_names(self) -> set[str]:
        """The names that `Bert` gives to the stored tensors; empty if there is no weights file."""
        return names_in(self.weights_file) if self.weights_file else set()

    @property
    def has_classifier(self) -> bool:
        """Whether the weights hold a classifier."""
        return "classifier.weight" in self.weight_names

    @property
    def has_masked_lm(self) -> bool:
        """Whether the weights hold a masked-LM head."""
        return any(name.startswith("cls.predictions.") for name in self.weight_names)

    @property
    def projection(self) -> str | None:
        """The kind of projection: "original" (one for all layers), "per_layer", or None."""
        return projection_in(self.weight_names)

    @cached_property
    def served_file(self) -> Path | None:
        """The fastest ONNX model of a serving folder; None in any other folder."""
        files = (self.path / name for name in SERVED.values())
        return next((file for file in files if file.is_file()), None)

    @cached_property
    def vocabulary(self) -> Path | None:
        """The vocabulary file in the folder, else in 1_pre_data/ of the workspace, or None."""
        around = (parent / PRE_DATA for parent in self.path.resolve().parents)
        return find_vocabulary(self.path, *around)

    def need_vocabulary(self) -> Path:
        """Return the vocabulary file. Raises UserError if there is none."""
        if self.kind == ALBERT and not self.has_layers:
            raise UserError(
                f"{self} has no vocab.txt: a student needs the word pieces of a teacher whose "
                f"layers it learns, so use an ALBERT with a sentencepiece vocabulary only in "
                f"stage 5 (--task_teacher)"
            )
        if self.vocabulary is None:
            raise UserError(
                f"{self.path / 'vocab.txt'} is missing: put the model's vocabulary there "
                f"(or into {PRE_DATA}/)"
            )
        return self.vocabulary

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the configuration, the weights and the vocabulary or tokenizer files."""
        patterns = ("vocab.txt",) if self.has_layers else TOKENIZER_FILES
        tokenizer = {file for pattern in patterns for file in self.path.glob(pattern)}
        weights = parts_of(self.weights_file) if self.weights_file else []
        return fingerprint_of(
            self.path, [self.config_file, *weights, *sorted(filter(Path.is_file, tokenizer))]
        )


def fingerprint_of(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 of the relative names and the contents of files, in the given order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()
