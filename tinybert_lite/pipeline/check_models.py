"""The models that a run will read, checked at the plan."""

from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.stages.teachers import check_other_teacher


def check_models(workspace: Workspace, settings: Settings) -> None:
    """Raise UserError for a teacher or student that the stages would refuse.

    So far: logits or a classifier that do not fit the task. It is called if a stage that reads a
    task teacher is to do.
    """
    check_other_teacher(workspace)
