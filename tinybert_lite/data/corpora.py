"""Corpora as others have them: WikiExtractor's text or JSON, WikiText, plain paragraphs; and our own, a sentence a line.

What a file is, is told by what it holds, never by its name. Paragraphs are split by sentencex, Wikimedia's own splitter, which
knows English and Chinese, needs no model, and reads faster than the files are unpacked.
"""

from __future__ import annotations

import glob
import html
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tinybert_lite.data.corpus import plain, read_documents
from tinybert_lite.data.records import has_no_letters, json_objects
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of

LONGEST = 16_000_000  # bytes of a line: JSON holds a whole article, or a whole book, in one
PEEK = 100  # lines that a file's kind is told by
DUMP = re.compile(r"<(\?xml|!doctype|html|mediawiki|page)\b", re.IGNORECASE)
DOC = re.compile(r"<doc\b.*>")
TITLE = re.compile(r'\btitle="(.*)">')  # WikiExtractor writes quotes inside a title as they are
JSON = re.compile(r'\{\s*("|$)|\[\s*(\{|$)')
HEADING = re.compile(r" ?= .+ = ?")  # WikiText's; one of a deeper level is `= = Title = =`
PART = re.compile(
    r".{1,10000}(?:[。！？]|[.!?] |$)|.{1,10000}"
)  # the splitter's time grows with the square of a long Chinese text


# Which files -----------------------------------------------------------------------------------------------------------


def natural(path: Path) -> list[list[int | str]]:
    """A key that puts wiki_2 before wiki_10."""
    return [
        [
            int(part) if part.isdecimal() and part.isascii() else part
            for part in re.split("([0-9]+)", name)
        ]
        for name in path.parts
    ]


def given_sources(names: Iterable[str | Path]) -> list[Path]:
    """Files and folders as they were named, and what patterns such as `wiki/*/wiki_*` match; in natural order, each once.

    Raises UserError for a pattern that matches nothing.
    """
    found: list[Path] = []
    for name in map(str, names):
        matches = (
            glob.glob(name, recursive=True)
            if glob.has_magic(name) and not Path(name).exists()
            else [name]
        )
        if not matches:
            raise UserError(
                f"{name}: no file matches this pattern; name files, folders or another pattern"
            )
        found += map(Path, matches)
    return sorted(dict.fromkeys(found), key=natural)


def numbered(name: str, sources: list[Path]) -> dict[str, Path]:
    """Sources as a stage names what it reads: `corpus`, or `corpus 1`, `corpus 2` … where there are several."""
    return (
        {name: sources[0]}
        if len(sources) == 1
        else {f"{name} {number}": path for number, path in enumerate(sources, 1)}
    )


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and the folders in it, in natural order, hidden ones left out."""
    found = (
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return sorted((path for path in found if path.is_file()), key=natural)


def corpus_files(sources: Iterable[Path]) -> Iterator[Path]:
    """The files of a corpus. Raises UserError for an empty folder, and for a table in one."""
    for source in sources:
        files = files_below(source) if source.is_dir() else [source]
        if not files:
            raise UserError(f"{source} holds no files; put a corpus there or name another folder")
        if table := next(
            (file for file in files if file is not source and file.suffix == ".tsv"), None
        ):
            raise UserError(f"{table} is a table of rows in a folder of text; take it out of there")
        yield from files


# What they hold --------------------------------------------------------------------------------------------------------


def read_corpora(
    sources: Iterable[Path], language: str = "en", split: bool = False
) -> Iterator[list[str]]:
    """One document after another of files and folders of any kind: its sentences. Nothing but one document is kept in memory.

    Our own kind's lines are sentences unless `split` says that they are paragraphs. Raises UserError, with file and line, for an
    empty folder, a table in one, a dump or HTML, damaged JSON, and a <doc> that does not end.
    """
    for path in corpus_files(sources):
        read = _kind(path)
        if read is read_documents and not split:
            yield from read_documents(path)
        else:
            yield from filter(None, (sentences(paragraphs, language) for paragraphs in read(path)))


def _kind(path: Path):
    """The function that reads a file as documents of paragraphs."""
    head = list(islice(lines_of(path, "put a corpus there or name another", LONGEST), PEEK))
    first = next((line.strip() for line in head if line.strip()), "")
    if DUMP.match(first):
        raise UserError(
            f"{path}, line 1: is XML or HTML, not text; run WikiExtractor on the dump first and name the folder that it writes"
        )
    if DOC.match(first):
        return _wiki_extractor
    if JSON.match(first):
        return _json_lines
    return _wikitext if any(map(HEADING.fullmatch, head)) else read_documents


def _wiki_extractor(path: Path) -> Iterator[list[str]]:
    """`<doc id="…" url="…" title="T">`, T, an empty line, paragraphs, `</doc>`; &, < and > are written as in HTML."""
    begun, title, paragraphs = 0, "", []
    for number, line in enumerate(lines_of(path, longest=LONGEST), 1):
        line = line.strip()
        if DOC.fullmatch(line) and not begun:
            begun, title, paragraphs = number, "".join(TITLE.findall(line)), []
        elif line == "</doc>" and begun:
            yield _without_title(paragraphs, title)
            begun = 0
        elif DOC.fullmatch(line):
            raise _not_ended(path, begun)
        elif line and not begun:
            raise UserError(
                f"{path}, line {number}: stands outside of <doc …> and </doc>; extract the file again"
            )
        elif line:
            paragraphs.append(html.unescape(line))
    if begun:
        raise _not_ended(path, begun)


def _not_ended(path: Path, begun: int) -> UserError:
    return UserError(
        f"{path}, line {begun}: this <doc> has no </doc>, the file was cut; extract it again"
    )


def _json_lines(path: Path) -> Iterator[list[str]]:
    """An article a line, `{"title": …, "text": …}`, as WikiExtractor writes with --json and many corpora come; the title may be missing."""
    for number, found in json_objects(path, "text", LONGEST):
        text = found.get("text")
        if not isinstance(text, str) or has_no_letters(text):
            raise UserError(
                f"{path}, line {number}: "
                + (
                    '"text" holds a code that is no letter; take it out'
                    if isinstance(text, str)
                    else 'has no "text"; a corpus in JSON Lines has one in every line'
                )
            )
        yield _without_title(text.split("\n"), str(found.get("title")))


def _without_title(paragraphs: list[str], title: str) -> list[str]:
    """A title is no sentence: it is left out where it stands alone before the text."""
    first = next((number for number, paragraph in enumerate(paragraphs) if paragraph.strip()), 0)
    return (
        paragraphs[first + 1 :]
        if paragraphs and paragraphs[first].strip() == html.unescape(title).strip()
        else paragraphs
    )


def _wikitext(path: Path) -> Iterator[list[str]]:
    """Paragraphs under ` = Title = `, which begins a document; deeper headings are left out."""
    paragraphs: list[str] = []
    for line in lines_of(path, longest=LONGEST):
        if not HEADING.fullmatch(line):
            paragraphs.append(plain(line.strip()))
        elif not line.strip().startswith("= = "):
            yield paragraphs
            paragraphs = []
    yield paragraphs


# Sentences -------------------------------------------------------------------------------------------------------------


def sentences(paragraphs: Iterable[str], language: str = "en") -> list[str]:
    """The sentences of some paragraphs; none reaches over the end of one. Raises UserError without sentencex."""
    try:
        from sentencex import segment
    except ImportError:
        raise UserError(
            'paragraphs are split into sentences by the package sentencex, which is missing: python -m pip install -e ".[corpus]"'
        ) from None
    # Blanks alone between words: the splitter fails at other white space, which is the same to BERT.
    lines = (" ".join(paragraph.split()) for paragraph in paragraphs)
    found = (
        sentence.strip()
        for line in lines
        for part in PART.findall(line)
        for sentence in segment(language, part)
    )
    return [sentence for sentence in found if sentence]
