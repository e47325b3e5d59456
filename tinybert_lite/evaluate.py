"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

    python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import numpy as np
import torch

from tinybert_lite import processes
from tinybert_lite.data.batches import Examples, in_order
from tinybert_lite.data.masked import Masked
from tinybert_lite.data.tables import Table, has_labels, holds_ids, read_table
from tinybert_lite.data.tasks import Task, need_two_classes
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.engine.encoder import Bert
from tinybert_lite.engine.files import write_atomically, write_json
from tinybert_lite.foreign.rows import task_examples
from tinybert_lite.foreign.serving import MODELS, Served, fastest
from tinybert_lite.models import LoadedBert, check_same_vocabulary, in_the_tasks_order, load_bert, local_folder
from tinybert_lite.runtime import UserError, command, remark, say
from tinybert_lite.settings import Settings
from tinybert_lite.stage import Session
from tinybert_lite.workspace import Workspace


@torch.inference_mode()
def predict(model: Bert | Served, examples: Examples, batch_size: int = 64, rows: np.ndarray | None = None) -> np.ndarray:
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


def _each(model: Bert, examples: Examples, batch_size: int, function, chosen: np.ndarray | None = None) -> np.ndarray:
    training, device = model.training, next(model.parameters()).device
    model.eval()
    parts = []
    for turn, (rows, batch) in enumerate(in_order(examples, batch_size, chosen)):
        if turn % processes.count() == processes.number():
            parts.append((rows, function({name: tensor.to(device) for name, tensor in batch.items()}).float().cpu().numpy()))
    model.train(training)
    parts = processes.gathered(parts)
    found = np.zeros((len(examples), parts[0][1].shape[1]), np.float32)
    for rows, values in parts:
        found[rows] = values
    return found


@torch.inference_mode()
def masked_lm_scores(model: Bert, held_out: Masked, batch_size: int = 64, most: int = 1024) -> dict[str, float]:
    """Accuracy and perplexity at the masked places of at most `most` rows, spread evenly."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    chosen = np.unique(np.linspace(0, len(held_out) - 1, most).astype(int))
    right = places = loss = 0.0
    for start in range(0, len(chosen), batch_size):
        batch = {name: tensor.to(device) for name, tensor in held_out.batch(chosen[start:start + batch_size]).items()}
        wanted = batch["targets"][batch["targets"] >= 0]
        logits = model(batch, masked_lm=batch["targets"] >= 0).masked_lm.float()
        right += (logits.argmax(-1) == wanted).sum().item()
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        places += len(wanted)
    model.train(training)
    return {"accuracy": right / places, "perplexity": math.exp(loss / places)}


def scores(task: Task, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The task's metrics, the deciding one first. logits: (n, K), labels: (n,). An undefined correlation counts as 0."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, matthews_corrcoef

    if task.metric == "pearson_and_spearman":
        found, gold = logits[:, 0], labels
        constant = np.ptp(found) == 0 or np.ptp(gold) == 0 or len(gold) < 2
        pearson, spearman = (0.0, 0.0) if constant else (float(pearsonr(found, gold)[0]), float(spearmanr(found, gold)[0]))
        return {"pearson_and_spearman": (pearson + spearman) / 2, "pearson": pearson, "spearman": spearman}
    found, gold = logits.argmax(1), labels.astype(int)
    accuracy = float((found == gold).mean())
    if task.metric == "matthews":
        return {"matthews": float(matthews_corrcoef(gold, found)), "accuracy": accuracy}
    if task.metric == "f1_and_accuracy":
        f1 = float(f1_score(gold, found, zero_division=0))
        return {"f1_and_accuracy": (accuracy + f1) / 2, "f1": f1, "accuracy": accuracy}
    if task.own:
        by_metric = {"accuracy": accuracy, "macro_f1": float(f1_score(gold, found, average="macro", zero_division=0))}
        return {task.metric: by_metric[task.metric], **by_metric}  # the one that decides comes first
    return {"accuracy": accuracy}


def _all_labelled(path: Path, task: Task, labelled: bool = True) -> Table:
    table = read_table(path, task, labelled)
    if lost := next((row for row in table.rows if row.label is None), None):
        raise UserError(f"{path}, line {lost.line}: has no label, and nothing can be measured on it; label or remove the row")
    return table


class DevSet:
    """A task's dev rows (for MNLI matched and mismatched), tokenised once. Raises UserError where all have one label, or one has none."""

    def __init__(self, task: Task, files: dict[str, Path], tokenizer, max_length: int, batch_size: int = 64):
        self.task, self.batch_size = task, batch_size
        self.parts: dict[str, Examples] = {}
        for name in task.dev_files:
            self.parts[name] = task_examples(files[name], task, tokenizer, max_length, read=_all_labelled)
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
    return "" if dev_scores[key] > guess + 2 * error else f"dev {key} of {dev_scores[key]:.3f} is not above chance ({guess:.3f} ± {2 * error:.3f})"


def check_learnt(task: Task, dev_scores: dict[str, float], labels: np.ndarray, where: Path) -> None:
    """Warn of a student that learnt nothing."""
    if found := at_chance(task, dev_scores, labels):
        remark(f"warning: {where}: the student's {found}; it has not learnt: more epochs, a higher learning rate, or a look at the teacher and stage 4 may help")


def check_teacher(task: Task, dev_scores: dict[str, float], labels: np.ndarray, allowed: bool, where: Path) -> None:
    """Raise UserError where a teacher's dev score is at chance: distillation would copy noise. `allowed`: only warn."""
    found = at_chance(task, dev_scores, labels)
    if not found:
        return
    hint = f"{where}: the teacher's {found}; is it fine-tuned on {task.name}, with the labels in the order {', '.join(task.labels) or 'of numbers'}?"
    if not allowed:
        raise UserError(hint + " Fine-tune it longer (finetune_teacher --num_train_epochs N, or --set finetune_teacher.num_train_epochs=N), "
                        "or insist with --allow_weak_teacher (--set finetune_teacher.allow_weak_teacher=true)")
    remark("warning: " + hint)


def probe_answers(model: Bert, train: Examples, dev: Examples, regression: bool = False) -> np.ndarray:
    """What a logistic regression on frozen sentence states answers on dev, (n,): what a model knows before it has a classifier.

    For a regression a ridge regression's numbers.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), Ridge(100.0) if regression else LogisticRegression(C=0.01, max_iter=500))
    return head.fit(sentence_states(model, train), train.labels).predict(sentence_states(model, dev))


def probe(model: Bert, train: Examples, dev: Examples, regression: bool = False) -> float:
    """Dev accuracy of `probe_answers`, or their correlation with the labels for a regression."""
    found = probe_answers(model, train, dev, regression)
    return float(np.corrcoef(found, dev.labels)[0, 1]) if regression else float((found == dev.labels).mean())


def agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """The share of rows where two models decide alike; for a regression the correlation of their numbers."""
    if first.shape[1] == 1:
        return float(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) if np.ptp(first) and np.ptp(second) else None
    return float((first.argmax(1) == second.argmax(1)).mean())


def write_test_predictions(model: Bert, task: Task, files: dict[str, Path], tokenizer, max_length: int, folder: Path) -> None:
    """GLUE submission files (`index⇥prediction`) for the test files there are; the index is the file's own, or counts from 0."""
    names = {"test_matched": "MNLI-m", "test_mismatched": "MNLI-mm"}
    tests = {split: _test_rows(files[split], task, tokenizer, max_length) for split in task.test_files if files[split].is_file()}
    for split, (examples, numbers) in tests.items():
        logits = predict(model, examples)
        answers = [f"{task.offset + task.scale * value:.3f}" for value in logits[:, 0]] if task.is_regression else [task.labels[i] for i in logits.argmax(1)]
        text = "index\tprediction\n" + "".join(f"{number}\t{answer}\n" for number, answer in zip(numbers, answers))
        write_atomically(folder / f"{names.get(split, task.name)}.tsv", text.encode("utf-8"))


def _test_rows(path: Path, task: Task, tokenizer, max_length: int) -> tuple[Examples, Iterable]:
    """The rows without labels, and what they are numbered by."""
    if holds_ids(path):
        return task_examples(path, task, tokenizer, max_length, labelled=False), count()
    table = read_table(path, task, labelled=False)
    place = next((table.header.index(name) for name in ("index", "id") if name in table.header), None)
    return encode_table(table, task, tokenizer, max_length), count() if place is None else [row.fields[place] for row in table.rows]


def scores_on_test(models: dict[str, Bert], task: Task, files: dict[str, Path], tokenizer, max_length: int) -> dict[str, dict]:
    """Scores by test file and model, on the rows of the test files that carry labels; GLUE's own do not."""
    found = {}
    for split in task.test_files:
        if files[split].is_file() and not holds_ids(files[split]) and has_labels(read_table(files[split], task, labelled=False), task):
            examples = encode_table(read_table(files[split], task), task, tokenizer, max_length).labelled()
            if len(examples):
                found[split] = {name: scores(task, predict(model, examples), examples.labels) for name, model in models.items()}
    return found


def write_eval_results(folder: Path, scores: dict[str, float], steps: int) -> None:
    """`eval_results.txt` as the original's `key = value` lines."""
    lines = [f"{key} = {value}" for key, value in sorted({**scores, "global_step": steps}.items())]
    write_atomically(folder / "eval_results.txt", ("\n".join(lines) + "\n").encode("utf-8"))


def evaluate_folder(folder: Path, workspace: Workspace, settings: Settings, max_length: int = 128, batch_size: int = 32,
                    output: Path | None = None, teacher: Path | None = None, runtime: str | None = None) -> dict:
    """Dev scores of a finished model, printed; with a teacher its scores and their agreement; files into `output`. runtime: of a serving folder."""
    task, session = workspace.task, Session.open(settings)

    def load(place: Path, runtime: str | None = None) -> LoadedBert:
        if runtime or fastest(place):
            served = Served(place, runtime).in_the_tasks_order(task)
            return LoadedBert(served, served.tokenizer, place, [])
        found = in_the_tasks_order(load_bert(place, settings.lower_case, num_labels=task.num_labels, projection="none"), task)
        if "classifier" in found.new_parts:
            remark(f"warning: {place} has no classifier of its own; the scores below are those of a random one")
        found.model.to(session.device.name)
        return found

    student = load(folder, runtime)
    dev = DevSet(task, workspace.task_files, student.tokenizer, max_length, batch_size)
    results = {"task": task.name, "student": str(folder), "dev": dev(student.model)}
    files = {split: workspace.data_file(split) for split in task.test_files}
    if not dev.parts:  # the diagnostic set is a test and nothing else
        results["test"] = scores_on_test({"student": student.model}, task, files, student.tokenizer, max_length)
        say("\n".join(f"{split} {key} = {value}" for split, of in results["test"].items() for key, value in of["student"].items()))
    elif teacher:
        model = load(teacher)
        check_same_vocabulary(student, model)
        results |= {"teacher": str(teacher), "teacher_dev": dev(model.model),
                    "agreement": agreement(predict(model.model, dev.first), predict(student.model, dev.first))}
    if output:
        output.mkdir(parents=True, exist_ok=True)
        write_test_predictions(student.model, task, files, student.tokenizer, max_length, output)  # first: it may refuse a file
        write_eval_results(output, results["dev"], 0)
        write_json(output / "eval_results.json", results)
    say("\n".join(f"{key} = {value}" for key, value in results["dev"].items()))
    if "teacher_dev" in results:
        say("\n".join(f"teacher {key} = {value}" for key, value in results["teacher_dev"].items()) + f"\nagreement = {results['agreement']}")
    return results


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m tinybert_lite.evaluate", description="Dev scores, agreement with a teacher, test predictions.")
    parser.add_argument("--data_dir", required=True, type=Path)
    parser.add_argument("--task_name", required=True)
    parser.add_argument("--student_model", required=True, help="a finished model: student, teacher, any BERT classifier, or a serving folder")
    parser.add_argument("--runtime", choices=MODELS, help="of a serving folder: model.int8.onnx or model.onnx; default: the first there is")
    parser.add_argument("--teacher_model", help="to compare with")
    parser.add_argument("--output_dir", type=Path, help="where scores and test predictions are written")
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--eval_batch_size", type=int, default=32)
    parser.add_argument("--do_lower_case", action="store_true", default=None, help="default: as the model's vocabulary is")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    workspace = Workspace.find(task=args.task_name, data_dir=args.data_dir)
    settings = Settings(profile="command line", task=workspace.task, device=args.device, lower_case=args.do_lower_case)
    teacher = local_folder(args.teacher_model) if args.teacher_model else None
    evaluate_folder(local_folder(args.student_model), workspace, settings, args.max_seq_length, args.eval_batch_size, args.output_dir, teacher, args.runtime)


if __name__ == "__main__":
    raise SystemExit(main())
