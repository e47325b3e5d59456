"""The measurement of what 8 bits cost: numbers worked out by hand, and a small run."""

import json
import sys

import eight_bits
import pytest

from tests.makers.workspaces import make_toy_teacher

LABELS = [0, 1, 0, 1]
RUNS = [
    {
        "seed": seed,
        "task": "SST-2",
        "metric": "accuracy",
        "files": ["dev", "test"],
        "labels": LABELS,
        "models": {"float32": {"answers": first}, "8-bit training": {"answers": second}},
    }
    for seed, first, second in ((1, [0, 1, 0, 0], [0, 1, 0, 1]), (2, [0, 1, 1, 1], [1, 0, 1, 1]))
]


def test_differences_are_paired_and_worked_out_by_hand():
    """75 and 75 in floating point; 100 and 25 in 8 bits: -12.5 on average; three and two of four
    answers stay.
    """
    lines = eight_bits.summary(RUNS).splitlines()
    assert lines[2].startswith("| float32 | 75.00 | 75.00 | 75.00 ± 0.00 |")
    assert lines[3].startswith(
        "| 8-bit training | 100.00 | 25.00 | 62.50 ± 53.03 | -12.50 |"
    ) and lines[3].endswith("| 62.5 % |")


def test_the_interval_of_equal_answers_is_a_point_and_of_others_covers_the_mean():
    same = [
        {
            **run,
            "models": {
                "float32": run["models"]["float32"],
                "8-bit training": run["models"]["float32"],
            },
        }
        for run in RUNS
    ]
    assert eight_bits.interval(same, "8-bit training") == (0.0, 0.0)
    low, high = eight_bits.interval(RUNS, "8-bit training")
    assert (
        low < -12.5 < high
        and low >= -100
        and high <= 100
        and (low, high) == eight_bits.interval(RUNS, "8-bit training")
    )


def test_a_regression_is_measured_by_its_correlation():
    run = {
        **RUNS[0],
        "metric": "pearson_and_spearman",
        "models": {
            "float32": {"answers": [0.0, 2.0, 0.0, 2.0]},
            "8-bit training": {"answers": [2.0, 0.0, 2.0, 0.0]},
        },
    }
    assert eight_bits.metric_of(run, "float32") == pytest.approx(100) and eight_bits.metric_of(
        run, "8-bit training"
    ) == pytest.approx(-100)


def test_a_finished_run_is_measured_and_goes_on(task_folder, monkeypatch, capsys):
    make_toy_teacher(task_folder / "teacher_model/SST-2", classifier=True)
    make_toy_teacher(task_folder / "5_task_distill_out", layers=1, classifier=True)
    monkeypatch.setattr(eight_bits, "RESAMPLES", 20)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "eight_bits.py",
            "--workspaces",
            str(task_folder),
            "--profile",
            "smoke",
            "--threads",
            "1",
            "--results",
            str(task_folder / "results.json"),
        ],
    )
    eight_bits.main()
    (run,) = json.loads((task_folder / "results.json").read_text())["runs"]
    assert (
        {*run["models"]} == {"float32", *eight_bits.WAYS}
        and run["files"] == ["dev"]
        and len(run["labels"]) == 24
    )
    first = capsys.readouterr().out
    assert "8-bit training: 24 rows" in first
    eight_bits.main()
    again = capsys.readouterr().out
    assert (
        "8-bit training: 24 rows" not in again
        and again.strip().splitlines()[-6:] == first.strip().splitlines()[-6:]
    )
