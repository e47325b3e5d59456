"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

import math

import numpy as np

from tinybert_lite.data.tasks import Task


def scores(task: Task, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The task's metrics, the deciding one first. logits: (n, K), labels: (n,). An undefined correlation counts as 0."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    if task.metric == "pearson_and_spearman":
        found, gold = logits[:, 0], labels
        constant = np.ptp(found) == 0 or np.ptp(gold) == 0 or len(gold) < 2
        pearson, spearman = (
            (0.0, 0.0)
            if constant
            else (float(pearsonr(found, gold)[0]), float(spearmanr(found, gold)[0]))
        )
        return {
            "pearson_and_spearman": (pearson + spearman) / 2,
            "pearson": pearson,
            "spearman": spearman,
        }
    found, gold = logits.argmax(1), labels.astype(int)
    accuracy = float((found == gold).mean())
    if task.metric == "matthews":
        return {"matthews": float(matthews_corrcoef(gold, found)), "accuracy": accuracy}
    if task.metric == "f1_and_accuracy":
        f1 = float(f1_score(gold, found, zero_division=0))
        return {"f1_and_accuracy": (accuracy + f1) / 2, "f1": f1, "accuracy": accuracy}
    if task.own:
        by_metric = {
            "accuracy": accuracy,
            "macro_f1": float(f1_score(gold, found, average="macro", zero_division=0)),
        }
        return {
            task.metric: by_metric[task.metric],
            **by_metric,
        }  # the one that decides comes first
    return {"accuracy": accuracy}


def chance(task: Task, labels: np.ndarray) -> tuple[float, float]:
    """What guessing scores (the majority class, a correlation of 0), and its standard error."""
    if task.metric in ("pearson_and_spearman", "matthews"):
        return 0.0, 1 / math.sqrt(max(1, len(labels) - 1))
    majority = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return majority, math.sqrt(majority * (1 - majority) / len(labels))


def at_chance(task: Task, dev_scores: dict[str, float], labels: np.ndarray) -> str:
    """Says so where a dev score is within two standard errors of guessing, "" where it is above."""
    key = "accuracy" if task.metric in ("f1_and_accuracy", "macro_f1") else task.metric
    guess, error = chance(task, labels)
    return (
        ""
        if dev_scores[key] > guess + 2 * error
        else f"dev {key} of {dev_scores[key]:.3f} is not above chance ({guess:.3f} ± {2 * error:.3f})"
    )


def agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """The share of rows where two models decide alike; for a regression the correlation of their numbers."""
    if first.shape[1] == 1:
        return (
            float(np.corrcoef(first[:, 0], second[:, 0])[0, 1])
            if np.ptp(first) and np.ptp(second)
            else None
        )
    return float((first.argmax(1) == second.argmax(1)).mean())
