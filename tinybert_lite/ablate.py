"""Measure what each part contributes: leave out one part at a time, over several seeds.

    python -m tinybert_lite.ablate --seeds 42 43 44 45 46

The table shows our scores beside the paper's. Variants share the stages that they have in common.
An interrupted run resumes, and a finished run is not repeated.
"""

from argparse import Namespace

from tinybert_lite.pipeline.ablation import STAGES, run
from tinybert_lite.pipeline.ablation_variants import PAPER, VARIANTS, chosen
from tinybert_lite.pipeline.command_line import ALL, prepared, shared_flags
from tinybert_lite.pipeline.running import check_inputs
from tinybert_lite.pipeline.workspace import GROW
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.processes import need_one_process


@command
def main(argv: list[str]) -> int:
    parser = Parser("ablate", __doc__)
    shared_flags(parser)
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[42, 43, 44, 45, 46],
        help="run each variant once per seed",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[PAPER],
        metavar="NAME",
        help=f"paper (default), choices, all, or some of {', '.join(VARIANTS)}",
    )
    args = parser.parse_args(argv)
    need_one_process("start it without torchrun, or start the stages one by one")
    if args.task.lower() == ALL or args.teacher_model == GROW or args.teacher_logits:
        raise UserError(
            "an ablation needs one task and an existing teacher: "
            "leave out --task all, --teacher_model grow and --teacher_logits"
        )
    variants = chosen(args.only)
    settings, base = prepared(Namespace(**vars(args), seed=args.seeds[0]), args.task, args.data_dir)
    if base.teacher.weights_file is None:
        raise UserError(
            f"{base.teacher} has no teacher yet: make one with run_all, "
            "or name one with --teacher_model"
        )
    if base.why_layers_are_not_matched:
        raise UserError(
            f"--task_teacher: {base.why_layers_are_not_matched}, but an ablation needs stage 4: "
            f"name a teacher of a family in docs/families.md, with the student's tokenizer"
        )
    check_inputs(base, [*STAGES])
    return 2 if run(base, settings, variants, args.seeds, args.dry_run) else 0


if __name__ == "__main__":
    raise SystemExit(main())
