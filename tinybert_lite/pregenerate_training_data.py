"""Stage 2, pregenerated data: sequences for general distillation, one file an epoch.

    python -m tinybert_lite.pregenerate_training_data --train_corpus 1_pre_data/documents.txt \
        --output_dir 2_pregenerate_data --bert_model teacher_model --do_whole_word_mask

A corpus is files, folders and patterns of any of the kinds in docs/corpora.md; the flags of BERT's own create_pretraining_data.py
are understood as well.
The files are the original's: `epoch_i.json`, JSON Lines of tokens, segment_ids, is_random_next, masked_lm_positions and
masked_lm_labels, with `epoch_i_metrics.json` beside it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.corpora import given_sources, numbered
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.model_choice import resolve_teacher
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.flags import say_no_effect
from tinybert_lite.stages.pregenerate_training_data import STAGE, run
from tinybert_lite.stages.settings import Pregenerating, Settings
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.processes import need_one_process

__all__ = ["main", "run"]


def switch(text: str) -> bool:
    """`--flag`, or `--flag=True` and `--flag=False` as BERT's own scripts are called."""
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False") from None


SWITCH = {"nargs": "?", "const": True, "type": switch, "metavar": "True|False"}


@command
def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "python -m tinybert_lite.pregenerate_training_data", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add(
        "--train_corpus",
        nargs="+",
        default=[],
        metavar="PATH",
        help="files, folders or patterns of any of the kinds in docs/corpora.md",
    )
    add(
        "--input_file",
        default="",
        metavar="PATTERNS",
        help="the same with commas between, as BERT's own script has it",
    )
    add("--output_dir", type=Path, help="one epoch_N.json for each epoch, with its metrics")
    add("--output_file", help=argparse.SUPPRESS)
    add("--bert_model", help="model folder or hub name, for its vocabulary")
    add("--vocab_file", type=Path, help="a vocabulary instead of --bert_model")
    add("--do_lower_case", **SWITCH, default=None, help="default: as the model's vocabulary is")
    add("--do_whole_word_mask", **SWITCH, default=False)
    add("--split_sentences", **SWITCH, default=False, help="lines of plain text are paragraphs")
    add("--reduce_memory", action="store_true", help="accepted; memory is always flat here")
    add("--data_url", help=argparse.SUPPRESS)
    add("--num_workers", type=int, default=1)
    add("--epochs_to_generate", type=int, default=3)
    add(
        "--dupe_factor",
        type=int,
        default=1,
        help="times that the corpus stands in an epoch's file, each time cut and masked anew",
    )
    add("--max_seq_len", "--max_seq_length", type=int, default=128)
    add("--short_seq_prob", type=float, default=0.1)
    add("--masked_lm_prob", type=float, default=0.15, help="0: no masking at all")
    add("--max_predictions_per_seq", type=int, default=20)
    add("--one_seq", action="store_true", help="one segment a sequence")
    add(
        "--language",
        choices=("en", "zh"),
        default="en",
        help="zh: the words of Chinese text are masked whole, its sentences told by 。！？",
    )
    add("--seed", "--random_seed", type=int, default=42)
    args = parser.parse_args(argv)
    need_one_process("it starts its own with --num_workers N")
    say_no_effect(argv, {"--reduce_memory": "the corpus is always read through memory maps"})
    corpora = given_sources([*args.train_corpus, *filter(None, args.input_file.split(","))])
    if not corpora:
        raise UserError("no corpus is named: add --train_corpus with files, folders or patterns")
    if args.output_dir is None:
        raise UserError(
            f"{'--output_file names TFRecords, which docs/corpora.md tells how to make' if args.output_file else 'no folder to write to is named'}: "
            "add --output_dir FOLDER"
        )
    if not (args.bert_model or args.vocab_file):
        raise UserError(
            "no vocabulary is named: add --vocab_file FILE, or --bert_model with a model's folder"
        )
    names = Pregenerating.__dataclass_fields__
    task = replace(TASKS[FOLDERS_OWN_TASK], language=args.language)
    settings = Settings(
        profile="command line",
        task=task,
        seed=args.seed,
        lower_case=args.do_lower_case,
        pregenerate_training_data=Pregenerating(
            **{k: v for k, v in vars(args).items() if k in names}
        ),
    )
    vocabulary = (
        args.vocab_file
        or resolve_teacher(local_folder(args.bert_model), Workspace.find()).need_vocabulary()
    )
    STAGE.execute(
        {**numbered("corpus", corpora), "vocabulary": vocabulary}, args.output_dir, settings
    )


if __name__ == "__main__":
    raise SystemExit(main())
