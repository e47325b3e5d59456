"""Fetch teachers, published TinyBERTs, tasks, word vectors and corpora into the workspace.

python -m tinybert_lite.download --list
python -m tinybert_lite.download bert-base-uncased glove.6B RTE
python -m tinybert_lite.download glue --to path/to/glue_data
"""

from pathlib import Path

from tinybert_lite.downloads.catalog import GLUE
from tinybert_lite.downloads.fetch import NotFetched, place_model
from tinybert_lite.downloads.items import DIMENSION, by_hand, find_item, table, targets_of
from tinybert_lite.downloads.unpack import place_files
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.console import remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser


@command
def main(argv: list[str]) -> int:
    parser = Parser(
        "download", "Fetch models, tasks, word vectors and corpora. Nothing is overwritten."
    )
    add = parser.add_argument
    add(
        "what",
        nargs="*",
        help="names that --list shows, glue for all tasks of GLUE, or a hub model as owner/name",
    )
    parser.switch("--list", help="show all items with their sizes and sources")
    add(
        "--to",
        type=Path,
        metavar="DIR",
        help="write to this folder, not the one in the list (for glue: one sub-folder per task)",
    )
    add("--workspace", help="the workspace: the folder that holds the numbered folders")
    add(
        "--dimension",
        type=int,
        help=f"width of the word vectors (glove.6B: 50, 100, 200 or 300; default {DIMENSION})",
    )
    parser.switch("--keep", help="keep the fetched archives as well")
    args = parser.parse_args(argv)
    if args.list:
        say(table())
        return 0
    names = [name for what in args.what for name in (GLUE if what.lower() == "glue" else (what,))]
    if not names:
        raise UserError(
            "name what to fetch, such as bert-base-uncased, glove.6B or glue; --list shows all"
        )
    if args.to and len(args.what) > 1:
        raise UserError(f"--to {args.to} takes one name only: run the command once per name")
    items, root, failed = [*map(find_item, names)], Workspace.find(args.workspace).root, 0
    targets = [targets_of(item, args.dimension) for item in items]
    for item, files in zip(items, targets):
        folder = root / item.place
        if args.to:
            folder = (args.to / item.name if len(items) > 1 else args.to).resolve()
        try:
            place_model(item, folder) if item.hub else place_files(item, folder, files, args.keep)
        except (UserError, NotFetched) as error:
            failed += 1
            how = f"; {by_hand(item, folder)}" if isinstance(error, NotFetched) else ""
            remark(f"error: {item.name}: {error}{how}")
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
