"""Evaluate one finished model: dev scores, agreement with a teacher, and test predictions."""

from pathlib import Path

from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import Task
from tinybert_lite.exports.serving import Served
from tinybert_lite.models import loading
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import submissions
from tinybert_lite.stages.evaluation import DevSet, predict
from tinybert_lite.stages.metrics import agreement
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.teachers import OtherClassifier
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.files import write_json


def evaluate_folder(
    folder: ModelFolder | Path,
    workspace: Workspace,
    settings: Settings,
    max_length: int = 128,
    batch_size: int = 32,
    output: Path | None = None,
    teacher: ModelFolder | Path | None = None,
    runtime: str | None = None,
) -> dict:
    """Evaluate a model folder or a serving folder (`runtime`: its ONNX file) on the task's rows.

    Prints and returns the dev scores; with a `teacher` also the teacher's scores and the
    agreement; for a task without dev rows the scores on its test file, if that has labels. Writes
    scores and test predictions into `output`. Raises UserError for files that cannot be read or
    scored.
    """
    task, device = workspace.task, Session.open(settings).device.name
    student = _load(folder, task, settings.lower_case, device, runtime)
    inputs = student.tokenizer, max_length
    files = {split: workspace.data_file(split) for split in task.test_files}
    dev = DevSet(task, workspace.task_files, *inputs, batch_size)
    results = {"task": task.name, "student": str(folder), "dev": dev(student.model)}
    if not dev.parts:  # the diagnostic set is a test set only
        tests = submissions.scores_on_test({"student": student.model}, task, files, *inputs)
        results["test"] = tests
        for split, scores in tests.items():
            _say_scores(scores["student"], f"{split} ")
    elif teacher:
        place, logits = ModelFolder.at(teacher), {}
        served = isinstance(student.model, Served) or place.served_file
        if served or loading.shares_layers(place, student.folder):
            other = _load(place, task, settings.lower_case, device)
            loading.check_same_tokenizer(student, other)
            logits = {name: predict(other.model, part) for name, part in dev.parts.items()}
        else:  # it reads the texts with its own tokenizer
            other = OtherClassifier(place, task, max_length, batch_size, device)
            for name in dev.parts:
                logits[name] = other.logits(read_table(workspace.data_file(name), task).rows)
        results["teacher"] = str(teacher)
        results["teacher_dev"] = dev.scores_of(logits.get)
        first = predict(student.model, dev.first)
        results["agreement"] = agreement(next(iter(logits.values())), first)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        # Predictions are written first: a test file may raise an error.
        submissions.write_test_predictions(student.model, task, files, *inputs, output)
        submissions.write_eval_results(output, results["dev"], 0)
        write_json(output / "eval_results.json", results)
    _say_scores(results["dev"])
    if "teacher_dev" in results:
        _say_scores(results["teacher_dev"], "teacher ")
        say(f"agreement = {results['agreement']}")
    return results


def _load(
    place: ModelFolder | Path,
    task: Task,
    lower_case: bool | None,
    device: str,
    runtime: str | None = None,
) -> loading.LoadedModel:
    """Load the model, with its outputs in the order of the task's labels."""
    place = ModelFolder.at(place)
    if runtime or place.served_file:
        served = Served(place, runtime).in_the_tasks_order(task)
        return loading.LoadedModel(served, served.tokenizer, place, [])
    found = loading.load_classifier(place, task, lower_case)
    if "classifier" in found.new_parts:
        remark(f"warning: {place} has no classifier, so its scores are random: fine-tune it first")
    found.model.to(device)
    return found


def _say_scores(scores: dict[str, float], prefix: str = "") -> None:
    for name, value in scores.items():
        say(f"{prefix}{name} = {value}")
