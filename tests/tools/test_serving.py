"""`tools/benchmarks/serving.py`: who takes turns, what is computed of the times, and a whole run of
models of no size. No time is judged.
"""

import json
import shutil

import numpy as np
import pytest
import serving
import serving_table
from matplotlib.colors import to_hex
from serving_models import DYNAMIC, INT8, ONNX, PYTORCH, SIMULATED, STOCK, of_a_workspace

from tests.makers import make_bert_folder, write_vocabulary
from tests.makers.workspaces import make_toy_teacher, write_toy_data
from tinybert_lite import plots
from tinybert_lite.models.loading import load_with_tokenizer
from tinybert_lite.models.saving import save_model_folder, save_weights
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.evaluation import DevSet

QUICK = [
    "--quick",
    "--lengths",
    "4",
    "8",
    "--batches",
    "1",
    "2",
    "--seconds",
    "0.002",
    "--rounds",
    "2",
    "--threads",
    "1",
]


# Times --------------------------------------------------------------------------------------------


def test_a_speed_up_is_the_median_of_the_rounds_ratios():
    slow, fast = (
        [[99, 10, 20], [40, 40], [90]],
        [[2, 4, 3], [5], [10]],
    )  # medians 20, 40, 90 and 3, 5, 10: ratios 6 2/3, 8, 9
    assert serving_table.speed_up(slow, fast) == pytest.approx((8, 20 / 3 + 0.2 * 4 / 3, 8 + 0.8))


def test_a_busy_round_that_meets_all_alike_changes_no_speed_up():
    slow, fast = [[20, 20], [22, 22], [21, 21]], [[2, 2], [2, 2], [2, 2]]
    assert serving_table.speed_up(
        [[140, 140], *slow[1:]], [[14, 14], *fast[1:]]
    ) == serving_table.speed_up(slow, fast)


def test_medians_are_of_all_calls_and_percentiles_of_twenty_at_least():
    assert serving_table.median([[1, 2, 3], [4, 100]]) == 3
    assert serving_table.percentile_95([[*range(60)], [*range(60, 101)]]) == pytest.approx(95)
    assert serving_table.percentile_95([[1.0] * 19]) is None


def test_all_are_compared_with_the_faster_class_of_the_large_model():
    ours, stock, other = [[5.0]], [[4.0]], [[1.0]]
    assert (
        serving_table.base_of(
            {"large": {PYTORCH: ours, STOCK: stock, ONNX: other}, "small": {PYTORCH: other}}
        )
        is stock
    )
    assert serving_table.base_of({"large": {PYTORCH: other, STOCK: stock}}) is other
    assert serving_table.base_of({"large": {PYTORCH: ours, ONNX: other}}) is ours


@pytest.fixture
def clock(monkeypatch):
    """Names of what is called, in order; each takes as many milliseconds as the clock says."""
    told, takes = [], {"slow": 3000.0, "middle": 400.0, "fast": 50.0, "instant": 1e-4}
    monkeypatch.setattr(serving, "timed", lambda call: takes[call()])
    return told, {(name, "way"): lambda name=name: told.append(name) or name for name in takes}


def test_everyone_has_a_turn_in_every_round(clock):
    told, calls = clock
    found = serving.compete(calls, seconds=1.0, rounds=2, fewest=4)
    most = serving.MOST_CALLS
    assert {
        name: [len(a_round) for a_round in by_way["way"]] for name, by_way in found.items()
    } == {"slow": [1, 1], "middle": [4, 4], "fast": [10, 10], "instant": [most, most]}
    one_round = [
        "slow",
        *["middle"] * 5,
        *["fast"] * 11,
        *["instant"] * (most + 1),
    ]  # the first of several is not timed
    assert told == [
        "slow",
        *["middle"] * 2,
        *["fast"] * 2,
        *["instant"] * 2,
        *one_round,
        *one_round,
    ]
    assert found["fast"]["way"] == [[50.0] * 10] * 2


def test_three_rounds_are_enough_of_what_takes_long(clock, monkeypatch):
    _, calls = clock
    for most, rounds in ((1, 3), (14, 4), (15, 5), (99, 6)):  # a round takes 3.55 seconds
        monkeypatch.setattr(serving, "MOST_SECONDS", most)
        found = serving.compete({who: calls[who] for who in [*calls][:3]}, seconds=1.0, rounds=6)
        assert [len(by_way["way"]) for by_way in found.values()] == [rounds] * 3


# A run --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workspace with rows, a fine-tuned teacher and a finished student, and a run's results."""
    root = tmp_path_factory.mktemp("serving")
    make_toy_teacher(root / "teacher_model/SST-2", classifier=True)
    make_bert_folder(root / "5_task_distill_out", layers=1, width=8, num_labels=2, masked_lm=False)
    write_toy_data(root / "SST-2")
    (root / "student_model").mkdir()
    write_vocabulary(root / "words")
    assert (
        serving.main(
            [
                *QUICK,
                "--workspace",
                str(root),
                "--vocabulary",
                str(root / "words/vocab.txt"),
                "--results",
                str(root / "r.json"),
                "--output",
                str(root / "r.md"),
                "--picture",
                str(root / "r.png"),
            ]
        )
        == 0
    )
    return root


@pytest.fixture
def results(folder):
    return json.loads((folder / "r.json").read_text())


def test_a_run_holds_every_setting_of_both_pairs(results):
    assert {*results} >= {
        "machine",
        "processor",
        "int8",
        "saturates",
        "threads",
        "load_before",
        "rounds",
        "versions",
    } and results["threads"] == 1
    for pair, names in zip(
        results["pairs"], (["BERT-base", "TinyBERT4"], ["teacher", "student"]), strict=True
    ):
        large, small = names
        assert [*pair["models"]] == names
        assert {(cell["batch"], cell["length"]) for cell in pair["cells"]} == {
            (1, 4),
            (1, 8),
            (2, 4),
            (2, 8),
        }
        for cell in pair["cells"]:
            alone = {DYNAMIC} if cell["batch"] == 1 else set()
            alone |= {SIMULATED} if (cell["batch"], cell["length"]) == (1, 8) else set()
            assert {*cell["milliseconds"][large]} == {PYTORCH, STOCK, ONNX, INT8} | alone
            assert {*cell["milliseconds"][small]} == {PYTORCH, ONNX, INT8} | alone
            for rounds in (
                rounds for by_way in cell["milliseconds"].values() for rounds in by_way.values()
            ):
                assert len(rounds) == 2 and all(took > 0 for a_round in rounds for took in a_round)
        for model in pair["models"].values():
            assert model["float32_apart"] < 1e-5, "they have to compute the same"
            assert {*model["bytes"]} == {"model.onnx", "model.int8.onnx", "model.safetensors"} and {
                *model["multiply_adds"]
            } == {"4", "8"}
    texts = results["pairs"][0]["end_to_end"]
    assert texts["tokens"] == texts["length"] == 8 and [*texts["milliseconds"]] == [
        "BERT-base",
        "TinyBERT4",
        "tokenizer",
    ]


def test_the_scores_are_those_of_the_models(folder, results):
    workspace = Workspace.find(folder)
    for name, place in (("teacher", workspace.task_teacher), ("student", workspace.final_student)):
        found = load_with_tokenizer(place, num_labels=2, projection="none")
        wanted = DevSet(workspace.task, workspace.task_files, found.tokenizer, 8)(found.model)[
            "accuracy"
        ]
        scores = results["pairs"][1]["models"][name]["dev"]
        assert scores[PYTORCH] == scores[ONNX] == wanted and 0 <= scores[INT8] <= 1


def test_a_trained_8_bit_student_is_taken_where_there_is_one(folder):
    workspace = Workspace.find(folder)
    trained = of_a_workspace(workspace, 8).eight_bits["student"]
    query = "auto.bert.encoder.layer.0.attention.self.query"
    trained.get_submodule(query).input_range.fill_(7.0)
    try:
        save_model_folder(
            trained,
            load_with_tokenizer(workspace.final_student, projection="none").tokenizer,
            workspace.int8_student,
        )
        save_weights(trained, workspace.int8_student)
        assert (
            of_a_workspace(workspace, 8).eight_bits["student"].get_submodule(query).input_range == 7
        )
    finally:
        shutil.rmtree(workspace.int8_student)


def test_time_by_operator_knows_what_8_bits_add(results):
    for pair in results["pairs"]:
        assert [(found["model"], found["length"]) for found in pair["profiles"]] == [
            (name, length) for name in pair["models"] for length in (4, 8)
        ]
        for found in pair["profiles"]:
            assert {*found["int8"]} - {*found["onnx"]} == {"rounding"} and found["onnx"][
                "Linear layers"
            ] > 0
            assert {
                "products in attention",
                "Softmax",
                "activation",
                "LayerNorm",
                "moving and adding",
            } <= {*found["onnx"]}


def test_the_tables_come_from_the_results_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "measured", None)
    assert (
        serving.main(
            [
                "--summary",
                str(folder / "r.json"),
                "--output",
                str(tmp_path / "again.md"),
                "--picture",
                str(tmp_path / "again.png"),
            ]
        )
        == 0
    )
    text = (folder / "r.md").read_text(encoding="utf-8")
    assert (tmp_path / "again.md").read_text(encoding="utf-8") == text
    for name in ("again.png", "again_lengths.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert all(
        len({line.count("|") for line in block.splitlines()}) == 1
        for block in text.split("\n\n")
        if block.startswith("|")
    ), "a ragged table"


def test_tables_have_the_numbers_of_the_results(folder, results):
    text = (folder / "r.md").read_text(encoding="utf-8")
    pair = results["pairs"][1]
    own = serving_table.find(pair, 2, 8)["student"][INT8]
    ratio = serving_table.times(
        serving_table.speed_up(serving_table.base_of(serving_table.find(pair, 2, 8)), own)
    )
    row = next(line for line in text.splitlines() if line.startswith(f"| 8 | student | {INT8} |"))
    assert f"| {np.median(np.concatenate(own)):.2f} |" in row and row.endswith(f"| {ratio} |")
    large, small = (
        sum(model["parameters"].values()) for model in results["pairs"][0]["models"].values()
    )
    times = f"{large / small:.1f} x"
    assert f"| parameters | {times} | {times} | 7.5 x |" in text
    first = results["pairs"][0]
    slow, fast = map(first["end_to_end"]["milliseconds"].get, first["models"])
    base = serving_table.base_of({"": slow})
    both = [serving_table.speed_up(one, fast[INT8]) for one in (base, slow[ONNX])]
    cells = " | ".join(map(serving_table.times, both))
    assert f"| from text to label, {INT8} | {cells} |  |" in text


def test_a_busy_machine_is_said(results):
    told = [
        any(
            "The machine was busy" in line
            for line in serving_table.head({**results, "threads": 2, "load_before": load})
        )
        for load in (None, 0.3, 1.0, 1.1, 5.0)
    ]
    assert told == [False, False, False, True, True]


def test_longer_rows_than_a_model_reads_are_refused_before_anything_is_measured(
    folder, capsys, monkeypatch
):
    monkeypatch.setattr(serving, "measured", None)
    assert (
        serving.main(
            [
                *QUICK,
                "--lengths",
                "65",
                "--workspace",
                str(folder),
                "--vocabulary",
                str(folder / "words/vocab.txt"),
            ]
        )
        == 2
    )
    assert "reads 64 tokens at most" in capsys.readouterr().err


# Pictures -----------------------------------------------------------------------------------------

POINTS = [
    {
        "model": "teacher",
        "way": PYTORCH,
        "score": 0.9,
        "milliseconds": 50.0,
        "bytes": 4e8,
        "int8": False,
    },
    {
        "model": "student",
        "way": PYTORCH,
        "score": 0.85,
        "milliseconds": 4.0,
        "bytes": 6e7,
        "int8": False,
    },
    {
        "model": "student",
        "way": INT8,
        "score": 0.84,
        "milliseconds": 1.0,
        "bytes": 1.5e7,
        "int8": True,
    },
]


def test_accuracy_stands_against_time_and_megabytes():
    figure = plots.accuracy_and_cost(POINTS, "dev accuracy", "milliseconds, one row of 16 tokens")
    left, right = figure.axes
    for ax, places in ((left, [50, 4, 1]), (right, [400, 60, 15])):
        assert ax.get_xscale() == "log" and [
            line.get_xydata()[0].tolist() for line in ax.lines
        ] == [[x, y] for x, y in zip(places, (90, 85, 84))]
        assert [to_hex(line.get_color()) for line in ax.lines] == [
            plots.TEACHER,
            plots.STUDENT,
            plots.STUDENT,
        ]
        assert [line.get_markerfacecolor() for line in ax.lines] == [
            plots.TEACHER,
            plots.STUDENT,
            "none",
        ]
    assert (
        left.get_ylim() == right.get_ylim()
        and left.get_xlabel() == "milliseconds, one row of 16 tokens"
    )
    assert left.lines[0].get_marker() == left.lines[1].get_marker() != left.lines[2].get_marker()


def test_speed_ups_are_lines_by_length_with_their_spread():
    figure = plots.speed_ups(
        {
            ("teacher", ONNX): {16: (1.5, 1.4, 1.6), 128: (1.1, 1.0, 1.3)},
            ("student", INT8): {16: (40, 35, 44), 128: (30, 29, 30)},
        },
        "BERT-base",
        "TinyBERT4",
    )
    (ax,) = figure.axes
    assert ax.get_xscale() == ax.get_yscale() == "log" and [
        label.get_text() for label in ax.get_xticklabels()
    ] == ["16", "128"]
    (line, _, (bars,)), (other, *_) = ax.containers
    assert line.get_xydata().tolist() == [[16, 1.5], [128, 1.1]] and np.allclose(
        [part[:, 1] for part in bars.get_segments()], [[1.4, 1.6], [1.0, 1.3]]
    )
    assert other.get_markerfacecolor() == "none" and to_hex(other.get_color()) == plots.STUDENT
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"BERT-base, {ONNX}",
        f"TinyBERT4, {INT8}",
    ]
