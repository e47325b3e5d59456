"""Export a model for Hugging Face, for the original project, or for serving with ONNX.

python -m tinybert_lite.export --format serving
python -m tinybert_lite.export --model 5_task_distill_out --format huggingface --output_dir my_model
python -m tinybert_lite.export --model 3_general_distill --epoch_file model_epoch_2.bin \
    --format original --output_dir epoch_2
"""

import argparse
from pathlib import Path

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.exports.formats import FORMATS, export
from tinybert_lite.exports.source import open_source, with_eight_bits
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError

HELP = {
    "--model": "model folder or hub name; default: the task's finished student",
    "--output_dir": "a new folder; default for the finished student: FORMAT/ in its folder",
    "--epoch_file": "weights file such as model_epoch_2.bin, instead of the model's latest weights",
    "--int8_model": "with --format serving: the model's 8-bit copy; default for the finished "
    "student: int8/ in the student's folder, if it exists",
    "--workspace": "the workspace: the folder that holds the numbered folders",
}


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.export", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--format", required=True, choices=FORMATS)
    add("--task", default=FOLDERS_OWN_TASK)
    add("--half", action="store_true", help="with --format classifier: half precision, half size")
    for flag, text in HELP.items():
        add(flag, type=Path if flag in ("--output_dir", "--epoch_file") else str, help=text)
    args = parser.parse_args(argv)
    for given, flag, format in (
        (args.half, "--half", "classifier"),
        (args.int8_model, "--int8_model", "serving"),
    ):
        if given and args.format != format:
            raise UserError(
                f"{flag} works with --format {format} only: leave it out for --format {args.format}"
            )
    workspace = Workspace.find(args.workspace, args.task)
    finished, weights = workspace.final_student, args.epoch_file
    folder = local_folder(args.model or finished).path
    of_the_task = folder.resolve() == finished.resolve()
    if not args.output_dir and not of_the_task:
        raise UserError(f"--output_dir is missing: name a new folder for the export of {folder}")
    if weights:
        weights = next((path for path in (folder / weights, weights) if path.is_file()), None)
        if not weights:
            raise UserError(
                f"--epoch_file {args.epoch_file}: no such file in {folder} or here; check the name"
            )
    source, options = open_source(folder, weights), {"half": True} if args.half else {}
    if args.format == "serving":
        options["pair"] = workspace.task.text_b is not None if of_the_task else None
        eight_bits = args.int8_model and local_folder(args.int8_model)
        beside = ModelFolder(workspace.int8_student)
        if not eight_bits and of_the_task and not weights and beside.weights_file:
            eight_bits = beside
        if eight_bits:
            source = with_eight_bits(source, eight_bits)
    export(source, args.format, args.output_dir or finished / args.format, **options)


if __name__ == "__main__":
    raise SystemExit(main())
