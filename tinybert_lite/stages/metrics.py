"""Metrics of a task's predictions: scores, the level of chance, and the agreement of two models."""

import math

import numpy as np

from tinybert_lite.data.tasks import Task


def scores(task: Task, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the task's metrics, the primary one first. logits: (n, K), labels: (n,).

    A correlation that is undefined, because values are constant, is 0.
    """
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    if task.metric == "pearson_and_spearman":
        found = logits[:, 0]
        constant = np.ptp(found) == 0 or np.ptp(labels) == 0 or len(labels) < 2
        pearson, spearman = (
            0.0 if constant else float(correlation(found, labels)[0])
            for correlation in (pearsonr, spearmanr)
        )
        return {task.metric: (pearson + spearman) / 2, "pearson": pearson, "spearman": spearman}
    found, gold = logits.argmax(1), labels.astype(int)
    accuracy = float((found == gold).mean())
    if task.metric == "matthews":
        return {"matthews": float(matthews_corrcoef(gold, found)), "accuracy": accuracy}
    if task.metric == "f1_and_accuracy":
        f1 = float(f1_score(gold, found, zero_division=0))
        return {"f1_and_accuracy": (accuracy + f1) / 2, "f1": f1, "accuracy": accuracy}
    if task.own:
        macro_f1 = float(f1_score(gold, found, average="macro", zero_division=0))
        by_metric = {"accuracy": accuracy, "macro_f1": macro_f1}
        return {task.metric: by_metric[task.metric], **by_metric}
    return {"accuracy": accuracy}


def as_text(scores: dict[str, float]) -> str:
    """Format scores in one line, such as `dev accuracy 0.8700, f1 0.9000`."""
    return "dev " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def chance(task: Task, labels: np.ndarray) -> tuple[float, float]:
    """Return the score of guessing (majority class, or a correlation of 0) and its standard error.

    labels: (n,).
    """
    if task.metric in ("pearson_and_spearman", "matthews"):
        return 0.0, 1 / math.sqrt(max(1, len(labels) - 1))
    majority = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return majority, math.sqrt(majority * (1 - majority) / len(labels))


def at_chance(task: Task, dev_scores: dict[str, float], labels: np.ndarray) -> str:
    """Return a sentence if a dev score is at most two standard errors above guessing, else ""."""
    key = "accuracy" if task.metric in ("f1_and_accuracy", "macro_f1") else task.metric
    guess, error = chance(task, labels)
    if dev_scores[key] > guess + 2 * error:
        return ""
    return f"dev {key} of {dev_scores[key]:.3f} is not above chance ({guess:.3f} ± {2 * error:.3f})"


def better_order(logits: np.ndarray, labels: np.ndarray) -> list[int] | None:
    """Return each output's label, K indices, if another order fits far better, else None.

    logits: (n, K), labels: (n,). Far better: the accuracy gains more than max(0.2, 5 √(0.25 / n)).
    """
    from scipy.optimize import linear_sum_assignment

    n, K = logits.shape
    if K < 2:
        return None
    counts = np.zeros((K, K))
    np.add.at(counts, (logits.argmax(1), labels.astype(int)), 1)
    order = linear_sum_assignment(-counts)[1]
    gain = (counts[range(K), order].sum() - np.trace(counts)) / n
    return order.tolist() if gain > max(0.2, 5 * math.sqrt(0.25 / n)) else None


def agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the share of rows with the same predicted class, for two models' logits (n, K).

    For a regression (n, 1) the correlation; None if one of the two is constant.
    """
    if first.shape[1] > 1:
        return float((first.argmax(1) == second.argmax(1)).mean())
    if not (np.ptp(first) and np.ptp(second)):
        return None
    return float(np.corrcoef(first[:, 0], second[:, 0])[0, 1])
