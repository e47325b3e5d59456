"""JSON Lines: a file with one JSON object per line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import LONGEST, lines_of

# JSON's escape sequences can write these, but UTF-8 text cannot: NUL, half a surrogate pair
UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def json_objects(path: Path, example: str, longest: int = LONGEST) -> Iterator[tuple[int, dict]]:
    """Yield (line number, object); empty lines are skipped.

    example: a key that the error message shows · longest: the number of bytes allowed in a line.
    Raises UserError with file and line for a line that is not JSON, or not an object.
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
                f"{path}, line {number}: {short(line)} is not an object such as "
                f'{{"{example}": "…"}}; write one object per line'
            )
        yield number, found
