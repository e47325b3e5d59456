"""Bad input: one sentence that names file, line and cure, exit code 2, and nothing of value
overwritten.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.makers import VOCABULARY, make_bert_folder, write_vocabulary
from tests.makers.commands import AUGMENT, EVALUATE, FINETUNE, GENERAL, PREGENERATE, call, refused
from tests.makers.workspaces import make_student_config, write_toy_data

MID = (
    "task_distill --data_dir SST-2 --teacher_model tuned --student_model 3_general_distill "
    "--task_name sst-2 --output_dir 4_task_distill_mid --num_train_epochs 1"
)
OUT = MID.replace("4_task_distill_mid", "5_task_distill_out") + " --pred_distill"
EXPORT = "export --format classifier"
RUN_ALL = "run_all --profile smoke --device cpu"


def edit(path: str, old: str, new: str):
    def change(rooms: Path):
        text = (rooms / path).read_text(encoding="utf-8")
        assert old in text
        (rooms / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def write(path: str, content: str | bytes):
    def change(rooms: Path):
        (rooms / path).parent.mkdir(parents=True, exist_ok=True)
        (rooms / path).write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8")
        )

    return change


def remove(path: str):
    return lambda rooms: (rooms / path).unlink()


def config(folder: str, **values):
    def change(rooms: Path):
        path = rooms / folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values), encoding="utf-8")

    return change


def nothing(rooms: Path):
    pass


FILES = {
    "no data folder": (
        nothing,
        FINETUNE.replace("--data_dir SST-2", "--data_dir SST-3"),
        ["--data_dir", "SST-3", "no such folder"],
    ),
    "no dev file": (remove("SST-2/dev.tsv"), FINETUNE, ["SST-2/dev.tsv", "missing"]),
    "no task folder for augmentation": (
        nothing,
        AUGMENT.replace("SST-2", "RTE"),
        ["RTE", "--glue_dir"],
    ),
    "wrong columns": (
        edit("SST-2/train.tsv", "sentence\tlabel", "text\tlabel"),
        FINETUNE,
        ["SST-2/train.tsv, line 1", "'sentence'"],
    ),
    "unknown label": (
        edit("SST-2/train.tsv", "long .\t1", "long .\tyes"),
        FINETUNE,
        ["SST-2/train.tsv, line 3", "'yes'", "0 or 1"],
    ),
    "unknown label in dev": (
        edit("SST-2/dev.tsv", "long .\t0", "long .\t2"),
        OUT,
        ["SST-2/dev.tsv, line 2", "'2'"],
    ),
    "a row without a label": (
        edit("SST-2/train.tsv", "long .\t1", "long ."),
        AUGMENT,
        ["SST-2/train.tsv, line 3"],
    ),
    "an empty text": (
        edit("SST-2/train.tsv", "label\n", "label\n \t1\n"),
        FINETUNE,
        ["SST-2/train.tsv, line 2"],
    ),
    "an empty file": (write("SST-2/train.tsv", ""), FINETUNE, ["SST-2/train.tsv is empty"]),
    "a header alone": (
        write("SST-2/train.tsv", "sentence\tlabel\n"),
        FINETUNE,
        ["SST-2/train.tsv", "no rows"],
    ),
    "rows that are not UTF-8": (
        write("SST-2/train.tsv", b"sentence\tlabel\ngood\t1\nd\xe9j\xe0 vu\t0\n"),
        FINETUNE,
        ["SST-2/train.tsv, line 3", "UTF-8"],
    ),
    "no augmented rows": (nothing, MID + " --aug_train", ["train_aug.tsv", "data_augmentation"]),
    "no corpus": (remove("1_pre_data/documents.txt"), PREGENERATE, ["documents.txt", "missing"]),
    "an empty corpus": (
        write("1_pre_data/documents.txt", "\n\n"),
        PREGENERATE,
        ["documents.txt is empty"],
    ),
    "a corpus of one document": (
        write("1_pre_data/documents.txt", "good film\nbad film\n"),
        PREGENERATE,
        ["documents.txt, sentences 1 to 2", "blank line"],
    ),
    "a corpus that is not UTF-8": (
        write("1_pre_data/documents.txt", b"good\n\ncaf\xe9\n"),
        PREGENERATE,
        ["documents.txt", "UTF-8"],
    ),
    "a packed corpus that is damaged": (
        write("corpus.xz", b"\xfd7zXZ\x00 no"),
        PREGENERATE.replace("1_pre_data/documents.txt", "corpus.xz"),
        ["corpus.xz"],
    ),
    "no vectors": (
        remove("1_pre_data/glove.6B.100d.txt"),
        AUGMENT,
        ["glove.6B.100d.txt", "missing"],
    ),
    "vectors that are text": (
        write("1_pre_data/glove.6B.100d.txt", "good 1 2 3\nonce upon a time\n"),
        AUGMENT,
        ["glove.6B.100d.txt, line 2"],
    ),
    "vectors that are not UTF-8": (
        write("1_pre_data/glove.6B.100d.txt", b"good 1 2 3\nbad \xe9 2 3\n"),
        AUGMENT,
        ["glove.6B.100d.txt, line 2"],
    ),
    "no sequences": (
        remove("2_pregenerate_data/epoch_0.json"),
        GENERAL,
        ["2_pregenerate_data", "run pregenerate_training_data"],
    ),
    "a sequence cut short": (
        write("2_pregenerate_data/epoch_0.json", '{"tokens": ["[CLS]"'),
        GENERAL,
        ["epoch_0.json, line 1"],
    ),
    "sequences that are not UTF-8": (
        write("2_pregenerate_data/epoch_0.json", b'{"tokens": ["\xe9"]}\n'),
        GENERAL,
        ["epoch_0.json"],
    ),
    "the output folder is a file": (
        write("out", "a note"),
        PREGENERATE.replace("2_pregenerate_data", "out"),
        ["out"],
    ),
}
MODELS = {
    "no teacher": (
        nothing,
        GENERAL.replace("--teacher_model teacher_model", "--teacher_model /nowhere/bert"),
        ["/nowhere/bert"],
    ),
    "a hub name without network": (
        nothing,
        GENERAL.replace("--teacher_model teacher_model", "--teacher_model some/bert"),
        ["some/bert", "Hugging Face hub", "network"],
    ),
    "a teacher without weights": (
        remove("teacher_model/pytorch_model.bin"),
        GENERAL,
        ["teacher_model", "no weights"],
    ),
    "a teacher without vocabulary": (
        remove("teacher_model/vocab.txt"),
        PREGENERATE,
        ["teacher_model/vocab.txt is missing"],
    ),
    "other heads": (
        lambda rooms: make_student_config(rooms / "student_model", heads=4),
        GENERAL,
        ["attention heads, 4 and 2", "heads=skip"],
    ),
    "layers that do not divide": (
        lambda rooms: (
            make_bert_folder(rooms / "teacher_model", layers=3)
            and make_student_config(rooms / "student_model", layers=2)
        ),
        GENERAL,
        ["(3)", "(2)", "mapping=top"],
    ),
    "more layers than the teacher": (
        lambda rooms: make_student_config(rooms / "student_model", layers=4),
        GENERAL,
        ["4 layers", "teacher's 2"],
    ),
    "a mapping that does not fit": (
        nothing,
        MID + " --mapping 3,6,9,12",
        ["3,6,9,12", "from 1 to 2"],
    ),
    "vocabulary of another model": (
        lambda rooms: write_vocabulary(rooms / "teacher_model", [*VOCABULARY, "apple"]),
        AUGMENT,
        ["teacher_model", "vocab_size", "different models"],
    ),
    "student of another vocabulary": (
        lambda rooms: write_vocabulary(
            rooms / "3_general_distill", [*VOCABULARY[:-2], "apple", "pear"]
        ),
        MID,
        ["3_general_distill", "tuned", "different vocabularies"],
    ),
    "weights of another width": (
        config("tuned", hidden_size=64),
        MID,
        ["tuned/pytorch_model.bin", "has shape", "config.json"],
    ),
    "weights of fewer layers": (
        config("tuned", num_hidden_layers=4),
        MID,
        ["tuned/pytorch_model.bin lacks", "layer.2"],
    ),
    "weights of more layers": (
        config("tuned", num_hidden_layers=1),
        MID,
        ["tuned/pytorch_model.bin holds", "layer.1"],
    ),
    "a config that is not JSON": (
        write("student_model/config.json", '{"hidden_size": 16,'),
        GENERAL,
        ["student_model/config.json", "not valid JSON"],
    ),
    "a config of another architecture": (
        config("teacher_model", model_type="gpt2"),
        GENERAL,
        ["teacher_model/config.json", "'gpt2'"],
    ),
    "a config with a word for a number": (
        config("student_model", num_hidden_layers="two"),
        GENERAL,
        ["student_model/config.json", "num_hidden_layers", "'two'"],
    ),
    "a teacher with relative positions": (
        config("teacher_model", position_embedding_type="relative_key"),
        GENERAL,
        ["teacher_model/config.json", "'relative_key'"],
    ),
    "a student with relative positions": (
        config("student_model", position_embedding_type="relative_key_query"),
        GENERAL,
        ["student_model/config.json", "relative_key"],
    ),
    "a teacher that is a decoder": (
        config("teacher_model", is_decoder=True),
        AUGMENT,
        ["teacher_model/config.json", "is_decoder"],
    ),
    "a student that is an ALBERT": (
        config("student_model", model_type="albert", embedding_size=8),
        GENERAL,
        ["student_model/config.json", "an ALBERT can be a teacher"],
    ),
    "a student that is no BERT": (
        config("student_model", model_type="gpt2"),
        RUN_ALL,
        ["student_model/config.json", "'gpt2'"],
    ),
    "a teacher of an unknown kind": (
        config("teacher_model", model_type="my_model"),
        RUN_ALL,
        ["teacher_model/config.json", "'my_model'"],
    ),
    "a config with an unknown activation": (
        config("student_model", hidden_act="gellu"),
        GENERAL,
        ["student_model/config.json"],
    ),
    "a config with a word for a dropout": (
        config("student_model", hidden_dropout_prob="much"),
        GENERAL,
        ["student_model/config.json", "hidden_dropout_prob"],
    ),
    "a tokenizer config that is not JSON": (
        write("teacher_model/tokenizer_config.json", "{"),
        PREGENERATE,
        ["teacher_model/tokenizer_config.json"],
    ),
    "weights that are no weights": (
        write("tuned/pytorch_model.bin", b"not found"),
        MID,
        ["tuned/pytorch_model.bin", "plain tensors"],
    ),
    "a web page in place of weights": (
        write("tuned/pytorch_model.bin", b"<html>not found</html>"),
        MID,
        ["tuned/pytorch_model.bin", "web page"],
    ),
    "a damaged safetensors file": (
        write("tuned/model.safetensors", b"\xff" * 64),
        MID,
        ["tuned/model.safetensors"],
    ),
    "weights with NaN": (
        lambda rooms: poison(rooms / "tuned"),
        MID,
        ["tuned/pytorch_model.bin", "NaN"],
    ),
    "a vocabulary without [MASK]": (
        edit("teacher_model/vocab.txt", "[MASK]", "[mask]"),
        PREGENERATE,
        ["teacher_model/vocab.txt", "[MASK]"],
    ),
    "a student folder without weights": (
        nothing,
        MID.replace("--student_model 3_general_distill", "--student_model student_model"),
        ["student_model", "no weights"],
    ),
    "a student that is not there": (
        nothing,
        OUT.replace("3_general_distill", "nowhere/at/all"),
        ["nowhere/at/all"],
    ),
    "sequences of another vocabulary": (
        edit("2_pregenerate_data/epoch_0.json", "film", "Kino"),
        GENERAL,
        ["epoch_0.json, line 1", "'Kino'"],
    ),
}
FLAGS = {
    "unknown task": (nothing, FINETUNE.replace("sst-2", "sst-3"), ["'sst-3'", "nearest is SST-2"]),
    "no teacher named": (nothing, MID.replace(" --teacher_model tuned", ""), ["--teacher_model"]),
    "evaluating a folder that is no model": (
        nothing,
        EVALUATE.replace("--student_model tuned", "--student_model SST-2"),
        ["SST-2/config.json"],
    ),
    "sequences too short": (nothing, PREGENERATE + " --max_seq_len 4", ["max_seq_len=4"]),
    "a device that is not there": (nothing, GENERAL + " --device tpu", ["--device tpu", "cpu"]),
    "a batch of nothing": (nothing, MID + " --train_batch_size 0", ["train_batch_size"]),
    "no epochs": (nothing, OUT + " --num_train_epochs 0", ["num_train_epochs"]),
    "a rate below nothing": (nothing, MID + " --learning_rate -1", ["learning_rate"]),
    "an evaluation batch of nothing": (nothing, OUT + " --eval_batch_size 0", ["eval_batch_size"]),
    "a negative seed": (nothing, PREGENERATE + " --seed -1", ["seed"]),
    "unknown profile": (
        nothing,
        "run_all --profile clasroom",
        ["clasroom", "nearest is classroom"],
    ),
    "run_all, unknown task": (nothing, RUN_ALL + " --task SST", ["'SST'", "SST-2"]),
    "run_all, unknown stage": (
        nothing,
        RUN_ALL + " --only distill",
        ["'distill'", "general_distill"],
    ),
    "run_all, no such folder": (nothing, RUN_ALL + " --task_teacher ./nowhere", ["nowhere"]),
    "--set, no such stage": (
        nothing,
        RUN_ALL + " --set general_distil.padding=exact",
        ["general_distil.", "nearest is general_distill"],
    ),
    "--set, no such field": (
        nothing,
        RUN_ALL + " --set general_distill.paddign=exact",
        ["paddign", "nearest is padding"],
    ),
    "--set, no such choice": (
        nothing,
        RUN_ALL + " --set general_distill.padding=none",
        ["padding=none", "exact or original"],
    ),
    "--set, no number": (
        nothing,
        RUN_ALL + " --set general_distill.learning_rate=fast",
        ["'fast'"],
    ),
    "--set, half a batch": (
        nothing,
        RUN_ALL + " --set task_distill_out.train_batch_size=1.5",
        ["train_batch_size"],
    ),
    "--set, no batch": (
        nothing,
        RUN_ALL + " --set general_distill.train_batch_size=0",
        ["train_batch_size"],
    ),
    "--set, no form": (
        nothing,
        RUN_ALL + " --set temperature=2",
        ["temperature=2", "stage.field=value"],
    ),
    "run_all, a stage before its input": (
        nothing,
        RUN_ALL + " --only task_distill_out",
        ["1_pre_data/aug.tsv is missing", "run the stage"],
    ),
    "run_all, no data": (remove("SST-2/dev.tsv"), RUN_ALL, ["SST-2/dev.tsv", "--data_dir"]),
    "run_all, the student cannot learn from this teacher": (
        lambda rooms: make_student_config(rooms / "student_model", heads=4),
        RUN_ALL,
        ["heads"],
    ),
    "export of nothing": (nothing, EXPORT, ["5_task_distill_out", "missing"]),
    "export of a raw teacher to serve": (
        nothing,
        EXPORT + " --model teacher_model --output_dir served",
        ["teacher_model holds no classifier"],
    ),
    "export over what is there": (
        nothing,
        EXPORT + " --model tuned --output_dir SST-2",
        ["SST-2 exists and is not an unchanged export"],
    ),
    "export without a place": (nothing, EXPORT + " --model tuned", ["--output_dir is missing"]),
    "report before its stages": (nothing, RUN_ALL + " --only report", ["teacher_model/SST-2"]),
}


def poison(folder: Path) -> None:
    state = torch.load(folder / "pytorch_model.bin")
    state["bert.pooler.dense.bias"][0] = float("nan")
    torch.save(state, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    "change, line, named",
    [
        pytest.param(*case, id=name)
        for group in (FILES, MODELS, FLAGS)
        for name, case in group.items()
    ],
)
def test_a_mistake_is_one_sentence_with_its_place_and_costs_nothing(rooms, change, line, named):
    change(rooms)
    refused(line, rooms, *named)


@pytest.mark.parametrize(
    "good, bad",
    [
        (AUGMENT, AUGMENT + " --glove_embs SST-2/train.tsv"),
        (PREGENERATE, PREGENERATE + " --train_corpus SST-2/none.txt"),
        (PREGENERATE, PREGENERATE + " --train_corpus one.txt"),
        (GENERAL, GENERAL + " --student_model four_heads"),
        (FINETUNE, FINETUNE + " --data_dir mistaken"),
        (MID, MID + " --mapping 9"),
        (OUT, OUT + " --data_dir mistaken"),
        (OUT, OUT + " --student_model other"),
    ],
    ids=[
        "1, vectors",
        "2, no corpus",
        "2, one document",
        "3, heads",
        "teacher, label",
        "4, mapping",
        "5, label",
        "5, vocabulary",
    ],
)
def test_a_mistake_in_the_second_run_does_not_cost_the_results_of_the_first(rooms, good, bad):
    make_student_config(rooms / "four_heads", heads=4)
    make_bert_folder(rooms / "other", layers=1, vocab=[*VOCABULARY[:-1], "apple"])
    write("one.txt", "good film .\nbad film .\n")(rooms)
    write_toy_data(rooms / "mistaken")
    edit("mistaken/train.tsv", "long .\t0", "long .\tno")(rooms)
    ran = call(good)
    assert ran.code == 0, ran.err
    refused(bad, rooms)


@pytest.mark.parametrize(
    "line, folder",
    [
        (MID + " --output_dir 3_general_distill", "3_general_distill"),
        (OUT + " --output_dir tuned", "tuned"),
        (GENERAL + " --continue_train --student_model general --output_dir general", "general"),
    ],
)
def test_writing_into_a_folder_that_is_read_is_refused(rooms, line, folder):
    """The run would clear away what it is about to read."""
    assert call(GENERAL + " --output_dir general").code == 0
    assert folder in refused(line, rooms)


def test_a_missing_student_is_named_before_the_teacher_is_fine_tuned(rooms):
    line = MID.replace("--teacher_model tuned", "--teacher_model teacher_model").replace(
        "3_general_distill", "nowhere/at/all"
    )
    assert "nowhere/at/all" in refused(line, rooms)
    assert not (rooms / "teacher_model/SST-2").exists(), (
        "minutes were spent before the mistake was said"
    )


def test_an_unknown_flag_is_named_with_exit_code_2(rooms, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(MID + " --pred_destill")
    assert stopped.value.code == 2


def test_a_mistake_ends_a_process_with_code_2_and_one_line(rooms):
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            *shlex.split("tinybert_lite." + PREGENERATE.replace("documents.txt", "none.txt")),
        ],
        cwd=rooms,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and found.stderr.startswith(
        "error: 1_pre_data/none.txt is missing"
    )


def test_texts_longer_than_the_models_positions_are_cut_and_it_is_said(rooms):
    write(
        "SST-2/train.tsv",
        (rooms / "SST-2/train.tsv").read_text(encoding="utf-8") + "good film " * 60 + "\t1\n",
    )(rooms)
    ran = call(FINETUNE + " --allow_weak_teacher")
    assert ran.code == 0 and "rows are cut at 64 tokens" in ran.out, ran


@pytest.mark.parametrize(
    "line, cure", [(f"{RUN_ALL} --task all", "name one task"), (PREGENERATE, "--num_workers N")]
)
def test_what_runs_in_one_process_says_so(rooms, monkeypatch, line, cure):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(line, rooms, "runs in one process, but 2 were started", cure)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX pipe")
def test_a_reader_that_has_enough_is_no_error():
    """As `predict --file … | head` is."""
    code = (
        "from tinybert_lite.system.command import command\nfrom tinybert_lite.system.console "
        "import say\nraise SystemExit(command(lambda argv: [say('x' * 100) for _ in "
        "range(10_000)] and 0)([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout.readline() == "x" * 100 + "\n"
        ran.stdout.close()
        assert ran.wait(60) == 141 and ran.stderr.read() == ""
