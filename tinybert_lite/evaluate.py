"""Evaluate a model: dev scores, agreement with a teacher, and test predictions in GLUE's format.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 \
    --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from pathlib import Path

from tinybert_lite.exports.serving import MODELS
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.command_line import run_settings
from tinybert_lite.pipeline.evaluating import evaluate_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings, Training
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> None:
    parser = Parser("evaluate", __doc__)
    add = parser.add_argument
    add("--data_dir", required=True, type=Path, help="folder of the task's files")
    add("--task_name", required=True, help="name of the task, such as sst-2")
    add(
        "--student_model",
        required=True,
        help="folder of a student, a teacher or another classifier, or a serving folder",
    )
    add(
        "--runtime",
        choices=MODELS,
        help="for a serving folder: model.int8.onnx or model.onnx; default: the first that exists",
    )
    add("--teacher_model", help="the teacher to compare with")
    add("--output_dir", type=Path, help="write scores and test predictions to this folder")
    parser.settings(Training, "max_seq_length", "eval_batch_size")
    parser.settings(Settings, "lower_case", "device")
    args = parser.parse_args(argv)
    workspace = Workspace.find(task=args.task_name, data_dir=args.data_dir)
    evaluate_folder(
        local_folder(args.student_model),
        workspace,
        run_settings(args, workspace.task),
        args.max_seq_length,
        args.eval_batch_size,
        args.output_dir,
        args.teacher_model and local_folder(args.teacher_model),
        args.runtime,
    )


if __name__ == "__main__":
    raise SystemExit(main())
