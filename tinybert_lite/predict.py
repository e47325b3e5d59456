"""Predict new texts: a label and its probability, or the number of a regression.

python -m tinybert_lite.predict --task topics "When does the reading room close?" "My card is lost."
python -m tinybert_lite.predict --task topics --file new.csv --text title --output predictions.csv
python -m tinybert_lite.predict --runtime int8 --file SST-2/test.tsv
"""

from argparse import Namespace
from pathlib import Path

from tinybert_lite.data.row_files import KINDS
from tinybert_lite.data.rows_to_predict import RowToPredict, read_rows_to_predict
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.exports.serving import MODELS
from tinybert_lite.pipeline import prediction
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings, Training
from tinybert_lite.system.command import command
from tinybert_lite.system.console import progress, remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


def check(args: Namespace, pairs: bool) -> None:
    """Raise UserError for flags that contradict each other."""
    texts, file, output = args.texts, args.file, args.output
    if bool(texts) == bool(file):
        raise UserError("name either texts to predict, each in quotes, or a file with --file")
    if file and (args.text_b and not args.text or args.text and pairs != bool(args.text_b)):
        second = "and that of the second texts with" if pairs else "without"
        raise UserError(f"--file {file}: name the column of texts with --text, {second} --text_b")
    if not all(map(str.strip, texts)) or pairs and len(texts) % 2:
        two = "a pair needs two texts that are not empty: write the second after the first"
        raise UserError(two if pairs else "a text is empty: write one between the quotes")
    if output and (not file or output.suffix not in (".csv", ".tsv") or output.exists()):
        raise UserError(
            f"--output {output} needs --file, and must be a new file that ends in .csv or .tsv"
        )


@command
def main(argv: list[str]) -> None:
    parser = Parser("predict", __doc__)
    add = parser.add_argument
    add("texts", nargs="*", help="texts, each in quotes; for a task of pairs, two per pair")
    add("--task", default=FOLDERS_OWN_TASK, help="the task whose finished student predicts")
    add("--student_model", help="folder of another finished model, or a serving folder")
    runtimes = "onnx, int8: use model.onnx or model.int8.onnx in serving/ of the student's folder"
    add("--runtime", choices=("pytorch", *reversed(MODELS)), help=runtimes)
    add("--file", type=Path, help=f"rows to predict: {', '.join(KINDS)} or a saved dataset")
    column = "column of the texts in --file; its number, from 1, if there is no header"
    add("--text", help=f"{column}; default: that of the task's rows")
    add("--text_b", help="column of the second texts in --file, for pairs")
    output = "write the predictions for --file, beside its other columns, to this .csv or .tsv"
    add("--output", type=Path, help=output)
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
    parser.settings(Training, "max_seq_length")
    parser.settings(Settings, "device")
    args = parser.parse_args(argv)
    workspace = Workspace.find(args.workspace, args.task)
    pairs = workspace.task.text_b is not None or bool(args.text_b)
    check(args, pairs)
    model = prediction.answering_folder(args.student_model, args.runtime, workspace)
    predictor = prediction.Predictor(model, args.device, args.max_seq_length, runtime=args.runtime)
    seconds, others = args.texts[1::2] if pairs else [None] * len(args.texts), []
    found = map(RowToPredict, zip(args.texts[:: 1 + pairs], seconds))
    if args.file:
        found, others = read_rows_to_predict(args.file, workspace.task, args.text, args.text_b)
    found = prediction.answered(predictor, found)
    if args.file:
        found = progress(found, "prediction, rows", prediction.count_lines(args.file), remark)
    if args.output:
        rows = prediction.write_answers(args.output, found, not predictor.labels, pairs, others)
        say(f"{rows} rows predicted, in {args.output}")
    else:
        prediction.say_answers((answer for _, answer in found), not predictor.labels)


if __name__ == "__main__":
    raise SystemExit(main())
