"""Chinese letters: a font that has them is found, and a sentence says where there is none."""

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from tinybert_lite import plots
from tinybert_lite.plots import fonts

CHINESE = "中文的好看第一"


@pytest.fixture(autouse=True)
def only_fonts_without_chinese(monkeypatch):
    monkeypatch.setattr(
        fontManager,
        "ttflist",
        [font for font in fontManager.ttflist if font.name.startswith(("DejaVu", "Last Resort"))],
    )
    plots.chinese_font.cache_clear()
    yield
    plots.chinese_font.cache_clear()


def install(path, family, letters):
    """A font whose every glyph is a square."""
    pen = TTGlyphPen(None)
    (
        pen.moveTo((0, 0)),
        pen.lineTo((0, 800)),
        pen.lineTo((800, 800)),
        pen.lineTo((800, 0)),
        pen.closePath(),
    )
    names = [".notdef", *(f"u{ord(letter):X}" for letter in letters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:])})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    fontManager.addfont(path)


def texts_of(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_a_font_is_known_by_its_letters_and_the_usual_ones_come_first(tmp_path):
    install(
        tmp_path / "latin.ttf", "Noto Sans CJK SC", "abc"
    )  # the right name, and not one Chinese letter
    assert plots.chinese_font() is None
    for family in ("A Font Nobody Lists", "WenQuanYi Micro Hei"):
        install(tmp_path / f"{family}.ttf", family, CHINESE)
    plots.chinese_font.cache_clear()
    assert plots.chinese_font() == "WenQuanYi Micro Hei"


def test_a_font_that_is_gone_is_passed_over(tmp_path):
    install(tmp_path / "gone.ttf", "SimHei", CHINESE)
    (tmp_path / "gone.ttf").unlink()
    assert plots.chinese_font() is None


def test_pictures_take_the_font_where_they_need_it(tmp_path, recwarn):
    install(tmp_path / "found.ttf", "SimHei", CHINESE)
    figure = plots.word_rows([[("好", ""), ("看", "replaced", "文")]], ["第一"], plots.REPLACED)
    figure.savefig(tmp_path / "figure.png")
    assert {"好", "看", "文", "第一"} <= set(texts_of(figure)) and not [
        w for w in recwarn if "missing" in str(w.message)
    ]
    assert all(text.get_fontfamily() == ["monospace", "SimHei"] for text in figure.axes[0].texts)


def test_without_a_font_pictures_say_so_in_a_sentence(tmp_path, recwarn):
    words = plots.word_rows([[("好", ""), ("看", "replaced", "文")]], ["第一"], plots.REPLACED)
    attention = plots.attention_match([[1.0, 2], [3, 4]], [[1.0, 2], [3, 4]], ["好", "a"])
    for figure in (words, attention):
        figure.savefig(tmp_path / "figure.png")
    assert not [w for w in recwarn if "missing" in str(w.message)], (
        "matplotlib warns of every letter"
    )
    assert (
        texts_of(words).count("□") == 3
        and "□□" in texts_of(words)
        and fonts.NO_FONT in texts_of(words)
    )
    assert [label.get_text() for label in attention.axes[0].get_yticklabels()] == [
        "□",
        "a",
    ] and attention.get_supxlabel() == fonts.NO_FONT


def test_other_texts_neither_search_nor_say_anything(monkeypatch):
    monkeypatch.setattr(fonts, "chinese_font", lambda: pytest.fail("searched"))
    assert fonts.lettering(["##bour", "café", "□"]) == (["##bour", "café", "□"], ["sans-serif"], "")


def test_a_chinese_letter_takes_two_columns():
    assert [fonts.columns(text) for text in ("", "ab", "好a", "，")] == [0, 2, 3, 2]
