"""A clean start for a stage, or ready results of it. Old files are moved into aside/.

python -m tinybert_lite.reset --stage 3
python -m tinybert_lite.reset --ready 3 --from FOLDER
python -m tinybert_lite.reset --make_ready FOLDER
"""

from pathlib import Path

from tinybert_lite.classroom.ready import CHOICES, make_ready, put_in_place, reset
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> None:
    parser = Parser("reset", "A clean start for a stage, or ready results of it.")
    add, choice = parser.add_argument, parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--stage", choices=CHOICES, help="move its files into aside/")
    ready = "put ready results of it, and of the stages it needs, in place"
    choice.add_argument("--ready", choices=CHOICES, help=ready)
    choice.add_argument(
        "--make_ready",
        metavar="FOLDER",
        type=Path,
        help="for instructors: pack this workspace's finished stages",
    )
    add("--from", dest="source", metavar="FOLDER", type=Path, help="where the ready results are")
    parser.switch("--yes", help="do not ask")
    add("--workspace", help="where the numbered folders are")
    add("--task", default="SST-2")
    args = parser.parse_args(argv)
    workspace = Workspace.find(args.workspace, args.task)
    if args.make_ready:
        return make_ready(workspace, args.make_ready)
    if args.stage:
        return reset(workspace, args.stage, ask=(lambda question: "yes") if args.yes else input)
    if not args.source:
        raise UserError(
            f"--ready {args.ready}: name the folder of ready results with --from FOLDER"
        )
    put_in_place(workspace, args.ready, args.source)


if __name__ == "__main__":
    raise SystemExit(main())
