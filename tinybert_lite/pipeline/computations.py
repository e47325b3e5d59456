"""What the stages compute with a run's models: to be counted and timed before the run.

The models have the shapes of the run's models and arbitrary weights, so nothing is loaded. No
formula of an architecture is used: multiply-adds and bytes are counted in a real pass.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig
from transformers.initialization import no_init_weights

from tinybert_lite.data.masked_lm import IGNORED
from tinybert_lite.method.encoder import Bert
from tinybert_lite.method.objectives import Intermediate, Labels, MaskedLm, Prediction
from tinybert_lite.method.quantization import quantize
from tinybert_lite.models.folder import CLASSIFIER, ModelFolder
from tinybert_lite.models.loading import SAFELY
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.device import Device

Batch = dict[str, Tensor]
MASKED = 7  # one position in this many is masked, about BERT's 15 %


class Computation:
    """A prediction with a model, or a training step without the optimizer's update.

    compute: a batch of B rows of L tokens → loss terms by name if it `trains`, else any output.
    """

    def __init__(
        self,
        model: nn.Module,
        compute: Callable,
        device: Device,
        classes: int = 1,
        trains: bool = False,
        teacher: nn.Module | None = None,
    ):
        self.model, self.compute, self.device = model.to(device.name), compute, device
        self.classes, self.trains = max(1, classes), trains
        self.beside = _size(teacher) if teacher else 0  # parameters of the teacher
        model.train(trains)

    @property
    def parameters(self) -> int:
        """The number of parameters of the model that predicts, or is trained."""
        return _size(self.model)

    def batch(self, rows: int, length: int) -> Batch:
        """Make a batch of arbitrary tokens, (rows, length); all but the first row are padded."""
        config = self.model.config
        ids = torch.arange(rows * length).view(rows, length) % config.vocab_size
        mask = torch.ones(rows, length, dtype=torch.long)
        mask[1:, -1] = 0
        targets = ids.masked_fill(torch.arange(length) % MASKED > 0, IGNORED)
        batch = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": torch.zeros_like(ids),
            "targets": targets,
            "labels": torch.zeros(rows),
            "soft_targets": torch.zeros(rows, self.classes),
        }
        return {name: tensor.to(self.device.name) for name, tensor in batch.items()}

    def run(self, batch: Batch) -> object:
        """Compute once, with the run's precision. Returns the output; gradients are added up."""
        name, half = self.device.name, self.device.precision
        kind = torch.float16 if half == "fp16" else torch.bfloat16
        with torch.set_grad_enabled(self.trains), torch.autocast(name, kind, enabled=half != "no"):
            found = self.compute(batch)
            if self.trains:
                sum(found.values()).backward()
        if name != "cpu":
            getattr(torch, name).synchronize()
        return found

    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds of one row of `length` tokens, forward and backward."""
        counter = FlopCounterMode(display=False)
        with sdpa_kernel(SDPBackend.MATH), counter:
            self.run(self.batch(1, length))
        self.model.zero_grad()
        return counter.get_total_flops() // 2

    def bytes_per_row(self, length: int) -> int:
        """Count the bytes that one row of `length` tokens needs at once: what the backward pass
        keeps, or the outputs of a prediction."""
        own = {parameter.untyped_storage().data_ptr() for parameter in self.model.parameters()}
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            found = self.run(self.batch(1, length))
        self.model.zero_grad()
        for tensor in getattr(found, "hidden", ()):
            keep(tensor)
        return sum(kept.values())


class Computations:
    """The computations of a run, by name.

    A stage's name: its training step. "teacher" and "student": a prediction with the task's
    classifier; "general teacher": one masked place in each row; "int8": the 8-bit student.
    """

    def __init__(self, workspace: Workspace, settings: Settings, device: Device):
        self.workspace, self.settings, self.device = workspace, settings, device
        self._made: dict[str, Computation] = {}

    def __getitem__(self, name: str) -> Computation:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Computation:
        options, classes = getattr(self.settings, name, None), self.settings.task.num_labels
        model, teacher = self._model(name, options, classes), None
        match name:
            case "pretrain":
                compute = MaskedLm()
            case "general_distill" | "task_distill_mid":
                general = name == "general_distill"
                teacher = _model(self.general_teacher if general else self.task_teacher)
                compute = Intermediate(
                    model,
                    teacher.to(self.device.name),
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
            case "general teacher":
                return Computation(model, lambda batch: _one_masked(model, batch), self.device)
            case _:
                return Computation(model, lambda batch: _logits(model, batch), self.device)
        return Computation(
            model, lambda batch: compute(model, batch), self.device, classes, True, teacher
        )

    def _model(self, name: str, options, classes: int) -> nn.Module:
        match name:
            case "pretrain" | "general teacher":
                return _model(self.general_teacher, masked_lm=True)
            case "finetune_teacher":
                return _model(self.general_teacher, num_labels=classes)
            case "teacher":
                return _task_teacher(self.workspace.task_teacher, self.task_teacher, classes)
            case "general_distill" | "task_distill_mid":
                config = self.general_teacher if name == "general_distill" else self.task_teacher
                return _model(
                    self.student,
                    num_labels=classes if name == "task_distill_mid" else 0,
                    projection=options.projection,
                    teacher_width=config.hidden_size,
                )
        model = _model(self.student, num_labels=classes)
        return quantize(model) if name in ("int8", "quantize") else model

    @cached_property
    def general_teacher(self) -> BertConfig:
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
    def task_teacher(self) -> BertConfig:
        """The configuration of the task teacher if its layers can be matched, else the general
        teacher's."""
        given = self.workspace.given_task_teacher and self.workspace.task_teacher
        return given.config if given and given.has_layers else self.general_teacher

    @cached_property
    def student(self) -> BertConfig:
        """The student's configuration, with its teacher's vocabulary."""
        folder = self.workspace.student_source
        config = deepcopy(folder.config)
        if not folder.weights_file:
            config.vocab_size = self.general_teacher.vocab_size
        return config


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _model(config, **parts) -> Bert:
    kind = Bert
    if config.model_type == "albert":
        from tinybert_lite.method.albert import Albert as kind
    with no_init_weights():
        return _filled(kind(deepcopy(config), **parts))


@torch.no_grad()
def _filled(model: nn.Module) -> nn.Module:
    """Set all parameters without random numbers: drawing those takes longer than a pass."""
    for parameter in model.parameters():
        values = torch.linspace(-0.05, 0.05, parameter.numel(), dtype=parameter.dtype)
        parameter.copy_(values.view_as(parameter))
    return model


def _task_teacher(folder: ModelFolder, config, classes: int) -> nn.Module:
    """The task teacher's model: a BERT, or a classifier of another architecture."""
    if folder.kind != CLASSIFIER:
        return _model(config, num_labels=classes)
    with no_init_weights():
        other = AutoConfig.from_pretrained(folder, **SAFELY)
        return _filled(AutoModelForSequenceClassification.from_config(other))


def _logits(model: nn.Module, batch: Batch) -> object:
    if isinstance(model, Bert):
        return model(batch, logits=True)
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])


def _one_masked(model: Bert, batch: Batch) -> object:
    at = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    at[:, 1] = True
    return model(batch, masked_lm=at)
