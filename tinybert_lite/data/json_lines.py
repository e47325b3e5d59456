"""JSON Lines: a file with one JSON object per line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import LONGEST, lines_of

# JSON can spell these codes, but no UTF-8 text file can hold them: NUL, half a surrogate pair
UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def json_objects(path: Path, example: str, longest: int = LONGEST) -> Iterator[tuple[int, dict]]:
    """The objects with their line numbers; empty lines are skipped.

    `example` is a key for the message, `longest` the bytes allowed in a line. Raises UserError with
    file and line for what is not JSON, or not an object.
    """
    for number, line in enumerate(lines_of(path, longest=longest), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}, line {number}: is not JSON ({error}); write one object per line"
            ) from None
        if not isinstance(found, dict):
            raise UserError(
                f"{path}, line {number}: holds {short(line)}, not an object such as "
                f'{{"{example}": "…"}}; write one object per line'
            )
        yield number, found
