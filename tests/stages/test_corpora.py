"""Corpora of every kind on their way into stage 2 and a workspace's run, and the flags of BERT's
own script.
"""

from __future__ import annotations

import bz2
import json
from pathlib import Path

import pytest

from tests.makers import SPECIAL, write_vocabulary
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
from tests.makers.commands import call, snapshot
from tests.makers.workspaces import write_toy_corpus
from tinybert_lite.data.corpora import read_corpora
from tinybert_lite.data.corpus import gather_text, read_documents
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace
from tinybert_lite.system.errors import UserError

# Into stage 2 -------------------------------------------------------------------------------------

VOCABULARY = [
    *SPECIAL,
    *sorted(
        {
            c
            for c in json.dumps([ENGLISH, CHINESE], ensure_ascii=False)
            + "abcdefghijklmnopqrstuvwxyz0123456789"
            if not c.isspace()
        }
    ),
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789"),
    "the",
    "river",
    "mill",
    "otter",
]


@pytest.fixture
def vocabulary(tmp_path) -> Path:
    return write_vocabulary(tmp_path / "vocabulary", VOCABULARY)


def pregenerated(line: str, output: Path) -> dict[str, bytes]:
    ran = call(f"pregenerate_training_data --output_dir {output} {line}")
    assert ran.code == 0, ran.err
    return {path.name: path.read_bytes() for path in output.glob("epoch_*")}


def sequences(files: dict[str, bytes], epoch: int = 0) -> list[dict]:
    return [json.loads(line) for line in files[f"epoch_{epoch}.json"].splitlines()]


@pytest.mark.parametrize(
    "language, articles, wanted",
    [("en", ENGLISH, ENGLISH_SENTENCES), ("zh", CHINESE, CHINESE_SENTENCES)],
)
def test_a_folder_as_wikiextractor_leaves_it_gives_what_its_sentences_give_with_one_worker_or_two(
    tmp_path, vocabulary, language, articles, wanted
):
    for number, name in enumerate(
        ("AA/wiki_00", "AA/wiki_01", "AA/wiki_10.bz2", "AB/wiki_02", "AB/wiki_10")
    ):
        text = (as_text if number % 2 else as_json)(articles)
        write(
            tmp_path / "wiki" / name,
            bz2.compress(text.encode()) if name.endswith("2") and "." in name else text,
        )
    write(tmp_path / "wiki.train.raw", as_wikitext(articles))
    own = write(tmp_path / "own.txt", as_own(wanted * 6))
    rest = (
        f"--vocab_file {vocabulary} --language {language} --max_seq_len 40 "
        "--epochs_to_generate 2 --do_whole_word_mask"
    )
    foreign = f"--train_corpus {tmp_path / 'wiki'} {tmp_path}/wiki.train.*"
    expected = pregenerated(f"--train_corpus {own} {rest}", tmp_path / "expected")
    assert len(expected) == 4 and len(sequences(expected)) > 6
    assert pregenerated(f"{foreign} {rest}", tmp_path / "one") == expected
    assert pregenerated(f"{foreign} {rest} --num_workers 2", tmp_path / "two") == expected


def test_paragraphs_are_split_by_a_flag(tmp_path, vocabulary):
    text = write(
        tmp_path / "t",
        "\n\n".join("\n".join(paragraphs) for _, paragraphs in ENGLISH if paragraphs),
    )
    own = write(tmp_path / "own", as_own(ENGLISH_SENTENCES))
    rest = f"--vocab_file {vocabulary} --epochs_to_generate 1 --train_corpus"
    split = pregenerated(f"--split_sentences {rest} {text}", tmp_path / "split")
    assert (
        split
        == pregenerated(f"{rest} {own}", tmp_path / "own_out")
        != pregenerated(f"{rest} {text}", tmp_path / "whole")
    )


def test_one_document_of_another_kind_is_too_few(tmp_path, vocabulary):
    path = write(tmp_path / "wiki_00", as_text(ENGLISH[:1]))
    ran = call(
        f"pregenerate_training_data --train_corpus {path} --vocab_file {vocabulary} --output_dir "
        f"{tmp_path / 'out'}"
    )
    assert ran.code == 2 and "wiki_00, sentences 1 to 4: holds one document only" in ran.err


def test_a_teachers_text_may_be_a_folder_too(tmp_path):
    write(tmp_path / "wiki/AA/wiki_00", as_text(ENGLISH))
    write(tmp_path / "wiki/AA/wiki_01", as_json(ENGLISH))
    gather_text(
        [tmp_path / "wiki"],
        TASKS["SST-2"],
        6,
        tmp_path / "train",
        tmp_path / "test",
        lambda source: read_corpora([source]),
    )
    assert (
        list(read_documents(tmp_path / "train")) + list(read_documents(tmp_path / "test"))
        == ENGLISH_SENTENCES * 2
    )
    ran = call(
        f"pretrain --text {tmp_path}/wiki --output_dir {tmp_path / 'bert'} --vocab_size 120 "
        "--num_hidden_layers 1 --hidden_size 16 --num_attention_heads 2 "
        "--max_steps 1 --device cpu"
    )
    assert ran.code == 0 and (tmp_path / "bert/config.json").is_file(), ran.err


# BERT's own flags ---------------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path, vocabulary):
    """Sequences of a toy corpus of ten documents, by flags."""
    corpus, made = (
        write_toy_corpus(tmp_path / "toy.txt", documents=10, sentences=8),
        iter(range(99)),
    )
    return lambda flags: pregenerated(
        f"--input_file {corpus} --vocab_file {vocabulary} --epochs_to_generate 1 {flags}",
        tmp_path / f"out{next(made)}",
    )


def originals(line: dict) -> list[str]:
    tokens = list(line["tokens"])
    for position, label in zip(line["masked_lm_positions"], line["masked_lm_labels"]):
        tokens[position] = label
    return tokens


def test_dupe_factor_repeats_each_document_in_an_epoch_masked_anew_and_in_any_order(toy):
    whole = "--one_seq --short_seq_prob 0 --max_seq_length 2000"  # a sequence a document
    single, three = sequences(toy(whole)), sequences(toy(f"{whole} --dupe_factor 3"))
    texts = [" ".join(originals(line)) for line in three]
    assert {text: texts.count(text) for text in texts} == {
        " ".join(originals(line)): 3 for line in single
    } and len(single) == 10
    assert len({(text, *line["masked_lm_positions"]) for text, line in zip(texts, three)}) == 30, (
        "two copies are masked alike"
    )
    assert not any(
        sorted(texts[start : start + 10]) == sorted(set(texts)) for start in (0, 10, 20)
    ), "one copy of all stands after another"
    assert toy("--dupe_factor 1") == toy("")


def test_copies_are_cut_differently_too(toy):
    lines = sequences(toy("--dupe_factor 2 --masked_lm_prob 0 --max_seq_length 64"))
    assert len({" ".join(line["tokens"]) for line in lines}) > 0.9 * len(lines)


@pytest.mark.parametrize(
    "probability, most", [(0.15, 20), (0.15, 3), (0.4, 20), (0.01, 20), (0.3, 1)]
)
def test_masked_places_are_as_many_as_berts_own_script_masks(toy, probability, most):
    lines = sequences(
        toy(f"--masked_lm_prob {probability} --max_predictions_per_seq {most} --max_seq_length 64")
    )
    lengths = [len(line["tokens"]) for line in lines]
    assert [len(line["masked_lm_positions"]) for line in lines] == [
        min(most, max(1, int(round(length * probability)))) for length in lengths
    ]
    assert len(set(lengths)) > 3


def test_short_seq_prob_is_the_share_of_sequences_with_a_drawn_length(toy):
    """Without it one segment is as full as sentences make it: only a document's last sequence ends
    before the budget.
    """
    full = sequences(toy("--one_seq --short_seq_prob 0 --max_seq_length 128"))
    short = sequences(toy("--one_seq --short_seq_prob 1 --max_seq_length 128"))
    assert (
        sum(len(line["tokens"]) < 128 for line in full)
        <= 10
        < sum(len(line["tokens"]) < 100 for line in short)
    )
    assert max(len(line["tokens"]) for line in full + short) == 128


def test_whole_words_are_masked_where_it_is_said_and_not_where_it_is_denied(toy):
    assert (
        toy("--do_whole_word_mask=True")
        == toy("--do_whole_word_mask")
        != toy("")
        == toy("--do_whole_word_mask=False")
    )


def test_two_names_of_a_flag_mean_the_same(toy):
    assert (
        toy("--random_seed=12345 --max_seq_length=48")
        == toy("--seed 12345 --max_seq_len 48")
        != toy("--seed 12346 --max_seq_len 48")
    )


def test_input_files_are_patterns_with_commas_between(tmp_path, vocabulary):
    for number in (1, 2, 10):
        write(tmp_path / f"part_{number}", as_own(ENGLISH_SENTENCES[:2]))
    rest = f"--vocab_file {vocabulary} --epochs_to_generate 1"
    one = pregenerated(
        f"--input_file={tmp_path}/part_1*,{tmp_path}/part_2 {rest}", tmp_path / "one"
    )
    assert one == pregenerated(
        f"--train_corpus {tmp_path}/part_2 {tmp_path}/part_10 {tmp_path}/part_1 {rest}",
        tmp_path / "two",
    )
    assert one == pregenerated(
        f"--train_corpus {write(tmp_path / 'all', as_own(ENGLISH_SENTENCES[:2] * 3))} {rest}",
        tmp_path / "three",
    )


def test_lower_case_is_as_it_is_said_else_as_the_vocabulary_is(tmp_path):
    corpus = write(tmp_path / "c", "The Film\n\nfilm the\n")
    for vocab, flag, wanted in [
        ((*SPECIAL, "The", "Film", "the", "film"), "", True),
        ((*SPECIAL, "the", "film"), "", False),
        ((*SPECIAL, "The", "Film", "the", "film"), "--do_lower_case=True", False),
        ((*SPECIAL, "The", "Film", "the", "film"), "--do_lower_case=False", True),
    ]:
        path = write_vocabulary(tmp_path / "v", vocab)
        lines = sequences(
            pregenerated(
                f"--input_file={corpus} --vocab_file={path} {flag} --masked_lm_prob 0 "
                "--epochs_to_generate 1",
                tmp_path / "out",
            )
        )
        assert any("Film" in line["tokens"] for line in lines) == wanted, (vocab, flag)
        assert all("[UNK]" not in line["tokens"] for line in lines)


def test_the_command_of_berts_own_guide_runs_but_for_its_output(toy, tmp_path):
    lines = sequences(
        toy(
            "--do_lower_case=True --max_seq_length=128 --max_predictions_per_seq=20 "
            "--masked_lm_prob=0.15 --random_seed=12345 --dupe_factor=5 "
            "--short_seq_prob=0.1 --do_whole_word_mask=True"
        )
    )
    assert len(lines) > 50
    ran = call(
        "pregenerate_training_data --input_file=a --vocab_file=b "
        f"--output_file={tmp_path / 'tf.tfrecord'}"
    )
    assert ran.code == 2 and "docs/corpora.md" in ran.err and "--output_dir" in ran.err


@pytest.mark.parametrize(
    "flags, says",
    [
        ("--vocab_file v --output_dir o", "no corpus is named"),
        ("--train_corpus c --vocab_file v", "no folder to write to is named"),
        ("--train_corpus c --output_dir o", "no vocabulary is named"),
        ("--train_corpus no_*e --vocab_file v --output_dir o", "no_*e: no file matches"),
    ],
)
def test_what_is_not_named_is_asked_for(flags, says):
    ran = call(f"pregenerate_training_data {flags}")
    assert ran.code == 2 and says in ran.err


# In a workspace -----------------------------------------------------------------------------------


def test_wiki_files_in_the_folder_win_over_the_corpus_that_came_with_it_and_given_ones_over_both(
    workspace,  # noqa: F811
):
    home = workspace / "1_pre_data"
    assert Workspace.find().corpora == [home / "documents.txt"]
    for name in ("wiki_10", "wiki_9", "wiki/AA/wiki_00"):
        write(home / name, as_text(ENGLISH))
    for name in (
        "wikitext-2-raw-v1.zip",
        "wikitext-103-raw-v1.zip.part",
        "wikitext-103-raw-v1.zip.part.json",
    ):  # an archive that is kept, one half fetched
        write(home / name, "no text")
    assert Workspace.find().corpora == [home / "wiki", home / "wiki_9", home / "wiki_10"]
    assert Workspace.find(task="ChnSentiCorp").corpora == [SHIPPED / "1_pre_data/zh/documents.txt"]
    assert Workspace.find(corpus=["1_pre_data/wiki_*"]).corpora == [
        home / "wiki_9",
        home / "wiki_10",
    ]
    with pytest.raises(UserError, match="--corpus .*none: there is no such file or folder"):
        Workspace.find(corpus=["none"])


def test_stage_2_runs_again_exactly_when_a_corpus_file_changed(workspace):  # noqa: F811
    def run(more="") -> str:
        ran = call(f"run_all --profile smoke --device cpu --only pregenerate_training_data {more}")
        assert ran.code == 0, ran.err
        return ran.out

    first = write(workspace / "1_pre_data/wiki/AA/wiki_00", as_text(ENGLISH))
    write(workspace / "1_pre_data/wiki/AB/wiki_00", as_json(ENGLISH))
    assert "1_pre_data/wiki, teacher_model" in run().replace("\\", "/")
    made = snapshot(workspace / "2_pregenerate_data")
    write(workspace / "1_pre_data/wiki/.notes", "hidden")
    assert "up to date" in run() and snapshot(workspace / "2_pregenerate_data") == made
    write(first, as_text(ENGLISH[:1]))
    assert "corpus changed" in run() and "up to date" in run()
    first.rename(first.with_name("wiki_07"))
    assert "corpus changed" in run()
    assert "corpus changed" in run("--corpus 1_pre_data/documents.txt")
    assert "corpus 1 changed" in run(
        "--corpus 1_pre_data/wiki 1_pre_data/documents.txt"
    ) and "up to date" in run("--corpus 1_pre_data/wiki 1_pre_data/documents.txt")
