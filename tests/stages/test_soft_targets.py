"""Stage 5 asks its teacher once for each different row."""

from dataclasses import replace

import numpy as np
import pytest

from tests.makers.loops import bert, loop, rows, same
from tinybert_lite.data.batches import Examples
from tinybert_lite.method.objectives import Prediction
from tinybert_lite.stages import evaluation
from tinybert_lite.stages.evaluation import predict
from tinybert_lite.stages.settings import Training
from tinybert_lite.stages.soft_targets import asking, first_identical, with_soft_targets
from tinybert_lite.system.outputs import SOFT_TARGETS


class Asked:
    """A teacher that counts the rows it reads."""

    def __init__(self, seed=2):
        self.model, self.rows = bert(seed, layers=3, num_labels=2), 0
        self.model.register_forward_pre_hook(self._count)

    def _count(self, module, args):
        self.rows += len(args[0]["input_ids"])


def twice(examples: Examples) -> Examples:
    both = [
        examples.ids[start:end].tolist() for start, end in zip(examples.starts, examples.starts[1:])
    ]
    return Examples.joined([(both + both[::-1], [2] * 2 * len(both))]).with_labels(
        np.zeros(2 * len(both), np.float32)
    )


def test_rows_are_alike_if_tokens_and_segments_are():
    made = Examples.joined(
        [([[5, 6, 7], [5, 6], [5, 6, 7], [7], [5, 6], [5, 6, 7]], [1, 1, 1, 1, 2, 1])]
    )
    assert first_identical(made).tolist() == [0, 1, 0, 3, 4, 0]


def test_each_row_gets_its_own_logits_and_the_teacher_reads_no_row_twice(tmp_path):
    teacher, examples = Asked(), twice(rows(20))
    found = with_soft_targets(examples, asking(teacher.model, 8), "teacher", tmp_path)
    assert teacher.rows == 20
    np.testing.assert_allclose(found.soft_targets, predict(teacher.model, examples, 1), atol=1e-6)
    batch = found.batch([3, 39])
    assert batch["soft_targets"].tolist() == found.soft_targets[[3, 39]].tolist()


@pytest.mark.parametrize(
    "change, asked",
    [
        (lambda examples, folder: (examples, "teacher"), 0),
        (lambda examples, folder: (examples, "another teacher"), 20),
        (lambda examples, folder: (twice(examples), "teacher"), 20),
        (
            lambda examples, folder: (
                folder.joinpath(SOFT_TARGETS).write_bytes(b"damaged"),
                (examples, "teacher"),
            )[1],
            20,
        ),
    ],
)
def test_stored_logits_serve_the_same_teacher_and_rows_alone(tmp_path, change, asked):
    teacher, examples = Asked(), rows(20)
    first = with_soft_targets(examples, asking(teacher.model, 8), "teacher", tmp_path)
    examples, fingerprint = change(examples, tmp_path)
    teacher.rows = 0
    again = with_soft_targets(examples, asking(teacher.model, 8), fingerprint, tmp_path)
    assert teacher.rows == asked
    np.testing.assert_allclose(again.soft_targets[:20], first.soft_targets, atol=1e-6)


def test_a_student_learns_the_same_from_stored_logits():
    teacher, examples = bert(2, layers=3, num_labels=2), rows(30)
    stored = replace(examples, soft_targets=predict(teacher, examples))
    settings, trained = Training(learning_rate=1e-3, num_train_epochs=2, train_batch_size=8), []
    for objective, given in (
        (Prediction(teacher), examples),
        (Prediction(), stored),
        (Prediction(), replace(stored, soft_targets=-stored.soft_targets)),
    ):
        student = bert(1, dropout=0, num_labels=2)
        terms = loop(student, objective, settings, examples=given).run().last_terms
        trained.append((student, terms["prediction"]))
    assert (
        trained[0][1] == pytest.approx(trained[1][1], abs=1e-6)
        and abs(trained[0][1] - trained[2][1]) > 1e-4
    )
    assert not same(trained[0][0], bert(1, dropout=0, num_labels=2))


def test_a_long_prediction_shows_how_far_it_is(monkeypatch, capsys):
    """Dev rows, soft targets and test rows are all predicted here."""
    shown = []

    def progress(iterable, what, total, tell):
        shown.append((what, total))
        return iterable

    monkeypatch.setattr(evaluation, "progress", progress)
    model, examples = bert(1, num_labels=2), rows(15)
    predict(model, examples, 4)
    predict(model, examples, 4, np.arange(5))
    assert shown == [("prediction, batches of 4 rows", 4), ("prediction, batches of 4 rows", 2)]
