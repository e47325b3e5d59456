"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tinybert_lite.data.batches import Examples, in_order
from tinybert_lite.data.masked_lm import Masked
from tinybert_lite.data.rows import task_examples
from tinybert_lite.data.tables import Table, read_table
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.exports.serving import Served
from tinybert_lite.method.encoder import Bert
from tinybert_lite.stages.metrics import at_chance, scores
from tinybert_lite.system import processes
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError


@torch.inference_mode()
def predict(
    model: Bert | Served, examples: Examples, batch_size: int = 64, rows: np.ndarray | None = None
) -> np.ndarray:
    """Logits (n, K) in the examples' order, zero but for `rows` where such are given (of PyTorch's models). The model comes back in the mode it was in."""
    if isinstance(model, Served):
        return model.logits(examples, batch_size)
    return _each(model, examples, batch_size, lambda batch: model(batch, logits=True).logits, rows)


@torch.inference_mode()
def sentence_states(model: Bert, examples: Examples, batch_size: int = 64) -> np.ndarray:
    """The mean of the last hidden state over real tokens, (n, D)."""

    def mean(batch):
        state, mask = model(batch).hidden[-1], batch["attention_mask"][:, :, None]
        return (state * mask).sum(1) / mask.sum(1)

    return _each(model, examples, batch_size, mean)


def _each(
    model: Bert, examples: Examples, batch_size: int, function, chosen: np.ndarray | None = None
) -> np.ndarray:
    training, device = model.training, next(model.parameters()).device
    model.eval()
    parts = []
    for turn, (rows, batch) in enumerate(in_order(examples, batch_size, chosen)):
        if turn % processes.count() == processes.number():
            parts.append(
                (
                    rows,
                    function({name: tensor.to(device) for name, tensor in batch.items()})
                    .float()
                    .cpu()
                    .numpy(),
                )
            )
    model.train(training)
    parts = processes.gathered(parts)
    found = np.zeros((len(examples), parts[0][1].shape[1]), np.float32)
    for rows, values in parts:
        found[rows] = values
    return found


@torch.inference_mode()
def masked_lm_scores(
    model: Bert, held_out: Masked, batch_size: int = 64, most: int = 1024
) -> dict[str, float]:
    """Accuracy and perplexity at the masked places of at most `most` rows, spread evenly."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    chosen = np.unique(np.linspace(0, len(held_out) - 1, most).astype(int))
    right = places = loss = 0.0
    for start in range(0, len(chosen), batch_size):
        batch = {
            name: tensor.to(device)
            for name, tensor in held_out.batch(chosen[start : start + batch_size]).items()
        }
        wanted = batch["targets"][batch["targets"] >= 0]
        logits = model(batch, masked_lm=batch["targets"] >= 0).masked_lm.float()
        right += (logits.argmax(-1) == wanted).sum().item()
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        places += len(wanted)
    model.train(training)
    return {"accuracy": right / places, "perplexity": math.exp(loss / places)}


def _all_labelled(path: Path, task: Task, labelled: bool = True) -> Table:
    table = read_table(path, task, labelled)
    if lost := next((row for row in table.rows if row.label is None), None):
        raise UserError(
            f"{path}, line {lost.line}: has no label, and nothing can be measured on it; label or remove the row"
        )
    return table


class DevSet:
    """A task's dev rows (for MNLI matched and mismatched), tokenised once. Raises UserError where all have one label, or one has none."""

    def __init__(
        self, task: Task, files: dict[str, Path], tokenizer, max_length: int, batch_size: int = 64
    ):
        self.task, self.batch_size = task, batch_size
        self.parts: dict[str, Examples] = {}
        for name in task.dev_files:
            self.parts[name] = task_examples(
                files[name], task, tokenizer, max_length, read=_all_labelled
            )
            if len(self.parts[name]) > 1:
                need_two_classes(self.parts[name].labels, task, files[name])

    @property
    def first(self) -> Examples:
        return next(iter(self.parts.values()))

    def __call__(self, model: Bert) -> dict[str, float]:
        return self.scores_of(lambda name: predict(model, self.parts[name], self.batch_size))

    def scores_of(self, logits: Callable[[str], np.ndarray]) -> dict[str, float]:
        """Scores of the first part under the metrics' names; a second part's with its suffix, as `accuracy_mismatched`.

        logits: a part's name -> (n, K)
        """
        found: dict[str, float] = {}
        for name, examples in self.parts.items():
            suffix = "" if not found else "_" + name.rsplit("_", 1)[-1]
            values = scores(self.task, logits(name), examples.labels)
            found.update({key + suffix: value for key, value in values.items()})
        return found


def check_learnt(task: Task, dev_scores: dict[str, float], labels: np.ndarray, where: Path) -> None:
    """Warn of a student that learnt nothing."""
    if found := at_chance(task, dev_scores, labels):
        remark(
            f"warning: {where}: the student's {found}; it has not learnt: more epochs, a higher learning rate, or a look at the teacher and stage 4 may help"
        )


def check_teacher(
    task: Task, dev_scores: dict[str, float], labels: np.ndarray, allowed: bool, where: Path
) -> None:
    """Raise UserError where a teacher's dev score is at chance: distillation would copy noise. `allowed`: only warn."""
    found = at_chance(task, dev_scores, labels)
    if not found:
        return
    hint = f"{where}: the teacher's {found}; is it fine-tuned on {task.name}, with the labels in the order {', '.join(task.labels) or 'of numbers'}?"
    if not allowed:
        raise UserError(
            hint
            + " Fine-tune it longer (finetune_teacher --num_train_epochs N, or --set finetune_teacher.num_train_epochs=N), "
            "or insist with --allow_weak_teacher (--set finetune_teacher.allow_weak_teacher=true)"
        )
    remark("warning: " + hint)


def probe_answers(
    model: Bert, train: Examples, dev: Examples, regression: bool = False
) -> np.ndarray:
    """What a logistic regression on frozen sentence states answers on dev, (n,): what a model knows before it has a classifier.

    For a regression a ridge regression's numbers.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(
        StandardScaler(), Ridge(100.0) if regression else LogisticRegression(C=0.01, max_iter=500)
    )
    return head.fit(sentence_states(model, train), train.labels).predict(
        sentence_states(model, dev)
    )


def probe(model: Bert, train: Examples, dev: Examples, regression: bool = False) -> float:
    """Dev accuracy of `probe_answers`, or their correlation with the labels for a regression."""
    found = probe_answers(model, train, dev, regression)
    return (
        float(np.corrcoef(found, dev.labels)[0, 1])
        if regression
        else float((found == dev.labels).mean())
    )
