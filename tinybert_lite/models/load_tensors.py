"""Load stored tensors into a model with transformers, and check its report on the loading.

A tensor that is ignored, or a part that is left with random weights, would give wrong predictions
later. So each is refused here, or returned in the list of new parts.
"""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from tinybert_lite.method.auto_models import auto_class, with_our_attention
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.quantization import RANGE
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.system.console import counted
from tinybert_lite.system.errors import UserError

# Parts of a new model, which get random weights; a weights file may lack all but the encoder
ENCODER_PART, CLASSIFIER_PART = "encoder", "classifier"
MASKED_LM_PART, POOLER_PART = "masked-LM head", "pooler"
ONE_MODEL = "use the files of one model"
State = dict[str, torch.Tensor]


def load_tensors(
    config: PreTrainedConfig, num_labels: int, masked_lm: bool, state: State, folder: ModelFolder
) -> tuple[PreTrainedModel, list[str]]:
    """Make a model with these tensors; return it and its new parts, which have random weights.

    state: tensors under the family's names · folder: where they are from, for the messages. Raises
    UserError for a tensor of another shape, an unknown tensor, an incomplete encoder or head.
    """
    names, weights = folder.parameter_names, folder.weights_file
    if adapted := [name for name in state if ".lora_" in name or ".base_layer." in name]:
        raise UserError(
            f"{weights} holds an adapter that is not merged ({min(adapted)}); call "
            f"merge_and_unload() on the model and save it again"
        )
    if num_labels:
        config.num_labels = num_labels
    model_class = auto_class(num_labels, masked_lm)._model_mapping[type(config)]
    auto, report = model_class.from_pretrained(
        None,
        config=config,
        state_dict=dict(state),
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    missing = set(report["missing_keys"])
    unexpected = set(report["unexpected_keys"]) - names.of_all_heads
    if not masked_lm and not num_labels:  # AutoModel has the names without the prefix
        missing = {f"{names.prefix}{name}" for name in missing}
    _check_shapes(report["mismatched_keys"], state, folder)
    _check_encoder(missing, unexpected, state, folder)
    if masked_lm:
        _check_tied(auto, state, folder)
    new_parts, missing_in_head = [], missing - names.of_encoder(missing)
    if missing_in_head:
        part, tensors_of_part = (
            (MASKED_LM_PART, names.masked_lm) if masked_lm else (CLASSIFIER_PART, names.classifier)
        )
        if tensors_of_part & state.keys():
            raise UserError(
                f"{weights} holds only a part of the {part} (without {min(missing_in_head)}), "
                f"so the file is damaged or of another architecture; save the whole model again"
            )
        new_parts.append(part)
    unknown = sorted(unexpected - names.of_encoder(unexpected))
    if CLASSIFIER_PART in new_parts and unknown:
        raise UserError(
            f"{weights} holds no classifier of {model_class.__name__}, but tensors that it "
            f"does not have: {', '.join(unknown[:4])}; save the model with "
            f"AutoModelForSequenceClassification.save_pretrained"
        )
    if any(".pooler." in name for name in missing):
        if num_labels and CLASSIFIER_PART not in new_parts:
            raise UserError(
                f"{weights} holds a classifier but not the pooler before it "
                f"({names.prefix}pooler.*); use another checkpoint"
            )
        new_parts.append(POOLER_PART)
    return with_our_attention(auto.train()), new_parts


def _check_shapes(mismatched: list[tuple], state: State, folder: ModelFolder) -> None:
    names, weights = folder.parameter_names, folder.weights_file
    for name, found, needed in sorted(mismatched):
        name = name if name in state else f"{names.prefix}{name}"
        in_classifier = name.startswith(names.classifier_weight.rpartition(".")[0])
        if in_classifier and found[0] != needed[0]:
            words = ", ".join(str(word) for word in folder.config.id2label.values())
            raise UserError(
                f"{weights}: the classifier has {found[0]} outputs ({words}), but {needed[0]} are "
                f"needed; use a classifier that was fine-tuned on this task"
            )
        raise UserError(
            f"{weights}: {name} has shape {tuple(found)}, but {folder.config_file} and the task "
            f"need {tuple(needed)}; {ONE_MODEL}"
        )


def _check_encoder(
    missing: set[str], unexpected: set[str], state: State, folder: ModelFolder
) -> None:
    names, weights = folder.parameter_names, folder.weights_file
    unused = [name for name in names.of_encoder(unexpected) if not _may_differ(name)]
    if unused:
        raise UserError(
            f"{weights} holds {min(unused)}, which is not a parameter of the model in "
            f"{folder.config_file}; {ONE_MODEL}"
        )
    needed = [name for name in names.of_encoder(missing) if not _may_differ(name)]
    if needed:
        raise UserError(
            f"{weights} lacks {min(needed)} ({counted(len(needed), 'tensor')} in all), which "
            f"{folder.config_file} requires; it holds {min(state, default='no tensor')}, for "
            f"example; {ONE_MODEL}"
        )


def _may_differ(name: str) -> bool:
    """Whether an encoder's tensor may be missing or unused: a pooler, or position ids."""
    return name.endswith("_ids") or ".pooler." in name


def _check_tied(auto: PreTrainedModel, state: State, folder: ModelFolder) -> None:
    tied = (auto._tied_weights_keys or {}) if auto.config.tie_word_embeddings else {}
    for name, other in tied.items():
        if {name, other} <= state.keys() and not torch.equal(state[name], state[other]):
            raise UserError(
                f"{folder.weights_file}: {name} differs from {other}, but they have to be equal "
                f"(tie_word_embeddings in {folder.config_file}); set tie_word_embeddings to false "
                f"if they should differ, or save the model again"
            )


def is_package_tensor(name: str) -> bool:
    """Whether a tensor is this package's: a projection, or the input range of an 8-bit layer."""
    return name.startswith("fit_dense") or name.endswith(f".{RANGE}")


def load_package_tensors(model: Encoder, state: State, folder: ModelFolder) -> list[str]:
    """Copy projections and 8-bit ranges into the model; return the names of new projections."""
    own = {model.file_name(name): tensor for name, tensor in model.state_dict().items()}
    wanted = {name for name in own if is_package_tensor(name)}
    for name in wanted & state.keys():
        if own[name].shape != state[name].shape:
            raise UserError(
                f"{folder.weights_file}: {name} has shape {tuple(state[name].shape)}, but the "
                f"teacher needs {tuple(own[name].shape)}; {ONE_MODEL}"
            )
        own[name].copy_(state[name])
    missing, odd = wanted - state.keys(), sorted(state.keys() - wanted)
    if odd and odd[0].endswith(RANGE):  # of another configuration
        raise UserError(
            f"{folder.weights_file} holds {odd[0]}, which is not a parameter of the model in "
            f"{folder.config_file}; {ONE_MODEL}"
        )
    if lost := sorted(name for name in missing if name.endswith(RANGE)):
        raise UserError(f"{folder.weights_file} lacks {lost[0]} of an 8-bit model; {ONE_MODEL}")
    if missing and wanted & state.keys():
        raise UserError(
            f"{folder.weights_file} lacks {min(missing)}, so the file is incomplete; save the "
            f"whole model again"
        )
    return list(dict.fromkeys(name.split(".")[0] for name in sorted(missing)))
