"""The source of an export: a model with every part that its folder holds, and its tokenizer."""

from dataclasses import dataclass, replace
from pathlib import Path

from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.models.saving import latest_epoch
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import read_manifest

SHARDS = "model.safetensors.index.json"
PARTS = {
    "cls": "the masked-LM head (cls.*)",
    "fit_dense": "the projection to the teacher's width (fit_dense)",
    "fit_denses": "the projections to the teacher's width (fit_denses.*)",
}


@dataclass(frozen=True)
class Source:
    """A model to export; `tokenizer` is None if its folder has no vocabulary."""

    model: Bert
    tokenizer: object | None
    folder: ModelFolder
    eight_bits: Bert | None = None  # its 8-bit copy, which only `serving` writes

    @property
    def has_relu_head(self) -> bool:
        return self.model.classifier is not None and self.model.config.classifier_head == "relu"

    def drop(self, *parts: str) -> None:
        """Leave out these parts (keys of PARTS), and print their names."""
        for part in parts:
            if getattr(self.model, part) is not None:
                setattr(self.model, part, None)
                say(f"left out: {PARTS[part]}")


def open_source(place: ModelFolder | Path, weights: Path | None = None) -> Source:
    """Open a model folder for an export; `weights` replaces the folder's own.

    Raises UserError for a folder without weights in one file, for an ALBERT, and for a classifier
    without its pooler.
    """
    folder = ModelFolder(place, weights)
    if not folder.weight_names:
        raise UserError(_why_no_weights(folder.path))
    masked_lm, tokenizer = folder.has_masked_lm, None
    if folder.vocabulary:
        bert = load_bert(folder, masked_lm=masked_lm)
        model, tokenizer, new = bert.model, bert.tokenizer, bert.new_parts
    else:
        model, new = load_model(folder, masked_lm=masked_lm)
        remark(f"{folder} has no vocabulary: the export has no tokenizer files either")
    if model.config.model_type == "albert":
        raise UserError(
            f"{folder.config_file}: an ALBERT cannot be exported; use its folder, which already "
            f"has Hugging Face's format"
        )
    if any(name.startswith("cls.seq_relationship.") for name in folder.weight_names):
        say("left out: the next-sentence head (cls.seq_relationship), which nothing here uses")
    if "bert.pooler" in new:
        if model.classifier is not None:
            raise UserError(
                f"{weights or folder} holds a classifier but not the pooler before it "
                f"(bert.pooler.*); use another checkpoint"
            )
        model.bert.pooler = None  # its weights are random
    return Source(model.eval(), tokenizer, folder)


def with_eight_bits(source: Source, folder: ModelFolder | Path) -> Source:
    """Add the 8-bit model in `folder` to the source.

    Raises UserError if `folder` is not an 8-bit model, if the source is one already, or if they
    have different vocabularies or labels.
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
            f"copy of this model with python -m tinybert_lite.quantize"
        )
    made_of = (read_manifest(copy.folder.path) or {}).get("inputs", {}).get("student", {})
    if made_of and made_of["sha256"] != fingerprint(source.folder):
        remark(
            f"warning: {folder} was not made from the present weights of {source.folder}; "
            f"make it again with python -m tinybert_lite.quantize"
        )
    return replace(source, eight_bits=copy.model)


def check_servable(source: Source) -> None:
    """Raise UserError for a model without a classifier or without a vocabulary."""
    if source.model.classifier is None:
        raise UserError(
            f"{source.folder} holds no classifier, so it cannot predict; export a model after "
            f"stage 5"
        )
    if source.tokenizer is None:
        raise UserError(
            f"{source.folder} has no vocabulary, but a serving folder needs one to read texts; put "
            f"the model's vocab.txt there"
        )


def _why_no_weights(folder: Path) -> str:
    if newest := latest_epoch(folder):
        return (
            f"{folder} holds only weights of single epochs: name one with --epoch_file, the "
            f"newest is {newest.name}"
        )
    if (folder / SHARDS).is_file():
        return (
            f"{folder / SHARDS}: the weights are in several files; save them in one, with "
            f"transformers' from_pretrained({str(folder)!r}) and "
            f"save_pretrained(…, max_shard_size='100GB')"
        )
    return (
        f"{folder} holds no weights: a model folder needs model.safetensors or pytorch_model.bin "
        f"beside its config.json"
    )
