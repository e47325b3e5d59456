"""Stages 4 and 5, task distillation: first intermediate layers, then (with --pred_distill) the prediction layer.

    python -m tinybert_lite.task_distill --data_dir SST-2 --teacher_model teacher_model --student_model 3_general_distill \
        --task_name sst-2 --output_dir 4_task_distill_mid --aug_train --do_lower_case
    python -m tinybert_lite.task_distill --data_dir SST-2 --teacher_model teacher_model --student_model 4_task_distill_mid \
        --task_name sst-2 --output_dir 5_task_distill_out --aug_train --do_lower_case --pred_distill

A teacher that was not fine-tuned on the task is fine-tuned first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.evaluating import evaluate_folder
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages import finetune_teacher
from tinybert_lite.stages.flags import (
    matching_flags,
    picked,
    run_settings,
    say_no_effect,
    training_parser,
)
from tinybert_lite.stages.settings import Distilling, FineTuning, Predicting
from tinybert_lite.stages.task_distill import MID, OUT, run_mid, run_out
from tinybert_lite.system.command import command
from tinybert_lite.system.console import say
from tinybert_lite.system.errors import UserError

__all__ = ["MID", "OUT", "main", "run_mid", "run_out"]


def rows_file(workspace: Workspace, augmented: bool) -> Path:
    """--aug_train reads the original's place first, then stage 1's output."""
    if not augmented:
        return workspace.data_file("train")
    places = [workspace.data_file("train_aug"), workspace.augmented_rows]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(
            f"--aug_train: neither {places[0]} nor {places[1]} is there; run data_augmentation first"
        )
    say(f"augmented rows: {found}")
    return found


def parser():
    found = training_parser(
        "task_distill", __doc__, schedule="constant in the intermediate step, linear in the other"
    )
    found.add_argument("--data_dir", required=True, type=Path)
    found.add_argument("--teacher_model", help="the task's teacher; a raw BERT is fine-tuned first")
    found.add_argument(
        "--task_teacher",
        help="a teacher that is fine-tuned already; with --pred_distill any Hugging Face sequence classifier",
    )
    found.add_argument(
        "--teacher_logits",
        type=Path,
        metavar="FILE",
        help="with --pred_distill, instead of a teacher: its logits of the training rows "
        "in their order (.npy, or a TSV headed by the labels)",
    )
    found.add_argument("--student_model", required=True)
    found.add_argument("--task_name", required=True)
    found.add_argument("--output_dir", required=True, type=Path)
    found.add_argument("--aug_train", action="store_true", help="train on the augmented rows")
    found.add_argument(
        "--pred_distill",
        action="store_true",
        help="prediction layer (stage 5) instead of intermediate layers (4)",
    )
    found.add_argument("--temperature", type=float, default=1.0)
    found.add_argument("--allow_weak_teacher", action="store_true")
    found.add_argument(
        "--reduction",
        choices=("ours", "original"),
        default="ours",
        help="original: Eq. 10 averaged over classes too",
    )
    found.add_argument(
        "--hard_label_weight",
        type=float,
        default=0.0,
        help="share of the gold labels' loss in the prediction layer's",
    )
    matching_flags(found)
    return found


@command
def main(argv: list[str]) -> None:
    args = parser().parse_args(argv)
    workspace = Workspace.find(
        task=args.task_name, data_dir=args.data_dir, teacher_logits=args.teacher_logits
    )
    task = workspace.task
    if args.do_eval:  # as in the original: evaluation and nothing else
        evaluate_folder(
            local_folder(args.student_model),
            workspace,
            run_settings(args, task),
            args.max_seq_length,
            args.eval_batch_size,
            args.output_dir,
        )
        return
    if not (args.teacher_model or args.task_teacher or args.teacher_logits):
        raise UserError(
            "--teacher_model is missing: name the task's teacher, or --do_eval to evaluate the student alone"
        )
    if args.teacher_logits and (args.teacher_model or args.task_teacher):
        raise UserError(
            "--teacher_logits takes a teacher's place: leave --teacher_model and --task_teacher out"
        )
    base = (
        ModelFolder(args.teacher_logits)
        if args.teacher_logits
        else resolve_teacher(local_folder(args.task_teacher or args.teacher_model), workspace)
    )
    if not (args.pred_distill or base.has_layers):
        raise UserError(
            f"{base} has no layers of a BERT to match: it teaches the prediction layer alone, with --pred_distill"
        )
    if not args.pred_distill:
        say_no_effect(
            argv,
            {
                "--eval_step": "without --pred_distill nothing is classified yet",
                **(
                    {}
                    if args.schedule
                    else {
                        "--warmup_proportion": "the intermediate step keeps a constant learning rate without --schedule"
                    }
                ),
            },
        )
    fine_tuning = FineTuning(
        max_seq_length=args.max_seq_length, allow_weak_teacher=args.allow_weak_teacher
    )
    settings = run_settings(
        args,
        task,
        finetune_teacher=fine_tuning,
        task_distill_mid=picked(
            args, Distilling, schedule=args.schedule or "constant", eval_step=0
        ),
        task_distill_out=picked(args, Predicting),
    )
    rows, student = rows_file(workspace, args.aug_train), local_folder(args.student_model)
    teacher = base
    if base.has_layers and not base.has_classifier:
        say(
            f"{base} was not fine-tuned on {task.name}: its fine-tuned copy is {workspace.tuned_teacher}, made first where it is missing"
        )
        teacher = finetune_teacher.run(replace(workspace, given_teacher=base.path), settings).folder
    reads = {"rows": rows, **workspace.task_files, "teacher": teacher, "student": student}
    stage = OUT if args.pred_distill else MID
    stage.execute(reads, args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
