"""What is exported: a model with every part that its folder holds, and its tokenizer."""

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
    """A model to export; `tokenizer` is None where its folder has no vocabulary."""

    model: Bert
    tokenizer: object | None
    folder: ModelFolder
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


def open_source(place: ModelFolder | Path, weights: Path | None = None) -> Source:
    """Open a folder, with other weights than its own where they are given.

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
            f"{folder.config_file}: an ALBERT is not exported; its folder is Hugging Face's own "
            f"format already"
        )
    if any(name.startswith("cls.seq_relationship.") for name in folder.weight_names):
        say("left out: the next-sentence head (cls.seq_relationship), which nothing here uses")
    if "bert.pooler" in new:
        if model.classifier is not None:
            raise UserError(
                f"{weights or folder} holds a classifier without the pooler that it reads "
                f"(bert.pooler.*); take another checkpoint"
            )
        model.bert.pooler = None  # its weights were random
    return Source(model.eval(), tokenizer, folder)


def with_eight_bits(source: Source, folder: ModelFolder | Path) -> Source:
    """The source with the 8-bit model in `folder` beside it.

    Raises UserError where that is not in 8 bits, or has another vocabulary or other labels.
    """
    copy = open_source(folder)
    if not is_quantized(copy.model):
        raise UserError(
            f"{folder} is not an 8-bit model; make one with python -m tinybert_lite.quantize"
        )
    if is_quantized(source.model):
        raise UserError(
            f"{source.folder} is an 8-bit model already, and {folder} another; name the model in "
            f"floating point with --model"
        )
    check_servable(source)
    check_servable(copy)
    if (
        copy.model.config.id2label != source.model.config.id2label
        or copy.tokenizer.get_vocab() != source.tokenizer.get_vocab()
    ):
        raise UserError(
            f"{folder} has other labels or another vocabulary than {source.folder}; make it of "
            f"this model with python -m tinybert_lite.quantize"
        )
    made_of = (read_manifest(copy.folder.path) or {}).get("inputs", {}).get("student", {})
    if made_of and made_of["sha256"] != fingerprint(source.folder):
        remark(
            f"warning: {folder} was not made of {source.folder} as it is now; "
            f"python -m tinybert_lite.quantize makes it anew"
        )
    return replace(source, eight_bits=copy.model)


def check_servable(source: Source) -> None:
    """Raises UserError for a model without a classifier or without a vocabulary."""
    if source.model.classifier is None:
        raise UserError(
            f"{source.folder} holds no classifier, so it has no answers to serve; export a model "
            f"that went through stage 5"
        )
    if source.tokenizer is None:
        raise UserError(
            f"{source.folder} has no vocabulary, and a serving folder reads texts: put the model's "
            f"vocab.txt there"
        )


def _why_no_weights(folder: Path) -> str:
    if newest := latest_epoch(folder):
        return (
            f"{folder} holds weights of single epochs alone: name one with --epoch_file, the "
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
