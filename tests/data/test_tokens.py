"""Vocabularies, words, and rows as token ids."""

import json
import math

import numpy as np
import pytest
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast, XLMRobertaTokenizer

from tests.makers import SPECIAL, VOCABULARY, config_values, write_tsv, write_vocabulary
from tinybert_lite.data.corpus import tokenised
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.data.tokens import encode, encode_table, words
from tinybert_lite.models.tokenizers import (
    check_pieces,
    find_vocabulary,
    load_tokenizer,
    lower_cases,
    save_tokenizer,
    tokenizer_difference,
)
from tinybert_lite.system.errors import UserError

CASED = [*VOCABULARY, "The", "##X"]


@pytest.mark.parametrize(
    "vocab, lower",
    [
        (VOCABULARY, True),
        (CASED, False),
        ([*VOCABULARY, "É"], False),
        ([*VOCABULARY, "é"], True),
        ([*VOCABULARY, "[UNUSED9]"], True),
        ([*VOCABULARY, "<S>", "你"], True),  # as BERT-base Chinese
        (
            [*VOCABULARY, "ℝ", "##ℝ"],
            True,
        ),  # BERT-base uncased has these two: a capital without a small form
    ],
)
def test_case_is_read_off_the_vocabulary(tmp_path, vocab, lower):
    assert lower_cases(load_tokenizer(write_vocabulary(tmp_path, vocab))) is lower


def test_a_recorded_case_wins_over_the_vocabulary_and_a_flag_must_agree(tmp_path):
    path = write_vocabulary(tmp_path, CASED)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    assert lower_cases(load_tokenizer(path)) and lower_cases(load_tokenizer(path, True))
    with pytest.raises(UserError, match="--do_lower_case false contradicts .*lower-cases"):
        load_tokenizer(path, lower_case=False)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert not lower_cases(load_tokenizer(path)) and lower_cases(load_tokenizer(path, True))


@pytest.mark.parametrize(
    "content", ["{", "[]", '"text"', '{"do_lower_case": "yes"}', '{"do_lower_case": [true]}']
)
def test_a_broken_tokenizer_config_is_named(tmp_path, content):
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(UserError, match="tokenizer_config.json"):
        load_tokenizer(write_vocabulary(tmp_path))


def test_every_piece_keeps_its_line_as_number(tokenizer):
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == VOCABULARY
    assert tokenizer("The funniest FILM, walking!")["input_ids"] == [
        VOCABULARY.index(piece)
        for piece in [
            "[CLS]",
            "the",
            "f",
            "##u",
            "##n",
            "##n",
            "##i",
            "##est",
            "film",
            ",",
            "walk",
            "##ing",
            "!",
            "[SEP]",
        ]
    ]
    assert tokenizer.tokenize("電") == ["[UNK]"]


def test_bom_and_windows_line_ends_change_nothing(tmp_path, tokenizer):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\ufeff".encode() + "\r\n".join(VOCABULARY).encode())
    assert load_tokenizer(path).get_vocab() == tokenizer.get_vocab()


def test_a_duplicate_or_a_blank_line_counts_as_in_bert_and_is_said(tmp_path, capsys):
    path = write_vocabulary(tmp_path, [*VOCABULARY, "", "the", "last"])
    tokenizer = load_tokenizer(path)
    last = len(VOCABULARY) + 2
    assert tokenizer("the last")["input_ids"][1:3] == [last - 1, last]
    assert f"line {VOCABULARY.index('the') + 1}" in capsys.readouterr().err
    save_tokenizer(tokenizer, tmp_path / "out")
    again = load_tokenizer(tmp_path / "out")
    assert again.get_vocab() == tokenizer.get_vocab()
    assert load_tokenizer(tmp_path / "out/vocab.txt").get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize("lost", SPECIAL)
def test_a_missing_special_token_is_named(tmp_path, lost):
    path = write_vocabulary(tmp_path, [piece for piece in VOCABULARY if piece != lost])
    with pytest.raises(UserError) as error:
        load_tokenizer(path)
    assert str(error.value).startswith(f"{path} lacks {lost};")


def test_what_is_no_vocabulary_is_refused(tmp_path):
    with pytest.raises(UserError, match="vocab.txt is missing"):
        load_tokenizer(tmp_path / "vocab.txt")
    for content in (b"", b"\xff\xfe"):
        (tmp_path / "vocab.txt").write_bytes(content)
        with pytest.raises(UserError, match="vocab.txt"):
            load_tokenizer(tmp_path / "vocab.txt")


def test_the_first_folder_with_a_vocabulary_counts(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write_vocabulary(a), write_vocabulary(b)
    assert (
        find_vocabulary(a, b) == a / "vocab.txt" and find_vocabulary(tmp_path, b) == b / "vocab.txt"
    )
    (a / "vocab.txt").rename(a / "vocab_21128.txt")
    assert find_vocabulary(a, b) == a / "vocab_21128.txt" and find_vocabulary(tmp_path) is None


@pytest.mark.parametrize("size", [0, 1, 127, 200, -1, 1000])
def test_more_embeddings_than_pieces_are_said_and_fewer_refused(tokenizer, tmp_path, capsys, size):
    def check():
        check_pieces(tokenizer, len(VOCABULARY) + size, tmp_path, tmp_path / "config.json")

    if size == 0 or 0 < size < len(VOCABULARY):
        check()
        assert (str(len(VOCABULARY) + size) in capsys.readouterr().err) == (size > 0)
        return
    with pytest.raises(UserError, match=f"{len(VOCABULARY)} pieces but .*{len(VOCABULARY) + size}"):
        check()


@pytest.mark.parametrize(
    "text, uncased, cased",
    [
        (
            "The naïve Film isn't bad...",
            "the naive film isn ' t bad . . .",
            "The naïve Film isn ' t bad . . .",
        ),
        ("  two\tblanks \n here ", "two blanks here", "two blanks here"),
        ("电影good", "电 影 good", "电 影 good"),
        ("unknownword $5", "unknownword $ 5", "unknownword $ 5"),
        ("a\u200bb\x00", "ab", "ab"),
        ("", "", ""),
    ],
)
def test_words_are_those_of_berts_basic_tokenizer(tmp_path, tokenizer, text, uncased, cased):
    assert words(tokenizer, text) == uncased.split()
    assert words(load_tokenizer(write_vocabulary(tmp_path, CASED)), text) == cased.split()


def test_a_written_tokenizer_reads_alike_here_and_with_transformers(tmp_path):
    for vocab in (VOCABULARY, CASED):
        tokenizer = load_tokenizer(write_vocabulary(tmp_path / "in", vocab))
        save_tokenizer(tokenizer, tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(config_values(vocab=vocab)))
        assert (tmp_path / "vocab.txt").read_bytes() == (tmp_path / "in" / "vocab.txt").read_bytes()
        expected = tokenizer("The naïve filmX!")["input_ids"]
        for again in (
            load_tokenizer(tmp_path / "vocab.txt"),
            AutoTokenizer.from_pretrained(tmp_path),
        ):
            assert again("The naïve filmX!")["input_ids"] == expected


def pieces(examples, row, tokenizer):
    return " ".join(
        tokenizer.convert_ids_to_tokens(
            examples.ids[examples.starts[row] : examples.starts[row + 1]]
        )
    )


def test_rows_become_cls_a_sep_b_sep(tokenizer):
    single = encode(["good film", "bad"], None, tokenizer, 16).with_labels(np.float32([1, 0]))
    assert [pieces(single, i, tokenizer) for i in (0, 1)] == [
        "[CLS] good film [SEP]",
        "[CLS] bad [SEP]",
    ]
    assert single.first.tolist() == [4, 3] and single.labels.tolist() == [1, 0]
    pair = encode(["good film"], ["dull plot ."], tokenizer, 16)
    assert pieces(pair, 0, tokenizer) == "[CLS] good film [SEP] dull plot . [SEP]"
    assert (
        pair.batch([0])["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
        and pair.labels is None
    )


def test_pairs_are_cut_from_the_longer_side(tokenizer):
    cut = encode(["good"], ["the plot the story the scene"], tokenizer, 7)
    assert pieces(cut, 0, tokenizer) == "[CLS] good [SEP] the plot the [SEP]"
    cut = encode(["the plot the story the scene"], ["good"], tokenizer, 7)
    assert pieces(cut, 0, tokenizer) == "[CLS] the plot the [SEP] good [SEP]"
    assert (
        pieces(encode(["the plot the story"], None, tokenizer, 4), 0, tokenizer)
        == "[CLS] the plot [SEP]"
    )


def test_encoding_in_blocks_changes_nothing(tokenizer):
    texts = ["good film", "a dull plot", "run", "the story"]
    for name in ("ids", "starts", "first"):
        assert (
            getattr(encode(texts, texts[::-1], tokenizer, 16, block=3), name)
            == getattr(encode(texts, texts[::-1], tokenizer, 16), name)
        ).all()


def test_a_tables_rows_keep_their_labels(tmp_path, tokenizer):
    path = write_tsv(
        tmp_path / "train.tsv",
        [["0", "good", "bad", "not_entailment"], ["1", "plot", "film", "entailment"]],
        ["index", "sentence1", "sentence2", "label"],
    )
    table = read_table(path, TASKS["RTE"])
    encoded = encode_table(table, TASKS["RTE"], tokenizer, 16)
    assert pieces(
        encoded, 1, tokenizer
    ) == "[CLS] plot [SEP] film [SEP]" and encoded.labels.tolist() == [1, 0]
    assert encode_table(table, TASKS["RTE"], tokenizer, 16, max_rows=1).labels.tolist() == [1]
    unlabelled = encode_table(
        read_table(path, TASKS["RTE"], labelled=False), TASKS["RTE"], tokenizer, 16
    )
    assert all(map(math.isnan, unlabelled.labels))


@pytest.mark.parametrize(
    "one, other",
    [
        (
            models.BPE({"a": 0, "b": 1, "ab": 2, "ba": 3}, [("a", "b"), ("b", "a")]),
            models.BPE({"a": 0, "b": 1, "ab": 2, "ba": 3}, [("b", "a"), ("a", "b")]),
        ),
        (
            models.Unigram([("a", -1.0), ("b", -1.0), ("aa", -3.0)]),
            models.Unigram([("a", -1.0), ("b", -1.0), ("aa", -1.0)]),
        ),
    ],
    ids=["merges in another order", "other scores"],
)
def test_two_tokenizers_of_the_same_pieces_may_differ(one, other):
    one, other = (PreTrainedTokenizerFast(tokenizer_object=Tokenizer(m)) for m in (one, other))
    assert one.tokenize("abaa") != other.tokenize("abaa")
    assert tokenizer_difference(one, other) == "merges or scores of pieces"
    assert tokenizer_difference(one, one) == ""


def test_a_piece_of_space_before_chinese_belongs_to_the_first_word(tmp_path):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "我们", "喜欢", "图", "书馆", "<mask>"]
    made = XLMRobertaTokenizer(vocab=[(piece, -float(n)) for n, piece in enumerate(pieces)])
    made.save_pretrained(tmp_path)
    ids, _, _ = tokenised(tmp_path, [["我们喜欢图书馆"]], one_thread=False, language="zh")
    size = len(pieces)
    found = [(pieces[number % size], number >= size) for number in ids]
    assert found == [("▁", False), ("我们", True), ("喜欢", False), ("图", False), ("书馆", True)]
