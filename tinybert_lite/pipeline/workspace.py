"""Where everything is: the only place that spells "3_general_distill" or "teacher_model"."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.tables import RECORDS
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS, Task, find_task
from tinybert_lite.models.configuration import config_file, read_config
from tinybert_lite.models.folder import PRE_DATA, is_bert, vocabulary_beside
from tinybert_lite.models.weights import weights_file
from tinybert_lite.system.errors import UserError

SHIPPED = (
    Path(__file__).resolve().parents[2]
)  # the repository, whose data serve a workspace that has none
STUDENT_MODEL, TEACHER_MODEL = "student_model", "teacher_model"
CLASSROOM, GROWN = "classroom", "grown"
GROW = "grow"  # --teacher_model grow: a teacher made from the text at hand
CLASSROOM_VECTORS = "glove.classroom.txt"


@dataclass(frozen=True)
class Workspace:
    """The folders of one task's run. The optional paths win over what lies in the folders."""

    root: Path
    task: Task = TASKS[FOLDERS_OWN_TASK]
    given_data: Path | None = None
    given_teacher: Path | None = None
    given_task_teacher: Path | None = None
    given_student: Path | None = None
    given_logits: Path | None = (
        None  # a task teacher's for the training rows, in place of the teacher
    )
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
        """`root`, else TINYBERT_WORKSPACE, else the nearest folder upwards that holds student_model/, else the repository.

        A task that is not on the list is described beside its rows, in `data_dir` or the workspace's folder of its name.
        """
        root = root or os.environ.get("TINYBERT_WORKSPACE")
        if root is None:
            here = Path.cwd()
            root = next(
                (folder for folder in (here, *here.parents) if (folder / STUDENT_MODEL).is_dir()),
                SHIPPED,
            )
        found = cls(
            Path(root).resolve(), find_task(task, Path(data_dir) if data_dir else Path(root) / task)
        )
        if teacher_model == GROW:
            teacher_model = found.grown_teacher
        given = [
            Path(path).resolve() if path else None
            for path in (data_dir, teacher_model, task_teacher, student_model)
        ]
        for path, flag in zip(
            given, ("--data_dir", "--teacher_model", "--task_teacher", "--student_model")
        ):
            if (
                path is not None
                and not path.is_dir()
                and not (flag == "--teacher_model" and path == found.grown_teacher)
            ):
                raise UserError(f"{flag} {path}: there is no such folder")
        if teacher_logits and task_teacher:
            raise UserError(
                "--teacher_logits takes a task teacher's place: leave --task_teacher out"
            )
        if teacher_logits and not Path(teacher_logits).is_file():
            raise UserError(f"--teacher_logits {teacher_logits}: there is no such file")
        corpora = tuple(path.resolve() for path in given_sources(corpus or ()))
        if lost := next((path for path in corpora if not path.exists()), None):
            raise UserError(f"--corpus {lost}: there is no such file or folder")
        return cls(
            found.root,
            found.task,
            *given,
            Path(teacher_logits).resolve() if teacher_logits else None,
            corpora,
        )

    @property
    def task_name(self) -> str:
        return self.task.name

    def _stage(self, name: str) -> Path:
        return (
            self.root / name
            if self.task_name == FOLDERS_OWN_TASK
            else self.root / name / self.task_name
        )

    def _language(self, name: str) -> Path:
        """What all tasks of a language share: the folder itself for English, else a sub-folder such as `zh`."""
        return (
            self.root / name
            if self.task.language == "en"
            else self.root / name / self.task.language
        )

    # What runs write -------------------------------------------------------------------------------------------------

    @property
    def augmentation(self) -> Path:
        return self._stage(PRE_DATA)

    @property
    def augmented_rows(self) -> Path:
        return self.augmentation / "aug.tsv"

    @property
    def sequences(self) -> Path:
        return self._language("2_pregenerate_data")

    @property
    def general_student(self) -> Path:
        return self._language("3_general_distill")

    @property
    def tuned_teacher(self) -> Path:
        return self.root / TEACHER_MODEL / self.task_name

    @property
    def mid_student(self) -> Path:
        return self._stage("4_task_distill_mid")

    @property
    def final_student(self) -> Path:
        return self._stage("5_task_distill_out")

    @property
    def baseline(self) -> Path:
        return self.final_student / "undistilled"

    @property
    def int8_student(self) -> Path:
        return self.final_student / "int8"

    @property
    def float32_student(self) -> Path:
        """What 8-bit training is compared with: trained as long in floating point."""
        return self.final_student / "float32"

    @property
    def serving(self) -> Path:
        return self.final_student / "serving"

    @property
    def grown_teacher(self) -> Path:
        return self._language(TEACHER_MODEL) / GROWN

    # What they read --------------------------------------------------------------------------------------------------

    def _own_or_shipped(self, own: Path) -> Path:
        shipped = self.shipped(own)
        return own if own.exists() or not shipped.exists() else shipped

    def shipped(self, own: Path) -> Path:
        """The same place in the repository."""
        return SHIPPED / own.relative_to(self.root)

    @property
    def data_dir(self) -> Path:
        """Given, the workspace's folder of the task's name (of XNLI-zh: XNLI as well), else the shipped one."""
        if self.given_data:
            return self.given_data
        names = dict.fromkeys(
            (self.task_name, self.task_name.removesuffix(f"-{self.task.language}"))
        )
        own = [self.root / name for name in names]
        return next(
            (folder for folder in own if _split_file(folder, "train", self.task).is_file()),
            self._own_or_shipped(own[0]),
        )

    def data_file(self, split: str) -> Path:
        return _split_file(self.data_dir, split, self.task)

    @property
    def diagnostic(self) -> tuple[Task, dict[str, Path]]:
        """The test without training rows that this task's models take, and its file: in a folder AX/ or diagnostic/, or among the task's."""
        task = find_task(self.task.diagnostic)
        places = [
            folder / name
            for folder in (self.root, self.data_dir.parent)
            for name in (task.name, task.test_files[0])
        ] + [self.data_dir]
        files = [_split_file(place, split, task) for split in task.test_files for place in places]
        return task, {
            task.test_files[0]: next((path for path in files if path.is_file()), files[0])
        }

    @property
    def corpus(self) -> Path:
        """The one that comes with the course, or the user's in its place."""
        return self._own_or_shipped(self._language(PRE_DATA) / "documents.txt")

    @property
    def corpora(self) -> list[Path]:
        """What stage 2 reads: what was given, else files and folders of the user's called `wiki…`, as the guides have them, else `corpus`."""
        found = (
            path
            for path in self._language(PRE_DATA).glob("wiki*")
            if not {".part", ".zip"} & {*path.suffixes}
        )  # of downloads
        return list(self.given_corpora) or given_sources(found) or [self.corpus]

    @property
    def vectors(self) -> Path:
        """A GloVe file of the user's (the name first in order), else the shipped one."""
        home = self._language(PRE_DATA)
        own = sorted(path for path in home.glob("glove*.txt") if path.name != CLASSROOM_VECTORS)
        return own[0] if own else self._own_or_shipped(home / CLASSROOM_VECTORS)

    @property
    def teacher_home(self) -> Path:
        """Where a user puts a teacher: teacher_model/, for another language its sub-folder, where that holds one."""
        common, home = self.root / TEACHER_MODEL, self._language(TEACHER_MODEL)
        return common if config_file(common).is_file() and not config_file(home).is_file() else home

    @property
    def teacher(self) -> Path:
        """The general teacher: given, the user's in teacher_model/, else the shipped classroom one."""
        return resolve_teacher(self.given_teacher or self.teacher_home, self)

    @property
    def teacher_width(self) -> int:
        """0 where there is no teacher yet."""
        return read_config(self.teacher).hidden_size if config_file(self.teacher).is_file() else 0

    @property
    def vocabulary(self) -> Path:
        """The teacher's, which is the student's too; where it would be if there is none yet."""
        return vocabulary_beside(self.teacher) or self.teacher / "vocab.txt"

    @property
    def task_teacher(self) -> Path:
        """The fine-tuned teacher of stages 4 and 5, never to be confused with the general one; or the file of its logits."""
        return self.given_logits or self.given_task_teacher or self.tuned_teacher

    @property
    def without_layers(self) -> str:
        """Why stage 4 has no layers to match, "" where it has; then stage 5 alone learns from the task's teacher."""
        if self.given_logits:
            return "a file of logits has no layers to match"
        return (
            ""
            if is_bert(self.given_task_teacher)
            else "the teacher is not a BERT, its layers cannot be matched"
        )

    @property
    def task_rows(self) -> Path:
        """What stages 4 and 5 train on: the augmented rows, but a file of logits is of the training rows alone."""
        return self.data_file("train") if self.given_logits else self.augmented_rows

    @property
    def rows_for_prediction(self) -> Path:
        """What stage 5 trains on: the same as stage 4."""
        return self.task_rows

    @property
    def task_files(self) -> dict[str, Path]:
        """The task's training and dev files."""
        return {split: self.data_file(split) for split in ("train", *self.task.dev_files)}

    @property
    def general_or_given_student(self) -> Path:
        """What stage 4 starts from: a whole student that the user brought, else stage 3's."""
        return self.student_source if self.student_has_weights else self.general_student

    @property
    def student_for_prediction(self) -> Path:
        """What stage 5 starts from: stage 4's, where the teacher has layers for it."""
        return self.general_or_given_student if self.without_layers else self.mid_student

    @property
    def student_source(self) -> Path:
        """A user's student_model/ (its language's sub-folder first), else the shipped configuration that fits the teacher's heads and layers."""
        homes = (self._language(STUDENT_MODEL), self.root / STUDENT_MODEL)
        own = self.given_student or next(
            (home for home in homes if config_file(home).is_file()), homes[1]
        )
        if config_file(own).is_file():
            return own
        if self.given_student:
            raise UserError(
                f"{own / 'config.json'} is missing: a student folder needs at least its configuration"
            )
        if not config_file(self.teacher).is_file():  # one is about to be grown
            return self._own_or_shipped(self.root / STUDENT_MODEL / CLASSROOM)
        return self._own_or_shipped(
            self.root / STUDENT_MODEL / fitting_student(read_config(self.teacher), self.teacher)
        )

    @property
    def student_has_weights(self) -> bool:
        return weights_file(self.student_source) is not None


def _split_file(folder: Path, split: str, task: Task) -> Path:
    """`split.tsv`, else the file under its published name, else the rows as ids, else where `split.tsv` would be."""
    usual, other = f"{split}.tsv", dict(task.other_files).get(split, "")
    googles = split.replace("dev", "eval").replace(
        "test", "predict"
    )  # names of BERT's run_classifier.py, which has MNLI's matched rows alone
    names = [
        usual,
        other,
        *(
            f"{name}{suffix}"
            for name in dict.fromkeys((split, googles, googles.removesuffix("_matched")))
            for suffix in RECORDS
        ),
    ]
    return next(
        (folder / name for name in names if name and (folder / name).is_file()), folder / usual
    )


def fitting_student(teacher, folder: Path) -> str:
    """classroom/ for a teacher of 4 heads; of the 12-head ones tinybert4/, or tinybert6/ where 4 layers do not divide."""
    if teacher.num_attention_heads == 4:
        return CLASSROOM
    if teacher.num_attention_heads == 12:
        return "tinybert4" if teacher.num_hidden_layers % 4 == 0 else "tinybert6"
    raise UserError(
        f"{config_file(folder)}: no shipped student has {teacher.num_attention_heads} attention heads; put a "
        f"config.json with as many into {STUDENT_MODEL}/ or name one with --student_model"
    )


def resolve_teacher(folder: Path, workspace: Workspace) -> Path:
    """`teacher_model` without a model of its own means the classroom/ in it, else the shipped one."""
    if config_file(folder).is_file():
        if weights_file(folder) is None and folder.resolve() != workspace.grown_teacher:
            raise UserError(
                f"{folder} holds a config.json but no weights: put pytorch_model.bin, model.safetensors or bert_model.ckpt.* beside it"
            )
        return folder
    if weights_file(folder):
        raise UserError(
            f"{folder} holds weights but no config.json: put the model's config.json beside them"
        )
    if folder.resolve() == workspace.grown_teacher:  # about to be made
        return folder
    inside = folder / CLASSROOM
    if config_file(inside).is_file() and weights_file(inside):
        return inside
    if folder.resolve() != workspace.teacher_home.resolve():
        raise UserError(f"{folder} holds no model: it needs config.json, vocab.txt and weights")
    shipped = workspace.shipped(workspace.teacher_home) / CLASSROOM
    return shipped if weights_file(shipped) else workspace.grown_teacher
