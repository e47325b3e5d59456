"""Convert CLUE's JSON objects that hold lists or spans to texts; write its submission files.

CSL: the keywords are the first text, the abstract the second. CLUEWSC: in the text, `_` marks the
first span and `[` `]` the pronoun. Both as in CLUE's own baselines.
"""

import json
from collections.abc import Callable, Iterable
from reprlib import repr as short

from tinybert_lite.system.errors import UserError

Cells = dict[str, object]


def _keywords(cells: Cells, where: str) -> Cells:
    words = cells.get("keyword")
    if isinstance(words, str):
        return cells
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"{where}: the keyword {short(words)} is not a list of words; fix the row")
    return {**cells, "keyword": " ".join(words)}


def _marked_spans(cells: Cells, where: str) -> Cells:
    text, target = cells.get("text"), cells.get("target")
    try:
        spans = [
            (target["span1_index"], target["span1_text"], "_", "_"),
            (target["span2_index"], target["span2_text"], "[", "]"),
        ]
        if not all(word and text[at : at + len(word)] == word for at, word, *_ in spans):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: the target {short(target)} does not name two spans of the text; fix the row"
        ) from None
    for at, word, left, right in sorted(spans, reverse=True):
        text = f"{text[:at]}{left}{word}{right}{text[at + len(word) :]}"
    return {**cells, "text": text}


AS_TEXTS: dict[str, Callable[[Cells, str], Cells]] = {"CSL": _keywords, "CLUEWSC": _marked_spans}


def with_texts(task: str, cells: Cells, where: str) -> Cells:
    """Return a row's cells with the texts that a task's model reads.

    where: file and line, for the UserError of a row that lacks them.
    """
    return AS_TEXTS[task](cells, where) if task in AS_TEXTS else cells


def submission(ids: Iterable[str | int], labels: Iterable[str]) -> str:
    """Return the lines of a submission file, `{"id": 0, "label": "…"}`."""
    rows = ((int(i) if str(i).isdecimal() else i, label) for i, label in zip(ids, labels))
    return "".join(
        json.dumps({"id": i, "label": label}, ensure_ascii=False) + "\n" for i, label in rows
    )
