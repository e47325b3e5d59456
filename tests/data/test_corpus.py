"""A corpus as documents of sentences, on disk as token ids."""

import lzma

import pytest

from tinybert_lite.data.corpus import TokenisedCorpus, read_documents
from tinybert_lite.system.errors import UserError

DOCUMENTS = [
    ["the film .", "a good story"],
    ["run"],
    ["we saw it", "the plot", "the scene is long"],
]
TEXT = "\n\n".join("\n".join(document) for document in DOCUMENTS) + "\n"


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def build(tmp_path, tokenizer, text, name="corpus", **more):
    folder = tmp_path / name
    folder.mkdir()
    return TokenisedCorpus.build(write(tmp_path / "corpus.txt", text), tokenizer, folder, **more)


def as_lists(corpus):
    return [[corpus.sentence(number) for number in corpus.document(i)] for i in range(len(corpus))]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("\n"),
        "\n\n" + TEXT + "\n\n",
        TEXT.replace("\n\n", "\n \t\n\n\n"),
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.replace("run", "  run "),
    ],
)
def test_documents_end_at_blank_lines(tmp_path, text):
    assert list(read_documents(write(tmp_path / "corpus.txt", text))) == DOCUMENTS


def test_only_line_feeds_end_a_sentence(tmp_path):
    assert list(read_documents(write(tmp_path / "c", "one\u2028still\x0bone\nté\n\ntwo\n"))) == [
        ["one\u2028still\x0bone", "té"],
        ["two"],
    ]


def test_xz_is_read_as_well(tmp_path):
    assert (
        list(read_documents(write(tmp_path / "corpus.txt.xz", lzma.compress(TEXT.encode()))))
        == DOCUMENTS
    )


def test_a_corpus_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="corpus.txt is missing"):
        next(read_documents(tmp_path / "corpus.txt"))
    with pytest.raises(UserError, match="corpus.txt, line 1: not UTF-8"):
        list(read_documents(write(tmp_path / "corpus.txt", b"caf\xe9\n")))


@pytest.mark.parametrize("block", [1, 2, 3, 2000])
def test_tokens_on_disk_are_the_tokenizers(tmp_path, tokenizer, block):
    corpus = build(tmp_path, tokenizer, TEXT, block=block)
    assert as_lists(corpus) == [
        [tokenizer(s, add_special_tokens=False)["input_ids"] for s in document]
        for document in DOCUMENTS
    ]
    assert [corpus.document_of(sentence) for sentence in range(6)] == [0, 0, 1, 2, 2, 2]


def test_sentences_and_documents_without_tokens_are_left_out(tmp_path, tokenizer):
    text = "\u200b\nthe film\n\n\u200b\n\nrun\n\u200b\ntree\n"
    corpus = build(tmp_path, tokenizer, text, block=1)
    assert as_lists(corpus) == [
        [tokenizer("the film", add_special_tokens=False)["input_ids"]],
        [tokenizer(word, add_special_tokens=False)["input_ids"] for word in ("run", "tree")],
    ]


def test_one_document_is_too_few(tmp_path, tokenizer):
    with pytest.raises(UserError, match="corpus.txt, sentences 1 to 2: holds one document only"):
        build(tmp_path, tokenizer, "the film\nrun\n\n\n")


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_corpus_is_refused(tmp_path, tokenizer, text):
    with pytest.raises(UserError, match="corpus.txt is empty"):
        build(tmp_path, tokenizer, text)
