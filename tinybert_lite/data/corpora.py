"""Corpora in any published form: WikiExtractor's text or JSON, WikiText, paragraphs, sentences.

A file's kind is told by its content, never by its name. Paragraphs are split by sentencex,
Wikimedia's own splitter: it knows English and Chinese, needs no model, and reads faster than files
are unpacked.
"""

import glob
import html
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tinybert_lite.data.corpus import Reader, plain, read_documents
from tinybert_lite.data.json_lines import UNWRITABLE, json_objects
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.lines import lines_of
from tinybert_lite.system.optional import optional

LONGEST = 16_000_000  # bytes of a line: JSON holds a whole article, or a whole book, in one
PEEK = 100  # first lines that tell a file's kind
DUMP = re.compile(r"<(\?xml|!doctype|html|mediawiki|page)\b", re.IGNORECASE)
DOC = re.compile(r"<doc\b.*>")
TITLE = re.compile(r'\btitle="(.*)">')  # WikiExtractor does not escape quotes inside a title
JSON = re.compile(r'\{\s*("|$)|\[\s*(\{|$)')
HEADING = re.compile(r" ?= .+ = ?")  # WikiText's; one of a deeper level is `= = Title = =`
# parts for the splitter, whose time grows with the square of a long Chinese text
PART = re.compile(r".{1,10000}(?:[。！？]|[.!?] |$)|.{1,10000}")


# Which files -------------------------------------------------------------------------------------


def natural(path: Path) -> list[list[int | str]]:
    """A sort key that puts wiki_2 before wiki_10."""
    return [
        [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))]
        for name in path.parts
    ]


def given_sources(names: Iterable[str | Path]) -> list[Path]:
    """The named files and folders, and the matches of patterns such as `wiki/*/wiki_*`.

    In natural order, each once. Raises UserError for a pattern that matches nothing.
    """
    found: list[str] = []
    for name in map(str, names):
        if glob.has_magic(name) and not Path(name).exists():
            matches = glob.glob(name, recursive=True)
            if not matches:
                raise UserError(
                    f"{name}: no file matches this pattern; name files, folders or another pattern"
                )
            found += matches
        else:
            found.append(name)
    return sorted(dict.fromkeys(map(Path, found)), key=natural)


def numbered(name: str, sources: list[Path]) -> dict[str, Path]:
    """Sources by their names in a stage's inputs: `corpus`, of several `corpus 1`, `corpus 2` …"""
    if len(sources) == 1:
        return {name: sources[0]}
    return {f"{name} {number}": path for number, path in enumerate(sources, 1)}


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and its sub-folders except hidden ones, in natural order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    shown = (path for path in found if "/." not in f"/{path.relative_to(folder).as_posix()}")
    return sorted(shown, key=natural)


def corpus_files(sources: Iterable[Path]) -> Iterator[Path]:
    """The files of a corpus. Raises UserError for an empty folder, and for a table in a folder."""
    for source in sources:
        if not source.is_dir():
            yield source
            continue
        files = files_below(source)
        if not files:
            raise UserError(f"{source} holds no files; put a corpus there or name another folder")
        for file in files:
            if file.suffix == ".tsv":
                raise UserError(
                    f"{file} is a table of rows in a folder of text; take it out of there"
                )
        yield from files


# What they hold ----------------------------------------------------------------------------------


def read_corpora(
    sources: Iterable[Path], language: str = "en", split: bool = False
) -> Iterator[list[str]]:
    """Each document's sentences, from files and folders of any kind; one document in memory.

    Lines of plain text are sentences unless `split` declares them paragraphs. Raises UserError with
    file and line for an empty folder, a table in one, a dump or HTML, damaged JSON, and a <doc>
    without an end.
    """
    for path in corpus_files(sources):
        read = _reader(path)
        if read is read_documents and not split:
            yield from read_documents(path)
        else:
            yield from filter(None, (sentences(paragraphs, language) for paragraphs in read(path)))


def _reader(path: Path) -> Reader:
    """The function that reads a file of this kind as documents of paragraphs."""
    head = list(islice(lines_of(path, "put a corpus there or name another", LONGEST), PEEK))
    first = next(filter(None, map(str.strip, head)), "")
    if DUMP.match(first):
        raise UserError(
            f"{path}, line 1: is XML or HTML, not text; run WikiExtractor on the dump first and "
            "name the folder that it writes"
        )
    if DOC.match(first):
        return _wiki_extractor
    if JSON.match(first):
        return _json_lines
    return _wikitext if any(map(HEADING.fullmatch, head)) else read_documents


def _wiki_extractor(path: Path) -> Iterator[list[str]]:
    """`<doc id="…" url="…" title="T">`, T, an empty line, paragraphs, `</doc>`.

    &, < and > are written as in HTML.
    """
    begun, title, paragraphs = 0, "", []
    for number, line in enumerate(map(str.strip, lines_of(path, longest=LONGEST)), 1):
        begins = DOC.fullmatch(line)
        if begins and begun:
            break
        if begins:
            begun, title, paragraphs = number, "".join(TITLE.findall(line)), []
        elif line == "</doc>" and begun:
            yield _without_title(paragraphs, title)
            begun = 0
        elif line and not begun:
            raise UserError(
                f"{path}, line {number}: is outside of <doc …> and </doc>; extract the file again"
            )
        elif line:
            paragraphs.append(html.unescape(line))
    if begun:
        raise UserError(
            f"{path}, line {begun}: this <doc> has no </doc>, the file is incomplete; extract it "
            "again"
        )


def _json_lines(path: Path) -> Iterator[list[str]]:
    """`{"title": …, "text": …}` per article, like WikiExtractor's --json; a title is optional."""
    for number, found in json_objects(path, "text", LONGEST):
        text = found.get("text")
        if not isinstance(text, str):
            raise UserError(
                f'{path}, line {number}: has no "text"; every line of a JSON Lines corpus needs one'
            )
        if UNWRITABLE.search(text):
            raise UserError(
                f'{path}, line {number}: "text" holds a code that is not a character; remove it'
            )
        yield _without_title(text.split("\n"), str(found.get("title") or ""))


def _without_title(paragraphs: list[str], title: str) -> list[str]:
    """A title is not a sentence: it is removed where it is the first paragraph."""
    first = next((i for i, paragraph in enumerate(paragraphs) if paragraph.strip()), None)
    if first is not None and paragraphs[first].strip() == html.unescape(title).strip():
        return paragraphs[first + 1 :]
    return paragraphs


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


# Sentences ---------------------------------------------------------------------------------------


def sentences(paragraphs: Iterable[str], language: str = "en") -> list[str]:
    """Each paragraph's sentences. Raises UserError without the package sentencex."""
    splitter = optional("sentencex", "sentencex", "corpus", "paragraphs are split into sentences")
    # Only blanks between words: the splitter fails at other white space, which BERT does not need.
    parts = (part for text in paragraphs for part in PART.findall(" ".join(text.split())))
    found = (sentence.strip() for part in parts for sentence in splitter.segment(language, part))
    return [sentence for sentence in found if sentence]
