"""The original code's numbers, on two sets of small models (tests/golden/README.md)."""

from functools import cache

import pytest
import torch

from tests.makers.golden import GOLDEN, RUNS, SETS, check, golden
from tinybert_lite.method import losses
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.models.loading import load_model


@cache
def model(name: str, folder: str):
    found, new_parts = load_model(GOLDEN / name / folder)
    assert not [part for part in new_parts if part != "bert.pooler"]
    return found.eval()


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("run, padding", RUNS)
@pytest.mark.parametrize("stage, kind", [("general", "general"), ("task_intermediate", "task")])
def test_intermediate_losses(name, run, padding, stage, kind):
    (expected, batch), student = golden(name, run), model(name, f"student_{kind}")
    terms = Intermediate(student, model(name, f"teacher_{kind}"), padding=padding)(student, batch)
    for term, first in (("attention", 1), ("hidden", 0)):
        parts = [terms.pop(f"{term}/{m}") for m in range(first, student.layers + 1)]
        check(torch.stack(parts), expected[stage][f"{term}_per_layer"])
        check(sum(parts), expected[stage][f"{term}_loss"])
    assert not terms


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("run", ["padded", "unpadded"])
def test_prediction_losses(name, run):
    (expected, batch), student, teacher = (
        golden(name, run),
        model(name, "student_task"),
        model(name, "teacher_task"),
    )
    expected = expected["task_prediction"]
    check(student(batch, logits=True).logits, expected["student_logits"])
    check(teacher(batch, logits=True).logits, expected["teacher_logits"])
    for temperature, value in expected["soft_cross_entropy"].items():
        terms = Prediction(teacher, float(temperature), "original")(student, batch)
        check(terms["prediction"], value)
        check(
            losses.soft_cross_entropy(
                torch.tensor(expected["student_logits"]),
                torch.tensor(expected["teacher_logits"]),
                float(temperature),
                "original",
            ),
            value,
        )


def test_the_treatments_of_padding_differ_where_there_is_padding():
    _, batch = golden("public_a", "padded")
    student, teacher = model("public_a", "student_general"), model("public_a", "teacher_general")
    with torch.no_grad():
        exact, reference = (
            Intermediate(student, teacher, padding=padding)(student, batch)
            for padding in ("exact", "original")
        )
    assert all(abs(exact[name] / reference[name] - 1) > 1e-3 for name in reference)
