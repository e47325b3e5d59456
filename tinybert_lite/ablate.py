"""What each part of the method is worth: every part left out in turn, over several seeds, beside the paper's table.

    python -m tinybert_lite.ablate --seeds 42 43 44 45 46

Variants share what they have in common, a cut run goes on where it was, and what is finished is not made again.
"""

from __future__ import annotations

import argparse

from tinybert_lite.pipeline.ablation import STAGES, run
from tinybert_lite.pipeline.command_line import ALL as EVERY_TASK
from tinybert_lite.pipeline.command_line import prepared, shared_flags
from tinybert_lite.pipeline.running import check_inputs
from tinybert_lite.pipeline.variants import PAPER, VARIANTS, chosen
from tinybert_lite.pipeline.workspace import GROW
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.processes import need_one_process


@command
def main(argv: list[str]) -> int:
    parser = shared_flags(
        argparse.ArgumentParser(
            "python -m tinybert_lite.ablate",
            description="Parts of the method left out in turn, beside the paper's table.",
        )
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44, 45, 46])
    parser.add_argument(
        "--only",
        nargs="+",
        default=[PAPER],
        metavar="NAME",
        help=f"paper (default), choices, all, or some of {', '.join(VARIANTS)}",
    )
    args = parser.parse_args(argv)
    need_one_process("start the stages one by one")
    if args.task.lower() == EVERY_TASK or args.teacher_model == GROW or args.teacher_logits:
        raise UserError(
            "an ablation is of one task and one teacher that is there: leave --task all, --teacher_model grow and --teacher_logits out"
        )
    variants = chosen(args.only)
    settings, base = prepared(
        argparse.Namespace(**vars(args), seed=args.seeds[0]), args.task, args.data_dir
    )
    if base.teacher.weights_file is None:
        raise UserError(
            f"{base.teacher} holds no teacher yet: run run_all once, which makes it, or name one with --teacher_model"
        )
    if base.without_layers:
        raise UserError(
            f"--task_teacher: {base.without_layers}, and that is what is left out here; name a BERT"
        )
    check_inputs(base, [*STAGES])
    return 2 if run(base, settings, variants, args.seeds, args.dry_run) else 0


if __name__ == "__main__":
    raise SystemExit(main())
