"""Rows from one kind of file to another: `epoch_i.json` to TFRecord and back, a task's TSV to TFRecord with its schema.json.

    python -m tinybert_lite.convert_rows 2_pregenerate_data --to tfrecord --bert_model teacher_model --output_dir sequences
    python -m tinybert_lite.convert_rows sequences --to epochs --bert_model teacher_model --output_dir 2_pregenerate_data
    python -m tinybert_lite.convert_rows SST-2 --task_name sst-2 --to tfrecord --bert_model teacher_model --output_dir rows

The TFRecord files are those of BERT's create_pretraining_data.py and run_classifier.py, which TensorFlow and MindSpore read too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tinybert_lite.data.conversions import epochs_to_records, records_to_epochs, tables_to_records
from tinybert_lite.models.hub import local_folder
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.processes import need_one_process


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.convert_rows", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "source",
        type=Path,
        help="folder of epoch_i.json, of TFRecord files (or one file), or with --task_name of a task's TSV files",
    )
    parser.add_argument("--to", required=True, choices=("tfrecord", "epochs"))
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument(
        "--bert_model", required=True, help="model folder or hub name, for its vocabulary"
    )
    parser.add_argument(
        "--task_name",
        help="whose rows they are; without it they are sequences for general distillation",
    )
    parser.add_argument(
        "--do_lower_case",
        action="store_true",
        default=None,
        help="default: as the model's vocabulary is",
    )
    parser.add_argument(
        "--max_seq_length", type=int, default=128, help="tokens, special ones and padding included"
    )
    parser.add_argument(
        "--max_predictions_per_seq",
        type=int,
        default=20,
        help="masked places a sequence, padding included",
    )
    args = parser.parse_args(argv)
    need_one_process("start it alone")
    if args.task_name and args.to == "epochs":
        raise UserError(
            "--to epochs makes sequences for general distillation, not a task's rows: leave --task_name out, or use --to tfrecord"
        )
    if not args.source.exists():
        raise UserError(f"{args.source} is missing: name a file or folder that is there")
    if min(args.max_seq_length, args.max_predictions_per_seq) < 1:
        raise UserError("--max_seq_length and --max_predictions_per_seq have to be at least 1")
    workspace = Workspace.find(
        **({"task": args.task_name, "data_dir": args.source} if args.task_name else {})
    )
    vocabulary = resolve_teacher(local_folder(args.bert_model), workspace).need_vocabulary()
    tokenizer = load_tokenizer(vocabulary, args.do_lower_case)
    if args.task_name:
        tables_to_records(workspace, args.output_dir, tokenizer, args.max_seq_length)
    elif args.to == "tfrecord":
        epochs_to_records(
            args.source,
            args.output_dir,
            tokenizer,
            args.max_seq_length,
            args.max_predictions_per_seq,
        )
    else:
        records_to_epochs(args.source, args.output_dir, tokenizer)


if __name__ == "__main__":
    raise SystemExit(main())
