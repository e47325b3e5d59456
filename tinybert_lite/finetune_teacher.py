"""Before stage 4: fine-tune the general teacher on the task, since its classifier is random.

python -m tinybert_lite.finetune_teacher --data_dir SST-2 --task_name sst-2 \
    --teacher_model teacher_model
"""

from pathlib import Path

from tinybert_lite.pipeline.command_line import run_settings, training_flags
from tinybert_lite.pipeline.original_places import teacher_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.finetune_teacher import STAGE, run
from tinybert_lite.stages.settings import FineTuning
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser

__all__ = ["main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("finetune_teacher", __doc__)
    add = parser.add_argument
    add("--data_dir", required=True, type=Path, help="folder of the task's files")
    add("--task_name", required=True, help="name of the task, such as sst-2")
    add("--teacher_model", required=True, help="the general teacher: model folder or hub name")
    add("--output_dir", type=Path, help="default: the workspace's teacher_model/<TASK>")
    training_flags(parser, FineTuning)
    parser.no_effect({"--do_eval": "the dev rows are always evaluated at the end"})
    args = parser.parse_args(argv)
    workspace = Workspace.find(task=args.task_name, data_dir=args.data_dir)
    teacher = teacher_folder(args.teacher_model, workspace)
    STAGE.execute(
        STAGE.reads(workspace, teacher=teacher),
        args.output_dir or workspace.tuned_teacher,
        run_settings(args, workspace.task, finetune_teacher=FineTuning.of(args)),
    )


if __name__ == "__main__":
    raise SystemExit(main())
