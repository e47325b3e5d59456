"""What a finished model says of new texts: the label and its probability, or the number of a regression.

python -m tinybert_lite.predict --task topics "When does the reading room close?" "My card is lost."
python -m tinybert_lite.predict --task topics --file new.csv --text title --output answers.csv
python -m tinybert_lite.predict --runtime int8 --file SST-2/test.tsv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.exports.serving import MODELS
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.prediction import Predictor, cells, count_lines, texts_of, write_answers
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.console import progress, remark, say
from tinybert_lite.system.errors import UserError


def _check(args: argparse.Namespace, pairs: bool) -> None:
    if bool(args.texts) == bool(args.file):
        raise UserError(
            "write texts to predict, each in quotes, or name a file of them with --file; one of the two"
        )
    if args.file and (args.text_b and not args.text or args.text and pairs != bool(args.text_b)):
        raise UserError(
            f"--file {args.file}: name its column of texts with --text{', and that of the second texts with --text_b' if pairs else ' alone'}"
        )
    if not all(text.strip() for text in args.texts) or pairs and len(args.texts) % 2:
        raise UserError(
            "a text is empty; write one"
            if not pairs
            else "texts of pairs come in twos, none of them empty: write the second after the first"
        )
    if args.output and (
        not args.file or args.output.suffix not in (".csv", ".tsv") or args.output.exists()
    ):
        raise UserError(
            f"--output {args.output}: goes with --file, ends in .csv or .tsv, and is a file that is not there yet; name another"
        )


def _folder(given: str | None, runtime: str | None, workspace: Workspace) -> ModelFolder:
    """The model folder that answers."""
    if given:
        return local_folder(given)
    folder = ModelFolder(workspace.final_student)
    if runtime not in MODELS:
        return folder
    student, served = folder.weights_file, workspace.serving / MODELS[runtime]
    if student and served.is_file() and student.stat().st_mtime > served.stat().st_mtime:
        remark(
            f"warning: {served} is older than {student}; python -m tinybert_lite.export --format serving makes it of the newer one"
        )
    return ModelFolder(workspace.serving)


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.predict", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("texts", nargs="*", help="texts, each in quotes; of a task of pairs in twos")
    add("--task", default=FOLDERS_OWN_TASK, help="whose finished student answers")
    add("--student_model", help="another finished model's folder, or a serving folder")
    add(
        "--runtime",
        choices=("pytorch", *reversed(MODELS)),
        help="onnx, int8: model.onnx or model.int8.onnx of serving/ in the student's folder",
    )
    add("--file", type=Path, help="rows to predict: .csv, .tsv or .jsonl")
    add("--text", help="the file's column of texts; else the task's own")
    add("--text_b", help="its column of second texts, for pairs")
    add("--output", type=Path, help="a .csv or .tsv for the answers to --file")
    add("--workspace", help="where the numbered folders are")
    add("--max_seq_length", type=int, default=128)
    add("--device", default="auto")
    args = parser.parse_args(argv)
    workspace = Workspace.find(args.workspace, args.task)
    pairs = workspace.task.text_b is not None or bool(args.text_b)
    _check(args, pairs)
    predictor = Predictor(
        _folder(args.student_model, args.runtime, workspace),
        args.device,
        args.max_seq_length,
        runtime=args.runtime,
    )
    if args.file:
        texts = texts_of(args.file, workspace.task, args.text, args.text_b)
    else:
        texts = (
            zip(args.texts[::2], args.texts[1::2])
            if pairs
            else ((text, None) for text in args.texts)
        )
    answers = predictor.answers(texts)
    if args.file:
        answers = progress(answers, "prediction, rows", count_lines(args.file), remark)
    if args.output:
        rows = write_answers(args.output, answers, not predictor.labels, pairs)
        say(f"{rows} rows predicted, in {args.output}")
    else:
        for answer in answers:
            with tqdm.external_write_mode():  # above the bar
                say("\t".join(cells(answer)))


if __name__ == "__main__":
    raise SystemExit(main())
