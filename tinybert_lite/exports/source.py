"""The source of an export: a model with every part that its folder holds, and its tokenizer."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.load_tensors import POOLER_PART
from tinybert_lite.models.loading import load_model, load_with_tokenizer
from tinybert_lite.models.saving import latest_epoch
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import read_manifest

PARTS = {
    "fit_dense": "the projection to the teacher's width (fit_dense)",
    "fit_denses": "the projections to the teacher's width (fit_denses.*)",
}


@dataclass(frozen=True)
class Source:
    """A model to export; `tokenizer` is None if its folder has no vocabulary."""

    model: Encoder
    tokenizer: object | None
    folder: ModelFolder
    rest: dict[str, Tensor] = field(default_factory=dict)  # stored tensors of other heads
    eight_bits: Encoder | None = None  # its 8-bit copy, which only `serving` writes

    @property
    def has_relu_head(self) -> bool:
        head = getattr(self.model.config, "classifier_head", "")
        return self.model.output_layer is not None and head == "relu"

    def others(self, *kept: str) -> dict[str, Tensor]:
        """Return stored tensors with one of `kept` in their names; print the names of others."""
        found = {n: tensor for n, tensor in self.rest.items() if any(part in n for part in kept)}
        lost = {".".join(name.split(".")[:2]) for name in self.rest.keys() - found.keys()}
        if lost:
            say(f"left out: {', '.join(sorted(lost))}")
        return found

    def drop(self, *parts: str) -> None:
        """Leave out these parts (keys of PARTS), and print their names."""
        for part in parts:
            if getattr(self.model, part) is not None:
                setattr(self.model, part, None)
                say(f"left out: {PARTS[part]}")


def open_source(place: ModelFolder | Path, weights: Path | None = None) -> Source:
    """Open a model folder for an export; `weights` replaces the folder's own.

    Raises UserError for a folder without weights, and for a classifier without its pooler.
    """
    folder = ModelFolder(place, weights)
    if not folder.weight_names:
        raise UserError(_why_no_weights(folder.path))
    masked_lm, tokenizer = folder.has_masked_lm and not folder.has_classifier, None
    if folder.tokenizer_place:
        loaded = load_with_tokenizer(folder, masked_lm=masked_lm)
        model, tokenizer, new = loaded.model, loaded.tokenizer, loaded.new_parts
    else:
        model, new = load_model(folder, masked_lm=masked_lm)
        remark(f"{folder} has no vocabulary, so the export has no tokenizer files")
    own = {model.file_name(name) for name in model.state_dict()}
    rest = {name: tensor for name, tensor in folder.read_state().items() if name not in own}
    if POOLER_PART in new:
        model.body.pooler = None  # its weights are random
    return Source(model.eval(), tokenizer, folder, rest)


def with_eight_bits(source: Source, folder: ModelFolder | Path) -> Source:
    """Add the 8-bit model in `folder` to the source.

    Raises UserError if `folder` is not an 8-bit model, if the source is one already, or if their
    vocabularies or labels differ.
    """
    copy = open_source(folder)
    if not is_quantized(copy.model):
        raise UserError(
            f"{folder} is not an 8-bit model; make one with python -m tinybert_lite.quantize"
        )
    if is_quantized(source.model):
        raise UserError(
            f"{source.folder} and {folder} are both 8-bit models; name the model in floating point "
            f"with --model"
        )
    check_servable(source)
    check_servable(copy)
    if (
        copy.model.config.id2label != source.model.config.id2label
        or copy.tokenizer.get_vocab() != source.tokenizer.get_vocab()
    ):
        raise UserError(
            f"{folder} has other labels or another vocabulary than {source.folder}; make an 8-bit "
            f"copy of {source.folder} with python -m tinybert_lite.quantize"
        )
    made_of = (read_manifest(copy.folder.path) or {}).get("inputs", {}).get("student", {})
    if made_of and made_of["sha256"] != fingerprint(source.folder):
        remark(
            f"warning: {folder} was not made from the current weights of {source.folder}; "
            f"make it again with python -m tinybert_lite.quantize"
        )
    return replace(source, eight_bits=copy.model)


def check_servable(source: Source) -> None:
    """Raise UserError for a model without a classifier or tokenizer, or of another family."""
    if source.model.config.model_type != "bert":
        raise UserError(
            f"{source.folder.config_file}: --format serving writes the family bert only, not "
            f"{source.model.config.model_type}; use --format huggingface"
        )
    if source.model.output_layer is None:
        raise UserError(
            f"{source.folder} holds no classifier, which --format serving needs; export a model of "
            f"stage 5"
        )
    if source.tokenizer is None:
        raise UserError(
            f"{source.folder} has no vocabulary, which --format serving needs to read texts; put "
            f"the model's vocab.txt there"
        )


def _why_no_weights(folder: Path) -> str:
    if newest := latest_epoch(folder):
        return (
            f"{folder} holds only weights of single epochs: name one of these files with "
            f"--epoch_file, the newest is {newest.name}"
        )
    return (
        f"{folder} holds no weights: a model folder needs model.safetensors or pytorch_model.bin "
        f"beside its config.json"
    )
