"""Reset a stage, or put ready results of it in place. Old files are moved into aside/.

python -m tinybert_lite.reset --stage 3
python -m tinybert_lite.reset --ready 3 --from FOLDER
python -m tinybert_lite.reset --make_ready FOLDER
"""

from pathlib import Path

from tinybert_lite.classroom.ready import CHOICES, make_ready, put_in_place, reset, stage_key
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> None:
    parser = Parser("reset", "Reset a stage, or put ready results of it in place.")
    add, choice = parser.add_argument, parser.add_mutually_exclusive_group(required=True)
    choice.add_argument(
        "--stage", choices=CHOICES, type=stage_key, help="move the files of this stage into aside/"
    )
    ready = "put ready results of this stage, and of the stages that it needs, in place"
    choice.add_argument("--ready", choices=CHOICES, type=stage_key, help=ready)
    choice.add_argument(
        "--make_ready",
        metavar="FOLDER",
        type=Path,
        help="for instructors: pack this workspace's finished stages",
    )
    add(
        "--from",
        dest="source",
        metavar="FOLDER",
        type=Path,
        help="folder of the ready results, made with --make_ready",
    )
    parser.switch("--yes", help="move files without asking")
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
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
