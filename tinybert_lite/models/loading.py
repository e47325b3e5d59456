"""Load a model folder: the model, its heads and its tokenizer, checked against each other."""

from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch

from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.quantization import is_quantized, quantize
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.labels import OutputLabels
from tinybert_lite.models.tokenizers import check_vocabulary, load_tokenizer
from tinybert_lite.models.weights import TIED, projection_in, read_weights
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError

SAFELY = {"local_files_only": True, "trust_remote_code": False}  # for transformers' from_pretrained
Place = ModelFolder | PathLike | str


def load_model(
    folder: Place,
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
    """Load a model folder; return the model and the names of its new parts (random weights).

    weights: a file to use instead of the folder's own. from_scratch: use the configuration alone.
    num_labels: None loads the classifier if it is stored, 0 leaves it out, K loads or adds one of
    K classes. masked_lm: load or add the masked-LM head. projection: None loads the projection if
    it is stored, "none" leaves it out; "original" and "per_layer" load or add one to
    `teacher_width`. vocab_size: for a model without weights. classifier_head: "huggingface" or
    "relu" for a new classifier; a stored one keeps its own. Raises UserError if weights and
    configuration do not belong together.
    """
    folder = ModelFolder(folder, weights) if weights else ModelFolder.at(folder)
    config = deepcopy(folder.config)
    weights = None if from_scratch else folder.weights_file
    state = read_weights(weights) if weights else {}
    stored = state.get("classifier.weight")
    if vocab_size and not state:
        config.vocab_size = vocab_size
    if from_scratch and hasattr(config, "bits"):  # the scales of 8 bits are measured on data
        del config.bits
    if not hasattr(config, "classifier_head"):
        original = stored is not None and any(name.startswith("fit_dense") for name in state)
        config.classifier_head = "relu" if original else classifier_head or "huggingface"
    elif classifier_head and stored is None:
        config.classifier_head = classifier_head
    if num_labels is None:
        num_labels = 0 if stored is None else len(stored)
    if projection is None and (projection := projection_in(state)):
        first = "fit_dense" if projection == "original" else "fit_denses.0"
        teacher_width = len(state[f"{first}.weight"])
    projection = None if projection == "none" else projection
    kind = Bert
    if config.model_type == "albert":
        if projection or from_scratch:
            raise UserError(
                f"{folder.config_file}: an ALBERT can be a teacher but not a student; use a BERT "
                f"(model_type 'bert') as the student"
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
        raise UserError(
            f"{folder.config_file} describes a model that cannot be built here "
            f"({' '.join(str(error).split())[:150]}); fix it"
        ) from None
    if is_quantized(model):
        quantize(model)
    return model, _fill(model, state, weights, folder.config_file)


def _fill(model: Bert, state: dict, weights: Path | None, config: Path) -> list[str]:
    """Copy `state` into the model; return the names of heads that `state` does not hold.

    Raises UserError for another shape, an unknown tensor, an incomplete encoder or half a head.
    """
    own = model.state_dict()
    found = own.keys() & state.keys()
    for name in state:
        if name in found and state[name].shape != own[name].shape:
            raise UserError(
                f"{weights}: {name} has shape {tuple(state[name].shape)}, but {config} and the "
                f"task need {tuple(own[name].shape)}; use the files of one model"
            )
    missing, foreign = model.load_state_dict(state, strict=False)
    for name in foreign:
        if name.startswith(("bert.encoder.", "bert.embeddings.")) and not name.endswith("_ids"):
            raise UserError(
                f"{weights} holds {name}, which is not a parameter of the model in {config}; use "
                f"the files of one model"
            )
    for name, other in TIED.items():
        if {name, other} <= found and not torch.equal(state[name], state[other]):
            raise UserError(
                f"{weights}: {name} differs from {other}, but a masked-LM head is supported only "
                f"with tied embeddings; use a BERT that ties them"
            )
    missing = [name for name in missing if name not in TIED]
    lost = [name for name in missing if name.startswith("bert.") and ".pooler." not in name]
    if weights and lost:
        raise UserError(
            f"{weights} lacks {lost[0]} ({len(lost)} tensors in all) that {config} requires; use "
            f"the files of one model"
        )
    parts = ["bert.pooler" if ".pooler." in name else name.split(".")[0] for name in missing]
    for part in parts:
        if part != "bert" and any(name.startswith(f"{part}.") for name in found):
            raise UserError(
                f"{weights} holds only a part of {part}.*, so it is damaged; use another checkpoint"
            )
    return list(dict.fromkeys(parts))


@dataclass(frozen=True)
class LoadedBert:
    model: Bert
    tokenizer: object
    folder: ModelFolder
    new_parts: list[str]  # with random weights, since the folder's weights do not hold them


def load_bert(folder: Place, lower_case: bool | None = None, **parts) -> LoadedBert:
    """Load the model and the tokenizer of a folder. parts: see `load_model`.

    Raises UserError if a masked-LM head is wanted and the weights hold none, or if weights,
    configuration and vocabulary do not belong together.
    """
    folder = ModelFolder.at(folder)
    model, new_parts = load_model(folder, **parts)
    vocabulary = folder.need_vocabulary()
    tokenizer = load_tokenizer(vocabulary, lower_case)
    tokenizer.model_max_length = model.config.max_position_embeddings
    check_vocabulary(tokenizer, model.config.vocab_size, vocabulary, folder.config_file)
    if "cls" in new_parts and folder.weights_file:
        raise UserError(
            f"{folder.weights_file} holds no masked-LM head (cls.predictions.*): stage 1 needs the "
            f"pre-trained BERT, not a fine-tuned or stripped one"
        )
    return LoadedBert(model, tokenizer, folder, new_parts)


def load_classifier(folder: Place, task, lower_case: bool | None = None) -> LoadedBert:
    """Load a BERT with a classifier whose outputs are in the order of a task's labels.

    task: a `data.tasks.Task`. If config.json has the labels in another order, the classifier's rows
    are reordered. If the folder has no classifier, a new one is added.
    """
    bert = load_bert(folder, lower_case, num_labels=task.num_labels, projection="none")
    words = OutputLabels.of(bert.model).words
    order = task.order_of(words)
    if order and order != sorted(order) and "classifier" not in bert.new_parts:
        say(
            f"{bert.folder}: its labels {', '.join(words)} are reordered to the order of "
            f"{task.name}"
        )
        for parameter in bert.model.classifier.parameters():
            parameter.data = parameter.data[order]
        bert.model.config.id2label = dict(enumerate(task.labels))
    return bert


def check_same_vocabulary(student: LoadedBert, teacher: LoadedBert) -> None:
    """Raise UserError if student and teacher number their word pieces differently."""
    if student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        raise UserError(
            f"{student.folder.need_vocabulary()} and {teacher.folder.need_vocabulary()} are "
            f"different vocabularies: student and teacher must read the same word pieces; use a "
            f"student made for this teacher"
        )
