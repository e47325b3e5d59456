"""Run all stages: print the plan, run what is stale or missing, and write the report.

python -m tinybert_lite.run_all
"""

from tinybert_lite.pipeline.command_line import ALL, prepared, shared_flags
from tinybert_lite.pipeline.plan import STAGES, make_plan
from tinybert_lite.pipeline.running import clean, ensure, needed, run_all
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.command import command
from tinybert_lite.system.fields import Parser
from tinybert_lite.system.processes import need_one_process

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
    args = parser.parse_args(argv)
    need_one_process("start it without torchrun, or start the stages one by one")
    if args.task.lower() == ALL:
        from tinybert_lite.pipeline.all_tasks import run_all_tasks

        return run_all_tasks(args)
    settings, workspace = prepared(args, args.task, args.data_dir)
    if args.clean:
        return clean(workspace)
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
