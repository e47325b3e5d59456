"""One run of all tasks, from small rows in their published layouts to students and a table."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from tests.layouts import CLUE, PUBLISHED, write_task_folder
from tests.makers import VOCABULARY, make_bert_folder, write_tsv
from tests.makers.workspaces import make_student_config, write_toy_corpus, write_toy_vectors
from tinybert_lite import evaluate, run_all
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS, find_task
from tinybert_lite.pipeline.profiles import profile
from tinybert_lite.pipeline.workspace import Workspace

CHINESE = sorted("第家店很好差，房间干净脏这里不错失望甲把它")
TRAINED = tuple(name for name in (*PUBLISHED, *CLUE) if TASKS[name].dev_files)
# Pairs with a second dev set; single texts in Chinese; CLUE's pairs and spans
SOME = ("MNLI", "ChnSentiCorp", "OCNLI", "CLUEWSC")
RUNS = [
    pytest.param(SOME, id="some tasks"),
    pytest.param(TRAINED, id="all tasks", marks=pytest.mark.slow),
]


def each_task(wanted=lambda name: True):
    """A test for each task of each run."""
    cases = [
        pytest.param(*run.values, name, id=f"{run.id}, {name}", marks=run.marks)
        for run in RUNS
        for name in run.values[0]
        if wanted(name)
    ]
    return pytest.mark.parametrize("tasks, name", cases, indirect=["tasks"])


BRIEF = ["--profile", "smoke", "--threads", "1", "--baseline"] + [
    part
    for stage in (
        "general_distill",
        "finetune_teacher",
        "task_distill_mid",
        "task_distill_out",
        "baseline",
    )
    for part in ("--set", f"{stage}.max_steps=3")
]


@pytest.fixture(params=RUNS)
def tasks(request):
    """The names of the tasks that `--task all` finds."""
    return request.param


@pytest.fixture
def glue(once, tasks):
    return once(write_glue, tasks)


@pytest.fixture
def finished(once, glue):
    return once(run_tasks, glue)


def write_glue(folder, tasks):
    """A folder with a folder for each task, and the diagnostic set beside MNLI."""
    for name in (*tasks, "AX"):
        published = "XNLI" if name == "XNLI-zh" else f"{name.lower()}_public"
        place = folder / (published if name in (*CLUE, "XNLI-zh") else name)
        if name == "CLUEWSC":
            place = folder / "cluewsc_public/cluewsc2020_public"
        write_task_folder(place, name)
    if "XNLI-zh" in tasks:
        for split, published in dict(TASKS["XNLI-zh"].other_files).items():
            (folder / "XNLI" / f"{split}.tsv").rename(folder / "XNLI" / published)
    return folder


def run_tasks(root, glue):
    """A workspace after `--task all`."""
    teacher = make_bert_folder(
        root / "bert", layers=4, width=16, heads=4, vocab=[*VOCABULARY, *CHINESE]
    )
    make_student_config(root / "student_model", heads=4)
    for folder in (root / "1_pre_data", root / "1_pre_data/zh"):
        folder.mkdir(parents=True)
        write_toy_corpus(folder / "documents.txt")
        write_toy_vectors(folder / "glove.toy.txt")
    code = run_all.main(
        [
            "--task",
            "all",
            "--data_dir",
            str(glue),
            "--workspace",
            str(root),
            "--teacher_model",
            str(teacher),
            *BRIEF,
        ]
    )
    assert code == 0
    return root


@each_task()
def test_every_task_has_a_finished_student(finished, name):
    home = finished / "5_task_distill_out" / ("" if name == "SST-2" else name)
    results, task = json.loads((home / "results.json").read_text(encoding="utf-8")), TASKS[name]
    assert (
        results["task"] == name
        and results["metric"] == task.metric
        and results["rows"] == {"train": 24, "dev": 12}
    )
    for model in ("teacher", "student", "undistilled"):
        assert all(math.isfinite(value) for value in results[model].values())
    assert ("accuracy_mismatched" in results["student"]) == (name == "MNLI")
    config = json.loads((home / "config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == list(task.labels or ["LABEL_0"])


@each_task(lambda name: TASKS[name].text_b)
def test_both_texts_of_a_pair_are_augmented_each_beside_the_original_other(finished, name):
    home = finished / "1_pre_data" / name
    table = read_table_of(home / "aug.tsv", name)
    originals = {(row.text_a, row.text_b) for row in table[:1]}
    a, b = next(iter(originals))
    first = [row for row in table[1:] if row.text_a == a or row.text_b == b]
    assert any(row.text_a != a and row.text_b == b for row in first) or any(
        row.text_a == a and row.text_b != b for row in first
    )
    assert not any(row.text_a != a and row.text_b != b for row in first[:1])


def read_table_of(path: Path, name: str):
    from tinybert_lite.data.tables import stream_table

    return list(stream_table(path, TASKS[name]).rows)


SUBMISSIONS = {
    "MNLI": ("MNLI-m", "MNLI-mm", "AX"),
    "SST-2": ("SST-2",),
    "STS-B": ("STS-B",),
    "XNLI-zh": ("XNLI-zh",),
}


@each_task()
def test_submission_files(finished, name):
    home, task = finished / "5_task_distill_out" / ("" if name == "SST-2" else name), TASKS[name]
    if task.submission:
        lines = (home / task.submission).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row["id"] for row in rows] == [0, 1, 2, 3] and lines[0].startswith('{"id": 0, "la')
        assert all({*row} == {"id", "label"} and row["label"] in task.labels for row in rows)
        return
    for file in SUBMISSIONS.get(name, (name,)):
        lines = (home / f"{file}.tsv").read_text(encoding="utf-8").splitlines()
        numbers, answers = zip(*(line.split("\t") for line in lines[1:]))
        assert lines[0] == "index\tprediction" and numbers == ("0", "1", "2", "3")
        assert (
            all(answer in task.labels for answer in answers)
            if task.labels
            else all(math.isfinite(float(answer)) for answer in answers)
        )


def test_the_table_and_its_picture(finished, tasks):
    text = (finished / "5_task_distill_out/all_tasks.md").read_text(encoding="utf-8")
    assert (
        all(f"| {name} |" in text for name in tasks)
        and "accuracy, accuracy_mismatched" in text
        and "| mean |" in text
        and "failed" not in text
    )
    stored = json.loads(
        (finished / "5_task_distill_out/all_tasks.json").read_text(encoding="utf-8")
    )
    means = [stored["results"][name]["student"][TASKS[name].metric] for name in tasks]
    assert f"{sum(means) / len(means):.4f}" in text.split("| mean |")[1]
    assert (finished / "5_task_distill_out/all_tasks.png").stat().st_size > 5000


def test_languages_share_no_sequences_and_no_general_student(finished):
    for folder in ("2_pregenerate_data", "3_general_distill"):
        assert (finished / folder / "manifest.json").is_file() and (
            finished / folder / "zh/manifest.json"
        ).is_file()
    again = run_all.make_plan(
        Workspace.find(finished, "RTE", teacher_model=finished / "bert"),
        profile("smoke", "RTE"),
        ["pregenerate_training_data"],
    )
    assert again[0].state == "done", "other tasks of its language use it as it is"


def evaluate_ax(data: Path, student: Path, *more) -> None:
    flags = ["--data_dir", data, "--task_name", "AX", "--student_model", student, *more]
    assert evaluate.main(list(map(str, flags))) == 0


def test_the_diagnostic_set_is_scored_by_any_model_of_mnli(finished, glue, capsys, tmp_path):
    student = finished / "5_task_distill_out/MNLI"
    evaluate_ax(glue / "AX", student, "--output_dir", tmp_path / "out")
    assert (tmp_path / "out/AX.tsv").read_bytes() == (student / "AX.tsv").read_bytes()
    rows = [
        [*"xyzw", row.text_a, row.text_b, label]
        for row, label in zip(
            read_table(glue / "AX/diagnostic.tsv", TASKS["AX"], labelled=False).rows,
            TASKS["AX"].labels,
        )
    ]
    write_tsv(
        tmp_path / "AX/diagnostic-full.tsv",
        rows,
        "Lexical Logic Knowledge Domain Premise Hypothesis Label".split(),
    )
    capsys.readouterr()
    evaluate_ax(tmp_path / "AX", student)
    assert "diagnostic matthews = " in capsys.readouterr().out
    assert (
        run_all.main(["--task", "AX", "--data_dir", str(glue / "AX"), "--workspace", str(finished)])
        == 2
    )
    assert "AX has no training rows" in capsys.readouterr().err


def test_a_task_that_fails_does_not_stop_the_others(finished, glue, capsys, tmp_path):
    """A damaged row of RTE: named in the table, and the code says that something failed."""
    root = shutil.copytree(finished, tmp_path / "workspace")
    rows = tmp_path / "rows"
    for name in ("RTE", "WNLI"):
        write_task_folder(rows / name, name)
    with open(rows / "RTE/train.tsv", "a", encoding="utf-8") as file:
        file.write("7\tonly one text\n")
    arguments = [
        "--task",
        "all",
        "--data_dir",
        str(rows),
        "--workspace",
        str(root),
        "--teacher_model",
        str(root / "bert"),
        *BRIEF,
    ]
    assert run_all.main(arguments) == 2
    said = capsys.readouterr()
    assert (
        "RTE/train.tsv, line 26" in said.err
        and "no rows of CoLA" not in said.err
        and "no rows of SST-2, CoLA" in said.out
    )
    text = (root / "5_task_distill_out/all_tasks.md").read_text(encoding="utf-8")
    assert "| WNLI |" in text and "- RTE failed: " in text


@pytest.mark.parametrize(
    "more, says",
    [
        (["--teacher_model", "grow"], "name one task"),
        (["--only", "report"], "name one task"),
        (["--data_dir", "empty"], "has no folder of a task"),
    ],
)
def test_what_all_tasks_cannot_have(tmp_path, monkeypatch, capsys, more, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert run_all.main(["--task", "all", "--workspace", str(tmp_path), *more]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, epochs, length",
    [
        ("SST-2", 20, 64),
        ("CoLA", 50, 64),
        ("MRPC", 20, 128),
        ("STS-B", 20, 128),
        ("QQP", 10, 128),
        ("MNLI", 10, 128),
        ("QNLI", 10, 128),
        ("RTE", 20, 128),
        ("WNLI", 20, 128),
        ("SNLI", 10, 128),
        ("XNLI-zh", 10, 128),
    ],
)
def test_the_papers_settings_by_task(name, epochs, length):
    settings = profile("paper", name)
    assert settings.task == find_task(name) and settings.task_distill_mid.num_train_epochs == epochs
    assert {settings.task_distill_mid.max_seq_length, settings.task_distill_out.max_seq_length} == {
        length
    }
    assert (
        settings.task_distill_mid.learning_rate,
        settings.task_distill_out.learning_rate,
        settings.task_distill_out.num_train_epochs,
    ) == (5e-5, 3e-5, 3)


def test_a_teacher_whose_labels_stand_in_another_order_is_turned(finished, glue, tmp_path, capsys):
    """Classifier rows and id2label in another order, as hub models have them: same predictions."""
    teacher, turned = finished / "teacher_model/MNLI", tmp_path / "turned"
    shutil.copytree(teacher, turned)
    state, order = torch.load(teacher / "pytorch_model.bin", weights_only=True), [2, 0, 1]
    with open(turned / "pytorch_model.bin", "wb") as file:
        torch.save(
            {
                name: tensor[order] if name.startswith("classifier.") else tensor
                for name, tensor in state.items()
            },
            file,
        )
    config = json.loads((turned / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {
        number: config["id2label"][str(place)].upper() for number, place in enumerate(order)
    }
    (turned / "config.json").write_text(json.dumps(config), encoding="utf-8")
    answers = []
    for folder in (teacher, turned):
        evaluate_ax(glue / "AX", folder, "--output_dir", tmp_path / folder.name)
        answers.append((tmp_path / folder.name / "AX.tsv").read_text(encoding="utf-8"))
    assert (
        answers[0] == answers[1]
        and "NEUTRAL, CONTRADICTION, ENTAILMENT are reordered" in capsys.readouterr().out
    )
