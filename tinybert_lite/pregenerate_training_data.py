"""Stage 2: write the sequences for general distillation, one file per epoch.

    python -m tinybert_lite.pregenerate_training_data --train_corpus 1_pre_data/documents.txt \
        --output_dir 2_pregenerate_data --bert_model teacher_model --do_whole_word_mask

A corpus consists of files, folders and patterns of the kinds in docs/corpora.md; the flags of
BERT's create_pretraining_data.py are accepted too. The output has the original code's format: JSON
Lines of tokens, segment_ids, is_random_next, masked_lm_positions and masked_lm_labels in
`epoch_i.json`, and the number of sequences in `epoch_i_metrics.json`.
"""

from argparse import SUPPRESS
from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS
from tinybert_lite.pipeline.command_line import run_settings, scheduler_flag
from tinybert_lite.pipeline.original_places import teacher_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.pregenerate_training_data import STAGE, run
from tinybert_lite.stages.settings import Pregenerating, Settings
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.processes import need_one_process
from tinybert_lite.system.scheduler import connected

__all__ = ["main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = Parser("pregenerate_training_data", __doc__)
    add = parser.add_argument
    kinds = "files, folders or patterns of the kinds in docs/corpora.md"
    add("--train_corpus", nargs="+", default=[], metavar="PATH", help=kinds)
    same = "the same as --train_corpus, separated by commas"
    add("--input_file", default="", metavar="PATTERNS", help=same)
    add("--output_dir", type=Path, help="folder for epoch_N.json and epoch_N_metrics.json")
    add("--output_file", help=SUPPRESS)
    add("--bert_model", help="model folder or hub name; its vocabulary is used")
    add("--vocab_file", type=Path, help="vocabulary file, instead of --bert_model")
    zh = "zh: Chinese words are masked whole, and sentences end with 。！？"
    add("--language", choices=("en", "zh"), default="en", help=zh)
    add("--seed", "--random_seed", type=int, default=Settings.seed)
    parser.settings(Pregenerating)
    parser.settings(Settings, "lower_case")
    scheduler_flag(parser)
    parser.no_effect(
        {
            "--reduce_memory": "the corpus is always read through memory maps",
            "--data_url": "results stay in --output_dir",
        }
    )
    args = parser.parse_args(argv)
    need_one_process("start it without torchrun, and name worker processes with --num_workers N")
    corpora = given_sources([*args.train_corpus, *filter(None, args.input_file.split(","))])
    if not corpora:
        raise UserError("no corpus is named: add --train_corpus with files, folders or patterns")
    if args.output_dir is None:
        what = "--output_file is for TFRecords, see docs/corpora.md" if args.output_file else ""
        raise UserError(f"{what or 'no folder to write to is named'}: add --output_dir FOLDER")
    if not (args.bert_model or args.vocab_file):
        raise UserError("no vocabulary is named: add --vocab_file FILE or --bert_model FOLDER")
    workspace = Workspace.find()
    vocabulary = args.vocab_file or teacher_folder(args.bert_model, workspace).as_tokenizer
    task = replace(TASKS[FOLDERS_OWN_TASK], language=args.language)
    options = Pregenerating.of(args)
    with connected(args.scheduler):
        STAGE.execute(
            STAGE.reads(workspace, corpora=corpora, vocabulary=vocabulary),
            args.output_dir,
            run_settings(args, task, pregenerate_training_data=options),
        )


if __name__ == "__main__":
    raise SystemExit(main())
