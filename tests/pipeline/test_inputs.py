"""What a run will read is opened, checked and counted before the first stage begins."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from tests.makers.articles import ENGLISH, as_json, as_text, as_wikitext
from tests.makers.commands import RUN, call, snapshot
from tests.makers.workspaces import make_student_config, write_toy_corpus
from tinybert_lite.data import corpus_parts
from tinybert_lite.data.corpus_parts import check_parts
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.pipeline import corpus_sample
from tinybert_lite.pipeline.corpus_sample import CorpusSample
from tinybert_lite.pipeline.estimated_rows import estimate_rows
from tinybert_lite.pipeline.inputs import read_inputs
from tinybert_lite.pipeline.plan import stages
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.pregenerate_training_data import pregenerate
from tinybert_lite.stages.settings import Pregenerating, Settings
from tinybert_lite.system.errors import UserError


def append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


BAD = {  # what is added, to which file, and what is said
    "train": ("SST-2/train.tsv", "a film\t7", "train.tsv, line 26: unknown label '7'"),
    "dev": ("SST-2/dev.tsv", "a film", "dev.tsv, line 26: has 1 fields"),
    "test": ("SST-2/test.tsv", "9\ta film\tmore", "test.tsv, line 10: has 3 fields"),
    "test, no text": ("SST-2/test.tsv", "9\t ", "test.tsv, line 10: has 2 fields"),
    "vectors": ("1_pre_data/glove.6B.100d.txt", "film 0.1", "glove.6B.100d.txt, line 21"),
    "corpus": ("1_pre_data/documents.txt", "a\0b", "documents.txt, line 42: holds a NUL byte"),
}


@pytest.mark.parametrize("dry", ["", "--dry-run"], ids=["run", "dry run"])
@pytest.mark.parametrize("name", BAD)
def test_what_a_stage_would_refuse_is_refused_at_the_plan(name, dry, workspace):
    path, line, says = BAD[name]
    append(workspace / path, line)
    before = snapshot(workspace)
    ran = call(f"{RUN} {dry}")
    assert ran.code == 2 and says in ran.err and "──" not in ran.out, ran
    assert snapshot(workspace) == before


def test_a_labelled_test_file_is_checked_with_its_labels(workspace):
    lines = ["index\tsentence\tlabel", "0\ta good film\t1", "1\ta bad film\tbad"]
    (workspace / "SST-2/test.tsv").write_text("\n".join(lines), encoding="utf-8")
    ran = call(f"{RUN} --dry-run")
    assert ran.code == 2 and "test.tsv, line 3: unknown label 'bad'" in ran.err


@pytest.mark.parametrize("part", ["train", "dev"])
def test_rows_of_one_class_are_refused_at_the_plan(part, workspace):
    path = workspace / f"SST-2/{part}.tsv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *(row for row in rows if row[-1] == "1")]), encoding="utf-8")
    ran = call(f"{RUN} --dry-run")
    assert ran.code == 2 and f"{part}.tsv: every row that is read has the label '1'" in ran.err


@pytest.mark.parametrize(
    "config, says",
    [
        ({"heads": 4}, "different numbers of attention heads, 4 and 2"),
        ({"hidden_act": "GELU"}, "config.json"),
    ],
)
def test_a_student_that_cannot_learn_is_refused_at_the_plan(config, says, workspace):
    make_student_config(workspace / "student_model", **config)
    ran = call(f"{RUN} --dry-run")
    assert ran.code == 2 and says in ran.err and "Traceback" not in ran.err


@pytest.mark.parametrize("name", BAD)
def test_only_what_is_still_to_do_is_checked(name, workspace):
    path, line, _ = BAD[name]
    append(workspace / path, line)
    which = "finetune_teacher" if name in ("vectors", "corpus") else "2"
    assert call(f"{RUN} --only {which} --dry-run").code == 0


def test_augmented_rows_of_a_users_own_are_all_checked(workspace):
    own = workspace / "1_pre_data/aug.tsv"
    own.write_bytes((workspace / "SST-2/train.tsv").read_bytes())
    append(own, "a film\t7")
    ran = call(f"{RUN} --only task_distill_mid --dry-run")
    assert ran.code == 2 and "aug.tsv, line 26: unknown label '7'" in ran.err


def test_files_are_read_once_for_check_and_count(workspace):
    settings, places = profile("paper"), Workspace.find(workspace)
    todo = [stage for stage in stages() if stage.name != "pretrain"]
    inputs = read_inputs(todo, True, places, settings)
    rows = read_table(workspace / "SST-2/train.tsv", TASKS["SST-2"]).rows
    train = inputs.rows["train"]
    assert train.count == len(rows) == 24 and inputs.rows["dev"].count == 24
    assert [test.count for test in inputs.tests] == [8]
    assert train.mean_length(128) == 10 + 2 and train.mean_length(5) == 5
    assert train.max_length(128) == 12


def test_variants_that_augmentation_draws_twice_are_not_counted_twice(workspace):
    settings = profile("paper").override(["data_augmentation.N=30"])
    todo = [stage for stage in stages() if stage.name == "data_augmentation"]
    places = Workspace.find(workspace)
    few = settings.override(["data_augmentation.p=0.01"])
    many = settings.override(["data_augmentation.p=0.9"])
    counts = [
        estimate_rows(todo, read_inputs(todo, False, places, one), places, one).task_rows.count
        for one in (few, many)
    ]
    assert 24 < counts[0] < 24 * 20 < counts[1] <= 24 * 31


# Corpora


def test_sequences_are_estimated_exactly_if_the_corpus_is_small(workspace, tmp_path):
    text = write_toy_corpus(tmp_path / "documents.txt", documents=12)
    options = Pregenerating(max_seq_len=32, epochs_to_generate=1)
    settings = Settings(pregenerate_training_data=options)
    vocabulary = workspace / "teacher_model/vocab.txt"
    estimated = CorpusSample.read([text], "en", False).sequences(vocabulary, settings)
    (made,) = pregenerate(text, vocabulary, tmp_path / "made", options, settings.seed)
    assert (
        estimated.count == made
        and 10 < estimated.mean_length(128) <= 32
        and estimated.bytes_per_row > 100
    )


def test_sequences_of_a_large_corpus_are_estimated_from_a_sample(workspace, tmp_path, monkeypatch):
    text = write_toy_corpus(tmp_path / "documents.txt", documents=12)
    content = text.read_text(encoding="utf-8")
    text.write_text("\n".join([content] * 20), encoding="utf-8")
    monkeypatch.setattr(corpus_sample, "SAMPLE_BYTES", len(content))
    options = Pregenerating(max_seq_len=32, epochs_to_generate=1, dupe_factor=2)
    settings = Settings(pregenerate_training_data=options)
    vocabulary = workspace / "teacher_model/vocab.txt"
    corpus = CorpusSample.read([text], "en", False)
    assert corpus.share == pytest.approx(1 / 20, rel=0.1)
    (made,) = pregenerate(text, vocabulary, tmp_path / "made", options, settings.seed)
    found = corpus.sequences(vocabulary, settings).count
    assert found == pytest.approx(made, rel=0.15)


@pytest.mark.parametrize("text, says", [("", "is empty"), ("one .\ntwo .\n", "one document only")])
def test_a_corpus_that_gives_no_sequences_is_refused_at_the_plan(text, says, workspace):
    (workspace / "1_pre_data/documents.txt").write_text(text, encoding="utf-8")
    ran = call(f"{RUN} --dry-run")
    assert ran.code == 2 and says in ran.err and "documents.txt" in ran.err


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a few thousand bytes, so that a small file has a head, a middle and a tail."""
    for name, value in (("ALL", 6000), ("LEAST_BYTES", 2000), ("MOST_BYTES", 2000)):
        monkeypatch.setattr(corpus_parts, name, value)


def large(kind) -> str:
    return "\n".join([kind(ENGLISH)] * (40_000 // len(kind(ENGLISH))))


KINDS = {"text": as_text, "json": as_json, "wikitext": as_wikitext}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_corpus_of_any_kind_passes(kind, small_parts, tmp_path):
    path = tmp_path / "wiki_00"
    path.write_text(large(KINDS[kind]), encoding="utf-8")
    assert check_parts([path]) == path.stat().st_size


@pytest.mark.parametrize("place", [0, 1, 2], ids=["head", "middle", "tail"])
def test_damage_in_head_middle_or_tail_is_found_with_its_line(place, small_parts, tmp_path):
    lines = [f"sentence {number} is here ." for number in range(6000)]
    where = (10, 3000, 5990)[place]
    lines[where] = "a NUL \0 byte"
    path = tmp_path / "documents.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        check_parts([path])
    assert f"{path}, line {where + 1}: holds a NUL byte" in str(refused.value)


def test_a_document_that_has_no_end_is_found_in_the_tail(small_parts, tmp_path):
    path = tmp_path / "wiki_00"
    text = large(as_text).rstrip()
    path.write_text(text.removesuffix("</doc>"), encoding="utf-8")
    with pytest.raises(UserError, match="has no </doc>"):
        check_parts([path])


def test_json_lines_that_break_off_are_found_in_the_tail(small_parts, tmp_path):
    path = tmp_path / "wiki_00"
    path.write_text(large(as_json).rstrip()[:-20], encoding="utf-8")
    with pytest.raises(UserError, match="wiki_00, line "):
        check_parts([path])


def test_the_rest_of_a_large_file_is_not_read(small_parts, tmp_path):
    lines = [f"sentence {number} is here ." for number in range(6000)]
    lines[4500] = "a NUL \0 byte"
    path = tmp_path / "documents.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    check_parts([path])


def test_a_compressed_file_is_read_to_its_end(small_parts, tmp_path):
    path = tmp_path / "documents.gz"
    packed = gzip.compress("\n".join(map(str, np.arange(9000))).encode())
    path.write_bytes(packed[:-100])
    with pytest.raises(UserError, match="damaged .gz file"):
        check_parts([path])
