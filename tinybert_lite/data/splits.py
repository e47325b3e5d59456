"""Doubles among rows, and a part of them to measure on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from tinybert_lite.data.tables import Record


def without_doubles(rows: Iterable[Record]) -> list[Record]:
    """The first of rows with the same texts and label; a row without a label goes where the same texts have one."""
    rows = list(rows)
    labelled = {row.texts for row in rows if row.label is not None}
    first: dict[tuple, Record] = {}
    for row in rows:
        if row.label is not None or row.texts not in labelled:
            first.setdefault((*row.texts, row.label), row)
    return list(first.values())


def contradictions(rows: Iterable[Record]) -> list[list[Record]]:
    """Rows of the same texts under several labels, together."""
    by_texts: dict[tuple, list[Record]] = {}
    for row in rows:
        if row.label is not None:
            by_texts.setdefault(row.texts, []).append(row)
    return [same for same in by_texts.values() if len({row.label for row in same}) > 1]


def stratified_split(
    rows: Sequence[Record], strata: Sequence, share: float, seed: int
) -> list[Record]:
    """`share` of each stratum's rows, drawn: at least one and never all. In the rows' order.

    strata: each row's own, such as its label. Of rows with the same texts (under several labels) none is drawn, so that no
    text lies on both sides.
    """
    twice = {row.texts for same in contradictions(rows) for row in same}
    places_of: dict[object, list[int]] = {}
    for place, stratum in enumerate(strata):
        places_of.setdefault(stratum, []).append(place)
    drawn: list[int] = []
    for stratum, places in places_of.items():
        free = [i for i in places if rows[i].texts not in twice]
        count = min(max(1, round(share * len(places))), len(free), len(places) - 1)
        drawn += random.Random(f"{seed} {stratum}").sample(free, count)
    return [rows[i] for i in sorted(drawn)]
