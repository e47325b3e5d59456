"""The paths on a stage's command line, and the files of the original scripts."""

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

from tinybert_lite.data.split_files import has_rows
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.loading import shares_layers
from tinybert_lite.models.student import derived_student, describe
from tinybert_lite.pipeline.model_choice import resolve_teacher, shipped_student
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import finetune_teacher
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256, written_beside

AUGMENTED = "train_aug.tsv"  # in the task's folder


def copy_augmented_rows(workspace: Workspace, last: str | None) -> None:
    """Copy stage 1's rows into the task's folder, where the original scripts read them.

    If a file is there and its SHA-256 is not `last`, that of our last copy, it is moved aside.
    """
    place = workspace.data_dir / AUGMENTED
    if place.is_file() and sha256(place) != last:
        names = (place.with_name(f"train_aug.yours-{number}.tsv") for number in count(1))
        kept = next(path for path in names if not path.exists())
        place.rename(kept)
        say(f"moved aside: {place.name} → {kept}")
    with written_beside(place) as part:
        shutil.copyfile(workspace.augmented_rows, part)
    say(f"also written: {place}, where --aug_train of task_distill looks first")


def task_rows(workspace: Workspace, augmented: bool) -> Path:
    """Return the file of training rows; if `augmented`, train_aug.tsv or else stage 1's output."""
    if not augmented:
        return workspace.data_file("train")
    places = [workspace.data_file("train_aug"), workspace.augmented_rows]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(
            f"--aug_train: neither {places[0]} nor {places[1]} exists; run data_augmentation first"
        )
    say(f"augmented rows: {found}")
    return found


def given_split_file(place: Path | None, split: str, workspace: Workspace) -> Path:
    """Return the file of a split: `place` if it holds rows, else the split's file in there."""
    if place and has_rows(place):
        return place
    data = (
        Workspace.find(workspace.root, workspace.task_name, data_dir=place) if place else workspace
    )
    return data.data_file(split)


def teacher_folder(name: str, workspace: Workspace) -> ModelFolder:
    """Return a teacher's folder by path or hub name; `teacher_model` may be the shipped teacher."""
    return resolve_teacher(local_folder(name), workspace)


def model_folder(name: str) -> ModelFolder:
    """Return a model's folder by path or hub name, or the folder of a weights file."""
    path = Path(name)
    if path.suffix == ".ckpt":
        raise UserError(
            f"{path} is a MindSpore checkpoint: convert it to a model folder as "
            "docs/mindspore_checkpoints.md shows, and name that folder"
        )
    return ModelFolder(path.parent) if path.is_file() else local_folder(name)


def student_folder(name: str, teacher: ModelFolder) -> ModelFolder:
    """Return a student's folder; without a config.json its sub-folder, or the derived student."""
    folder = local_folder(name)
    if folder.has_config:
        return folder
    inside = ModelFolder(folder.path / (shipped_student(teacher) or "none"))
    if not inside.has_config:
        inside = derived_student(teacher, {}, folder.path)
    say(f"student: {inside}, {describe(inside, teacher)}")
    return inside


def task_teacher(
    workspace: Workspace, name: str | None, student: ModelFolder, prediction: bool
) -> ModelFolder:
    """Return the teacher of a task stage: the workspace's file of logits, else the model `name`.

    Raises UserError for stage 4 if its layers cannot be matched with the student's.
    """
    if workspace.given_logits and name:
        raise UserError(
            "--teacher_logits replaces the teacher: leave out --teacher_model and --task_teacher"
        )
    if not (workspace.given_logits or name):
        raise UserError(
            "--teacher_model is missing: name the task's teacher, "
            "or use --do_eval to evaluate the student alone"
        )
    logits = workspace.given_logits
    teacher = ModelFolder(logits) if logits else teacher_folder(name, workspace)
    if not (prediction or shares_layers(teacher, student)):
        what = "has another tokenizer than the student"
        if not teacher.has_layers:
            what = "is not of a family whose layers can be matched"
        raise UserError(
            f"{teacher} {what}, so stage 4 cannot match its layers (docs/families.md): "
            "use it for the prediction layer, with --pred_distill"
        )
    return teacher


def fine_tuned(teacher: ModelFolder, workspace: Workspace, settings: Settings) -> Path:
    """Return the teacher; for one without a classifier its fine-tuned copy, made if missing."""
    if not teacher.has_layers or teacher.has_classifier:
        return teacher
    say(
        f"{teacher} was not fine-tuned on {settings.task.name}: its fine-tuned copy is "
        f"{workspace.tuned_teacher}, which is made first if it is missing"
    )
    return finetune_teacher.run(replace(workspace, given_teacher=teacher.path), settings).folder
