"""Stage 3, general distillation (paper, Eqs. 7-9): the student learns the general teacher's attention and hidden states.

    python -m tinybert_lite.general_distill --pregenerated_data 2_pregenerate_data --teacher_model teacher_model \
        --student_model student_model --output_dir 3_general_distill --do_lower_case
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.model_choice import fitting_student, resolve_teacher
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.flags import (
    matching_flags,
    picked,
    run_settings,
    say_no_effect,
    training_parser,
)
from tinybert_lite.stages.general_distill import STAGE, run
from tinybert_lite.stages.settings import Distilling
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError

__all__ = ["main", "run"]


def student_or_shipped(folder: ModelFolder, teacher: ModelFolder) -> ModelFolder:
    """`student_model` without a configuration of its own means the shipped one that fits the teacher."""
    if folder.has_config:
        return folder
    inside = ModelFolder(folder.path / fitting_student(teacher))
    if not inside.has_config:
        raise UserError(
            f"{folder.config_file} is missing: a student folder needs at least its configuration"
        )
    say(f"student: {inside}, which fits the teacher's heads")
    return inside


@command
def main(argv: list[str]) -> None:
    parser = training_parser(
        "general_distill", __doc__, eval_step=1000, eval_step_help="steps between two saved states"
    )
    parser.add_argument(
        "--pregenerated_data",
        required=True,
        type=Path,
        help="folder of epoch_i.json or TFRecord files, or one such file",
    )
    parser.add_argument(
        "--teacher_model", required=True, help="the general teacher: BERT folder or hub name"
    )
    parser.add_argument(
        "--student_model", required=True, help="folder with the student's config.json"
    )
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--reduce_memory", action="store_true")
    parser.add_argument("--fp16", action="store_true")
    parser.add_argument(
        "--continue_train", action="store_true", help="start from the student folder's weights"
    )
    parser.add_argument(
        "--start",
        choices=("random", "embeddings"),
        default="random",
        help="embeddings: from the teacher's, in their principal directions",
    )
    matching_flags(parser)
    args = parser.parse_args(argv)
    say_no_effect(
        argv,
        {
            "--reduce_memory": "sequences always lie in one compact array",
            "--fp16": "the device chooses (bf16, else fp16, where it has it); --precision fp16 insists",
            "--do_eval": "general distillation has no dev set",
            "--eval_batch_size": "general distillation has no dev set",
        },
    )
    workspace = Workspace.find()
    teacher = resolve_teacher(local_folder(args.teacher_model), workspace)
    student = student_or_shipped(local_folder(args.student_model), teacher)
    options = picked(args, Distilling, eval_step=0, save_every=args.save_every or args.eval_step)
    STAGE.execute(
        {"sequences": args.pregenerated_data, "teacher": teacher, "student": student},
        args.output_dir,
        run_settings(args, general_distill=options),
    )


if __name__ == "__main__":
    raise SystemExit(main())
