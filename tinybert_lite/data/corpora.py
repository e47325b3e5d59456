"""Read corpora: WikiExtractor's text or JSON, WikiText, paragraphs, sentences.

A file's kind is found from its content, never from its name. Paragraphs are split by sentencex,
Wikimedia's own splitter: it supports English and Chinese, needs no model, and is faster than the
unpacking of the files.
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

ARTICLE_BYTES = 16_000_000  # bytes in a line: in JSON Lines an article, or a book, is one line
PEEK = 100  # number of first lines from which a file's kind is found
DUMP = re.compile(r"<(\?xml|mediawiki|page)\b", re.IGNORECASE)
DOC = re.compile(r"<doc\b.*>")
TITLE = re.compile(r'\btitle="(.*)">')  # WikiExtractor does not escape quotes inside a title
JSON = re.compile(r'\{\s*("|$)|\[\s*(\{|$)')
HEADING = re.compile(r" ?= .+ = ?")  # in WikiText; a heading of a deeper level is `= = Title = =`
# Long Chinese texts are split in parts: the splitter's time grows with the square of the length.
PART = re.compile(r".{1,10000}(?:[。！？]|[.!?] |$)|.{1,10000}")


# Which files -------------------------------------------------------------------------------------


def natural(path: Path) -> list[list[int | str]]:
    """Return a sort key that puts wiki_2 before wiki_10."""
    return [
        [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))]
        for name in path.parts
    ]


def given_sources(names: Iterable[str | Path]) -> list[Path]:
    """Return the named files and folders, and the matches of patterns such as `wiki/*/wiki_*`.

    They are in natural order, without duplicates. Raises UserError for a pattern that matches
    nothing.
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
    """Name the sources for a manifest: `corpus` for one, `corpus 1`, `corpus 2` … for several."""
    if len(sources) == 1:
        return {name: sources[0]}
    return {f"{name} {number}": path for number, path in enumerate(sources, 1)}


def files_below(folder: Path) -> list[Path]:
    """Return all files in a folder and its sub-folders except hidden ones, in natural order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    shown = (path for path in found if "/." not in f"/{path.relative_to(folder).as_posix()}")
    return sorted(shown, key=natural)


def corpus_files(sources: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of a corpus. Raises UserError for an empty folder or a table in a folder."""
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
                    f"{file} is a table of rows in a folder of text; move it to another folder"
                )
        yield from files


# Documents of a file -----------------------------------------------------------------------------


def read_corpora(
    sources: Iterable[Path], language: str = "en", split: bool = False
) -> Iterator[list[str]]:
    """Yield each document's sentences, from files and folders of any kind, one document at a time.

    Lines of plain text are sentences; with `split` they are paragraphs. Raises UserError for an
    empty folder and a table in a folder, and with file and line for a Wikipedia dump,
    damaged JSON, and a <doc> without </doc>.
    """
    for path in corpus_files(sources):
        read = reader_of(path)
        if read is read_documents and not split:
            yield from read_documents(path)
        else:
            yield from filter(None, (sentences(paragraphs, language) for paragraphs in read(path)))


def reader_of(path: Path) -> Reader:
    """Return the function that reads this file as documents of paragraphs.

    Raises UserError for a dump in XML.
    """
    head = list(islice(lines_of(path, "put a corpus there or name another", ARTICLE_BYTES), PEEK))
    first = next(filter(None, map(str.strip, head)), "")
    if DUMP.match(first):
        raise UserError(
            f"{path}, line 1: is XML, not text; run WikiExtractor on the dump first and "
            "name the folder that it writes"
        )
    if DOC.match(first):
        return _wiki_extractor
    if JSON.match(first):
        return _json_lines
    return _wikitext if any(map(HEADING.fullmatch, head)) else read_documents


def _wiki_extractor(path: Path) -> Iterator[list[str]]:
    """Yield documents: `<doc id="…" url="…" title="T">`, T, an empty line, paragraphs, `</doc>`.

    In these files &, < and > are escaped as in HTML.
    """
    begun, title, paragraphs = 0, "", []
    for number, line in enumerate(map(str.strip, lines_of(path, longest=ARTICLE_BYTES)), 1):
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
                f"{path}, line {number}: the text is outside of <doc …> and </doc>; extract the "
                "file again"
            )
        elif line:
            paragraphs.append(html.unescape(line))
    if begun:
        raise UserError(
            f"{path}, line {begun}: the <doc> has no </doc>, so the file is incomplete; extract it "
            "again"
        )


def _json_lines(path: Path) -> Iterator[list[str]]:
    """Yield documents from `{"title": …, "text": …}`, one per line; the title is optional.

    WikiExtractor writes such files with --json.
    """
    for number, found in json_objects(path, "text", ARTICLE_BYTES):
        text = found.get("text")
        if not isinstance(text, str):
            raise UserError(
                f'{path}, line {number}: there is no "text"; every line of a JSON Lines corpus '
                "needs one"
            )
        if UNWRITABLE.search(text):
            raise UserError(
                f'{path}, line {number}: "text" holds an escape sequence that is not a character '
                "(NUL or half a surrogate pair); remove it"
            )
        yield _without_title(text.split("\n"), str(found.get("title") or ""))


def _without_title(paragraphs: list[str], title: str) -> list[str]:
    """Remove the title if it is the first paragraph, since it is not a sentence."""
    first = next((i for i, paragraph in enumerate(paragraphs) if paragraph.strip()), None)
    if first is not None and paragraphs[first].strip() == html.unescape(title).strip():
        return paragraphs[first + 1 :]
    return paragraphs


def _wikitext(path: Path) -> Iterator[list[str]]:
    """Yield documents: ` = Title = ` begins one; headings of deeper levels are left out."""
    paragraphs: list[str] = []
    for line in lines_of(path, longest=ARTICLE_BYTES):
        if not HEADING.fullmatch(line):
            paragraphs.append(plain(line.strip()))
        elif not line.strip().startswith("= = "):
            yield paragraphs
            paragraphs = []
    yield paragraphs


# Sentences ---------------------------------------------------------------------------------------


def sentences(paragraphs: Iterable[str], language: str = "en") -> list[str]:
    """Split paragraphs into sentences. Raises UserError if the package sentencex is missing."""
    splitter = optional("sentencex", "sentencex", "corpus", "paragraphs are split into sentences")
    # All white space becomes spaces: the splitter fails at other white space, and BERT ignores it.
    parts = (part for text in paragraphs for part in PART.findall(" ".join(text.split())))
    found = (sentence.strip() for part in parts for sentence in splitter.segment(language, part))
    return [sentence for sentence in found if sentence]
