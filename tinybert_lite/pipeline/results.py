"""What a run ends with: `results.json`, the table, `report.md` and its pictures, all in `5_task_distill_out/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tokens import encode_table
from tinybert_lite.method.encoder import Bert
from tinybert_lite.models.cost import cost
from tinybert_lite.models.folder import LOGITS, ModelFolder
from tinybert_lite.models.loading import load_bert, load_classifier, load_model
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet, predict, probe
from tinybert_lite.stages.metrics import agreement
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.submissions import scores_on_test, write_test_predictions
from tinybert_lite.stages.teachers import OtherClassifier
from tinybert_lite.system.device import choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.machine import machine, versions
from tinybert_lite.system.outputs import read_manifest

PROBE_ROWS = 1000


def gather(workspace: Workspace, settings: Settings) -> dict:
    """Evaluate what the stages left: see docs/results.md for the fields."""
    task, length = workspace.task, settings.task_distill_out.max_seq_length
    device = choose_device(settings.device, settings.precision)
    general = workspace.general_or_given_student
    went_through = (
        {"3": general, "5": ModelFolder(workspace.final_student)}
        if workspace.without_layers
        else {
            "3": general,
            "4": ModelFolder(workspace.mid_student),
            "5": ModelFolder(workspace.final_student),
        }
    )
    for folder in (
        *([] if workspace.without_layers else [workspace.task_teacher]),
        *went_through.values(),
    ):
        if folder.weights_file is None:
            raise UserError(f"{folder} holds no weights yet: run the stages before the report")
    final = load_bert(workspace.final_student)
    files = {
        **workspace.task_files,
        **{split: workspace.data_file(split) for split in task.test_files},
    }
    dev = DevSet(task, files, final.tokenizer, length)
    train = encode_table(
        read_table(files["train"], task), task, final.tokenizer, length, PROBE_ROWS
    ).labelled()
    teacher, student = (
        known_teacher(workspace, dev, length, device.name),
        final.model.to(device.name).eval(),
    )
    baseline = ModelFolder(workspace.baseline)
    undistilled = loaded(baseline, device.name) if baseline.weights_file else None
    probed = {"teacher": teacher.model} if teacher.model else {}
    probed |= {stage: loaded(folder, device.name) for stage, folder in went_through.items()}
    probes = (
        {name: probe(model, train, dev.first, task.is_regression) for name, model in probed.items()}
        if len(set(train.labels)) > 1
        else {}
    )
    write_test_predictions(student, task, files, final.tokenizer, length, workspace.final_student)
    models = (
        ({"teacher": teacher.model} if teacher.model else {})
        | {"student": student}
        | ({"undistilled": undistilled} if undistilled else {})
    )
    tests = scores_on_test(models, task, files, final.tokenizer, length)
    if task.diagnostic:
        other, its_files = workspace.diagnostic
        write_test_predictions(
            student, other, its_files, final.tokenizer, length, workspace.final_student
        )
        tests |= scores_on_test(models, other, its_files, final.tokenizer, length)
    results = {
        "task": task.name,
        "metric": task.metric,
        "seed": settings.seed,
        "profile": settings.profile,
        "teacher": teacher.scores,
        "student": dev(student),
        "probe_along_the_stages": probes,
        "agreement": None
        if teacher.logits is None
        else agreement(teacher.logits, predict(student, dev.first)),
        "test": tests,
        "cost": ({"teacher": teacher.cost} if teacher.cost else {})
        | {"student": cost(student, dev.first)},
        "rows": {"train": len(read_table(files["train"], task).rows), "dev": len(dev.first)},
        "seconds": {stage: manifest["seconds"] for stage, manifest in manifests(workspace).items()},
        "folders": {
            "teacher": str(workspace.task_teacher),
            "student": str(workspace.final_student),
            "data": str(workspace.data_dir),
        },
        "device": str(device),
        "machine": machine(),
        "versions": versions(),
    }
    if undistilled:
        results["undistilled"] = dev(undistilled)
    results["parameters"] = {name: found["parameters"] for name, found in results["cost"].items()}
    return results


@dataclass(frozen=True)
class Teacher:
    """What is known of a task's teacher: nothing of one whose logits were given, and of one that is no BERT all but its layers."""

    scores: dict[str, float] | None = None
    logits: np.ndarray | None = None  # of the first dev file's rows, (n, K)
    cost: dict | None = None
    model: Bert | None = None


def known_teacher(workspace: Workspace, dev: DevSet, max_length: int, device: str) -> Teacher:
    place = workspace.task_teacher
    if place.kind == LOGITS:
        return Teacher()
    if place.has_layers:
        model = load_classifier(place, workspace.task).model.to(device).eval()
        return Teacher(dev(model), predict(model, dev.first), cost(model, dev.first), model)
    other = OtherClassifier(place, workspace.task, max_length, device=device)
    rows = {part: read_table(workspace.data_file(part), workspace.task).rows for part in dev.parts}
    logits = {part: other.logits(found) for part, found in rows.items()}
    return Teacher(
        dev.scores_of(logits.__getitem__),
        next(iter(logits.values())),
        other.cost(next(iter(rows.values()))),
    )


def loaded(folder: ModelFolder, device: str) -> Bert:
    return load_model(folder)[0].to(device).eval()


def manifests(workspace: Workspace) -> dict[str, dict]:
    """The manifests of the stages that this workspace's student went through, by stage."""
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
