"""Stages 4 and 5, task distillation: intermediate layers, then (--pred_distill) prediction.

    python -m tinybert_lite.task_distill --data_dir SST-2 --task_name sst-2 --aug_train \
        --teacher_model tuned --student_model 3_general_distill --output_dir 4_task_distill_mid
    python -m tinybert_lite.task_distill --data_dir SST-2 --task_name sst-2 --aug_train \
        --teacher_model tuned --student_model 4_task_distill_mid --output_dir 5_task_distill_out \
        --pred_distill

A teacher that was not fine-tuned on the task is fine-tuned first.
"""

from pathlib import Path

from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline import original_places as places
from tinybert_lite.pipeline.command_line import run_settings, training_flags
from tinybert_lite.pipeline.evaluating import evaluate_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Distilling, FineTuning, Predicting
from tinybert_lite.stages.task_distill_mid import STAGE as MID
from tinybert_lite.stages.task_distill_mid import run as run_mid
from tinybert_lite.stages.task_distill_out import STAGE as OUT
from tinybert_lite.stages.task_distill_out import run as run_out
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser, say_no_effect

__all__ = ["MID", "OUT", "main", "run_mid", "run_out"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("task_distill", __doc__)
    add = parser.add_argument
    add("--data_dir", required=True, type=Path, help="folder of the task's files")
    add("--teacher_model", help="the task teacher; one without a classifier is fine-tuned first")
    add("--task_teacher", help="the same; with --pred_distill any Hugging Face sequence classifier")
    logits = "instead of a teacher, with --pred_distill: its logits of all training rows, in order"
    add("--teacher_logits", type=Path, metavar="FILE", help=f"{logits} (.npy, or a TSV of labels)")
    add("--student_model", required=True, help="folder or hub name of the student")
    add("--task_name", required=True, help="name of the task, such as sst-2")
    add("--output_dir", required=True, type=Path, help="folder to write to")
    parser.switch("--aug_train", help="train on the augmented rows")
    parser.switch("--pred_distill", help="stage 5, prediction layer, instead of stage 4")
    without = ("continue_train", "start")
    training_flags(parser, Distilling, without=without, eval_step=50, schedule=None)
    parser.settings(Predicting)
    parser.settings(FineTuning, "allow_weak_teacher")
    args = parser.parse_args(argv)
    given = {"data_dir": args.data_dir, "teacher_logits": args.teacher_logits}
    workspace = Workspace.find(task=args.task_name, **given)
    schedule = args.schedule or "constant"
    length, weak = args.max_seq_length, args.allow_weak_teacher
    settings = run_settings(
        args,
        workspace.task,
        finetune_teacher=FineTuning(max_seq_length=length, allow_weak_teacher=weak),
        task_distill_mid=Distilling.of(args, schedule=schedule, eval_step=0),
        task_distill_out=Predicting.of(args),
    )
    student, batch = local_folder(args.student_model), args.eval_batch_size
    if args.do_eval:  # as in the original code: only evaluation
        evaluate_folder(student, workspace, settings, length, batch, args.output_dir)
        return
    name = args.task_teacher or args.teacher_model
    teacher = places.task_teacher(workspace, name, student, args.pred_distill)
    if not args.pred_distill:
        reasons = {"--eval_step": "stage 4 (without --pred_distill) has no classifier to evaluate"}
        if not args.schedule:
            reasons["--warmup_proportion"] = "without --schedule the learning rate is constant"
        say_no_effect(argv, reasons)
    rows = places.task_rows(workspace, args.aug_train)
    teacher = places.fine_tuned(teacher, workspace, settings)
    stage = OUT if args.pred_distill else MID
    stage.execute(stage.reads(workspace, rows, teacher, student), args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
