"""A BERT with its vocabulary: from a local folder, or by its name on the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import is_quantized, quantize
from tinybert_lite.models.configuration import config_file, read_config
from tinybert_lite.models.folder import PRE_DATA, is_bert, vocabulary_beside
from tinybert_lite.models.tokenizers import check_vocabulary, load_tokenizer
from tinybert_lite.models.weights import TIED, read_weights, weights_file
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import read_json


def load_model(
    folder: Path,
    *,
    weights: Path | None = None,
    from_scratch: bool = False,
    num_labels: int | None = None,
    masked_lm: bool = False,
    projection: str | None = None,
    teacher_width: int = 0,
    vocab_size: int = 0,
    classifier_head: str | None = None,
) -> tuple[Bert, list[str]]:
    """Load a model folder; returns the model and the names of its parts that are new (drawn at random).

    from_scratch takes the configuration alone. num_labels: None takes the file's classifier if it has one, 0 none, K wants
    one of K classes. projection: None takes the file's, if any, "none" none; "shared" or "per_layer" wants such, of
    `teacher_width`. vocab_size is for a model without weights. classifier_head: for a new one; a stored one keeps its own.
    Raises UserError where weights and config do not belong together.
    """
    config = read_config(folder)
    weights = None if from_scratch else weights or weights_file(folder)
    state = read_weights(weights) if weights else {}
    if vocab_size and not state:
        config.vocab_size = vocab_size
    if from_scratch and hasattr(config, "bits"):  # nothing is rounded that has seen nothing
        del config.bits
    if not hasattr(config, "classifier_head"):
        original = "classifier.weight" in state and any(
            name.startswith("fit_dense") for name in state
        )
        config.classifier_head = "relu" if original else classifier_head or "huggingface"
    elif classifier_head and "classifier.weight" not in state:
        config.classifier_head = classifier_head
    if num_labels is None:
        num_labels = len(state["classifier.weight"]) if "classifier.weight" in state else 0
    if projection is None:
        projection = _stored_projection(state)
        teacher_width = next(
            (len(t) for n, t in state.items() if n.startswith("fit_dense") and n.endswith(".bias")),
            0,
        )
    projection = None if projection == "none" else projection
    kind = Bert
    if config.model_type == "albert":
        if projection or from_scratch:
            raise UserError(
                f"{folder / 'config.json'}: an ALBERT can teach, and the student has to be a BERT (model_type 'bert'); use such a one"
            )
        from tinybert_lite.method.albert import Albert as kind
    try:
        model = kind(
            config,
            num_labels=num_labels,
            masked_lm=masked_lm,
            projection=projection,
            teacher_width=teacher_width,
        )
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"{config_file(folder)} describes a model that cannot be built here ({reason}); mend it"
        ) from None
    if is_quantized(model):
        quantize(model)
    return model, _fill(model, state, weights, folder)


def _stored_projection(state: dict) -> str | None:
    if "fit_dense.weight" in state:
        return "shared"
    return "per_layer" if "fit_denses.0.weight" in state else None


def _fill(model: Bert, state: dict, weights: Path | None, folder: Path) -> list[str]:
    """Copy `state` into the model. Heads may be new as a whole; the encoder must be complete and fit."""
    own = model.state_dict()
    found = {name: tensor for name, tensor in state.items() if name in own}
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"{weights}: {name} has shape {tuple(tensor.shape)}, but {config_file(folder)} and the task "
                f"need {tuple(own[name].shape)}; use the files of one model"
            )
    foreign = [
        name
        for name in state
        if name not in own
        and name.startswith(("bert.encoder.", "bert.embeddings."))
        and not name.endswith(("position_ids", "token_type_ids"))
    ]
    if foreign:
        raise UserError(
            f"{weights} holds {foreign[0]}, which {config_file(folder)} has no place for; use the files of one model"
        )
    untied = next(
        (
            name
            for name, other in TIED.items()
            if name in found and other in found and not torch.equal(found[name], found[other])
        ),
        None,
    )
    if untied:
        raise UserError(
            f"{weights}: {untied} is not {TIED[untied]}, and a masked-LM head apart from its embeddings is not supported; use a BERT that ties them"
        )
    missing = [name for name in own if name not in found and name not in TIED]
    lost = [
        name for name in missing if name.startswith("bert.") and not name.startswith("bert.pooler.")
    ]
    if weights and lost:
        raise UserError(
            f"{weights} lacks {lost[0]} ({len(lost)} tensors in all) that {config_file(folder)} asks for; "
            f"use the files of one model"
        )
    parts = dict.fromkeys(
        "bert.pooler" if name.startswith("bert.pooler") else name.split(".")[0] for name in missing
    )
    for part in parts:
        if part != "bert" and any(name.startswith(part + ".") for name in found):
            raise UserError(
                f"{weights} holds only a part of {part}.*; it is damaged, take another checkpoint"
            )
    model.load_state_dict(found, strict=False)
    return list(parts)


@dataclass(frozen=True)
class LoadedBert:
    model: Bert
    tokenizer: object
    folder: Path
    new_parts: list[str]  # drawn at random, since the folder's weights do not hold them


def vocabulary_of(folder: Path) -> Path:
    """The vocabulary of a model folder. Raises UserError where there is none."""
    found = vocabulary_beside(folder)
    if not is_bert(folder) and read_json(config_file(folder))["model_type"] == "albert":
        raise UserError(
            f"{folder} has no vocab.txt: an ALBERT with a sentencepiece vocabulary teaches stage 5 alone (--task_teacher), since a student "
            f"has to read the word pieces of a teacher whose layers it learns"
        )
    if found is None:
        raise UserError(
            f"{folder / 'vocab.txt'} is missing: put the model's vocabulary there (or into {PRE_DATA}/)"
        )
    return found


def load_bert(folder: Path, lower_case: bool | None = None, **parts) -> LoadedBert:
    """Model and tokenizer of a folder, checked against each other. `parts`: see `load_model`.

    Raises UserError where a masked-LM head is wanted and the weights hold none, or where weights, config and vocabulary
    do not belong together.
    """
    model, new_parts = load_model(folder, **parts)
    vocabulary = vocabulary_of(folder)
    tokenizer = load_tokenizer(vocabulary, lower_case)
    tokenizer.model_max_length = model.config.max_position_embeddings
    check_vocabulary(tokenizer, model.config.vocab_size, vocabulary, config_file(folder))
    if "cls" in new_parts and weights_file(folder):
        raise UserError(
            f"{weights_file(folder)} holds no masked-LM head (cls.predictions.*): stage 1 needs the pre-trained BERT, "
            f"not a fine-tuned or stripped one"
        )
    return LoadedBert(model, tokenizer, folder, new_parts)


def in_the_tasks_order(bert: LoadedBert, task) -> LoadedBert:
    """Turn a classifier's outputs into the order of the task's labels, where its config.json has these in another one."""
    order = task.order_of(
        [str(bert.model.config.id2label[number]) for number in sorted(bert.model.config.id2label)]
    )
    if order and order != sorted(order) and "classifier" not in bert.new_parts:
        say(
            f"{bert.folder}: its labels are {', '.join(bert.model.config.id2label.values())}, and are turned into the order of {task.name}"
        )
        for parameter in bert.model.classifier.parameters():
            parameter.data = parameter.data[order]
        bert.model.config.id2label = dict(enumerate(task.labels))
    return bert


def check_same_vocabulary(student: LoadedBert, teacher: LoadedBert) -> None:
    """Raise UserError where student and teacher number their word pieces differently."""
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise UserError(
            f"{vocabulary_of(student.folder)} and {vocabulary_of(teacher.folder)} are different vocabularies: "
            f"student and teacher must read the same word pieces; use a student made for this teacher"
        )


SAFELY = {"local_files_only": True, "trust_remote_code": False}
