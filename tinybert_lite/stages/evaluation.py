"""A model's predictions on examples, its dev scores, and a probe of its hidden states."""

import math
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from tinybert_lite.data.batches import Examples, in_order
from tinybert_lite.data.masked_lm import Masked
from tinybert_lite.data.row_files import at
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import Table, read_table
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.exports.serving import Served
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.loading import load_model
from tinybert_lite.stages.metrics import scores
from tinybert_lite.system import processes
from tinybert_lite.system.console import progress, remark
from tinybert_lite.system.errors import UserError
from tinybert_lite.training.frozen import KINDS


def predict(
    model: Encoder | Served,
    examples: Examples,
    batch_size: int = 64,
    rows: np.ndarray | None = None,
    precision: str = "no",
) -> np.ndarray:
    """Return logits (n, K) in the order of the examples; the mode of the model is left unchanged.

    rows: for a PyTorch model, the rows to predict; the logits of all others are 0. precision: that
    of autocast, "no" for float32; the logits are float32 in any case.
    """
    if isinstance(model, Served):
        return model.logits(examples, batch_size)

    def logits(batch):
        with torch.autocast(
            batch["input_ids"].device.type, KINDS.get(precision), enabled=precision in KINDS
        ):
            return model(batch, logits=True).logits

    return _each(model, examples, batch_size, logits, rows)


@contextmanager
def evaluating(model: Encoder):
    """Put the model into eval mode, without autograd; yield a function that moves a batch to it."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        yield lambda batch: {name: tensor.to(device) for name, tensor in batch.items()}
    model.train(training)


def _each(
    model: Encoder, examples: Examples, batch_size: int, function, chosen: np.ndarray | None = None
) -> np.ndarray:
    """Apply a function to all batches, (B, …) each; return (n, …) float32 in the examples' order.

    Each process computes a share of the batches; all processes get all results.
    """
    parts = []
    with evaluating(model) as moved:
        batches = -(-(len(examples) if chosen is None else len(chosen)) // batch_size)
        label = f"prediction, batches of {batch_size} rows"
        found = progress(in_order(examples, batch_size, chosen), label, batches, remark)
        for turn, (rows, batch) in enumerate(found):
            if turn % processes.count() == processes.number():
                parts.append((rows, function(moved(batch)).float().cpu().numpy()))
    parts = processes.gathered(parts)
    found = np.zeros((len(examples), parts[0][1].shape[1]), np.float32)
    for rows, values in parts:
        found[rows] = values
    return found


def masked_lm_scores(
    model: Encoder, held_out: Masked, batch_size: int = 64, most: int = 1024
) -> dict[str, float]:
    """Return accuracy and perplexity at the masked positions of at most `most` rows, evenly spaced.

    Both are means over all masked positions; perplexity is exp(mean cross-entropy).
    """
    chosen = np.unique(np.linspace(0, len(held_out) - 1, most).astype(int))
    right = places = loss = 0.0
    with evaluating(model) as moved:
        for _, batch in in_order(held_out, batch_size, chosen):
            batch = moved(batch)
            masked = batch["targets"] >= 0
            wanted, logits = batch["targets"][masked], model(batch, masked_lm=masked).masked_lm
            right += (logits.argmax(-1) == wanted).sum().item()
            loss += F.cross_entropy(logits.float(), wanted, reduction="sum").item()
            places += len(wanted)
    return {"accuracy": right / places, "perplexity": math.exp(loss / places)}


def all_labelled(path: Path, task: Task, labelled: bool = True) -> Table:
    """Read a task's file. Raises UserError, see `read_table`, and for a row without a label."""
    table = read_table(path, task, labelled)
    for row in table.rows:
        if row.label is None:
            raise UserError(
                f"{at(path, row.line)}: has no label, which rows to evaluate on need; add it or "
                f"remove the row"
            )
    return table


class DevSet:
    """A task's dev rows, tokenised once, in one or two parts (MNLI: matched and mismatched).

    Raises UserError for a row without a label, and if all rows have the same label.
    """

    def __init__(
        self, task: Task, files: dict[str, Path], tokenizer, max_length: int, batch_size: int = 64
    ):
        self.task, self.batch_size = task, batch_size
        self.parts = {
            name: task_examples(files[name], task, tokenizer, max_length, read=all_labelled)
            for name in task.dev_files
        }
        for name, examples in self.parts.items():
            if len(examples) > 1:
                need_two_classes(examples.labels, task, files[name])

    @property
    def first(self) -> Examples:
        """The first dev file's rows, on which agreement and probes are measured."""
        return next(iter(self.parts.values()))

    def __call__(self, model: Encoder) -> dict[str, float]:
        """Predict all parts with a model and return its scores."""
        return self.scores_of(lambda name: predict(model, self.parts[name], self.batch_size))

    def of_folder(self, folder: Path, device: str) -> dict[str, float]:
        """Load the model in a folder and return its scores."""
        return self(load_model(folder)[0].to(device))

    def scores_of(self, logits: Callable[[str], np.ndarray]) -> dict[str, float]:
        """Compute scores; `logits` maps the name of a part to logits (n, K).

        The names of a second part's scores have a suffix: `accuracy_mismatched`.
        """
        found: dict[str, float] = {}
        for name, examples in self.parts.items():
            suffix = "" if not found else "_" + name.rsplit("_", 1)[-1]
            values = scores(self.task, logits(name), examples.labels)
            found.update({key + suffix: value for key, value in values.items()})
        return found


def probe_answers(
    model: Encoder, train: Examples, dev: Examples, regression: bool = False
) -> np.ndarray:
    """Return predictions (n,) on dev by a logistic (or ridge) regression on frozen hidden states.

    The inputs of the regression are means of the last hidden state over real tokens, (n, D). It
    measures the information in a model that has no classifier yet.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def mean(batch):
        state, mask = model(batch).hidden[-1], batch["attention_mask"][:, :, None]
        return (state * mask).sum(1) / mask.sum(1)

    states, dev_states = (_each(model, examples, 64, mean) for examples in (train, dev))
    classifier = Ridge(100.0) if regression else LogisticRegression(C=0.01, max_iter=500)
    head = make_pipeline(StandardScaler(), classifier)
    return head.fit(states, train.labels).predict(dev_states)


def probe(model: Encoder, train: Examples, dev: Examples, regression: bool = False) -> float:
    """Return the dev accuracy of `probe_answers`; for a regression the correlation with labels."""
    found = probe_answers(model, train, dev, regression)
    if regression:
        return float(np.corrcoef(found, dev.labels)[0, 1])
    return float((found == dev.labels).mean())
