"""A model in the files that others read: Hugging Face's, the original project's, or a folder to serve from with ONNX Runtime.

python -m tinybert_lite.export --format serving
python -m tinybert_lite.export --model 5_task_distill_out --format huggingface --output_dir my_model
python -m tinybert_lite.export --model 3_general_distill --epoch_file model_epoch_2.bin --format original --output_dir epoch_2
"""

from __future__ import annotations

from pathlib import Path

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.exports.formats import FORMATS, export
from tinybert_lite.exports.source import open_source, with_eight_bits
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.weights import weights_file
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> None:
    parser = Parser("export", __doc__)
    add = parser.add_argument
    add("--format", required=True, choices=FORMATS)
    add("--model", help="model folder or hub name; default: the task's finished student")
    add("--output_dir", type=Path, help="new folder; default: FORMAT/ in the finished student's")
    add(
        "--epoch_file",
        type=Path,
        help="the weights to take, such as model_epoch_2.bin, instead of the folder's own",
    )
    parser.switch("--half", help="with --format classifier: weights in half precision")
    add(
        "--int8_model",
        help="with --format serving: the model's 8-bit copy; of the finished student else int8/ in its folder, where there is one",
    )
    add("--task", default=FOLDERS_OWN_TASK)
    add("--workspace", help="where the numbered folders are")
    args = parser.parse_args(argv)
    if args.half and args.format != "classifier":
        raise UserError(f"--half goes with --format classifier: {args.format} keeps every bit")
    if args.int8_model and args.format != "serving":
        raise UserError(
            f"--int8_model goes with --format serving: {args.format} has no place for it"
        )
    workspace = Workspace.find(args.workspace, args.task)
    finished = workspace.final_student
    folder = local_folder(args.model or finished)
    if not args.output_dir and folder.resolve() != finished.resolve():
        raise UserError(f"--output_dir is missing: name a new folder for what is made of {folder}")
    weights = args.epoch_file
    if weights:
        weights = next((path for path in (folder / weights, weights) if path.is_file()), None)
    if args.epoch_file and not weights:
        raise UserError(
            f"--epoch_file {args.epoch_file}: there is no such file, in {folder} or here"
        )
    source, options = open_source(folder, weights), {"half": True} if args.half else {}
    if args.format == "serving":
        of_the_task = folder.resolve() == finished.resolve()
        options["pair"] = workspace.task.text_b is not None if of_the_task else None
        beside = (
            workspace.int8_student
            if of_the_task and not weights and weights_file(workspace.int8_student)
            else None
        )
        if args.int8_model or beside:
            source = with_eight_bits(source, local_folder(args.int8_model or beside))
    export(source, args.format, args.output_dir or finished / args.format, **options)


if __name__ == "__main__":
    raise SystemExit(main())
