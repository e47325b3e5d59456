"""Objects in a JSON file: one per line (JSON Lines), or all in one array."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short

from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import LONGEST_LINE_BYTES, lines_of, start_of, text_of

# JSON's escape sequences can write these, but UTF-8 text cannot: NUL, half a surrogate pair
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
WHITE_SPACE, BETWEEN = re.compile(r"\s*"), re.compile(r"\s*(?:,|(?=\]))")


def json_objects(
    path: Path, example: str, longest: int = LONGEST_LINE_BYTES
) -> Iterator[tuple[int, dict]]:
    """Yield (number of its first line, object); empty lines are skipped.

    A file that begins with `[` is one array, which is read as a whole. example: a key that the
    error message shows · longest: the number of bytes allowed in a line of JSON Lines. Raises
    UserError with file and line for damaged JSON and for values that are not objects.
    """
    array = start_of(path).lstrip().startswith("[")
    needed = "an array of objects" if array else "one object per line"
    for number, found in _in_array(path) if array else _in_lines(path, longest):
        if not isinstance(found, dict):
            raise UserError(
                f"{path}, line {number}: {short(found)} is not an object such as "
                f'{{"{example}": "…"}}; write {needed}'
            )
        yield number, found


def _in_lines(path: Path, longest: int) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(lines_of(path, longest=longest), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}, line {number}: is not JSON ({error}); write one object per line"
            ) from None


def _in_array(path: Path) -> Iterator[tuple[int, object]]:
    text, decode = text_of(path), json.JSONDecoder().raw_decode
    place = counted = text.index("[") + 1
    line = 1 + text.count("\n", 0, place)
    while not text.startswith("]", place := WHITE_SPACE.match(text, place).end()):
        line, counted = line + text.count("\n", counted, place), place
        try:
            found, place = decode(text, place)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}, line {line}: the object that begins here is not JSON "
                f"({str(error).partition(':')[0]}); fix it, or get the file from its source again"
            ) from None
        yield line, found
        after = BETWEEN.match(text, place)
        if not after:
            raise UserError(
                f"{path}, line {line}: no comma or ] follows the object that begins here; fix it, "
                "or get the file from its source again"
            )
        place = after.end()
    after = WHITE_SPACE.match(text, place + 1).end()
    if after < len(text):
        line += text.count("\n", counted, after)
        raise UserError(
            f"{path}, line {line}: text follows the array; write one array, or one object per line"
        )
