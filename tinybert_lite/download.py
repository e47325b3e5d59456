"""Teachers, published TinyBERTs, tasks, word vectors and corpora, put where the stages look for them.

python -m tinybert_lite.download --list
python -m tinybert_lite.download bert-base-uncased glove.6B RTE
python -m tinybert_lite.download glue --to path/to/glue_data
"""

from __future__ import annotations

import difflib
from pathlib import Path

from tinybert_lite.downloads.catalog import GLUE, HUB, ITEMS, Item
from tinybert_lite.downloads.fetch import NotFetched, place_model
from tinybert_lite.downloads.unpack import place_files
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.system.command import command
from tinybert_lite.system.console import grid, remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import Parser

DIMENSION = 100  # of glove.6B, as the original scripts have it


def find_item(name: str) -> Item:
    """Any case is accepted; `owner/name` is a model of the hub. Raises UserError with the nearest name."""
    by_lower = {known.lower(): known for known in ITEMS}
    if name.lower() in by_lower:
        return ITEMS[by_lower[name.lower()]]
    if name.count("/") == 1 and all(name.split("/")) and "." not in name.split("/")[0]:
        return Item(name, "teacher", "teacher_model", "see-source", name)
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    raise UserError(
        f"nothing is called {name!r}; the nearest is {by_lower[near[0]]} (--list shows all; any model of the hub is named owner/name)"
    )


def table() -> str:
    rows = [("name", "what", "MB", "licence", "goes to", "checksum", "from")]
    for item in ITEMS.values():
        places = (
            [f"{HUB}/{item.hub}"] if item.hub else [source.addresses[0] for source in item.sources]
        )
        kinds = {source.checksum.split(":")[0] or "noted" for source in item.sources} or {"hub"}
        rows.append(
            (
                item.name,
                item.what,
                f"{item.bytes / 1e6:.2f}",
                item.licence,
                item.place,
                " ".join(kinds),
                " ".join(places),
            )
        )
    others = [name for name in ITEMS if name.startswith("XNLI-")][
        :-1
    ]  # which differ in the language alone
    return (
        grid([row for row in rows if row[0] not in others])
        + f"\n  and {', '.join(others)} as XNLI-zh; glue: {', '.join(GLUE)}; any model of the hub: owner/name"
    )


def targets_of(item: Item, dimension: int | None) -> tuple[str, ...]:
    """The files it puts in place; of word vectors those of one dimension. Raises UserError for one that there is not."""
    if not item.name.startswith("glove"):
        return item.targets
    wanted = dimension or (DIMENSION if len(item.targets) > 1 else 300)
    found = tuple(target for target in item.targets if f".{wanted}d." in target)
    if not found:
        raise UserError(
            f"--dimension {wanted}: {item.name} has {', '.join(target.split('.')[-2].rstrip('d') for target in item.targets)}"
        )
    return found


def by_hand(item: Item, folder: Path) -> str:
    """What to do where a network is not at hand: every address, and where its file belongs."""
    if item.hub:
        puts = ", ".join(
            f"{HUB}/{item.hub}/resolve/main/{name} as {folder / name}"
            for name in ("config.json", "vocab.txt", WEIGHTS[0])
        )
        return f"by hand: put {puts} (or {WEIGHTS[1]}, where there is no {WEIGHTS[0]})"
    puts = ", ".join(
        f"{' or '.join(source.addresses)} as {folder / source.file}" for source in item.sources
    )
    return f"by hand: put {puts}, and run the same command again, which checks and unpacks it"


@command
def main(argv: list[str]) -> int:
    parser = Parser(
        "download", "Fetch models, tasks, word vectors and corpora. Nothing is overwritten."
    )
    add = parser.add_argument
    add(
        "what",
        nargs="*",
        help="names of --list, glue for all of its tasks, or any hub model owner/name",
    )
    parser.switch("--list", help="show what there is, its size and its source")
    add(
        "--to",
        type=Path,
        metavar="DIR",
        help="the folder, in place of the one in the list (of glue: the folder of the tasks' folders)",
    )
    add("--workspace", help="where the numbered folders are")
    add(
        "--dimension",
        type=int,
        help=f"of word vectors (glove.6B has 50, 100, 200 and 300; default {DIMENSION})",
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
        raise UserError(f"--to {args.to} goes with one name: run the command once for each")
    chosen, root, failed = (
        [find_item(name) for name in names],
        Workspace.find(args.workspace).root,
        0,
    )
    targets = [targets_of(item, args.dimension) for item in chosen]
    for item, files in zip(chosen, targets):
        folder = (
            (args.to / item.name if len(names) > 1 else args.to).resolve()
            if args.to
            else root / item.place
        )
        try:
            place_model(item, folder) if item.hub else place_files(item, folder, files, args.keep)
        except (UserError, NotFetched) as error:
            failed += 1
            remark(
                f"error: {item.name}: {error}"
                + (f"; {by_hand(item, folder)}" if isinstance(error, NotFetched) else "")
            )
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
