"""A model in the files that others read: written beside, opened again and compared, and only then put in its place.

Each format is a function (Source, empty folder) that writes, and one that opens what was written and compares; `FORMATS` names them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.models.folder import vocabulary_beside
from tinybert_lite.models.loading import load_bert, load_model
from tinybert_lite.models.saving import latest_epoch
from tinybert_lite.models.weights import read_weights, weight_names
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import read_manifest

SHARDS = "model.safetensors.index.json"


@dataclass(frozen=True)
class Source:
    """What is exported: the model with every part that its folder holds, and its tokenizer where there is a vocabulary."""

    model: Bert
    tokenizer: object | None
    folder: Path
    eight_bits: Bert | None = None  # its 8-bit copy, which only `serving` has a place for

    @property
    def has_relu_head(self) -> bool:
        return self.model.classifier is not None and self.model.config.classifier_head == "relu"

    def drop(self, *parts: str) -> None:
        """Leave parts out, and say so."""
        for part in parts:
            if getattr(self.model, part) is not None:
                setattr(self.model, part, None)
                say(f"left out: {PARTS[part]}")


PARTS = {
    "cls": "the masked-LM head (cls.*)",
    "fit_dense": "the projection to the teacher's width (fit_dense)",
    "fit_denses": "the projections to the teacher's width (fit_denses.*)",
}


def open_source(folder: Path, weights: Path | None = None) -> Source:
    """Raises UserError for a folder without weights in one file, and for a classifier without its pooler."""
    names = set(read_weights(weights)) if weights else weight_names(folder)
    if not names:
        raise UserError(_why_no_weights(folder))
    parts = {
        "weights": weights,
        "masked_lm": any(name.startswith("cls.predictions.") for name in names),
    }
    if vocabulary_beside(folder):
        bert = load_bert(folder, **parts)
        model, tokenizer, new = bert.model, bert.tokenizer, bert.new_parts
    else:
        (model, new), tokenizer = load_model(folder, **parts), None
        remark(f"{folder} has no vocabulary: the export has no tokenizer files either")
    if model.config.model_type == "albert":
        raise UserError(
            f"{folder / 'config.json'}: an ALBERT is not exported; its folder is Hugging Face's own format already"
        )
    if any(name.startswith("cls.seq_relationship.") for name in names):
        say("left out: the next-sentence head (cls.seq_relationship), which nothing here uses")
    if "bert.pooler" in new:
        if model.classifier is not None:
            raise UserError(
                f"{weights or folder} holds a classifier without the pooler that it reads (bert.pooler.*); take another checkpoint"
            )
        model.bert.pooler = None  # was drawn at random
    return Source(model.eval(), tokenizer, folder)


def with_eight_bits(source: Source, folder: Path) -> Source:
    """The source with the 8-bit model in `folder` beside it. Raises UserError where that is none, or one of another classifier."""
    copy = open_source(folder)
    if not is_quantized(copy.model):
        raise UserError(
            f"{folder} is not an 8-bit model; make one with python -m tinybert_lite.quantize"
        )
    if is_quantized(source.model):
        raise UserError(
            f"{source.folder} is an 8-bit model already, and {folder} another; name the model in floating point with --model"
        )
    check_servable(source)
    check_servable(copy)
    if (
        copy.model.config.id2label != source.model.config.id2label
        or copy.tokenizer.get_vocab() != source.tokenizer.get_vocab()
    ):
        raise UserError(
            f"{folder} has other labels or another vocabulary than {source.folder}; make it of this model with python -m tinybert_lite.quantize"
        )
    made_of = (read_manifest(folder) or {}).get("inputs", {}).get("student", {}).get("sha256")
    if made_of and made_of != fingerprint(source.folder):
        remark(
            f"warning: {folder} was not made of {source.folder} as it is now; python -m tinybert_lite.quantize makes it anew"
        )
    return replace(source, eight_bits=copy.model)


def _why_no_weights(folder: Path) -> str:
    if newest := latest_epoch(folder):
        return f"{folder} holds weights of single epochs alone: name one with --epoch_file, the newest is {newest.name}"
    if (folder / SHARDS).is_file():
        return (
            f"{folder / SHARDS}: the weights are in several files; save them in one, with transformers' "
            f"from_pretrained({str(folder)!r}) and save_pretrained(…, max_shard_size='100GB')"
        )
    return f"{folder} holds no weights: a model folder needs model.safetensors or pytorch_model.bin beside its config.json"


def check_servable(source: Source) -> None:
    """Raises UserError for a model that has no answers or cannot read."""
    if source.model.classifier is None:
        raise UserError(
            f"{source.folder} holds no classifier, so it has no answers to serve; export a model that went through stage 5"
        )
    if source.tokenizer is None:
        raise UserError(
            f"{source.folder} has no vocabulary, and a serving folder reads texts: put the model's vocab.txt there"
        )
