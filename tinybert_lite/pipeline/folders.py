"""The names of a workspace's folders: the only place that spells "3_general_distill"."""

from dataclasses import dataclass
from pathlib import Path

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, OWN, TASKS, Task
from tinybert_lite.models.folder import PRE_DATA, ModelFolder
from tinybert_lite.system.files import read_json

SHIPPED = (
    Path(__file__).resolve().parents[2]
)  # the repository, whose data is used if a workspace has none
STUDENT_MODEL, TEACHER_MODEL = "student_model", "teacher_model"
CLASSROOM, GROWN = "classroom", "grown"
FINISHED, RESULTS = "5_task_distill_out", "results.json"


def rows_elsewhere(root: Path, name: str) -> Path | None:
    """Return the --data_dir of a user's task in its last report, if its rows are elsewhere."""
    report = root / FINISHED / name / RESULTS
    if (root / name / OWN).is_file() or not report.is_file():
        return None
    given = Path(str(read_json(report).get("folders", {}).get("data")))
    return given if (given / OWN).is_file() else None


@dataclass(frozen=True)
class Folders:
    """The folders that the runs of one task write, and those for users' own models."""

    root: Path
    task: Task = TASKS[FOLDERS_OWN_TASK]

    @property
    def task_name(self) -> str:
        return self.task.name

    def _stage(self, name: str) -> Path:
        """The stage folder itself for SST-2, a sub-folder in it for every other task."""
        folder = self.root / name
        return folder if self.task_name == FOLDERS_OWN_TASK else folder / self.task_name

    def _language(self, name: str) -> Path:
        """A folder for a language's tasks: `name` for English, else a sub-folder such as `zh`."""
        folder = self.root / name
        return folder if self.task.language == "en" else folder / self.task.language

    def shipped(self, own: Path) -> Path:
        """Return the path in the repository that corresponds to `own` in the workspace."""
        return SHIPPED / own.relative_to(self.root)

    def _own_or_shipped(self, own: Path) -> Path:
        shipped = self.shipped(own)
        return own if own.exists() or not shipped.exists() else shipped

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
        return self._stage(FINISHED)

    @property
    def baseline(self) -> Path:
        """The undistilled student."""
        return self.final_student / "undistilled"

    @property
    def int8_student(self) -> Path:
        return self.final_student / "int8"

    @property
    def float32_student(self) -> Path:
        """The student trained as long as the 8-bit student, in floating point, for comparison."""
        return self.final_student / "float32"

    @property
    def serving(self) -> Path:
        return self.final_student / "serving"

    @property
    def teacher_home(self) -> Path:
        """The folder of a user's teacher: teacher_model/, or its sub-folder for another language.

        A model in teacher_model/ is used for every language whose sub-folder has no model.
        """
        common, home = self.root / TEACHER_MODEL, self._language(TEACHER_MODEL)
        here, there = ModelFolder(common), ModelFolder(home)
        return common if here.has_config and not there.has_config else home

    @property
    def grown_teacher(self) -> Path:
        return self._language(TEACHER_MODEL) / GROWN
