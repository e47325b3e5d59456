"""The results of a run: scores, agreement, probes, test predictions, cost (docs/results.md)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinybert_lite.data.left_out import left_out
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.models.cost import cost
from tinybert_lite.models.folder import KIND_LOGITS, ModelFolder
from tinybert_lite.models.loading import load_classifier, load_model, load_with_tokenizer
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet, predict, probe
from tinybert_lite.stages.metrics import agreement, at_chance
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.submissions import scores_on_test, write_test_predictions
from tinybert_lite.stages.teachers import OtherClassifier
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import machine, versions
from tinybert_lite.system.outputs import read_manifest

PROBE_ROWS = 1000


def gather(workspace: Workspace, settings: Settings) -> dict:
    """Evaluate the models of a finished run. Returns the fields of docs/results.md.

    Writes the test predictions beside the final student. Raises UserError if a model has no
    weights yet.
    """
    task, length = workspace.task, settings.task_distill_out.max_seq_length
    device = choose_device(settings.device, settings.precision)
    final_folder, with_layers = workspace.final_student, not workspace.why_layers_are_not_matched
    baseline = ModelFolder(workspace.baseline)
    mid = {"4": ModelFolder(workspace.mid_student)} if with_layers else {}
    steps = {"3": workspace.general_or_given_student, **mid, "5": ModelFolder(final_folder)}
    for folder in (*[workspace.task_teacher] * with_layers, *steps.values()):
        if folder.weights_file is None:
            raise UserError(f"{folder} holds no weights yet: run the stages before the report")
    final = load_with_tokenizer(final_folder)
    inputs = (final.tokenizer, length)
    files = {
        **workspace.task_files,
        **{name: workspace.data_file(name) for name in task.test_files},
    }
    dev = DevSet(task, files, *inputs)
    teacher = known_teacher(workspace, dev, length, device.name)
    models = {"teacher": teacher.model, "student": final.model.to(device.name).eval()}
    if baseline.weights_file:
        models["undistilled"] = loaded(baseline, device.name)
    models = {name: model for name, model in models.items() if model}
    student, tests = models["student"], {}
    for its_task, its_files in (task, files), *([workspace.diagnostic] if task.diagnostic else []):
        write_test_predictions(student, its_task, its_files, *inputs, final_folder)
        tests |= scores_on_test(models, its_task, its_files, *inputs)
    table = read_table(files["train"], task)
    train, probes = encode_table(table, task, *inputs, PROBE_ROWS).labelled(), {}
    if len(set(train.labels)) > 1:
        probed = {step: loaded(folder, device.name) for step, folder in steps.items()}
        for name, model in ({"teacher": teacher.model} | probed).items():
            if model:
                probes[name] = probe(model, train, dev.first, task.is_regression)
    costs = {"teacher": teacher.cost} if teacher.cost else {}
    costs["student"] = cost(student, dev.first)
    results = {
        "task": task.name,
        "metric": task.metric,
        "seed": settings.seed,
        "profile": settings.profile,
        "teacher": teacher.scores,
        "teacher_above_chance": teacher.scores
        and not at_chance(task, teacher.scores, dev.first.labels),
        "student": dev(student),
        "probe_along_the_stages": probes,
        "agreement": None
        if teacher.logits is None
        else agreement(teacher.logits, predict(student, dev.first)),
        "test": tests,
        "cost": costs,
        "left_out": left_out(files.values()),
        "rows": {"train": len(table.rows), "dev": len(dev.first)},
        "seconds": {stage: manifest["seconds"] for stage, manifest in manifests(workspace).items()},
        "folders": {
            "teacher": str(workspace.task_teacher),
            "student": str(final_folder),
            "data": str(workspace.data_dir),
        },
        "device": str(device),
        "machine": machine(),
        "versions": versions(),
    }
    if "undistilled" in models:
        results["undistilled"] = dev(models["undistilled"])
    results["parameters"] = {name: found["parameters"] for name, found in costs.items()}
    return results


@dataclass(frozen=True)
class Teacher:
    """The results of a task teacher.

    An encoder whose layers are matched has all fields, another classifier has no `model`, and a
    file of logits has none.
    """

    scores: dict[str, float] | None = None
    logits: np.ndarray | None = None  # of the rows of the first dev file, (n, K)
    cost: dict | None = None
    model: Encoder | None = None


def known_teacher(workspace: Workspace, dev: DevSet, max_length: int, device: str) -> Teacher:
    """Evaluate the task teacher (an encoder, another classifier, or logits) on the dev rows."""
    place, task = workspace.task_teacher, workspace.task
    if place.kind == KIND_LOGITS:
        return Teacher()
    if not workspace.why_layers_are_not_matched:
        model = load_classifier(place, task).model.to(device).eval()
        return Teacher(dev(model), predict(model, dev.first), cost(model, dev.first), model)
    other = OtherClassifier(place, task, max_length, device=device)
    rows = {part: read_table(workspace.data_file(part), task).rows for part in dev.parts}
    logits = {part: other.logits(found) for part, found in rows.items()}
    first = next(iter(rows))
    return Teacher(dev.scores_of(logits.get), logits[first], other.cost(rows[first]))


def loaded(folder: ModelFolder, device: str) -> Encoder:
    """Load a folder's model in eval mode on a device."""
    return load_model(folder)[0].to(device).eval()


def manifests(workspace: Workspace) -> dict[str, dict]:
    """Read the manifests of the stages that made this workspace's student, by stage name."""
    folders = (
        workspace.teacher,
        *([] if workspace.given_logits else [workspace.augmentation]),
        workspace.sequences,
        workspace.general_student,
        workspace.task_teacher,
        workspace.student_for_prediction,
        workspace.final_student,
        workspace.baseline,
    )
    found = [manifest for folder in folders if (manifest := read_manifest(Path(folder)))]
    return {manifest["stage"]: manifest for manifest in found}
