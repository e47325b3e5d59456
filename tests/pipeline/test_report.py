"""A retention is only given where it means something; what the report says of two models."""

from __future__ import annotations

import json

import pytest

from tinybert_lite.pipeline.all_tasks import rows_of
from tinybert_lite.pipeline.report import retention, summary

COST = {"parameters": 10, "milliseconds_a_row": 2.0, "bytes": 40}


def results(teacher, student, **more) -> dict:
    return {
        "metric": "matthews",
        "teacher": teacher if teacher is None else {"matthews": teacher},
        "student": {"matthews": student},
        "agreement": 0.75,
        "cost": {"teacher": COST, "student": COST},
        "rows": {"train": 5},
        "teacher_above_chance": True,
        **more,
    }


@pytest.mark.parametrize(
    "teacher, student, more, kept",
    [
        (0.8, 0.6, {}, 75.0),
        (0.8, 0.0, {}, 0.0),
        (0.8, 0.6, {"teacher_above_chance": False}, None),
        (0.3, 0.66, {"teacher_above_chance": False}, None),
        (0.0, 0.6, {}, None),
        (-0.2, -0.1, {}, None),
        (0.8, -0.1, {}, None),
        (float("nan"), 0.6, {}, None),
        (None, 0.6, {"teacher_above_chance": None}, None),
    ],
)
def test_a_retention_needs_a_teacher_above_chance(teacher, student, more, kept):
    found = results(teacher, student, **more)
    assert retention(found) == (kept if kept is None else pytest.approx(kept))
    shown = rows_of({"CoLA": found})[-1][-2]
    assert shown == ("–" if kept is None else f"{kept:.1f} %")
    if teacher is not None:
        said = summary(found)
        assert ("No retention is given" in said) == (kept is None) and "nan" not in said
        assert ("% of the teacher's dev score" in said) == (kept is not None)


def test_an_agreement_that_is_not_known_is_not_shown_as_0():
    assert "agrees" not in summary(results(0.8, 0.6, agreement=None))
    assert "agrees with the teacher on 75.0 %" in summary(results(0.8, 0.6))


def test_results_of_an_older_run_still_have_a_retention():
    old = json.loads(json.dumps(results(0.8, 0.6)))
    del old["teacher_above_chance"]
    assert retention(old) == pytest.approx(75)
