"""After stage 5: calibrate a finished model in 8 bits (Q8BERT, arXiv:1910.06188), then train it.

    python -m tinybert_lite.quantize
    python -m tinybert_lite.quantize --task_name STS-B --load_ckpt_path teacher_model/STS-B \
        --train_data_dir STS-B --eval_data_dir STS-B --do_quant true --do_eval true \
        --epoch_num 3 --output_dir int8

The result simulates 8 bits in floating point; `python -m tinybert_lite.export --format serving`
makes the file that a runtime computes with in 8 bits.
"""

from pathlib import Path

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline import original_places as places
from tinybert_lite.pipeline.command_line import run_settings, training_flags
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.quantize import STAGE, reads_of, run
from tinybert_lite.stages.settings import Quantizing
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser, say_no_effect

__all__ = ["STAGE", "main", "reads_of", "run"]
PLATFORM = {  # options of the MindSpore port about its platform
    "--device_id": "CUDA_VISIBLE_DEVICES chooses the GPU",
    "--device_target": "--device chooses the device, by default a GPU if there is one",
    "--do_shuffle": "rows are always shuffled, in a new order in each epoch",
    **dict.fromkeys(
        ("--enable_data_sink", "--data_sink_steps"), "it is an option of Ascend hardware"
    ),
}


@command
def main(argv: list[str]) -> None:
    parser = Parser("quantize", __doc__)
    add = parser.add_argument
    add("--task_name", default=FOLDERS_OWN_TASK)
    add("--load_ckpt_path", help="the finished model (default: the workspace's student)")
    rows = "a folder with train.tsv, or the file (default: the augmented rows if they exist)"
    add("--train_data_dir", "--data_dir", type=Path, help=rows)
    add("--eval_data_dir", type=Path, help="a folder with dev.tsv, or the file")
    teacher = (
        "teacher for soft targets (default: the workspace's for the workspace's student, else none)"
    )
    add("--teacher_model", help=teacher)
    parser.switch("--labels_alone", help="learn from labels only, even if there is a teacher")
    add("--output_dir", type=Path, help="default: int8/ in stage 5's folder")
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
    without = ("reduction", "hard_label_weight")
    training_flags(parser, Quantizing, do_eval=True, without=without, eval_step=50)
    parser.no_effect(PLATFORM)
    args = parser.parse_args(argv)
    if args.post_training and not args.do_quant:
        raise UserError(
            "--post_training and --do_quant false exclude each other: leave out one of them"
        )
    if not args.do_eval:
        args.eval_step = 0
        reason = "with --do_eval false the dev rows are evaluated after each epoch only"
        say_no_effect(argv, dict.fromkeys(("--eval_step", "--eval_ckpt_step"), reason))
    rows = args.train_data_dir
    data = rows if rows and rows.is_dir() else None
    workspace = Workspace.find(args.workspace, args.task_name, data_dir=data)
    student = args.load_ckpt_path and places.model_folder(args.load_ckpt_path)
    teacher = args.teacher_model and local_folder(args.teacher_model)
    if student or rows:
        rows = places.given_split_file(rows, "train", workspace)
    reads = STAGE.reads(workspace, teacher, rows, student, args.labels_alone)
    for split in workspace.task.dev_files:
        reads[split] = places.given_split_file(args.eval_data_dir, split, workspace)
    settings = run_settings(args, workspace.task, quantize=Quantizing.of(args))
    own = workspace.int8_student if args.do_quant else workspace.float32_student
    STAGE.execute(reads, args.output_dir or own, settings)


if __name__ == "__main__":
    raise SystemExit(main())
