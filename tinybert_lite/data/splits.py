"""Find duplicate rows, and choose random rows to evaluate on."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tinybert_lite.data.own_files import OwnRow


def without_duplicates(rows: Sequence[OwnRow]) -> list[OwnRow]:
    """Return the first row of each (texts, label).

    An unlabelled row is kept only if no row with the same texts has a label.
    """
    labelled = {row.texts for row in rows if row.label is not None}
    first: dict[tuple, OwnRow] = {}
    for row in rows:
        if row.label is not None or row.texts not in labelled:
            first.setdefault((row.texts, row.label), row)
    return list(first.values())


def contradictions(rows: Iterable[OwnRow]) -> list[list[OwnRow]]:
    """Return groups of rows with the same texts but different labels."""
    by_texts = defaultdict(list)
    for row in rows:
        if row.label is not None:
            by_texts[row.texts].append(row)
    return [same for same in by_texts.values() if len({row.label for row in same}) > 1]


def stratified_split(
    rows: Sequence[OwnRow], strata: Sequence, share: float, seed: int
) -> list[OwnRow]:
    """Choose a random `share` of each stratum's rows, at least one and never all.

    strata: each row's stratum, such as its label. Rows whose texts have several labels are not
    chosen, so no text is in both parts. Returns the chosen rows in their original order.
    """
    ambiguous = {row.texts for same in contradictions(rows) for row in same}
    places_of = defaultdict(list)
    for place, stratum in enumerate(strata):
        places_of[stratum].append(place)
    drawn: list[int] = []
    for stratum, places in places_of.items():
        free = [i for i in places if rows[i].texts not in ambiguous]
        count = min(max(1, round(share * len(places))), len(free), len(places) - 1)
        drawn += random.Random(f"{seed} {stratum}").sample(free, count)
    return [rows[i] for i in sorted(drawn)]
