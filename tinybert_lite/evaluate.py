"""Evaluation: the tasks' metrics, predictions, agreement, the probe along the stages, and GLUE's submission files.

python -m tinybert_lite.evaluate --data_dir SST-2 --task_name sst-2 --student_model 5_task_distill_out --teacher_model teacher_model/SST-2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tinybert_lite.exports.serving import MODELS
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.evaluating import evaluate_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.command import command


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.evaluate",
        description="Dev scores, agreement with a teacher, test predictions.",
    )
    parser.add_argument("--data_dir", required=True, type=Path)
    parser.add_argument("--task_name", required=True)
    parser.add_argument(
        "--student_model",
        required=True,
        help="a finished model: student, teacher, any BERT classifier, or a serving folder",
    )
    parser.add_argument(
        "--runtime",
        choices=MODELS,
        help="of a serving folder: model.int8.onnx or model.onnx; default: the first there is",
    )
    parser.add_argument("--teacher_model", help="to compare with")
    parser.add_argument(
        "--output_dir", type=Path, help="where scores and test predictions are written"
    )
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--eval_batch_size", type=int, default=32)
    parser.add_argument(
        "--do_lower_case",
        action="store_true",
        default=None,
        help="default: as the model's vocabulary is",
    )
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    workspace = Workspace.find(task=args.task_name, data_dir=args.data_dir)
    settings = Settings(
        profile="command line",
        task=workspace.task,
        device=args.device,
        lower_case=args.do_lower_case,
    )
    teacher = local_folder(args.teacher_model) if args.teacher_model else None
    evaluate_folder(
        local_folder(args.student_model),
        workspace,
        settings,
        args.max_seq_length,
        args.eval_batch_size,
        args.output_dir,
        teacher,
        args.runtime,
    )


if __name__ == "__main__":
    raise SystemExit(main())
