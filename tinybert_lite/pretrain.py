"""Pre-training a teacher from plain text: a vocabulary, then masked LM with whole-word masking (Devlin et al. 2019).

    python -m tinybert_lite.pretrain --text reviews.txt.xz brown.txt --output_dir my_bert --hidden_size 256 --vocab_size 8000

goes on where it was cut when called again. `--model_dir BERT` continues from a BERT's weights and vocabulary;
`--vocab_file` takes a vocabulary instead of learning one; `--language zh` hides the words of Chinese text whole. The shipped
teacher_model/classroom was made so; `run_all --teacher_model grow` makes a small one from the text at hand, as a lesson.
Unlike BERT's own: no next-sentence prediction, a new mask in every epoch, word embeddings that start from word vectors, positions from waves.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tinybert_lite.data.corpora import given_sources
from tinybert_lite.data.tasks import find_task
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.flags import picked, run_settings, say_no_effect, training_parser
from tinybert_lite.stages.pretrain import STAGE, run
from tinybert_lite.stages.settings import Pretraining
from tinybert_lite.system.command import command

__all__ = ["main", "run"]


@command
def main(argv: list[str]) -> None:
    parser = training_parser(
        "pretrain",
        __doc__,
        learning_rate=1e-3,
        eval_step=500,
        save_every=200,
        eval_step_help="steps between two measurements on held-out text",
    )
    add, fields = parser.add_argument, Pretraining()
    add(
        "--text",
        required=True,
        nargs="+",
        help="files, folders or patterns of any of the kinds in docs/corpora.md, or a task's .tsv",
    )
    add("--split_sentences", action="store_true", help="lines of plain text are paragraphs")
    add("--output_dir", required=True, type=Path)
    add("--model_dir", help="continue from this BERT: folder or hub name")
    add(
        "--vocab_file",
        type=Path,
        help="a vocabulary, such as bert-base-chinese's (default: learnt from the text)",
    )
    add(
        "--vectors",
        type=Path,
        default=None,
        help="word vectors that word embeddings start from (default: the shipped ones)",
    )
    add("--task_name", default="SST-2", help="whose columns a .tsv has")
    add("--language", choices=("en", "zh"), help="zh: Chinese (default: the task's)")
    add("--max_steps", type=int, default=0, help="optimizer steps at most")
    add("--half", action="store_true", help="write the weights in half precision")
    for name in (
        "vocab_size",
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "masked_lm_prob",
        "short_seq_prob",
        "dropout",
        "held_out",
    ):
        default = getattr(fields, name)
        add(f"--{name}", type=type(default), default=default)
    args = parser.parse_args(argv)
    sizes = (
        (
            "vocab_size",
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "vectors",
            "vocab_file",
        )
        if args.model_dir
        else ()
    )
    say_no_effect(
        argv,
        {
            "--do_eval": "pre-training measures on --held_out documents",
            **({"--vocab_size": f"{args.vocab_file} has its own"} if args.vocab_file else {}),
            **{f"--{name}": f"{args.model_dir} has its own" for name in sizes},
        },
    )
    task = find_task(args.task_name)
    task = replace(task, language=args.language or task.language)
    sources = {
        f"text {number}": path
        for number, path in enumerate(
            (path for name in args.text for path in given_sources([name])), 1
        )
    }
    start = (
        {"model": local_folder(args.model_dir)}
        if args.model_dir
        else {"vectors": args.vectors or Workspace(Workspace.find().root, task).vectors}
    )
    if args.vocab_file and not args.model_dir:
        start["vocabulary"] = args.vocab_file
    settings = run_settings(args, task, pretrain=picked(args, Pretraining))
    STAGE.execute({**sources, **start}, args.output_dir, settings)


if __name__ == "__main__":
    raise SystemExit(main())
