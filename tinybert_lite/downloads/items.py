"""Items of the catalog by name, as a table, and instructions to fetch them by hand."""

import difflib
from pathlib import Path

from tinybert_lite.downloads.catalog import GLUE, HUB, ITEMS, Item
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.system.console import grid
from tinybert_lite.system.errors import UserError

DIMENSION = 100  # of glove.6B, as in the original scripts


def find_item(name: str) -> Item:
    """Find an item by name, in upper or lower case; `owner/name` is a model of the hub.

    Raises UserError for an unknown name, with the nearest one.
    """
    by_lower = {known.lower(): known for known in ITEMS}
    if name.lower() in by_lower:
        return ITEMS[by_lower[name.lower()]]
    owner, _, model = name.partition("/")
    if owner and model and "/" not in model and "." not in owner:
        return Item(name, "teacher", "teacher_model", "see-source", name)
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)[0]
    raise UserError(
        f"no item is called {name!r}; the nearest is {by_lower[near]} "
        "(--list prints all items; a model of the hub is named owner/name)"
    )


def targets_of(item: Item, dimension: int | None) -> tuple[str, ...]:
    """Return the files of an item; for word vectors only the file of one dimension.

    Raises UserError for a dimension that the item does not have.
    """
    if not item.name.startswith("glove"):
        return item.targets
    found = {int(target.split(".")[-2].rstrip("d")): target for target in item.targets}
    wanted = dimension or (DIMENSION if DIMENSION in found else max(found))
    if wanted not in found:
        raise UserError(
            f"--dimension {wanted}: {item.name} does not have it; use {', '.join(map(str, found))}"
        )
    return (found[wanted],)


def table() -> str:
    """Format all items as a table, with XNLI's languages in one row."""
    rows = [("name", "what", "MB", "licence", "folder", "checksum", "from")]
    others = [name for name in ITEMS if name.startswith("XNLI-")][:-1]
    for item in ITEMS.values():
        if item.name in others:
            continue
        places = [source.addresses[0] for source in item.sources] or [f"{HUB}/{item.hub}"]
        kinds = {source.checksum.split(":")[0] or "recorded" for source in item.sources} or {"hub"}
        size, checksums = f"{item.bytes / 1e6:.2f}", " ".join(kinds)
        row = (item.name, item.what, size, item.licence, item.place, checksums, " ".join(places))
        rows.append(row)
    return (
        f"{grid(rows)}\n  and {', '.join(others)} as XNLI-zh; glue: {', '.join(GLUE)}; "
        "any model of the hub: owner/name"
    )


def by_hand(item: Item, folder: Path) -> str:
    """Return instructions for a machine without a network: each address and where to save it."""
    if item.hub:
        files = (
            f"{HUB}/{item.hub}/resolve/main/{name} as {folder / name}"
            for name in ("config.json", "vocab.txt", WEIGHTS[0])
        )
        return f"by hand: save {', '.join(files)} (or {WEIGHTS[1]} if there is no {WEIGHTS[0]})"
    files = (
        f"{' or '.join(source.addresses)} as {folder / source.file}" for source in item.sources
    )
    return (
        f"by hand: save {', '.join(files)}, "
        "and run the same command again, which checks and unpacks the files"
    )
