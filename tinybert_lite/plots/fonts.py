"""Find a font with Chinese characters, which matplotlib's own font does not have."""

import re
import unicodedata
from functools import cache

from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font

USUAL = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Heiti TC",
    "Arial Unicode MS",
)
NO_FONT = (
    "Chinese characters are drawn as □; install a font that has them, such as Noto Sans CJK SC."
)
_chinese = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")


@cache
def chinese_font() -> str | None:
    """Return the family of an installed font with Chinese characters, the usual ones first."""

    def rank(font: FontEntry) -> int:
        return USUAL.index(font.name) if font.name in USUAL else len(USUAL)

    return next(
        (font.name for font in sorted(fontManager.ttflist, key=rank) if _has_chinese(font)), None
    )


def _has_chinese(font: FontEntry) -> bool:
    # Last Resort, a part of matplotlib, has a placeholder for every character.
    if font.name.startswith("Last Resort"):
        return False
    try:
        return all(FT2Font(font.fname).get_char_index(ord(letter)) for letter in "中文的")
    except (OSError, RuntimeError):  # listed, but missing or broken
        return False


def columns(text: str) -> int:
    """Return the width of a text in a fixed-width font: a Chinese character has two columns."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def lettering(texts: list[str], family: str = "sans-serif") -> tuple[list[str], list[str], str]:
    """Return texts that can be drawn, their font families, and a note, "" if there is none.

    If no font has Chinese characters, each becomes □, and the note says so.
    """
    if not any(map(_chinese.search, texts)):
        return list(texts), [family], ""
    if found := chinese_font():
        return list(texts), [family, found], ""
    return [_chinese.sub("□", text) for text in texts], [family], NO_FONT
