"""Corpora of every kind are read as documents of sentences, and none of their text is lost."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.makers.articles import (
    CHINESE,
    CHINESE_SENTENCES,
    ENGLISH,
    ENGLISH_SENTENCES,
    as_json,
    as_own,
    as_text,
    as_wikitext,
    write,
)
from tinybert_lite.data.corpora import files_below, given_sources, read_corpora, sentences
from tinybert_lite.data.corpus import read_documents
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace
from tinybert_lite.system.errors import UserError


def read(*sources: Path, **more) -> list[list[str]]:
    return list(read_corpora(sources, **more))


# Which files --------------------------------------------------------------------------------------


def test_files_folders_and_patterns_come_in_natural_order_each_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "wiki_10",
        "wiki_2",
        "wiki_1",
        "AB/wiki_0",
        "AA/wiki_10",
        "AA/wiki_9",
        "AA/.hidden",
        ".git/wiki_3",
        "a[1].txt",
    ):
        write(tmp_path / name, name)
    names = ["AA/wiki_9", "AA/wiki_10", "AB/wiki_0", "a[1].txt", "wiki_1", "wiki_2", "wiki_10"]
    assert [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path)] == names
    assert given_sources(["wiki_*", "wiki_2", "A?"]) == [
        Path(name) for name in ("AA", "AB", "wiki_1", "wiki_2", "wiki_10")
    ]
    assert given_sources(["**/wiki_1?", "wiki_1"]) == [
        Path("AA/wiki_10"),
        Path("wiki_1"),
        Path("wiki_10"),
    ]
    assert given_sources(["a[1].txt"]) == [Path("a[1].txt")], "a file that is there is no pattern"
    assert read(tmp_path / "AA", tmp_path / "wiki_1") == [["AA/wiki_9"], ["AA/wiki_10"], ["wiki_1"]]


# What they hold -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "language, articles, wanted",
    [("en", ENGLISH, ENGLISH_SENTENCES), ("zh", CHINESE, CHINESE_SENTENCES)],
)
@pytest.mark.parametrize(
    "written",
    [
        as_text,
        as_json,
        lambda a: as_json(a, with_title=True),
        as_wikitext,
        lambda a: "".join(
            json.dumps({"text": "\n".join(paragraphs)}, ensure_ascii=False) + "\n\n"
            for _, paragraphs in a
        ),
    ],
    ids=["text", "json", "json with titles", "wikitext", "text alone"],
)
@pytest.mark.parametrize(
    "name, pack",
    [
        ("wiki_00", bytes),
        ("a.txt.gz", gzip.compress),
        ("wiki_00.bz2", bz2.compress),
        ("b.xz", lzma.compress),
    ],
)
def test_a_file_is_known_by_what_it_holds(
    tmp_path, name, pack, written, language, articles, wanted
):
    path = write(tmp_path / name, pack(written(articles).encode()))
    assert read(path, language=language) == wanted
    path.write_bytes(
        pack(b"\xef\xbb\xbf\r\n \r\n" + written(articles).replace("\n", "\r\n").encode())
    )
    assert read(path, language=language) == wanted


def test_wikitexts_marks_are_resolved_and_text_before_the_first_title_stays(tmp_path):
    text = (
        " the rest of an article . \n \n = Man @-@ ape = \n \n It has 1 @,@ 000 <unk> . "
        "A well @-@ known one = two . \n \n = = A = = \n \n End \n"
    )
    assert read(write(tmp_path / "wiki.train.tokens", text)) == [
        ["the rest of an article ."],
        ["It has 1,000 [UNK] .", "A well-known one = two .", "End"],
    ]


@pytest.mark.parametrize(
    "text",
    [
        as_own(ENGLISH_SENTENCES),
        "one\n\n\n \ntwo . three .\nfour\n",
        "{ a brace .\n\nb\n",
        "= a\n\nx = y\n",
        "[ a ] b\n\nc\n",
        "<doc\n\nb\n",
        "",
    ],
)
def test_our_own_kind_is_read_as_it_always_was(tmp_path, text):
    path = write(tmp_path / "corpus.txt", text)
    assert read(path) == list(read_documents(path))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_corpora_are_our_own_kind(language):
    path = Workspace(SHIPPED, TASKS["SST-2" if language == "en" else "ChnSentiCorp"]).corpus
    assert read(path, language=language) == list(read_documents(path))


def test_lines_of_plain_text_are_paragraphs_where_that_is_said(tmp_path):
    path = write(tmp_path / "t", "One. Two!\nThree?\n\nMr. Hill is late. Five.\n")
    assert read(path, split=True) == [["One.", "Two!", "Three?"], ["Mr. Hill is late.", "Five."]]


PARAGRAPHS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=40)
    | st.text("ab .!?\"'(1)。！？”“…\xa0\u2028<&=", max_size=60),
    max_size=4,
)


def letters(*texts: str) -> str:
    return "".join("".join(texts).split())


@pytest.mark.parametrize(
    "written",
    [as_text, as_json, lambda articles: as_json(articles, with_title=True)],
    ids=["text", "json", "json with titles"],
)
@given(
    st.lists(st.tuples(st.text('ab 中<&"', max_size=5), PARAGRAPHS), max_size=3),
    st.sampled_from(["en", "zh"]),
)
def test_no_text_is_lost(tmp_path, written, articles, language):
    articles = [
        (" ".join(["T", *title.split()]), [p.strip() for p in paragraphs if p.strip() != "</doc>"])
        for title, paragraphs in articles
    ]
    found = read(write(tmp_path / "f", written(articles)), language=language)
    whole = [
        text
        for title, paragraphs in articles
        if (text := letters(*_without(title, paragraphs, written is as_json)))
    ]
    assert [letters(*document) for document in found] == whole
    assert all(sentence == sentence.strip() != "" for document in found for sentence in document)


def _without(title: str, paragraphs: list[str], may_begin_with_it: bool) -> list[str]:
    filled = [p for p in paragraphs if p]
    return filled[1:] if may_begin_with_it and filled[:1] == [title] else filled


@given(PARAGRAPHS, st.sampled_from(["en", "zh"]))
def test_sentences_are_the_paragraphs_cut(paragraphs, language):
    assert letters(*sentences(paragraphs, language)) == letters(*paragraphs)


@pytest.mark.parametrize(
    "text",
    [
        "天" * 10_001,
        "a" * 25_001,
        "天气很好。" * 9_000,
        "vitamin A\xa0. It",
        "A\u2028.",
        "x A\u3000.*",
    ],
    ids=lambda text: text[:9],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_endless_paragraphs_and_white_space_of_every_kind_come_through(text, language):
    found = sentences([text], language)
    assert letters(*found) == letters(text) and (
        text[:5] != "天气很好。" or language == "en" or set(found) == {"天气很好。"}
    )


TRICKY = [
    "Dr. Smith met Mrs. Jones at 5 p.m. on Friday.|They talked.",
    "The rate rose by 3.5 percent.|It fell later.",
    'She said, "I will come tomorrow."|Then she left.',
    "He lives in the U.S. and works for I.B.M. in New York.|He is happy.",
    "See Fig. 3 for details.|The rest follows.",
    "J. R. R. Tolkien wrote it.|It sold well.",
    "It cost $4.99, i.e. almost five dollars, e.g. for bread.|Cheap!",
    "Is it true?|Yes!|No doubt.",
    "Visit www.example.com for more.|It is free.",
    "The treaty was signed on 3 Jan. 1850 in St. Petersburg.|War ended.",
    '"Stop!" he shouted.|Nobody listened.',
    "He was born c. 1520 in Rome.|Little is known of him.",
    "Acme Inc. was founded in 1901.|It went bankrupt.",
    "The company is Acme Inc.|It makes anvils.",
    "She waited... and waited.|Nothing came.",
    "Gov. Adams vetoed the bill (see p. 12).|The house agreed.",
    "Water boils at 100 °C (212 °F).|Ice melts at 0 °C.",
    "Mt. Everest is 8,848.86 m high.|K2 is lower.",
    "The vote was 5 to 4.|Two judges wrote.",
    "It was built by John Brown & Co. of Clydebank.|It sank in 1915.",
    "The plant grows from Maine to Ga. and west to Tex. in bogs.|Its leaves are green.",
    'He died in 2001 .|" It was fine , " she said .',
]
TRICKY_CHINESE = [
    "今天天气很好。|我们去公园吧！",
    "他说：“我明天来。”|然后就走了。",
    "你喜欢吗？|当然！|非常喜欢。",
    "增长率为3.5%，比去年高。|明年可能下降。",
    "《红楼梦》是曹雪芹写的；很多人喜欢它。|它很长。",
    "真的吗？！|我不信。",
    "这家公司叫Acme Inc.，成立于1901年。|后来破产了。",
    "“你去不去？”|“不去。”|两人都沉默了。",
]


@pytest.mark.parametrize(
    "language, parted",
    [*(("en", text) for text in TRICKY), *(("zh", text) for text in TRICKY_CHINESE)],
)
def test_the_splitter_finds_the_sentences_that_we_see(language, parted):
    assert sentences(
        [parted.replace("|", " " if language == "en" else "")], language
    ) == parted.split("|")


# What is refused ----------------------------------------------------------------------------------

CUT = '<doc id="1" url="u" title="A">\nA\n\ntext\n'
REFUSED = {
    "no </doc> at the end": (as_text(ENGLISH) + CUT, "line 28: the <doc> has no </doc>"),
    "no </doc> before the next": (CUT + as_text(ENGLISH), "line 1: the <doc> has no </doc>"),
    "text between documents": (as_text(ENGLISH) + "lost\n", "line 28: the text is outside"),
    "a second </doc>": (as_text(ENGLISH) + "</doc>\n", "line 28: the text is outside"),
    "JSON without text": (as_json(ENGLISH) + '{"title": "A"}\n', 'line 5: there is no "text"'),
    "text that is none": ('{"text": 3}\n', 'line 1: there is no "text"'),
    "half a surrogate pair": (
        '{"text": "a"}\n{"text": "\\ud800"}\n',
        "line 2: .*an escape sequence that is not a character",
    ),
    "NUL": ('{"text": "\\u0000"}\n', "line 1: .*an escape sequence that is not a character"),
    "JSON that was cut": (as_json(ENGLISH)[:-9], "line 4: is not JSON"),
    "an array of texts": ('[\n{"text": "a"},\n"b"]\n', "line 3: 'b' is not an object"),
    "half an array": ('[\n{"text": "a"},\n{"text": ', "line 3: the object that begins here"),
    "an object over several lines": ('{\n"text": "a"\n}\n', "line 1: is not JSON"),
    "a dump": (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">\n',
        "line 1: is XML, not text; run WikiExtractor",
    ),
    "a page": (
        "\n<!DOCTYPE html>\n<html>\n",
        "is a web page .HTML., not the file itself; fetch it",
    ),
}


def test_an_array_of_objects_is_read_like_a_line_for_each(tmp_path):
    lines = '{"text": "one. two."}\n{"text": "three"}\n'
    array = '[\n{"text": "one. two."},\n  {"text":\n "three"}\n]\n'
    wanted = read(write(tmp_path / "lines", lines))
    assert len(wanted) == 2 and read(write(tmp_path / "array", array)) == wanted


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_named_by_file_and_line(tmp_path, kind):
    text, says = REFUSED[kind]
    with pytest.raises(UserError, match=f"corpus,? ({says})"):
        read(write(tmp_path / "corpus", text))


@pytest.mark.parametrize("name", ["f.xz", "f.gz", "f.bz2"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-12],
        lambda packed: b"plain text\n",
        lambda packed: packed[:40] + bytes(20) + packed[60:],
    ],
)
def test_a_damaged_archive_is_named(tmp_path, name, damage):
    pack = {"xz": lzma, "gz": gzip, "bz2": bz2}[name[2:]].compress
    with pytest.raises(UserError, match=rf"{name} is a damaged \.{name[2:]} file; fetch it again"):
        read(write(tmp_path / name, damage(pack(bytes(range(32, 127)) * 40 + b"\n"))))


def test_folders_without_text_and_patterns_without_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"wiki_\*: no file matches"):
        given_sources([tmp_path / "wiki_*"])
    write(tmp_path / ".hidden", "a")
    with pytest.raises(UserError, match="holds no files"):
        read(tmp_path)
    write(tmp_path / "train.tsv", "sentence\tlabel\n")
    with pytest.raises(UserError, match="train.tsv is a table of rows"):
        read(tmp_path)
    with pytest.raises(UserError, match="none is missing"):
        read(tmp_path / "none")


def test_without_the_splitter_our_own_kind_is_read_and_others_name_the_package(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "sentencex", None)
    assert read(write(tmp_path / "own", "a. b.\n\nc\n")) == [["a. b."], ["c"]]
    with pytest.raises(
        UserError, match=r'sentencex, which is missing: python -m pip install -e "\.\[corpus\]"'
    ):
        read(write(tmp_path / "wiki", as_text(ENGLISH)))


@pytest.mark.parametrize(
    "written, broken", [(as_text, CUT), (as_json, "{\n"), (as_wikitext, "\udcff")]
)
def test_documents_come_before_the_file_is_read_to_its_end(tmp_path, written, broken):
    path = write(
        tmp_path / "big", (written(ENGLISH) * 400 + broken).encode("utf-8", "surrogateescape")
    )
    documents = read_corpora([path])
    assert next(documents) == ENGLISH_SENTENCES[0]
    with pytest.raises(UserError, match="line [0-9]{4,}: "):
        list(documents)
