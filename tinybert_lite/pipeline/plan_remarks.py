"""Remarks of the plan: what a run can do, but a user would hardly want."""

from tinybert_lite.models.folder import PRE_DATA
from tinybert_lite.pipeline.estimated_rows import EstimatedRows
from tinybert_lite.pipeline.folders import SHIPPED
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.console import remark

READ_ROWS = ("finetune_teacher", "task_distill_mid", "task_distill_out", "baseline", "quantize")
FEW = 0.01  # share of rows that may be cut without a remark


def remarks(
    workspace: Workspace, settings: Settings, found: EstimatedRows, todo: list[str]
) -> None:
    """Print a remark if rows are cut, and if a given teacher gets the course's short corpus."""
    stages = [stage for stage in READ_ROWS if stage in todo]
    if found.train and stages:
        most = min(getattr(settings, stage).max_seq_length for stage in stages)
        share = (found.train.lengths > most).mean()
        if share > FEW:
            flags = " ".join(f"--set {stage}.max_seq_length=N" for stage in stages)
            remark(
                f"about {share:.0%} of the training rows have more than {most} tokens and are cut; "
                f"to read more of them: {flags}"
            )
    own_teacher = workspace.given_teacher or workspace.given_task_teacher
    shipped = SHIPPED / PRE_DATA in workspace.corpora[0].parents
    if own_teacher and shipped and "pregenerate_training_data" in todo:
        remark(
            "stages 2 and 3 read the course's documents, which are enough to try it, but few for a "
            "teacher of your own: name other text with --corpus"
        )
