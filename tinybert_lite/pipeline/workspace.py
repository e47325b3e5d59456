"""A task's workspace: its folders, what was given on the command line, and what the stages read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.tables import RECORDS
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, Task, find_task
from tinybert_lite.models.folder import PRE_DATA, ModelFolder
from tinybert_lite.pipeline.folders import CLASSROOM, SHIPPED, STUDENT_MODEL, Folders
from tinybert_lite.pipeline.model_choice import fitting_student, resolve_teacher
from tinybert_lite.system.errors import UserError

GROW = "grow"  # --teacher_model grow: a teacher made from the text at hand
CLASSROOM_VECTORS = "glove.classroom.txt"


@dataclass(frozen=True)
class Workspace(Folders):
    """The folders of one task's run. The given paths win over what is in the folders.

    Models that a stage reads are opened anew each time one is asked for, so that they are never
    out of date; keep the object for as long as nothing is written into its folder.
    """

    given_data: Path | None = None
    given_teacher: Path | None = None
    given_task_teacher: Path | None = None
    given_student: Path | None = None
    given_logits: Path | None = None  # a task teacher's, for the training rows
    given_corpora: tuple[Path, ...] = ()

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
    ) -> Workspace:
        """`root`, else TINYBERT_WORKSPACE, else a parent with student_model/, else the repository.

        A task that is not on the list is described beside its rows, in `data_dir` or the
        workspace's folder of its name. Raises UserError for an unknown task or a missing path.
        """
        root = Path(root or os.environ.get("TINYBERT_WORKSPACE") or _around(Path.cwd()))
        found = cls(root.resolve(), find_task(task, Path(data_dir or root / task)))
        folders = {
            "--data_dir": data_dir,
            "--teacher_model": found.grown_teacher if teacher_model == GROW else teacher_model,
            "--task_teacher": task_teacher,
            "--student_model": student_model,
        }
        given = [Path(path).resolve() if path else None for path in folders.values()]
        for flag, path in zip(folders, given):
            if path and not path.is_dir() and path != found.grown_teacher:
                raise UserError(f"{flag} {path}: there is no such folder")
        if teacher_logits and task_teacher:
            raise UserError(
                "--teacher_logits takes a task teacher's place: leave --task_teacher out"
            )
        logits = Path(teacher_logits) if teacher_logits else None
        if logits and not logits.is_file():
            raise UserError(f"--teacher_logits {logits}: there is no such file")
        corpora = tuple(path.resolve() for path in given_sources(corpus or ()))
        if lost := next((path for path in corpora if not path.exists()), None):
            raise UserError(f"--corpus {lost}: there is no such file or folder")
        return cls(found.root, found.task, *given, logits and logits.resolve(), corpora)

    # Data --------------------------------------------------------------------------------------

    @property
    def data_dir(self) -> Path:
        """Given, else the workspace's folder of the task's name, else the shipped one.

        XNLI-zh and the like may also be in XNLI/.
        """
        if self.given_data:
            return self.given_data
        short = self.task_name.removesuffix(f"-{self.task.language}")
        own = [self.root / name for name in (self.task_name, short)]
        return next(
            (folder for folder in own if _split_file(folder, "train", self.task).is_file()),
            self._own_or_shipped(own[0]),
        )

    def data_file(self, split: str) -> Path:
        return _split_file(self.data_dir, split, self.task)

    @property
    def task_files(self) -> dict[str, Path]:
        """The task's training and dev files."""
        return {split: self.data_file(split) for split in ("train", *self.task.dev_files)}

    @property
    def diagnostic(self) -> tuple[Task, dict[str, Path]]:
        """The diagnostic task that this task's models answer, and its test file.

        The file is in a folder AX/ or diagnostic/, or among the task's own.
        """
        task = find_task(self.task.diagnostic)
        (split,) = task.test_files
        places = [
            folder / name
            for folder in (self.root, self.data_dir.parent)
            for name in (task.name, split)
        ]
        files = [_split_file(place, split, task) for place in (*places, self.data_dir)]
        return task, {split: next(filter(Path.is_file, files), files[0])}

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
        """A GloVe file of the user's (the first by name), else the shipped one."""
        home = self._language(PRE_DATA)
        own = sorted(path for path in home.glob("glove*.txt") if path.name != CLASSROOM_VECTORS)
        return own[0] if own else self._own_or_shipped(home / CLASSROOM_VECTORS)

    # Teachers ----------------------------------------------------------------------------------

    @property
    def teacher(self) -> ModelFolder:
        """The general teacher: given, the user's in teacher_model/, else the shipped one."""
        return resolve_teacher(ModelFolder(self.given_teacher or self.teacher_home), self)

    @property
    def teacher_width(self) -> int:
        """0 where there is no teacher yet."""
        teacher = self.teacher
        return teacher.config.hidden_size if teacher.has_config else 0

    @property
    def vocabulary(self) -> Path:
        """The teacher's, which is the student's too; where it would be if there is none yet."""
        teacher = self.teacher
        return teacher.vocabulary or teacher.path / "vocab.txt"

    @property
    def task_teacher(self) -> ModelFolder:
        """The fine-tuned teacher of stages 4 and 5, or the file of its logits."""
        return ModelFolder(self.given_logits or self.given_task_teacher or self.tuned_teacher)

    @property
    def without_layers(self) -> str:
        """Why stage 4 cannot match the task teacher's layers and is left out, "" where it can."""
        if self.given_logits:
            return "a file of logits has no layers to match"
        if self.given_task_teacher and not self.task_teacher.has_layers:
            return "the teacher is not a BERT, its layers cannot be matched"
        return ""

    # Rows and students -------------------------------------------------------------------------

    @property
    def task_rows(self) -> Path:
        """What stages 4 and 5 train on: the augmented rows, or the rows of given logits."""
        return self.data_file("train") if self.given_logits else self.augmented_rows

    @property
    def rows_for_prediction(self) -> Path:
        """What stage 5 trains on: the same as stage 4."""
        return self.task_rows

    @property
    def student_source(self) -> ModelFolder:
        """Given, a user's student_model/ (or its language's sub-folder), else a shipped one.

        The shipped configuration is the one that fits the teacher's heads and layers. Raises
        UserError where the given folder has no configuration or no shipped one fits.
        """
        homes = (self._language(STUDENT_MODEL), self.root / STUDENT_MODEL)
        own = [self.given_student] if self.given_student else homes
        for folder in map(ModelFolder, own):
            if folder.has_config:
                return folder
        if self.given_student:
            raise UserError(
                f"{self.given_student / 'config.json'} is missing: a student folder needs at least "
                f"its configuration"
            )
        teacher = self.teacher
        # A teacher without a configuration is about to be grown, with the heads of classroom/.
        name = fitting_student(teacher) if teacher.has_config else CLASSROOM
        return ModelFolder(self._own_or_shipped(self.root / STUDENT_MODEL / name))

    @property
    def student_has_weights(self) -> bool:
        """Whether the user brought a whole student, which makes stages 2 and 3 superfluous."""
        return self.student_source.weights_file is not None

    @property
    def general_or_given_student(self) -> ModelFolder:
        """What stage 4 starts from: a whole student that the user brought, else stage 3's."""
        return (
            self.student_source if self.student_has_weights else ModelFolder(self.general_student)
        )

    @property
    def student_for_prediction(self) -> ModelFolder:
        """What stage 5 starts from: stage 4's student; without stage 4, what that would."""
        return (
            self.general_or_given_student if self.without_layers else ModelFolder(self.mid_student)
        )


def _around(folder: Path) -> Path:
    """The nearest folder upwards that holds student_model/, else the repository."""
    homes = (folder, *folder.parents)
    return next((home for home in homes if (home / STUDENT_MODEL).is_dir()), SHIPPED)


def _split_file(folder: Path, split: str, task: Task) -> Path:
    """`split.tsv`, else its published name, else its rows as ids, else where split.tsv would be.

    Rows as ids have the split's name or that of BERT's run_classifier.py, which has of MNLI the
    matched rows alone.
    """
    googles = split.replace("dev", "eval").replace("test", "predict")
    records = dict.fromkeys((split, googles, googles.removesuffix("_matched")))
    names = [
        f"{split}.tsv",
        dict(task.other_files).get(split, ""),
        *(f"{name}{suffix}" for name in records for suffix in RECORDS),
    ]
    files = (folder / name for name in names if name)
    return next(filter(Path.is_file, files), folder / names[0])
