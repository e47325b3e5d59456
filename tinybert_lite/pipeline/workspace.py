"""A task's workspace: its folders, what was given on the command line, and what the stages read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.split_files import has_rows, split_file
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, Task, find_task
from tinybert_lite.models.folder import PRE_DATA, ModelFolder
from tinybert_lite.models.loading import shares_layers
from tinybert_lite.models.student import derived_student, read_shape
from tinybert_lite.pipeline.folders import SHIPPED, STUDENT_MODEL, Folders, rows_elsewhere
from tinybert_lite.pipeline.model_choice import (
    may_be_pretrained_version_of,
    resolve_teacher,
    shipped_student,
)
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import PACKED

GROW = "grow"  # --teacher_model grow: a small teacher, pre-trained on the workspace's corpus
CLASSROOM_VECTORS = "glove.classroom.txt"


@dataclass(frozen=True)
class Workspace(Folders):
    """The folders of one task's run. Given paths replace those in the workspace.

    Each access to a model makes a new ModelFolder, which reads its files once: do not keep it
    after something was written into its folder.
    """

    given_data: Path | None = None
    given_teacher: Path | None = None
    given_task_teacher: Path | None = None
    given_student: Path | None = None
    given_logits: Path | None = None  # a task teacher's, for the training rows
    given_corpora: tuple[Path, ...] = ()
    given_vectors: Path | None = None
    given_shape: tuple[tuple[str, int], ...] = ()  # of a derived student, see `models.student`
    given_augmentation_model: Path | None = None

    @classmethod
    def find(
        cls,
        root: str | Path | None = None,
        task: str = FOLDERS_OWN_TASK,
        *,
        data_dir=None,
        teacher_model=None,
        task_teacher=None,
        student_model=None,
        teacher_logits=None,
        corpus=(),
        vectors=None,
        student=None,
        augmentation_model=None,
    ) -> Workspace:
        """Find a workspace and check the given paths.

        It is `root`, else TINYBERT_WORKSPACE, else the nearest parent folder with student_model/,
        else the repository. A task that is not in the list has a task.json beside its rows, in
        `data_dir` or the workspace's folder of its name. Raises UserError for an unknown task or
        a missing path.
        """
        root = Path(root or os.environ.get("TINYBERT_WORKSPACE") or _around(Path.cwd()))
        data_dir = data_dir or rows_elsewhere(root, task)
        found = cls(root.resolve(), find_task(task, Path(data_dir or root / task)))
        folders = {
            "--data_dir": data_dir,
            "--teacher_model": found.grown_teacher if teacher_model == GROW else teacher_model,
            "--task_teacher": task_teacher,
            "--student_model": student_model,
            "--augmentation_model": augmentation_model,
        }
        given = [Path(path).resolve() if path else None for path in folders.values()]
        for flag, path in zip(folders, given):
            if path and not path.is_dir() and path != found.grown_teacher:
                raise UserError(f"{flag} {path}: there is no such folder")
        if teacher_logits and task_teacher:
            raise UserError("--teacher_logits replaces the task teacher: leave out --task_teacher")
        for flag, path in (("--teacher_logits", teacher_logits), ("--glove_embs", vectors)):
            if path and not Path(path).is_file():
                raise UserError(f"{flag} {path}: there is no such file")
        files = [Path(path).resolve() if path else None for path in (teacher_logits, vectors)]
        corpora = tuple(path.resolve() for path in given_sources(corpus or ()))
        if lost := next((path for path in corpora if not path.exists()), None):
            raise UserError(f"--corpus {lost}: there is no such file or folder")
        if student and student_model:
            raise UserError("--student and --student_model both name a student: leave out one")
        *given, augmenting = given
        shape = tuple(read_shape(student).items()) if student else ()
        return cls(found.root, found.task, *given, files[0], corpora, files[1], shape, augmenting)

    # Data --------------------------------------------------------------------------------------

    @property
    def data_dir(self) -> Path:
        """The folder of the task's files: given, else in the workspace, else the shipped one.

        It has the task's name or a published one; tasks such as XNLI-zh may also be in XNLI/.
        """
        if self.given_data:
            return self.given_data
        short = self.task_name.removesuffix(f"-{self.task.language}")
        own = [self.root / name for name in (self.task_name, short, *self.task.folders)]
        return next(
            (folder for folder in own if has_rows(split_file(folder, "train", self.task))),
            self._own_or_shipped(own[0]),
        )

    def data_file(self, split: str) -> Path:
        """Return the file of a split, see `split_file`."""
        return split_file(self.data_dir, split, self.task)

    @property
    def task_files(self) -> dict[str, Path]:
        """The task's training and dev files."""
        return {split: self.data_file(split) for split in ("train", *self.task.dev_files)}

    @property
    def diagnostic(self) -> tuple[Task, dict[str, Path]]:
        """The diagnostic task for this task's models, and its test file.

        The file is in a folder AX/ or diagnostic/, or in the task's folder.
        """
        task = find_task(self.task.diagnostic)
        (split,) = task.test_files
        places = [
            folder / name
            for folder in (self.root, self.data_dir.parent)
            for name in (task.name, split)
        ]
        files = [split_file(place, split, task) for place in (*places, self.data_dir)]
        return task, {split: next(filter(has_rows, files), files[0])}

    @property
    def corpus(self) -> Path:
        """documents.txt: the user's, else the shipped one."""
        return self._own_or_shipped(self._language(PRE_DATA) / "documents.txt")

    @property
    def corpora(self) -> list[Path]:
        """What stage 2 reads: the given corpora, else `wiki…` in 1_pre_data/, else `corpus`."""
        downloads = {".part", ".zip"}
        found = self._language(PRE_DATA).glob("wiki*")
        own = (path for path in found if not downloads & {*path.suffixes})
        return list(self.given_corpora) or given_sources(own) or [self.corpus]

    @property
    def vectors(self) -> Path:
        """Word vectors: given, else the user's in 1_pre_data/, else the shipped ones.

        The first by name of glove*.txt, or else of *.vec (also packed), is the user's.
        """
        if self.given_vectors:
            return self.given_vectors
        home = self._language(PRE_DATA)
        own = [
            path
            for pattern in ("glove*.txt", "*.vec", *(f"*.vec{suffix}" for suffix in PACKED))
            for path in sorted(home.glob(pattern))
            if path.name != CLASSROOM_VECTORS
        ]
        return own[0] if own else self._own_or_shipped(home / CLASSROOM_VECTORS)

    # Teachers ----------------------------------------------------------------------------------

    @property
    def teacher(self) -> ModelFolder:
        """The general teacher: given, else the user's in teacher_model/, else the shipped one.

        Without --teacher_model a given task teacher is also the general teacher, except: the one
        found here has the same family, sizes and tokenizer (then the task teacher was probably
        fine-tuned from it), or a given student has weights and another tokenizer.
        """
        own = ModelFolder(self.given_teacher or self.teacher_home)
        task = ModelFolder(self.given_task_teacher or self.root / "none")
        if not self.given_teacher and task.has_layers and task.weights_file:
            student = ModelFolder(self.given_student or self.root / "none")
            fits = not student.weights_file or shares_layers(task, student)
            if fits and not may_be_pretrained_version_of(resolve_teacher(own, self), task):
                return task
        return resolve_teacher(own, self)

    @property
    def teacher_is_grown(self) -> bool:
        """Whether the general teacher was, or will be, pre-trained on little text by `pretrain`."""
        teacher = self.teacher
        return not teacher.has_config or bool(getattr(teacher.config, "grown", False))

    @property
    def vocabulary(self) -> os.PathLike:
        """The tokenizer of teacher and student: the teacher's folder, or a vocab.txt."""
        return self.teacher.as_tokenizer

    @property
    def task_teacher(self) -> ModelFolder:
        """The fine-tuned teacher of stages 4 and 5, or the file of its logits."""
        return ModelFolder(self.given_logits or self.given_task_teacher or self.tuned_teacher)

    @property
    def why_layers_are_not_matched(self) -> str:
        """The reason why the task teacher's layers cannot be matched in stage 4, or ""."""
        if self.given_logits:
            return "a file of logits has no layers to match"
        if not self.given_task_teacher:
            return ""
        other = self.student_source if self.student_has_weights else self.teacher
        if shares_layers(self.task_teacher, other):
            return ""
        if self.task_teacher.has_layers:
            return (
                f"the task teacher and {other.name} have different tokenizers, so layers cannot be "
                "matched"
            )
        return f"layers of the family {self.task_teacher.family} cannot be matched"

    @property
    def augmentation_model(self) -> ModelFolder:
        """The model of stage 1: given, else the general teacher.

        If it has no masked-LM head, only its tokenizer is used: candidates come from word vectors.
        """
        given = self.given_augmentation_model
        return ModelFolder(given) if given else self.teacher

    # Rows and students -------------------------------------------------------------------------

    @property
    def task_rows(self) -> Path:
        """The training rows of stages 4 and 5: augmented rows, or the rows of given logits."""
        return self.data_file("train") if self.given_logits else self.augmented_rows

    @property
    def rows_for_prediction(self) -> Path:
        """The training rows of stage 5: the same as in stage 4."""
        return self.task_rows

    @property
    def student_source(self) -> ModelFolder:
        """The student's folder: given, else in the user's student_model/, else the teacher's.

        For another language student_model/ may have a sub-folder. The teacher's student is a
        shipped one or derived from its configuration. Raises UserError if a given folder has no
        configuration, and for a given shape that does not fit.
        """
        if self.given_shape:
            return derived_student(self.teacher, dict(self.given_shape), self.root / STUDENT_MODEL)
        homes = (self._language(STUDENT_MODEL), self.root / STUDENT_MODEL)
        own = [self.given_student] if self.given_student else homes
        for folder in map(ModelFolder, own):
            if folder.has_config:
                return folder
        if self.given_student:
            raise UserError(
                f"{self.given_student / 'config.json'} is missing: put the student's configuration "
                f"there"
            )
        teacher = self.teacher
        if name := shipped_student(teacher):
            return ModelFolder(self._own_or_shipped(self.root / STUDENT_MODEL / name))
        return derived_student(teacher, {}, self.root / STUDENT_MODEL)

    @property
    def student_has_weights(self) -> bool:
        """Whether the student's folder has weights, so that stages 2 and 3 are not needed."""
        return self.student_source.weights_file is not None

    @property
    def general_or_given_student(self) -> ModelFolder:
        """The student that stage 4 starts from: the given one if it has weights, else stage 3's."""
        return (
            self.student_source if self.student_has_weights else ModelFolder(self.general_student)
        )

    @property
    def student_for_prediction(self) -> ModelFolder:
        """The student that stage 5 starts from: stage 4's, or without stage 4 its input."""
        return (
            self.general_or_given_student
            if self.why_layers_are_not_matched
            else ModelFolder(self.mid_student)
        )


def _around(folder: Path) -> Path:
    """Return the nearest folder upwards that holds student_model/, else the repository."""
    homes = (folder, *folder.parents)
    return next((home for home in homes if (home / STUDENT_MODEL).is_dir()), SHIPPED)
