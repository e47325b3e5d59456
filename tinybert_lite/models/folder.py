"""A model folder: its kind, its files, and the parts that its weights hold, each read once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedConfig

from tinybert_lite.models.configuration import RELU_HEAD, family_of, find_config, read_config
from tinybert_lite.models.families import MATCHED_FAMILIES, WITH_SCORES
from tinybert_lite.models.parameter_names import ParameterNames, as_in_files, names_of_family
from tinybert_lite.models.tokenizers import (
    find_vocabulary,
    has_pieces,
    load_tokenizer,
    tokenizer_files,
)
from tinybert_lite.models.weights import (
    find_weights,
    names_in,
    parts_of,
    projection_in,
    read_weights,
)
from tinybert_lite.system.console import remark_once
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, sha256

PRE_DATA = "1_pre_data"  # a workspace's folder, which may also hold the vocabulary
KIND_ENCODER, KIND_OTHER_CLASSIFIER, KIND_LOGITS = "encoder", "other classifier", "file of logits"
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
        """KIND_ENCODER (also without a config.json), KIND_OTHER_CLASSIFIER or KIND_LOGITS."""
        if self.path.is_file():
            return KIND_LOGITS
        return KIND_ENCODER if self.family in MATCHED_FAMILIES else KIND_OTHER_CLASSIFIER

    @cached_property
    def family(self) -> str:
        """The model_type, such as bert or roberta; bert without a config.json."""
        return family_of(read_json(self.config_file) if self.has_config else {})

    @property
    def has_layers(self) -> bool:
        """Whether its hidden states can be matched, so that it can teach stages 3 and 4."""
        return self.kind == KIND_ENCODER

    @property
    def yields_scores(self) -> bool:
        """Whether its attention scores can be matched."""
        return self.family in WITH_SCORES

    @cached_property
    def config_file(self) -> Path:
        """config.json, or bert_config.json if only that file exists."""
        return find_config(self.path)

    @property
    def has_config(self) -> bool:
        return self.config_file.is_file()

    @cached_property
    def config(self) -> PreTrainedConfig:
        """The checked configuration of an encoder. Raises UserError for any other model."""
        return read_config(self.config_file)

    @property
    def width(self) -> int:
        """An encoder's hidden size; 0 for other teachers and without a config.json."""
        return self.config.hidden_size if self.has_config and self.has_layers else 0

    @cached_property
    def weights_file(self) -> Path | None:
        return self._weights or find_weights(self.path)

    @cached_property
    def parameter_names(self) -> ParameterNames:
        """The family's parameter names; BERT's for another classifier and for a file of logits."""
        return names_of_family(self.family if self.kind == KIND_ENCODER else "bert")

    @cached_property
    def _names(self) -> dict[str, str]:
        """Name of a tensor in the weights file -> the family's name for it."""
        stored = names_in(self.weights_file) if self.weights_file else ()
        found = as_in_files(stored, self.parameter_names)
        if self.has_config and read_json(self.config_file).get("model_type") == RELU_HEAD:
            found = {n: name.replace("classifier.1.", "classifier.") for n, name in found.items()}
        return found

    @property
    def weight_names(self) -> set[str]:
        """The family's names of the stored tensors; empty if there is no weights file."""
        return set(self._names.values())

    def read_state(self) -> dict[str, torch.Tensor]:
        """Read all tensors in float32, under the family's names; raises as `read_weights`."""
        return {
            self._names[name]: tensor for name, tensor in read_weights(self.weights_file).items()
        }

    @property
    def has_classifier(self) -> bool:
        """Whether the weights hold a classifier."""
        return self.parameter_names.classifier_weight in self.weight_names

    @property
    def has_masked_lm(self) -> bool:
        """Whether the weights hold a masked-LM head."""
        return not self.parameter_names.masked_lm.isdisjoint(self.weight_names)

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
    def tokenizer_place(self) -> Path | None:
        """The folder, if it has a tokenizer; else the vocab.txt in its workspace's 1_pre_data/.

        Its workspace is the nearest parent with a folder 1_pre_data; nothing above it is read.
        """
        if has_pieces(self.path):
            return self.path
        parents = (parent / PRE_DATA for parent in self.path.resolve().parents)
        found = find_vocabulary(next(filter(Path.is_dir, parents), self.path))
        if found:
            remark_once(f"{self} has no vocabulary, so the workspace's is used: {found}")
        return found

    @property
    def as_tokenizer(self) -> os.PathLike:
        """The input of a stage that reads only the tokenizer: this folder, or a vocab.txt."""
        place = self.tokenizer_place
        return place if place and place.is_file() else TokenizerFolder(self.path)

    def need_tokenizer(self) -> Path:
        """Return `tokenizer_place`. Raises UserError if there is none."""
        if self.tokenizer_place is None:
            raise UserError(
                f"{self} holds no tokenizer: put the model's tokenizer.json or vocab.txt there "
                f"(vocab.txt may also be in {PRE_DATA}/)"
            )
        return self.tokenizer_place

    def tokenizer(self, lower_case: bool | None = None):
        """Load the tokenizer. Raises UserError, see `load_tokenizer`."""
        return load_tokenizer(self.need_tokenizer(), lower_case)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the configuration, the weights and the tokenizer files."""
        weights = parts_of(self.weights_file) if self.weights_file else []
        return fingerprint_of(self.path, [self.config_file, *weights, *tokenizer_files(self.path)])


class TokenizerFolder(ModelFolder):
    """A model folder of which only the tokenizer is read."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer files."""
        return fingerprint_of(self.path, tokenizer_files(self.path))


def fingerprint_of(folder: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 of the relative names and the contents of files, in the given order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()
