"""Stage 3, general distillation (paper, Eqs. 7-9): the student learns the teacher's layers.

    python -m tinybert_lite.general_distill --pregenerated_data 2_pregenerate_data \
        --teacher_model teacher_model --student_model student_model \
        --output_dir 3_general_distill --do_lower_case
"""

from pathlib import Path

from tinybert_lite.pipeline.command_line import run_settings, training_flags
from tinybert_lite.pipeline.original_places import student_folder, teacher_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.general_distill import STAGE, run
from tinybert_lite.stages.settings import Distilling
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser

__all__ = ["main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("general_distill", __doc__)
    add = parser.add_argument
    add(
        "--pregenerated_data",
        required=True,
        type=Path,
        help="folder of epoch_i.json or TFRecord files, or one such file",
    )
    add("--teacher_model", required=True, help="the general teacher: model folder or hub name")
    add("--student_model", required=True, help="folder with the student's config.json")
    add("--output_dir", required=True, type=Path, help="folder to write to")
    add(
        "--eval_step",
        "--eval_ckpt_step",
        type=int,
        default=1000,
        help="steps between two saved states, if --save_every is not given",
    )
    training_flags(parser, Distilling, save_every=None)
    parser.no_effect(
        {
            "--reduce_memory": "sequences are always stored in one compact array",
            "--fp16": "a GPU uses bf16 or else fp16; --precision fp16 always uses fp16",
            "--do_eval": "general distillation has no dev set",
            "--eval_batch_size": "general distillation has no dev set",
        }
    )
    args = parser.parse_args(argv)
    workspace = Workspace.find()
    teacher = teacher_folder(args.teacher_model, workspace)
    student = student_folder(args.student_model, teacher)
    options = Distilling.of(args, eval_step=0, save_every=args.save_every or args.eval_step)
    STAGE.execute(
        STAGE.reads(workspace, args.pregenerated_data, teacher, student),
        args.output_dir,
        run_settings(args, general_distill=options),
    )


if __name__ == "__main__":
    raise SystemExit(main())
