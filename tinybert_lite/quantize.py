"""After stage 5: a finished model in 8 bits (Q8BERT, arXiv:1910.06188), calibrated and then trained with rounded numbers.

    python -m tinybert_lite.quantize
    python -m tinybert_lite.quantize --task_name STS-B --load_ckpt_path teacher_model/STS-B --train_data_dir STS-B --eval_data_dir STS-B \
        --do_quant true --do_eval true --epoch_num 3 --output_dir int8

What it leaves computes in simulated 8 bits; `python -m tinybert_lite.export --format serving` makes the file that really does.
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.flags import picked, run_settings, say_no_effect, training_parser, truth
from tinybert_lite.stages.quantize import STAGE, reads_of, run
from tinybert_lite.stages.settings import Quantizing
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError

__all__ = ["STAGE", "main", "reads_of", "run"]

PLATFORM = {  # options of the MindSpore port that are about its platform
    "--device_id": "CUDA_VISIBLE_DEVICES chooses the GPU",
    "--device_target": "--device chooses, and finds a GPU by itself",
    "--do_shuffle": "rows are always shuffled, anew each epoch",
    "--enable_data_sink": "it belongs to Ascend",
    "--data_sink_steps": "it belongs to Ascend",
}


def split_of(place: Path | None, split: str, workspace: Workspace) -> Path:
    """A split's rows: a file as it is, or found in a folder; the workspace's where none is named."""
    if place is None:
        return workspace.data_file(split)
    return (
        place
        if place.is_file()
        else Workspace.find(workspace.root, workspace.task_name, data_dir=place).data_file(split)
    )


def model_folder(name: str) -> ModelFolder:
    """A model's folder; a weights file stands for the folder around it."""
    path = Path(name)
    if path.suffix == ".ckpt":
        raise UserError(
            f"{path} is a checkpoint of MindSpore: docs/mindspore_checkpoints.md makes a model folder of it; name that"
        )
    return ModelFolder(path.parent) if path.is_file() else local_folder(name)


def parser():
    found = training_parser("quantize", __doc__.split(":", 1)[1], do_eval=True, train_batch_size=16)
    add = found.add_argument
    add("--task_name", default=FOLDERS_OWN_TASK)
    add(
        "--load_ckpt_path",
        help="the finished model: student or teacher (default: the workspace's student)",
    )
    add(
        "--train_data_dir",
        "--data_dir",
        type=Path,
        help="a folder with train.tsv, or the file (default: the augmented rows, where there are such)",
    )
    add("--eval_data_dir", type=Path, help="a folder with dev.tsv, or the file")
    add(
        "--teacher_model",
        help="whose soft targets to learn from (default for the workspace's student: its teacher; for another model none, but the labels)",
    )
    add(
        "--labels_alone",
        action="store_true",
        help="learn from the labels though there is a teacher",
    )
    add("--output_dir", type=Path, help="default: int8/ in stage 5's folder")
    truth(found, "--do_quant", True, "8 bits; false: the same training in floating point")
    add("--post_training", action="store_true", help="calibrate and stop, without training")
    add("--calibration_rows", type=int, default=Quantizing.calibration_rows)
    add("--temperature", type=float, default=1.0)
    add("--workspace", help="where the numbered folders are")
    for flag in PLATFORM:
        add(flag, help="no effect")
    return found


@command
def main(argv: list[str]) -> None:
    args = parser().parse_args(argv)
    say_no_effect(
        argv,
        {
            **PLATFORM,
            **(
                {}
                if args.do_eval
                else dict.fromkeys(
                    ("--eval_ckpt_step", "--eval_step"),
                    "with --do_eval false the dev rows are measured after each epoch alone",
                )
            ),
        },
    )
    workspace = Workspace.find(
        args.workspace,
        args.task_name,
        data_dir=args.train_data_dir
        if args.train_data_dir and args.train_data_dir.is_dir()
        else None,
    )
    if args.post_training and not args.do_quant:
        raise UserError(
            "--post_training makes 8 bits, and --do_quant false wants none: leave one of the two out"
        )
    given = model_folder(args.load_ckpt_path) if args.load_ckpt_path else None
    rows = (
        split_of(args.train_data_dir, "train", workspace) if given or args.train_data_dir else None
    )
    reads = reads_of(
        workspace, local_folder(args.teacher_model) if args.teacher_model else None, rows
    )
    if given:
        reads["student"] = given
    if args.labels_alone or given and not args.teacher_model:
        reads.pop("teacher", None)
    if args.eval_data_dir:
        reads |= {
            name: split_of(args.eval_data_dir, name, workspace) for name in workspace.task.dev_files
        }
    settings = run_settings(
        args,
        workspace.task,
        quantize=picked(args, Quantizing, **({} if args.do_eval else {"eval_step": 0})),
    )
    STAGE.execute(
        reads,
        args.output_dir or (workspace.int8_student if args.do_quant else workspace.float32_student),
        settings,
    )


if __name__ == "__main__":
    raise SystemExit(main())
