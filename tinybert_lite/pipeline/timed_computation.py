"""A computation of a stage on made-up rows, to be counted and timed.

Multiply-adds and bytes are counted in a real pass, so this works for every architecture.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tinybert_lite.data.masked_lm import IGNORED
from tinybert_lite.method.auto_models import max_tokens_of
from tinybert_lite.models.cost import count_multiply_adds
from tinybert_lite.system.device import Device
from tinybert_lite.training.frozen import prepare_linears

Batch = dict[str, Tensor]
MASKED_EVERY = 7  # one position in this many is masked, about BERT's 15 %


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
        self.teacher = teacher
        model.train(trains)

    @property
    def parameters(self) -> int:
        """The number of parameters of the model that predicts, or is trained."""
        return _size(self.model)

    @property
    def teacher_parameters(self) -> int:
        """The number of parameters of the teacher of a training step; 0 without a teacher."""
        return _size(self.teacher) if self.teacher else 0

    @property
    def max_length(self) -> int:
        """The largest number of tokens that the model, and its teacher, have positions for."""
        return min(map(max_tokens_of, filter(None, (self.model, self.teacher))))

    def batch(self, rows: int, length: int) -> Batch:
        """Make a batch of arbitrary tokens, (rows, length); all but the first row are padded."""
        config = self.model.config
        ids = torch.arange(rows * length).view(rows, length) % config.vocab_size
        mask = torch.ones(rows, length, dtype=torch.long)
        mask[1:, -1] = 0
        targets = ids.masked_fill(torch.arange(length) % MASKED_EVERY > 0, IGNORED)
        batch = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": torch.zeros_like(ids),
            "targets": targets,
            "labels": torch.zeros(rows),
            "soft_targets": torch.zeros(rows, self.classes),
        }
        return {name: tensor.to(self.device.name) for name, tensor in batch.items()}

    def prepare(self) -> None:
        """Prepare the model that is not trained for the run's precision, as the stages do."""
        frozen = self.teacher if self.trains else self.model
        if frozen:
            prepare_linears(frozen, self.device.precision, self.device.packed)

    def run(self, batch: Batch) -> object:
        """Compute once, with the run's precision. Returns the output; gradients are added up."""
        name, precision = self.device.name, self.device.precision
        kind = torch.float16 if precision == "fp16" else torch.bfloat16
        autocast = torch.autocast(name, kind, enabled=precision != "no")
        with torch.set_grad_enabled(self.trains), autocast:
            found = self.compute(batch)
            if self.trains:
                sum(found.values()).backward()
        if name != "cpu":
            getattr(torch, name).synchronize()
        return found

    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds of one row of `length` tokens, forward and backward."""
        count = count_multiply_adds(lambda: self.run(self.batch(1, length)))
        self.model.zero_grad()
        return count

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


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
