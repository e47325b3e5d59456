"""Bytes become lines in one place: what is accepted, what is refused, and which line is named."""

import bz2
import gzip
import lzma

import pytest

from tinybert_lite.system import lines
from tinybert_lite.system.errors import UserError, listed
from tinybert_lite.system.lines import lines_of, text_of

TEXTS = ["one", "", " two ", "a\u2028b\x0bc\x85d", "\r inside", "", "naïve 电影", "last"]
PLAIN = "\n".join(TEXTS)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.mark.parametrize("block", [1, 2, 3, 7, lines.BLOCK])
@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN + "\n",
        PLAIN + "\n\n\r\n\n",
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r\n") + "\r\n",
    ],
)
def test_line_ends_and_blank_lines_at_the_end_do_not_count_wherever_a_block_ends(
    tmp_path, monkeypatch, block, text
):
    monkeypatch.setattr(lines, "BLOCK", block)
    assert list(lines_of(write(tmp_path / "f", text))) == TEXTS


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n", "\ufeff", "\ufeff\n"])
def test_blank_lines_alone_are_none(tmp_path, text):
    assert list(lines_of(write(tmp_path / "f", text))) == []


def test_a_mark_at_the_start_is_no_text_and_xz_is_unpacked(tmp_path):
    assert list(lines_of(write(tmp_path / "f", "\ufeff" + PLAIN))) == TEXTS
    assert list(lines_of(write(tmp_path / "f.xz", lzma.compress(PLAIN.encode())))) == TEXTS


ENGLISH = "the film\twas good\t1\n" * 20
REFUSED = {
    "UTF-16 with a mark": (ENGLISH.encode("utf-16"), " is UTF-16 text; save the file as UTF-8"),
    "UTF-16, big end first": (
        "电影".encode("utf-16-be").join([b"\xfe\xff", b""]),
        " is UTF-16 text",
    ),
    "UTF-16 without a mark": (ENGLISH.encode("utf-16-le"), " is UTF-16 text"),
    "UTF-16 without a mark, big end first": (ENGLISH.encode("utf-16-be"), " is UTF-16 text"),
    "UTF-32 with a mark": (ENGLISH.encode("utf-32"), " is UTF-32 text"),
    "UTF-32 without a mark": (ENGLISH.encode("utf-32-be"), " is UTF-32 text"),
    "Latin-1": (
        "one\ntwo\ncafé\nfour\n".encode("latin-1"),
        ", line 3: not UTF-8 text; save the file as UTF-8",
    ),
    "a character cut in two": ("one\n电".encode()[:-1], ", line 2: not UTF-8 text"),
    "half a surrogate pair": (b"one\n\xed\xa0\xbd\n", ", line 2: not UTF-8 text"),
    "NUL": (b"one\ntwo\nth\0ree\n", ", line 3: holds a NUL byte"),
    "a disk full of zeros": (b"one\n" + b"\0" * 5000, ", line 2: holds a NUL byte"),
    "a line of 10 MB": (
        b"one\n" + b"x" * 10_000_000 + b"\nthree\n",
        ", line 2: longer than 1,000,000 bytes",
    ),
    "no line end at all": (b"x" * 1_000_001, ", line 1: longer than 1,000,000 bytes"),
    "one byte too long": (
        b"one\ntwo\n" + b"x" * 1_000_001 + b"\n",
        ", line 3: longer than 1,000,000 bytes",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_text_is_named_by_file_and_line(tmp_path, kind, packed):
    content, says = REFUSED[kind]
    path = write(
        tmp_path / ("f.xz" if packed else "f"),
        lzma.compress(content, preset=0) if packed else content,
    )
    with pytest.raises(UserError) as error:
        list(lines_of(path))
    assert str(error.value).startswith(f"{path}{says}")


def test_the_longest_line_is_read(tmp_path):
    assert [
        len(line)
        for line in lines_of(write(tmp_path / "f", b"one\n" + b"x" * 1_000_000 + b"\nthree"))
    ] == [3, 1_000_000, 5]


def test_an_endless_line_is_not_read_to_its_end(tmp_path, monkeypatch):
    read = []
    blocks = lines._blocks
    monkeypatch.setattr(
        lines, "_blocks", lambda path: (read.append(len(block)) or block for block in blocks(path))
    )
    with pytest.raises(UserError, match="line 1: longer"):
        list(lines_of(write(tmp_path / "f", b"x" * 10_000_000)))
    assert sum(read) <= lines.LONGEST_LINE_BYTES + lines.BLOCK


@pytest.mark.parametrize(
    "content", [b"\xfd7zXZ\x00 no", lzma.compress(PLAIN.encode())[:-9], b"", b"plain text\n"]
)
def test_a_damaged_xz_is_named(tmp_path, content):
    with pytest.raises(UserError, match="f.xz is a damaged .xz file; fetch it again"):
        list(lines_of(write(tmp_path / "f.xz", content)))


def test_a_missing_file_is_named_with_the_callers_cure(tmp_path):
    with pytest.raises(UserError, match="none.txt is missing: go and find it"):
        lines_of(tmp_path / "none.txt", "go and find it")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
NOT_TEXT = {
    "a pointer of Git LFS": (POINTER, "is a Git LFS pointer, not the file itself; fetch the file"),
    "a web page": (b"\n <!DOCTYPE html>\n<html>", "is a web page (HTML), not the file itself"),
    "another web page": (b"\xef\xbb\xbf<HTML><body>", "is a web page (HTML)"),
    "a zip": (b"PK\x03\x04\x14\0", "is a zip archive or a spreadsheet; unpack it"),
    "gzip": (gzip.compress(b"text"), "is packed, but its name does not end in .gz; rename"),
    "bzip2": (bz2.compress(b"text"), "is packed, but its name does not end in .bz2"),
    "xz": (lzma.compress(b"text"), "is packed, but its name does not end in .xz"),
    "a tar": (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "is a tar archive"),
    "parquet": (
        b"PAR1\x15\x04",
        "is a Parquet file, not text; if it holds rows, give it a name ending in .parquet",
    ),
    "a PDF": (b"%PDF-1.7\n", "is a PDF, not text; name a text file"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "is a picture, not text"),
}


@pytest.mark.parametrize("kind", NOT_TEXT)
def test_another_kind_of_file_is_recognised_by_its_first_bytes(tmp_path, kind):
    content, says = NOT_TEXT[kind]
    for name, packed in (("f", bytes), ("f.gz", gzip.compress)):
        with pytest.raises(UserError) as error:
            list(lines_of(write(tmp_path / name, packed(content))))
        assert str(error.value).startswith(f"{tmp_path / name} {says}")


def test_a_pointer_with_the_name_of_a_packed_file_is_no_damaged_archive(tmp_path):
    with pytest.raises(UserError, match="f.xz is a Git LFS pointer"):
        list(lines_of(write(tmp_path / "f.xz", POINTER)))


def test_words_like_those_at_the_start_of_other_files_are_text(tmp_path):
    for text in (
        "PAR and BZh",
        "Rar! he said",
        "<b>html</b>",
        "version https://example.org",
        "GIF",
    ):
        assert list(lines_of(write(tmp_path / "f", text))) == [text]


def test_lines_may_end_in_cr_alone(tmp_path):
    """Old spreadsheets write them; a CR in a file with line feeds is part of a text."""
    text = "one\rtwo\r\rfour\r"
    assert list(lines_of(write(tmp_path / "f", text))) == ["one", "two", "", "four"]
    many = "".join(f"line {n}\r" for n in range(200_000))  # more than one line may have
    assert sum(1 for _ in lines_of(write(tmp_path / "f", many))) == 200_000
    assert list(lines_of(write(tmp_path / "f", "one\ntwo\rhalf\n"))) == ["one", "two\rhalf"]


def test_a_file_as_a_whole_is_checked_like_its_lines(tmp_path, monkeypatch):
    assert text_of(write(tmp_path / "f", "\ufeff" + PLAIN)) == PLAIN
    with pytest.raises(UserError, match="line 2: not UTF-8"):
        text_of(write(tmp_path / "f", b"one\ncaf\xe9"))
    monkeypatch.setattr(lines, "LARGEST_FILE_BYTES", 10)
    with pytest.raises(UserError, match="is larger than 10 bytes; write one row per line"):
        text_of(write(tmp_path / "f", PLAIN))


def test_long_lists_are_cut_with_a_count():
    assert listed("ab") == "a, b" and listed("abcd", 2) == "a, b and 2 more"
    assert listed(["x" * 1000]) == "xxxxxxxxxxxx...xxxxxxxxxxxxx"
