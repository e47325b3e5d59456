"""Build the computations of a run's stages, to be counted and timed before the run.

The models have the configurations of the run's models and arbitrary weights, so no weights are
loaded.
"""

from copy import deepcopy
from dataclasses import replace
from functools import cached_property

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedConfig,
)
from transformers.initialization import no_init_weights

from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate, Labels, MaskedLm, Prediction
from tinybert_lite.method.quantization import quantize
from tinybert_lite.models.folder import KIND_OTHER_CLASSIFIER, ModelFolder
from tinybert_lite.models.tokenizers import LOCAL_WITHOUT_CODE
from tinybert_lite.pipeline.timed_computation import Batch, Computation
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.errors import UserError, one_line


class Computations:
    """The computations of a run, by name.

    A stage's name: its training step. "teacher", "student", "int8": a prediction of the task's
    classifier in float32; "soft targets": one of the teacher in the run's precision; "augmentation
    model": a masked-LM prediction at one position per row.
    """

    def __init__(self, workspace: Workspace, settings: Settings):
        self.workspace, self.settings = workspace, settings

    def device(self, *models: nn.Module | None) -> Device:
        """The device, and the precision that a stage chooses for these models."""
        widths = (getattr(model.config, "hidden_size", 0) for model in models if model)
        settings = self.settings
        return choose_device(settings.device, settings.precision, max(widths, default=0))

    def make(self, name: str) -> Computation:
        """Make a computation.

        Raises UserError for models that do not fit each other, or that cannot be built."""
        try:
            return self._computation(name)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            what = name if hasattr(self.settings, name) else "predictions"
            raise UserError(
                f"the models for {what} cannot be built ({one_line(error)}); check the "
                f"config.json of {self.workspace.teacher} and {self.workspace.student_source}"
            ) from None

    def _computation(self, name: str) -> Computation:
        options, classes = getattr(self.settings, name, None), self.settings.task.num_labels
        model, teacher = self._model_of(name, options, classes), None
        match name:
            case "pretrain":
                compute = MaskedLm()
            case "general_distill" | "task_distill_mid":
                general = name == "general_distill"
                teacher = _encoder(self.general_teacher if general else self.task_teacher)
                compute = Intermediate(
                    model,
                    teacher.to(self.device().name),
                    options.mapping,
                    options.padding,
                    options.heads,
                    options.weights,
                )
            case "task_distill_out" | "quantize":
                compute = Prediction(
                    None, options.temperature, options.reduction, options.hard_label_weight
                )
            case "finetune_teacher" | "baseline":
                compute = Labels()
            case "augmentation model":
                device = self.device(model)
                return Computation(model, lambda batch: _one_masked(model, batch), device)
            case "soft targets" if isinstance(model, Encoder):
                device = self.device(model)
                return Computation(model, lambda batch: _logits(model, batch), device)
            case _:  # stages predict in float32
                device = replace(self.device(), precision="no", packed=False)
                return Computation(model, lambda batch: _logits(model, batch), device)
        return Computation(
            model,
            lambda batch: compute(model, batch),
            self.device(model, teacher),
            classes,
            True,
            teacher,
        )

    def _model_of(self, name: str, options, classes: int) -> nn.Module:
        match name:
            case "pretrain":
                return _encoder(self.general_teacher, masked_lm=True)
            case "augmentation model":
                augmenting = self.workspace.augmentation_model
                config = augmenting.config if augmenting.has_config else self.general_teacher
                return _encoder(config, masked_lm=True)
            case "finetune_teacher":
                return _encoder(self.general_teacher, num_labels=classes)
            case "teacher" | "soft targets":
                return _classifier(self.workspace.task_teacher, self.task_teacher, classes)
            case "general_distill" | "task_distill_mid":
                config = self.general_teacher if name == "general_distill" else self.task_teacher
                return _encoder(
                    self.student,
                    num_labels=classes if name == "task_distill_mid" else 0,
                    projection=options.projection,
                    teacher_width=config.hidden_size,
                )
        model = _encoder(self.student, num_labels=classes)
        in_8_bits = name == "int8" or name == "quantize" and options.do_quant
        return quantize(model) if in_8_bits else model

    @cached_property
    def general_teacher(self) -> PreTrainedConfig:
        """The general teacher's configuration, also of one that is still to be pre-trained."""
        teacher, options = self.workspace.teacher, self.settings.pretrain
        if teacher.has_config:
            return teacher.config
        return BertConfig(
            vocab_size=options.vocab_size,
            hidden_size=options.hidden_size,
            num_hidden_layers=options.num_hidden_layers,
            num_attention_heads=options.num_attention_heads,
            intermediate_size=4 * options.hidden_size,
            max_position_embeddings=options.max_seq_length,
        )

    @cached_property
    def task_teacher(self) -> PreTrainedConfig:
        """The configuration of the task teacher if its layers can be matched, else the general
        teacher's."""
        given = self.workspace.given_task_teacher and self.workspace.task_teacher
        return given.config if given and given.has_layers else self.general_teacher

    @cached_property
    def student(self) -> PreTrainedConfig:
        """The student's configuration, with its teacher's vocabulary."""
        folder = self.workspace.student_source
        config = deepcopy(folder.config)
        if not folder.weights_file:
            config.vocab_size = self.general_teacher.vocab_size
        return config


def _encoder(config, **parts) -> Encoder:
    with no_init_weights():
        return _filled(Encoder(deepcopy(config), **parts))


@torch.no_grad()
def _filled(model: nn.Module) -> nn.Module:
    """Set all parameters without random numbers, which would take longer than a forward pass."""
    for parameter in model.parameters():
        values = torch.linspace(-0.05, 0.05, parameter.numel(), dtype=parameter.dtype)
        parameter.copy_(values.view_as(parameter))
    return model


def _classifier(folder: ModelFolder, config, classes: int) -> nn.Module:
    """Return the task teacher's model: an encoder, or a classifier of another architecture."""
    if folder.kind != KIND_OTHER_CLASSIFIER:
        return _encoder(config, num_labels=classes)
    with no_init_weights():
        other = AutoConfig.from_pretrained(folder, **LOCAL_WITHOUT_CODE)
        return _filled(AutoModelForSequenceClassification.from_config(other))


def _logits(model: nn.Module, batch: Batch) -> object:
    if isinstance(model, Encoder):
        return model(batch, logits=True)
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


def _one_masked(model: Encoder, batch: Batch) -> object:
    at = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    at[:, 1] = True
    return model(batch, masked_lm=at)
