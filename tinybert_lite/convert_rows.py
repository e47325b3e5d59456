"""Convert files of rows: `epoch_i.json` to TFRecord and back, TSV to TFRecord.

    python -m tinybert_lite.convert_rows 2_pregenerate_data --to tfrecord \
        --bert_model teacher_model --output_dir sequences
    python -m tinybert_lite.convert_rows sequences --to epochs \
        --bert_model teacher_model --output_dir 2_pregenerate_data
    python -m tinybert_lite.convert_rows SST-2 --task_name sst-2 --to tfrecord \
        --bert_model teacher_model --output_dir rows

The TFRecord files have the format of BERT's create_pretraining_data.py and run_classifier.py, which
TensorFlow and MindSpore read too. For a task, a schema.json is written as well.
"""

from pathlib import Path

from tinybert_lite.data.conversions import epochs_to_records, records_to_epochs, tables_to_records
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.original_places import teacher_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Pregenerating, Settings, Training
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.processes import need_one_process


@command
def main(argv: list[str]) -> None:
    parser = Parser("convert_rows", __doc__)
    add = parser.add_argument
    add(
        "source",
        type=Path,
        help="folder of epoch_i.json or TFRecord files, or one TFRecord file; with --task_name the "
        "folder of the task's rows",
    )
    add("--to", required=True, choices=("tfrecord", "epochs"), help="epochs: epoch_i.json")
    add("--output_dir", required=True, type=Path, help="folder to write to")
    add("--bert_model", required=True, help="model folder or hub name; its vocabulary is used")
    add("--task_name", help="task of the rows; default: sequences for general distillation")
    parser.settings(Settings, "lower_case")
    parser.settings(Training, "max_seq_length")
    parser.settings(Pregenerating, "max_predictions_per_seq")
    args = parser.parse_args(argv)
    need_one_process("start it without torchrun")
    if args.task_name and args.to == "epochs":
        raise UserError(
            "--to epochs makes sequences for general distillation, not a task's rows: "
            "leave out --task_name, or use --to tfrecord"
        )
    if not args.source.exists():
        raise UserError(f"{args.source} is missing: name an existing file or folder")
    length, most = args.max_seq_length, args.max_predictions_per_seq
    if min(length, most) < 1:
        raise UserError("--max_seq_length and --max_predictions_per_seq have to be at least 1")
    workspace = Workspace.find(
        **({"task": args.task_name, "data_dir": args.source} if args.task_name else {})
    )
    vocabulary = teacher_folder(args.bert_model, workspace).need_tokenizer()
    tokenizer = load_tokenizer(vocabulary, args.lower_case)
    if args.task_name:
        tables_to_records(workspace, args.output_dir, tokenizer, length)
    elif args.to == "tfrecord":
        epochs_to_records(args.source, args.output_dir, tokenizer, length, most)
    else:
        records_to_epochs(args.source, args.output_dir, tokenizer)


if __name__ == "__main__":
    raise SystemExit(main())
