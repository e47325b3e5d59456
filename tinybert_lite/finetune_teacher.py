"""The step before stage 4: fine-tune the teacher on the task. With a raw pre-trained one distillation teaches noise.

python -m tinybert_lite.finetune_teacher --data_dir SST-2 --task_name sst-2 --teacher_model teacher_model
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.finetune_teacher import STAGE, run
from tinybert_lite.stages.flags import picked, run_settings, say_no_effect, training_parser
from tinybert_lite.stages.settings import FineTuning
from tinybert_lite.system.command import command

__all__ = ["main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = training_parser("finetune_teacher", __doc__.split(":", 1)[1], eval_step=0)
    parser.add_argument("--data_dir", required=True, type=Path)
    parser.add_argument("--task_name", required=True)
    parser.add_argument("--teacher_model", required=True, help="BERT folder or hub name")
    parser.add_argument(
        "--output_dir", type=Path, help="default: the workspace's teacher_model/<TASK>"
    )
    parser.add_argument("--classifier_head", choices=("huggingface", "relu"), default="huggingface")
    parser.add_argument("--allow_weak_teacher", action="store_true")
    args = parser.parse_args(argv)
    say_no_effect(argv, {"--do_eval": "the dev rows are always measured at the end"})
    workspace = Workspace.find(task=args.task_name, data_dir=args.data_dir)
    settings = run_settings(args, workspace.task, finetune_teacher=picked(args, FineTuning))
    reads = {
        **workspace.task_files,
        "teacher": resolve_teacher(local_folder(args.teacher_model), workspace),
    }
    STAGE.execute(reads, args.output_dir or workspace.tuned_teacher, settings)


if __name__ == "__main__":
    raise SystemExit(main())
