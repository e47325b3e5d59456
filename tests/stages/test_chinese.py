"""Chinese text: its words, hidden whole, in augmentation, in the vocabulary and from the command
line.
"""

from __future__ import annotations

import json
import random
import sys
from hashlib import sha256
from itertools import accumulate

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.makers import SPECIAL, make_bert_folder, write_tsv, write_vocabulary
from tests.makers.commands import call
from tests.makers.workspaces import write_toy_corpus, write_toy_vectors
from tinybert_lite.data.chinese import joined, segment, word_starts
from tinybert_lite.data.corpus import TokenisedCorpus
from tinybert_lite.data.masked_lm import IGNORED, Masked, packed
from tinybert_lite.data.stop_words import STOP_WORDS
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.data.tokens import encode, words
from tinybert_lite.data.vectors import WordVectors
from tinybert_lite.data.vocabulary import build_vocabulary
from tinybert_lite.method.initial_weights import start_from_vectors
from tinybert_lite.method.masking import mask_tokens, random_pieces, with_inner, without_inner
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.models.tokenizers import load_tokenizer
from tinybert_lite.stages.data_augmentation import Augmenter, augment_table
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import Augmenting, Pregenerating
from tinybert_lite.system.errors import UserError

# Sentences as their words, parted by hand; a check below that the segmenter finds the same.
PARTED = [
    "房间 很 干净 ， 服务员 也 热情 。",
    "早餐 不 贵 ！",
    "笔记本 漂亮 ， 键盘 舒服 。",
    "孩子 喜欢 这 本书",
    "酒店 位置 方便 ， 附近 有 超市 。",
    "内容 很 好 ， 故事 又 短",
]
TEXTS = [text.replace(" ", "") for text in PARTED]
CHARACTERS = list(dict.fromkeys("".join(TEXTS)))
VOCABULARY = [*SPECIAL, *CHARACTERS, *"1234", "##5", "xp", "dell", "##s", "坏", "大", "少"]
VECTORS = "干净 热情 早餐 漂亮 舒服 喜欢 方便 整洁 好看 讨厌 午餐".split()


@pytest.fixture
def vocabulary(tmp_path):
    return write_vocabulary(tmp_path / "zh", VOCABULARY)


@pytest.fixture
def tokenizer(vocabulary):
    return load_tokenizer(vocabulary)


@pytest.fixture
def corpus(tmp_path):
    """40 documents of up to 6 sentences."""
    draw = random.Random(3)
    documents = ["\n".join(draw.sample(TEXTS, draw.randint(2, 6))) for _ in range(40)]
    (tmp_path / "zh.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return tmp_path / "zh.txt"


def build(corpus, tokenizer, folder, **more):
    folder.mkdir()
    return TokenisedCorpus.build(corpus, tokenizer, folder, language="zh", **more)


# Words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parted", PARTED)
def test_the_segmenter_finds_the_words_that_we_see(parted):
    assert segment(parted.replace(" ", "")) == parted.split(" ")


@given(st.text(st.sampled_from("房间很干净服务，。 aB3.\té？"), max_size=30))
def test_words_joined_are_the_text(text):
    assert "".join(segment(text)) == text
    assert word_starts(text) == set(accumulate(map(len, segment(text)), initial=0))


def test_words_start_where_we_see_them():
    assert word_starts("房间很干净，xp 好") == {0, 2, 3, 5, 6, 8, 9, 10}


def test_without_the_segmenter_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(
        UserError, match=r'rjieba, which is missing: python -m pip install -e "\.\[chinese\]"$'
    ):
        segment("房间")


@pytest.mark.parametrize(
    "parts, text",
    [
        (["房间", "很", "干净"], "房间很干净"),
        (["dell", "windows", "xp", "很", "好"], "dell windows xp很好"),
        (["用", "xp", "。", "4", "s"], "用xp。4 s"),
        (["很", "[MASK]", "xp", "café", "ok"], "很[MASK]xp café ok"),
        ([], ""),
    ],
)
def test_blanks_part_words_of_other_scripts_alone(parts, text):
    assert joined(parts) == text


def test_words_are_cleaned_as_the_tokenizer_cleans_and_hold_no_blanks(tokenizer):
    assert words(tokenizer, "房\u200b间很干净， DELL  Café 15.4寸", "zh") == [
        "房间",
        "很",
        "干净",
        "，",
        "dell",
        "cafe",
        "15.4",
        "寸",
    ]
    assert words(tokenizer, "很干净") == ["很", "干", "净"], "English cuts as BERT does"


# Masking by words ---------------------------------------------------------------------------------


def test_a_token_inside_a_word_has_its_id_plus_the_vocabularys_size(tokenizer, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("房间很干净，dells 15好\n\n好\n", encoding="utf-8")
    corpus = build(text, tokenizer, tmp_path / "tokens")
    V, pieces = len(VOCABULARY), corpus.pieces()
    assert (
        len(pieces) == 2 * V
        and pieces[:V] == VOCABULARY
        and without_inner(pieces[V:]) == VOCABULARY
    )
    expected = [
        ("房", 0),
        ("间", 1),
        ("很", 0),
        ("干", 0),
        ("净", 1),
        ("，", 0),
        ("dell", 0),
        ("##s", 1),
        ("1", 0),
        ("##5", 1),
        ("好", 0),
    ]
    assert corpus.sentence(0) == [
        VOCABULARY.index(piece) + V * inside for piece, inside in expected
    ]
    english = tmp_path / "english"
    english.mkdir()
    assert TokenisedCorpus.build(text, tokenizer, english).sentence(0) == [
        VOCABULARY.index(piece) for piece, _ in expected
    ]


def test_words_of_characters_are_masked_whole_and_one_that_was_cut_stays_apart():
    inner = dict(zip(VOCABULARY, with_inner(VOCABULARY)[len(VOCABULARY) :]))
    tokens = ["[CLS]", inner["间"], "很", "干", inner["净"], "[SEP]", inner["员"], "也", "[SEP]"]
    seen = set()
    for seed in range(200):
        masked, positions, were = mask_tokens(tokens, random.Random(seed), 0.25, 20, True, ["坏"])
        assert were == [tokens[i] for i in positions] and len(positions) <= 2
        assert (3 in positions) == (4 in positions)
        assert set(masked) <= {*tokens, "[MASK]", "坏"}
        seen.add(tuple(positions))
    assert {(3, 4), (1, 2), (1, 6), (6, 7)} <= seen


def test_a_random_piece_is_a_plain_one():
    assert random_pieces(with_inner(VOCABULARY)) == VOCABULARY[len(SPECIAL) :]


def spans(text: str) -> list[tuple[int, int]]:
    """Where each word of one of TEXTS stands, by the hand-parted sentences."""
    ends = list(accumulate(len(word) for word in PARTED[TEXTS.index(text)].split(" ")))
    return list(zip([0, *ends], ends))


def test_stage_2_hides_words_whole_and_writes_plain_pieces(corpus, vocabulary, tmp_path):
    settings = Pregenerating(
        epochs_to_generate=3, max_seq_len=64, masked_lm_prob=0.3, do_whole_word_mask=True
    )
    pregenerate(corpus, vocabulary, tmp_path / "one", settings, 1, language="zh")
    words_hidden = 0
    for epoch in range(3):
        for line in (tmp_path / f"one/epoch_{epoch}.json").read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            assert {*found["tokens"], *found["masked_lm_labels"]} <= set(VOCABULARY)
            hidden = dict(zip(found["masked_lm_positions"], found["masked_lm_labels"]))
            text = "".join(
                token if len(token) == 1 else "\n" if token == "[SEP]" else "\t"
                for token in (hidden.get(i, token) for i, token in enumerate(found["tokens"]))
            )
            for sentence in TEXTS:
                for start, end in (
                    (place + a, place + b)
                    for place in range(len(text))
                    if text.startswith(sentence, place)
                    for a, b in spans(sentence)
                ):
                    assert len({i in hidden for i in range(start, end)}) == 1, (
                        sentence,
                        start,
                        end,
                    )
                    words_hidden += end - start > 1 and start in hidden
    assert words_hidden > 50
    make_bert_folder(vocabulary.parent, vocab=VOCABULARY)
    ran = call(
        f"pregenerate_training_data --train_corpus {corpus} --bert_model {vocabulary.parent} "
        f"--output_dir {tmp_path / 'command'} --language zh "
        "--do_whole_word_mask --max_seq_len 64 --masked_lm_prob 0.3 --seed 1"
    )
    assert (
        ran.code == 0
        and (tmp_path / "command/epoch_2.json").read_bytes()
        == (tmp_path / "one/epoch_2.json").read_bytes()
    ), ran.err
    pregenerate(
        corpus,
        vocabulary,
        tmp_path / "two",
        Pregenerating(**{**settings.__dict__, "num_workers": 2}),
        1,
        language="zh",
    )
    assert all(
        (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()
        for path in (tmp_path / "one").iterdir()
    )


def test_a_growing_teacher_guesses_words_whole_and_reads_plain_ids(corpus, tokenizer, tmp_path):
    examples = packed(build(corpus, tokenizer, tmp_path / "tokens"), tokenizer, 40, 0.1, seed=3)
    V, rows = len(VOCABULARY), np.arange(len(examples))
    original = examples.batch(rows)["input_ids"]
    inside, plain = original >= V, original % V
    assert inside.any()
    for epoch in range(5):
        batch = Masked(examples, tokenizer, 0.3, 5, epoch).batch(rows)
        hidden = batch["targets"] != IGNORED
        assert batch["input_ids"].max() < V and torch.equal(batch["targets"][hidden], plain[hidden])
        assert torch.equal(batch["input_ids"][~hidden], plain[~hidden])
        assert torch.equal(hidden[:, 1:][inside[:, 1:]], hidden[:, :-1][inside[:, 1:]]), (
            "a character was hidden without its word"
        )


def test_english_bytes_are_what_they_were_before_there_was_chinese(tmp_path, tiny_vocab):
    corpus = write_toy_corpus(tmp_path / "c.txt", documents=10, sentences=8)
    pregenerate(
        corpus,
        tiny_vocab / "vocab.txt",
        tmp_path / "out",
        Pregenerating(epochs_to_generate=1, max_seq_len=40, do_whole_word_mask=True),
        1,
    )
    build_vocabulary(
        iter(corpus.read_text(encoding="utf-8").splitlines()), 120, tmp_path / "vocab.txt"
    )
    assert [
        sha256((tmp_path / name).read_bytes()).hexdigest()[:16]
        for name in ("out/epoch_0.json", "vocab.txt")
    ] == ["f6e34dae69150087", "d500b66518e47662"]


# A vocabulary and a teacher -----------------------------------------------------------------------


def test_a_vocabulary_holds_characters_seen_twice_and_words_of_letters_seen_ten_times(tmp_path):
    lines = ["好好好 XP xp", "很好，干净 很", "净，dell 25", *["XP"] * 8, *["dell 15"] * 4]
    build_vocabulary(iter(lines), 100, tmp_path / "vocab.txt", "zh")
    pieces = (tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines()
    # x ##p ten times, ##l twice in each dell; 干 and 2 once each; xp ten times, dell five.
    assert pieces == [
        *SPECIAL,
        "x",
        "##p",
        "##l",
        "d",
        "##e",
        "##5",
        "好",
        "1",
        "很",
        "，",
        "净",
        "xp",
    ]
    build_vocabulary(iter(lines), 12, tmp_path / "few.txt", "zh")
    assert (tmp_path / "few.txt").read_text(encoding="utf-8").splitlines() == pieces[:12]


def test_vectors_of_words_that_are_no_pieces_do_no_harm(tmp_path):
    bert = load_with_tokenizer(
        make_bert_folder(tmp_path / "bert", vocab=VOCABULARY), masked_lm=True
    )
    before = bert.model.body.embeddings.word_embeddings.weight.detach().clone()
    assert (
        start_from_vectors(
            bert.model,
            bert.tokenizer,
            WordVectors.read(write_toy_vectors(tmp_path / "none", VECTORS)),
        )
        == 0
    )
    assert torch.equal(bert.model.body.embeddings.word_embeddings.weight, before)
    assert (
        start_from_vectors(
            bert.model,
            bert.tokenizer,
            WordVectors.read(write_toy_vectors(tmp_path / "one", [*VECTORS, "好"])),
        )
        == 1
    )


PRETRAIN = (
    "pretrain --text zh.txt --language zh --max_seq_length 32 --device cpu --threads 1 "
    "--hidden_size 16 --num_hidden_layers 1 "
    "--num_attention_heads 2 --vectors glove.txt --max_steps 2"
)


@pytest.mark.parametrize(
    "more, pieces",
    [
        ("", lambda found: set(CHARACTERS) <= set(found) and "##s" not in found),
        ("--vocab_file zh/vocab.txt", lambda found: found == VOCABULARY),
    ],
)
def test_a_chinese_teacher_grows_from_plain_text(
    corpus, vocabulary, tmp_path, monkeypatch, more, pieces
):
    write_toy_vectors(tmp_path / "glove.txt", VECTORS)
    monkeypatch.chdir(tmp_path)
    ran = call(f"{PRETRAIN} --output_dir new {more}")
    assert ran.code == 0, ran.err
    assert pieces((tmp_path / "new/vocab.txt").read_text(encoding="utf-8").splitlines())


def test_a_given_vocabulary_has_its_own_size(corpus, vocabulary, tmp_path, monkeypatch):
    write_toy_vectors(tmp_path / "glove.txt", VECTORS)
    monkeypatch.chdir(tmp_path)
    ran = call(f"{PRETRAIN} --output_dir new --vocab_file zh/vocab.txt --vocab_size 150")
    assert (
        ran.code == 0
        and "--vocab_size has no effect: zh/vocab.txt determines it" in ran.out + ran.err
    )


# Augmentation -------------------------------------------------------------------------------------


@pytest.fixture
def make_augmenter(tmp_path):
    def make(**changes):
        bert = load_with_tokenizer(
            make_bert_folder(tmp_path / "bert", vocab=VOCABULARY), masked_lm=True
        )
        vectors = WordVectors.read(write_toy_vectors(tmp_path / "glove.txt", VECTORS))
        return Augmenter(
            bert.model,
            bert.tokenizer,
            vectors,
            Augmenting(**{"N": 8, "M": 4, "p": 0.5, "max_seq_length": 32, **changes}),
            language="zh",
        )

    return make


def test_function_words_digits_and_punctuation_are_not_eligible(make_augmenter):
    augmenter = make_augmenter()
    text = augmenter.words("我们的房间不是很好，15寸 xp！")
    assert [text[place] for place in augmenter.eligible(text)] == ["房间", "好", "寸", "xp"]
    assert {"的", "了", "是", "和", "不", "没", "很"} <= STOP_WORDS["zh"] and not any(
        word.isascii() for word in STOP_WORDS["zh"]
    )


def test_a_character_is_guessed_and_a_longer_word_has_neighbours(make_augmenter):
    augmenter = make_augmenter()
    text = augmenter.words("房间很干净，早餐很好")
    found = augmenter.candidates([text])[0]
    assert {text[place] for place in found} == {"干净", "早餐", "好"}, (
        "房间 has no vector and stays"
    )
    assert found[text.index("干净")] == augmenter.vectors.neighbours(["干净"], 4)["干净"]
    assert len(found[text.index("好")]) == 4
    guessed = make_augmenter(M=len(VOCABULARY)).candidates([text])[0][text.index("好")]
    assert set(guessed) == {piece for piece in VOCABULARY if piece.isalpha()} - STOP_WORDS["zh"] - {
        "好"
    }


def test_the_model_reads_the_text_without_blanks_and_one_mask(make_augmenter, monkeypatch):
    augmenter, read = make_augmenter(), []
    monkeypatch.setattr(
        "tinybert_lite.stages.augmenter.encode",
        lambda texts, *rest: read.extend(texts) or encode(texts, *rest),
    )
    augmenter.candidates([augmenter.words("DELL xp 很好，15.4寸")])
    assert read == ["[MASK]xp很好，15.4寸", "dell[MASK]很好，15.4寸", "dell xp很[MASK]，15.4寸"]


def test_variants_change_eligible_words_alone_and_hold_no_blanks(make_augmenter, tmp_path):
    augmenter = make_augmenter()
    table = read_table(
        write_tsv(tmp_path / "train.tsv", [(text, "1") for text in TEXTS], ("sentence", "label")),
        TASKS["SST-2"],
    )
    lines = [
        line.split("\t")[0]
        for _, block in augment_table(table, TASKS["SST-2"], augmenter, 7)
        for line in block
    ]
    starts = [lines.index(text) for text in TEXTS] + [len(lines)]
    changed = 0
    for parted, start, end in zip(PARTED, starts, starts[1:]):
        text = parted.split(" ")
        found = augmenter.candidates([text])[0]
        possible = {""}
        for place, word in enumerate(text):
            possible = {
                before + option for before in possible for option in [word, *found.get(place, [])]
            }
        assert set(lines[start:end]) <= possible and len(set(lines[start:end])) == end - start
        changed += end - start - 1
    assert changed > 15
