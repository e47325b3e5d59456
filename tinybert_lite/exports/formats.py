"""The export formats. An export is written to a temporary folder, read back and compared with the
model; only then it replaces the target.

`FORMATS` maps a format's name to the function (Source, empty folder) that writes it.
"""

from pathlib import Path

import torch

from tinybert_lite.exports import modeling_bert_relu_head as relu_head
from tinybert_lite.exports.folder import NOTE, digests, replacing
from tinybert_lite.exports.read_back import answers, apart, probe, same_answers
from tinybert_lite.exports.serving import check_served, write_serving
from tinybert_lite.exports.source import Source
from tinybert_lite.method.quantization import is_quantized
from tinybert_lite.models.configuration import RELU_HEAD
from tinybert_lite.models.saving import HANDED_ON, model_bytes, save_config, save_safetensors
from tinybert_lite.models.tokenizers import save_tokenizer
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json, write_atomically, write_json

THE_ORIGINALS_ACTIVATIONS = ("gelu", "relu", "swish")


def write_huggingface(source: Source, folder: Path) -> None:
    """Write a folder for transformers: AutoModelForSequenceClassification, …MaskedLM, AutoModel."""
    source.drop("fit_dense", "fit_denses")
    _write_safetensors(source, folder)
    if source.has_relu_head:
        module = Path(relu_head.__file__)
        write_atomically(folder / module.name, module.read_bytes())
        code = {
            "AutoConfig": relu_head.BertReluHeadConfig,
            "AutoModelForSequenceClassification": relu_head.BertReluHeadForSequenceClassification,
        }
        found = {kind: f"{module.stem}.{found.__name__}" for kind, found in code.items()}
        _edit_config(folder, auto_map=found)
        say(
            f"transformers has no class for the original's head (pooler, ReLU, Linear), so the "
            f"folder holds its code, {module.name}, and AutoModelForSequenceClassification needs "
            f"trust_remote_code=True to run it"
        )


def write_classifier(source: Source, folder: Path, half: bool = False) -> None:
    """Write the classifier alone, for `predict`; with Hugging Face's head also for transformers.

    half: write float16. Raises UserError for a model without a classifier.
    """
    model = source.model
    if model.output_layer is None:
        raise UserError(
            f"{source.folder} holds no classifier, which --format classifier needs; export a model "
            f"of stage 5, or use --format huggingface"
        )
    source.drop("fit_dense", "fit_denses")
    if half:
        full = answers(model)["logits"]
        for parameter in model.parameters():
            parameter.data = parameter.data.half().float()
        moved = apart(answers(model)["logits"], full)
        say(f"half precision changes the logits of a random batch by up to {moved:.1g}")
    _write_safetensors(source, folder, torch.half if half else torch.float32)
    if source.has_relu_head:
        say(
            "the classifier has the original's head (pooler, ReLU, Linear), so only this package "
            "opens the folder; use --format huggingface for transformers"
        )


def write_original(source: Source, folder: Path) -> None:
    """Write the original project's three files, with all parameters under the original's names.

    Raises UserError for another family than bert, and for an activation that the original lacks.
    """
    model, config = source.model, source.model.config
    if config.model_type != "bert":
        raise UserError(
            f"{source.folder.config_file}: --format original writes the family bert only, not "
            f"{config.model_type}; use --format huggingface"
        )
    if config.hidden_act not in THE_ORIGINALS_ACTIVATIONS:
        raise UserError(
            f"{source.folder.config_file}: the original code has no hidden_act "
            f"{config.hidden_act!r}, only {', '.join(THE_ORIGINALS_ACTIVATIONS)}; use --format "
            f"huggingface"
        )
    save_config(model, folder)
    # The original code knows this tensor only as cls.predictions.bias.
    rest = source.others("cls.predictions.", ".pooler.")
    content = model_bytes(model, rest, without="cls.predictions.decoder.bias")
    write_atomically(folder / HANDED_ON, content)
    if source.tokenizer:
        save_tokenizer(source.tokenizer, folder)
    if model.output_layer is not None and not source.has_relu_head:
        say(
            "the classifier has Hugging Face's head, while the original code applies a ReLU before "
            "the classifier, so there the logits differ; the commands of this package read "
            "classifier_head in config.json and compute the same logits"
        )
    if config.layer_norm_eps != 1e-12:
        say(
            f"the original code always uses a layer_norm_eps of 1e-12, but config.json has "
            f"{config.layer_norm_eps:g}, so there the logits differ slightly"
        )


def _write_safetensors(source: Source, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write config.json, model.safetensors and the tokenizer's files."""
    save_config(source.model, folder)
    changes, name_of = {}, str
    if source.has_relu_head:
        name = relu_head.BertReluHeadForSequenceClassification.__name__
        changes |= {"model_type": RELU_HEAD, "architectures": [name]}

        def name_of(name: str) -> str:
            return name.replace("classifier.", "classifier.1.")

    _edit_config(folder, **changes)
    pooler = {} if source.model.output_layer is not None else source.others(".pooler.")
    save_safetensors(source.model, folder, dtype, name_of, pooler)
    if source.tokenizer:
        save_tokenizer(source.tokenizer, folder)


def _edit_config(folder: Path, **values) -> None:
    path = folder / "config.json"
    write_json(path, {**read_json(path), **values})


FORMATS = {
    "huggingface": write_huggingface,
    "original": write_original,
    "classifier": write_classifier,
    "serving": write_serving,
}


def export(source: Source, format: str, target: Path, **options) -> None:
    """Write the folder `target` in a format, a key of FORMATS; options: of the format's function.

    Raises UserError, and leaves `target` unchanged, if it holds other files than an export, if the
    model does not fit the format, or if the written files give other outputs than the model.
    """
    if target.resolve() == source.folder.path.resolve():
        raise UserError(
            f"{target} is both the model to read and the folder to write: name another --output_dir"
        )
    if is_quantized(source.model) and format != "serving":
        raise UserError(
            f"{source.folder} is an 8-bit model, whose input ranges --format {format} cannot "
            f"store; use --format serving"
        )
    with replacing(target) as folder:
        FORMATS[format](source, folder, **options)
        try:
            if format == "serving":
                said = check_served(source, folder, probe(source.model.config, 21, 32))
            else:
                said = same_answers(source, folder, transformers_too=format == "huggingface")
        except UserError as error:
            raise UserError(f"{target} was not written: in the test export, {error}") from None
        _edit_config(folder, **{NOTE: {"format": format, "files": digests(folder)}})
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    say(f"{format}: {target}, {size:.1f} MB; read back: {said}")
