"""Pre-train a teacher from plain text: learn a vocabulary, then masked LM with whole-word masking.

    python -m tinybert_lite.pretrain --text reviews.txt.xz brown.txt --output_dir my_bert \
        --hidden_size 256 --vocab_size 8000

The same command resumes an interrupted run. `--model_dir BERT` continues from a BERT's weights and
vocabulary; `--vocab_file` takes a vocabulary instead of learning one; `--language zh` masks Chinese
words whole. The shipped teacher_model/classroom was made with this command.
`run_all --teacher_model grow` pre-trains a small teacher on the workspace's corpus, as a lesson.
Unlike BERT (Devlin et al. 2019): no next-sentence prediction, a new mask in every epoch, word
embeddings initialised from word vectors, position embeddings from sine waves.
"""

from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.tasks import find_task
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.command_line import run_settings, training_flags
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.pretrain import STAGE, run
from tinybert_lite.stages.settings import Pretraining
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser, say_no_effect

__all__ = ["main", "run"]
SIZES = ("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads")


@command
def main(argv: list[str]) -> None:
    parser = Parser("pretrain", __doc__)
    add = parser.add_argument
    kinds = "files, folders or patterns of the kinds in docs/corpora.md, or a task's .tsv"
    add("--text", required=True, nargs="+", help=kinds)
    add("--output_dir", required=True, type=Path, help="folder to write to")
    add("--model_dir", help="continue from this BERT: folder or hub name")
    add("--vocab_file", type=Path, help="vocabulary file (default: learnt from the text)")
    add("--vectors", type=Path, help="word vectors for new word embeddings (default: shipped ones)")
    add("--task_name", default="SST-2", help="the task whose columns a .tsv has")
    add("--language", choices=("en", "zh"), help="zh: Chinese (default: the task's)")
    training_flags(parser, Pretraining, learning_rate=1e-3, eval_step=500, save_every=200)
    parser.settings(Pretraining, "max_steps")
    parser.no_effect({"--do_eval": "pre-training is evaluated on --held_out documents"})
    args = parser.parse_args(argv)
    fixed = dict.fromkeys(["vocab_size"] * bool(args.vocab_file), args.vocab_file)
    if args.model_dir:
        fixed = dict.fromkeys((*SIZES, "vectors", "vocab_file"), args.model_dir)
    say_no_effect(argv, {f"--{name}": f"{source} determines it" for name, source in fixed.items()})
    task = find_task(args.task_name)
    task = replace(task, language=args.language or task.language)
    reads = STAGE.reads(
        Workspace(Workspace.find().root, task),
        texts=[path for name in args.text for path in given_sources([name])],
        model=args.model_dir and local_folder(args.model_dir),
        vectors=args.vectors,
        vocabulary=args.vocab_file,
    )
    settings = run_settings(args, task, pretrain=Pretraining.of(args))
    STAGE.execute(reads, args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
