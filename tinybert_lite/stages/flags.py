"""Flags that several commands share, with the original scripts' names, meanings and defaults."""

from __future__ import annotations

import argparse

from tinybert_lite.data.tasks import FOLDERS_OWN_TASK, TASKS, Task
from tinybert_lite.stages.settings import Settings, Training
from tinybert_lite.system.console import remark
from tinybert_lite.system.device import PRECISIONS

WITHOUT_USE = {  # of the original scripts, accepted so that their command lines run
    "--data_url": "results stay in --output_dir",
    "--cache_dir": "nothing is kept there, in the original neither",
    **dict.fromkeys(
        ("--local_rank", "--local-rank"), "the launcher tells each process its number another way"
    ),
}


def training_parser(module: str, doc: str, **defaults) -> argparse.ArgumentParser:
    """A parser with the flags of every training command; `defaults` are those that differ between them."""
    parser = argparse.ArgumentParser(
        f"python -m tinybert_lite.{module}", description=doc.strip().split("\n")[0]
    )
    add = parser.add_argument
    add("--max_seq_length", type=int, default=128, help="tokens, special ones included")
    truth(parser, "--do_eval", defaults.get("do_eval", False), "evaluate")
    add(
        "--do_lower_case",
        action="store_true",
        default=None,
        help="default: as the model's vocabulary is",
    )
    add(
        "--train_batch_size",
        type=int,
        default=defaults.get("train_batch_size", 32),
        help="rows an optimizer step, over all accumulated parts",
    )
    add("--eval_batch_size", type=int, default=32)
    add("--learning_rate", type=float, default=defaults.get("learning_rate", 5e-5))
    add(
        "--weight_decay",
        "--wd",
        type=float,
        default=0.01,
        help="0.01, which is what the original's optimizer has whatever its flag says",
    )
    add("--num_train_epochs", "--epoch_num", type=float, default=3.0)
    add("--warmup_proportion", type=float, default=0.1)
    add(
        "--schedule",
        choices=("linear", "polynomial", "constant"),
        help=f"of the learning rate, {defaults.get('schedule', 'linear')} if not given",
    )
    add("--power", type=float, default=1.0, help="of --schedule polynomial")
    add("--end_learning_rate", type=float, default=0.0, help="of --schedule polynomial")
    add("--no_cuda", action="store_true", help="the same as --device cpu")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    add("--precision", default="auto", help=", ".join(PRECISIONS))
    add("--threads", type=int, default=0, help="CPU threads, 0: PyTorch's choice")
    add("--seed", type=int, default=42)
    add("--gradient_accumulation_steps", type=int, default=1)
    add(
        "--save_every",
        "--save_step",
        "--save_ckpt_step",
        type=int,
        default=defaults.get("save_every"),
        help="steps between two saved states, for resume",
    )
    add(
        "--keep_last",
        "--max_ckpt_num",
        type=int,
        help="saved states kept while it runs, 2 if not given",
    )
    add(
        "--logging_step",
        "--logging_steps",
        type=int,
        default=0,
        help="steps between two printed losses; 0: a line every ten seconds where no bar is drawn",
    )
    add(
        "--eval_step",
        "--eval_ckpt_step",
        type=int,
        default=defaults.get("eval_step", 50),
        help=defaults.get("eval_step_help", "steps between two dev evaluations"),
    )
    for flag in WITHOUT_USE:
        add(flag, help=argparse.SUPPRESS)
    return parser


def truth(parser: argparse.ArgumentParser, flag: str, default: bool, help: str) -> None:
    """A flag that stands alone, or with true or false as other systems write it."""

    def read(text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
        return text.lower() == "true"

    parser.add_argument(
        flag, nargs="?", const=True, default=default, type=read, metavar="true|false", help=help
    )


def matching_flags(parser: argparse.ArgumentParser) -> None:
    """Choices of the method where layers are matched, stages 3 and 4."""
    add = parser.add_argument
    add(
        "--mapping", default="uniform", help="g(m): uniform, top, bottom or a list such as 3,6,9,12"
    )
    add(
        "--padding",
        choices=("exact", "reference"),
        default="exact",
        help="reference: padded places count, as in the original",
    )
    add(
        "--heads",
        choices=("match", "average", "skip"),
        default="match",
        help="where student and teacher have different numbers of them",
    )
    add(
        "--projection",
        choices=("per_layer", "shared"),
        help="to the teacher's width: one a layer (paper) or one for all (original code)",
    )
    for loss in ("attention", "hidden", "embedding"):
        add(
            f"--{loss}_weight",
            type=float,
            default=1.0,
            help=f"of the {loss} loss{'es' if loss != 'embedding' else ''} in the sum; 0 leaves out",
        )


def picked(args: argparse.Namespace, kind: type, **more):
    """The dataclass `kind` filled with the flags of the same names; `more` wins."""
    found = {
        name: value
        for name, value in vars(args).items()
        if name in kind.__dataclass_fields__ and value is not None
    }
    return kind(**{**found, **more})


def run_settings(
    args: argparse.Namespace, task: Task = TASKS[FOLDERS_OWN_TASK], **stages: Training
) -> Settings:
    device = "cpu" if args.no_cuda else args.device
    return Settings(
        profile="command line",
        task=task,
        seed=args.seed,
        device=device,
        threads=args.threads,
        precision=args.precision,
        lower_case=args.do_lower_case,
        **stages,
    )


def say_no_effect(argv: list[str], reasons: dict[str, str]) -> None:
    """Accepted flags that do nothing today say so."""
    for flag, reason in {**WITHOUT_USE, **reasons}.items():
        if any(arg.split("=")[0] == flag for arg in argv):
            remark(f"{flag} has no effect: {reason}")
