"""A model in the files that others read: written beside, opened again and compared, and only then put in its place.

Each format is a function (Source, empty folder) that writes, and one that opens what was written and compares; `FORMATS` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from torch import Tensor

from tinybert_lite.exports import modeling_bert_relu_head as relu_head
from tinybert_lite.exports.folder import NOTE, digests, replacing
from tinybert_lite.exports.serving import compare, write_serving
from tinybert_lite.exports.source import Source
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.models.configuration import RELU_HEAD
from tinybert_lite.models.loading import SAFELY, load_model
from tinybert_lite.models.saving import HANDED_ON, model_bytes, save_config, save_safetensors
from tinybert_lite.models.tokenizers import save_tokenizer
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json

MOST_APART = 1e-5  # of the largest number compared, or absolutely below 1
THE_ORIGINALS_ACTIVATIONS = ("gelu", "relu", "swish")
Answers = dict[str, Tensor]


# The formats ---------------------------------------------------------------------------------------------------------


def write_huggingface(source: Source, folder: Path) -> None:
    """For transformers' AutoModelForSequenceClassification; without a classifier AutoModelForMaskedLM or AutoModel."""
    source.drop(
        "fit_dense", "fit_denses", *(("cls",) if source.model.classifier is not None else ())
    )
    _write_safetensors(source, folder)
    if source.has_relu_head:
        module = Path(relu_head.__file__)
        write_atomically(folder / module.name, module.read_bytes())
        _edit_config(
            folder,
            auto_map={
                kind: f"{module.stem}.{found.__name__}"
                for kind, found in (
                    ("AutoConfig", relu_head.BertReluHeadConfig),
                    (
                        "AutoModelForSequenceClassification",
                        relu_head.BertReluHeadForSequenceClassification,
                    ),
                )
            },
        )
        say(
            f"the original's head (pooler, ReLU, classifier) is none of Hugging Face's: {module.name} in the folder is its code, which "
            f"AutoModelForSequenceClassification runs with trust_remote_code=True; without it the folder is refused"
        )


def write_classifier(source: Source, folder: Path, half: bool = False) -> None:
    """The classifier and nothing else: what `predict` needs of PyTorch, and transformers' own classes where the head is theirs."""
    if source.model.classifier is None:
        raise UserError(
            f"{source.folder} holds no classifier, so it has no answers; export a model that went through stage 5, "
            f"or this one with --format huggingface"
        )
    source.drop("fit_dense", "fit_denses", "cls")
    if half:
        full = answers(source.model)["logits"]
        for parameter in source.model.parameters():
            parameter.data = parameter.data.half().float()
        say(
            f"half precision: on a random batch the logits moved by up to {_apart(answers(source.model)['logits'], full):.1g}"
        )
    _write_safetensors(source, folder, torch.half if half else torch.float32)
    if source.has_relu_head:
        say(
            "the original's head (pooler, ReLU, classifier): our own commands read it; transformers refuses this folder, for which --format huggingface is made"
        )


def write_original(source: Source, folder: Path) -> None:
    """The original project's three files; parts and names as they are in the model."""
    model, config = source.model, source.model.config
    if config.hidden_act not in THE_ORIGINALS_ACTIVATIONS:
        raise UserError(
            f"{source.folder / 'config.json'}: the original code has no hidden_act {config.hidden_act!r}, only "
            f"{', '.join(THE_ORIGINALS_ACTIVATIONS)}; export it with --format huggingface"
        )
    save_config(model, folder)
    write_atomically(
        folder / HANDED_ON, model_bytes(model, without="cls.predictions.decoder.bias")
    )  # a later name of cls.predictions.bias
    if source.tokenizer:
        save_tokenizer(source.tokenizer, folder)
    if model.classifier is not None and not source.has_relu_head:
        say(
            "the classifier's head is Hugging Face's: the original code puts a ReLU before it and so gives other logits; our own commands "
            "read classifier_head in config.json and give the same ones"
        )
    if config.layer_norm_eps != 1e-12:
        say(
            f"the original code has a layer_norm_eps of 1e-12, whatever config.json says, which is {config.layer_norm_eps:g}: its numbers will differ a little"
        )


def _write_safetensors(source: Source, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """config.json, model.safetensors, vocab.txt, tokenizer_config.json and tokenizer.json."""
    relu = source.has_relu_head
    save_config(source.model, folder)
    _edit_config(
        folder,
        tie_word_embeddings=True,
        **(
            {
                "model_type": RELU_HEAD,
                "architectures": [relu_head.BertReluHeadForSequenceClassification.__name__],
            }
            if relu
            else {}
        ),
    )
    save_safetensors(
        source.model,
        folder,
        dtype,
        (lambda name: name.replace("classifier.", "classifier.1.")) if relu else str,
    )
    if source.tokenizer:
        save_tokenizer(source.tokenizer, folder)
        source.tokenizer.save_pretrained(
            folder
        )  # its tokenizer_config.json says the case as well, and more


def _edit_config(folder: Path, **values) -> None:
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **values})


# What was written, read again ------------------------------------------------------------------------------------------


def probe(config, times: int = 1, longest: int = 16) -> dict[str, Tensor]:
    """Random rows of three lengths, padded, with two token types where there are two; (3 · times, L) each."""
    L = min(longest, config.max_position_embeddings)
    draw, lengths = (
        torch.Generator().manual_seed(0),
        torch.tensor([[L], [L // 2 + 1], [min(3, L)]]).repeat(times, 1),
    )
    places = torch.arange(L).expand(3 * times, L)
    return {
        "input_ids": torch.randint(config.vocab_size, (3 * times, L), generator=draw),
        "attention_mask": (places < lengths).long(),
        "token_type_ids": (places * 2 >= lengths).long() * min(1, config.type_vocab_size - 1),
    }


@torch.inference_mode()
def answers(model: Bert) -> Answers:
    """What our model says of the probe: hidden states at real places, and what its heads make of them."""
    batch = probe(model.config)
    real = batch["attention_mask"].bool()
    found = model.eval()(
        batch,
        logits=model.classifier is not None,
        masked_lm=real if model.cls is not None else None,
    )
    said = {
        "logits": found.logits,
        "masked-LM logits": found.masked_lm,
        "hidden states": found.hidden[-1][real],
        "projections": torch.cat([states[real] for states in found.projected])
        if found.projected
        else None,
    }
    return {name: tensor for name, tensor in said.items() if tensor is not None}


def by_our_reader(source: Source, folder: Path) -> Answers:
    return answers(load_model(folder, masked_lm=source.model.cls is not None)[0])


@torch.inference_mode()
def by_transformers(source: Source, folder: Path) -> Answers:
    """What transformers' classes say of the probe. Code in the folder is not run: it is a copy of a file here."""
    model, batch = source.model, probe(source.model.config)
    kind, what = (
        (transformers.AutoModelForSequenceClassification, "logits")
        if model.classifier is not None
        else (transformers.AutoModelForMaskedLM, "masked-LM logits")
        if model.cls is not None
        else (transformers.AutoModel, "hidden states")
    )
    kind = relu_head.BertReluHeadForSequenceClassification if source.has_relu_head else kind
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    stock, report = kind.from_pretrained(
        folder,
        dtype=torch.float32,
        output_loading_info=True,
        **({} if source.has_relu_head else SAFELY),
    )
    odd = sorted(
        name
        for name in (*report["missing_keys"], *report["unexpected_keys"])
        if what == "logits" or ".pooler." not in f".{name}"
    )
    if odd:  # a pooler stands in AutoModel alone, and in a file that has one
        raise UserError(
            f"transformers finds {odd[0]} of what was written missing or unexpected ({len(odd)} tensors in all); please report this"
        )
    found = stock.eval()(**batch)
    if what == "logits":
        return {what: found.logits}
    return {
        what: (found.logits if what == "masked-LM logits" else found.last_hidden_state)[
            batch["attention_mask"].bool()
        ]
    }


def both(source: Source, folder: Path) -> Answers:
    return by_our_reader(source, folder) | by_transformers(source, folder)


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def same_answers(read: Callable[[Source, Path], Answers]) -> Callable[[Source, Path], str]:
    """A check of what was written: `read` opens it. Says what is the model's; raises UserError where something is not."""

    def check(source: Source, folder: Path) -> str:
        expected, found = answers(source.model), read(source, folder)
        for name, tensor in found.items():
            if not _apart(tensor, expected[name]) <= MOST_APART * max(
                1.0, float(expected[name].abs().max())
            ):  # NaN is apart too
                raise UserError(
                    f"its {name} are {_apart(tensor, expected[name]):.1g} away from the model's; please report this with the model's config.json"
                )
        return f"its {', '.join(found)} are the model's"

    return check


@dataclass(frozen=True)
class Format:
    write: Callable
    check: Callable[[Source, Path], str]


FORMATS = {
    "huggingface": Format(write_huggingface, same_answers(both)),
    "original": Format(write_original, same_answers(by_our_reader)),
    "classifier": Format(write_classifier, same_answers(by_our_reader)),
    "serving": Format(
        write_serving,
        lambda source, folder: compare(source, folder, probe(source.model.config, 21, 32)),
    ),
}


def export(source: Source, format: str, target: Path, **options) -> None:
    """Write `target`. Raises UserError, and leaves nothing, where files of others are in the way or what was written answers otherwise."""
    if target.resolve() == source.folder.resolve():
        raise UserError(
            f"{target} is both the model to read and the folder to write: name another --output_dir"
        )
    if is_quantized(source.model) and format != "serving":
        raise UserError(
            f"{source.folder} is an 8-bit model, and --format {format} has no place for its ranges; --format serving is made for it"
        )
    with replacing(target) as folder:
        FORMATS[format].write(source, folder, **options)
        try:
            said = FORMATS[format].check(source, folder)
        except UserError as error:
            raise UserError(f"{target} was not written: read again, {error}") from None
        _edit_config(folder, **{NOTE: {"format": format, "files": digests(folder)}})
    say(
        f"{format}: {target}, {sum(path.stat().st_size for path in target.iterdir()) / 1e6:.1f} MB; read again, {said}"
    )
