"""Run all stages: print the plan, run what is stale or missing, and write the report.

python -m tinybert_lite.run_all
"""

from tinybert_lite.pipeline.command_line import ALL, prepared, scheduler_flag, shared_flags
from tinybert_lite.pipeline.plan import STAGES, make_plan
from tinybert_lite.pipeline.running import clean, ensure, needed, run_all
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.processes import count, launch, need_one_process, number_of_processes
from tinybert_lite.system.scheduler import ALONE, connected

__all__ = ["STAGES", "ensure", "main", "make_plan", "needed", "run_all"]


@command
def main(argv: list[str]) -> int | None:
    parser = Parser("run_all", __doc__)
    shared_flags(parser)
    add = parser.add_argument
    parser.settings(Settings, "seed")
    add(
        "--from",
        dest="first",
        metavar="STAGE",
        help="first stage to run: its key (1 to 5, teacher, grown) or name",
    )
    add("--until", dest="last", metavar="STAGE", help="last stage to run: its key or name")
    add("--only", metavar="STAGE", help="run this stage only: its key or name")
    parser.switch("--force", help="run the chosen stages even if they are up to date")
    parser.switch("--baseline", help="also train the same student on labels only, to compare")
    parser.switch("--int8", help="also train the finished student in 8 bits (quantize)")
    parser.switch("--clean", help="remove what runs wrote, after asking")
    add(
        "--processes",
        metavar="N",
        help="processes on this machine, or auto: one per GPU (torchrun starts several machines)",
    )
    scheduler_flag(parser)
    args = parser.parse_args(argv)
    if args.processes and count() == 1 and not args.clean:
        workers = number_of_processes(args.processes, args.device)
        if workers > 1 and args.scheduler:
            raise UserError(f"--processes {args.processes} with --scheduler: {ALONE}")
        if workers > 1:
            return launch("tinybert_lite.run_all", argv, workers)
    if args.scheduler:
        need_one_process(ALONE)
    if args.task.lower() == ALL:
        need_one_process("name one task, or leave out --processes")
        from tinybert_lite.pipeline.all_tasks import run_all_tasks

        with connected(args.scheduler):
            return run_all_tasks(args)
    settings, workspace = prepared(args, args.task, args.data_dir)
    if args.clean:
        return clean(workspace)
    with connected(args.scheduler):
        run_all(
            workspace,
            settings,
            args.first,
            args.last,
            args.only,
            args.force,
            args.baseline,
            args.dry_run,
            args.int8,
        )


if __name__ == "__main__":
    raise SystemExit(main())
