"""Load a model folder: the model, its heads and its tokenizer, checked against each other."""

from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import transformers
from transformers import PreTrainedConfig

from tinybert_lite.method.auto_models import new_auto
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import is_quantized, quantize
from tinybert_lite.models.families import VOCABULARY_FIELDS
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.labels import OutputLabels
from tinybert_lite.models.load_tensors import (
    CLASSIFIER_PART,
    ENCODER_PART,
    MASKED_LM_PART,
    is_package_tensor,
    load_package_tensors,
    load_tensors,
)
from tinybert_lite.models.parameter_names import names_of_family
from tinybert_lite.models.tokenizers import check_pieces, tokenizer_difference
from tinybert_lite.models.weights import projection_in
from tinybert_lite.system.console import remark_once, say
from tinybert_lite.system.errors import UserError, one_line

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
    like: PreTrainedConfig | None = None,
    classifier_head: str | None = None,
) -> tuple[Encoder, list[str]]:
    """Load a model folder; return the model and the names of its new parts (random weights).

    weights: a file to use instead of the folder's own. from_scratch: use the configuration alone.
    num_labels: None loads the classifier if it is stored, 0 leaves it out, K loads or adds one of
    K classes. masked_lm: load or add the masked-LM head, instead of a classifier. projection: None
    loads the projection if it is stored, "none" leaves it out; "original" and "per_layer" load or
    add one to `teacher_width`. like: for a model without weights, the configuration from which
    vocab_size and the special tokens' ids are taken (the teacher's). classifier_head: "huggingface"
    or "relu" (the setting's "original") for a new classifier; a stored one keeps its own. Raises
    UserError if weights and configuration do not belong together.
    """
    folder = ModelFolder(folder, weights) if weights else ModelFolder.at(folder)
    config = deepcopy(folder.config)
    weights = None if from_scratch else folder.weights_file
    state = folder.read_state() if weights else {}
    names = names_of_family(config.model_type)
    stored = state.get(names.classifier_weight)
    if like and not state:
        for name in VOCABULARY_FIELDS:
            setattr(config, name, getattr(like, name, None))
    if from_scratch and hasattr(config, "bits"):  # the scales of 8 bits are measured on data
        del config.bits
    _choose_head(config, state, stored is not None, classifier_head)
    if masked_lm:
        num_labels = 0
    elif num_labels is None:
        num_labels = 0 if stored is None else len(stored)
    if projection is None and (projection := projection_in(state)):
        first = "fit_dense" if projection == "original" else "fit_denses.0"
        teacher_width = len(state[f"{first}.weight"])
    projection = None if projection == "none" else projection
    if config.model_type == "albert" and (projection or from_scratch):
        raise UserError(
            f"{folder.config_file}: an ALBERT can be a teacher but not a student; use a BERT "
            f"(model_type 'bert') as the student"
        )
    ours = {name: state.pop(name) for name in [*state] if is_package_tensor(name)}
    transformers.logging.set_verbosity_error()  # errors are reported here in one sentence
    transformers.logging.disable_progress_bar()
    try:
        if weights:
            auto, missing = load_tensors(config, num_labels, masked_lm, state, folder)
        else:
            auto = new_auto(config, num_labels, masked_lm)
            missing = (
                [ENCODER_PART] + [CLASSIFIER_PART] * bool(num_labels) + [MASKED_LM_PART] * masked_lm
            )
        model = Encoder(config, projection=projection, teacher_width=teacher_width, auto=auto)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder.config_file} describes a model that cannot be built here "
            f"({one_line(error)}); fix it"
        ) from None
    if is_quantized(model):
        quantize(model)
    return model, missing + load_package_tensors(model, ours, folder)


def _choose_head(config, state: dict, stored: bool, wanted: str | None) -> None:
    """Record in a BERT's configuration which head its classifier has, or will get."""
    if config.model_type != "bert":
        return
    if not hasattr(config, "classifier_head"):
        original = stored and any(name.startswith("fit_dense") for name in state)
        config.classifier_head = "relu" if original else wanted or "huggingface"
    elif wanted and not stored:
        config.classifier_head = wanted


@dataclass(frozen=True)
class LoadedModel:
    """A model and its tokenizer, as loaded from one folder."""

    model: Encoder
    tokenizer: object
    folder: ModelFolder
    new_parts: list[str]  # with random weights, since the folder's weights do not hold them


def load_with_tokenizer(folder: Place, lower_case: bool | None = None, **parts) -> LoadedModel:
    """Load the model and the tokenizer of a folder. parts: see `load_model`.

    Raises UserError if a masked-LM head is wanted and the weights hold none, or if weights,
    configuration and vocabulary do not belong together.
    """
    folder = ModelFolder.at(folder)
    model, new_parts = load_model(folder, **parts)
    tokenizer = folder.tokenizer(lower_case)
    tokenizer.model_max_length = min(tokenizer.model_max_length, model.max_tokens)
    check_pieces(tokenizer, model.config.vocab_size, folder.need_tokenizer(), folder.config_file)
    if MASKED_LM_PART in new_parts and folder.weights_file:
        raise UserError(
            f"{folder.weights_file} holds no masked-LM head; name a model that has one (in "
            f"run_all: --augmentation_model DIR)"
        )
    return LoadedModel(model, tokenizer, folder, new_parts)


def load_classifier(folder: Place, task, lower_case: bool | None = None) -> LoadedModel:
    """Load an encoder with a classifier whose outputs are in the order of a task's labels.

    task: a `data.tasks.Task`. If config.json has the labels in another order, the classifier's rows
    are reordered. If the folder has no classifier, a new one is added. Raises UserError for a
    classifier with several labels per row, and as `load_with_tokenizer`.
    """
    folder = ModelFolder.at(folder)
    if getattr(folder.config, "problem_type", None) == "multi_label_classification":
        raise UserError(
            f"{folder.config_file}: problem_type multi_label_classification gives a row several "
            f"labels, but {task.name} has one per row; use a single-label classifier"
        )
    loaded = load_with_tokenizer(folder, lower_case, num_labels=task.num_labels, projection="none")
    words = OutputLabels.of(loaded.model).words
    order = task.order_of(words)
    if not order and task.labels and CLASSIFIER_PART not in loaded.new_parts:
        pairs = ", ".join(f"{word} is {label}" for word, label in zip(words, task.labels))
        remark_once(
            f"{loaded.folder}: id2label does not name the labels of {task.name}, so the outputs "
            f"are taken in the order of these labels: {pairs}; if this is wrong, set id2label in "
            f"config.json"
        )
    if order and order != sorted(order) and CLASSIFIER_PART not in loaded.new_parts:
        say(
            f"{loaded.folder}: the outputs {', '.join(words)} are reordered to the order of the "
            f"labels of {task.name}"
        )
        for parameter in loaded.model.output_layer.parameters():
            parameter.data = parameter.data[order]
        loaded.model.config.id2label = dict(enumerate(task.labels))
    return loaded


def shares_layers(teacher: ModelFolder, student: ModelFolder) -> bool:
    """Whether a teacher's layers can be matched with a student's.

    Two models of one family are assumed to share a tokenizer (`check_same_tokenizer` refuses
    otherwise). A teacher of another family with a different tokenizer can teach the prediction
    layer only, since it reads the texts itself.
    """
    if not teacher.has_layers or teacher.family == student.family:
        return teacher.has_layers
    if not (teacher.tokenizer_place and student.tokenizer_place):
        return teacher.tokenizer_place is not None
    return not tokenizer_difference(teacher.tokenizer(), student.tokenizer())


def check_same_tokenizer(student: LoadedModel, teacher: LoadedModel) -> None:
    """Raise UserError if the tokenizers of student and teacher differ."""
    if difference := tokenizer_difference(student.tokenizer, teacher.tokenizer):
        raise UserError(
            f"{student.folder} and {teacher.folder} have different {difference}, so their tokens "
            f"cannot be matched; use a student that was made for this teacher"
        )
