"""The choices of the method (docs/method.md): each does what it says, and reaches the work from
settings and command lines.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.makers import random_batch, stock_bert
from tests.makers.commands import call
from tinybert_lite.method import losses
from tinybert_lite.method.encoder import Encoder
from tinybert_lite.method.objectives import Intermediate, Prediction
from tinybert_lite.stages.settings import Distilling, Predicting, Settings, Training
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.outputs import read_manifest
from tinybert_lite.training.history import read_history
from tinybert_lite.training.schedule import schedule


def pair(heads=2, **student):
    """A student of 2 layers of width 8 and a teacher of 4 of width 16."""
    torch.manual_seed(3)
    config = stock_bert(layers=2, width=8, heads=heads).config
    return (
        Encoder(
            config, **{"projection": "per_layer", "teacher_width": 16, "num_labels": 2, **student}
        ).eval(),
        Encoder(stock_bert(layers=4, width=16, heads=2).config, num_labels=2).eval(),
    )


BATCH = random_batch([5, 9, 3])


@pytest.mark.parametrize(
    "weights",
    [
        {"attention": 3.0},
        {"hidden": 0.25},
        {"embedding": 7.0},
        {"attention": 0.5, "hidden": 2.0, "embedding": 0.1},
    ],
)
def test_a_weight_multiplies_its_own_terms_and_no_others(weights):
    student, teacher = pair()
    plain, weighted = (
        Intermediate(student, teacher, weights=given)(student, BATCH) for given in (None, weights)
    )
    assert set(plain) == {"attention/1", "attention/2", "hidden/0", "hidden/1", "hidden/2"}
    for name, value in plain.items():
        kind = "embedding" if name == "hidden/0" else name.split("/")[0]
        torch.testing.assert_close(
            weighted[name], weights.get(kind, 1.0) * value, rtol=1e-6, atol=0
        )


@pytest.mark.parametrize(
    "kind, gone",
    [
        ("attention", {"attention/1", "attention/2"}),
        ("hidden", {"hidden/1", "hidden/2"}),
        ("embedding", {"hidden/0"}),
    ],
)
def test_a_weight_of_0_leaves_a_loss_out_and_changes_no_other(kind, gone):
    student, teacher = pair()
    plain, less = (
        Intermediate(student, teacher, weights=given)(student, BATCH) for given in ({}, {kind: 0.0})
    )
    assert set(plain) - set(less) == gone
    assert all(less[name] == plain[name] for name in less)


def test_without_attention_the_numbers_of_heads_may_differ_and_no_scores_are_computed(monkeypatch):
    student, teacher = pair(heads=4)
    with pytest.raises(UserError, match="attention heads, 4 and 2"):
        Intermediate(student, teacher)
    objective = Intermediate(student, teacher, weights={"attention": 0.0})
    monkeypatch.setattr(losses, "attention_loss", None)
    assert {name.split("/")[0] for name in objective(student, BATCH)} == {"hidden"}


def test_nothing_to_learn_is_refused():
    student, teacher = pair()
    for given in (
        dict(weights={"attention": 0.0, "hidden": 0.0, "embedding": 0.0}),
        dict(heads="skip", weights={"hidden": 0.0, "embedding": 0.0}),
    ):
        with pytest.raises(UserError, match="nothing to learn"):
            Intermediate(student, teacher, **given)


def test_original_and_the_older_words_for_it_mean_the_same():
    student, teacher = pair()
    by_word = [
        Intermediate(student, teacher, padding=padding)(student, BATCH)
        for padding in ("original", "reference", "exact")
    ]
    assert by_word[0] == by_word[1] != by_word[2]
    one, same = (pair(projection=word)[0] for word in ("original", "shared"))
    assert one.fit_dense.weight.equal(same.fit_dense.weight) and one.fit_denses is None
    student.config.classifier_head = "relu"
    logits = student(BATCH, logits=True).logits
    student.config.classifier_head = "relu"
    assert logits.equal(student(BATCH, logits=True).logits)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_hard_labels_are_mixed_in_by_their_share(share):
    student, teacher = pair(projection=None)
    terms = Prediction(teacher, 2.0, hard_labels=share)(student, BATCH)
    mine, theirs = (model(BATCH, logits=True).logits for model in (student, teacher))
    soft = -(F.softmax(theirs / 2, -1) * F.log_softmax(mine / 2, -1)).sum() / 3
    hard = F.cross_entropy(mine, BATCH["labels"].long())
    expected = {"prediction": (1 - share) * soft, "label": share * hard}
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items() if value != 0}, rel=1e-6
    )


def test_a_row_without_a_label_has_the_teachers_share_alone():
    student, teacher = pair(projection=None)
    batch = {**BATCH, "labels": torch.tensor([1.0, float("nan"), 0.0])}
    terms = Prediction(teacher, hard_labels=0.5)(student, batch)
    rows = F.cross_entropy(
        student(batch, logits=True).logits[[0, 2]], torch.tensor([1, 0]), reduction="sum"
    )
    assert terms["label"].item() == pytest.approx((0.5 * rows / 3).item(), rel=1e-6)
    sum(terms.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in student.parameters() if p.grad is not None)


def test_a_regressions_hard_labels_are_its_numbers():
    student, teacher = pair(projection=None, num_labels=1)
    teacher = Encoder(teacher.config, num_labels=1).eval()
    batch = {**BATCH, "labels": torch.tensor([0.5, 2.0, 4.5])}
    terms = Prediction(teacher, hard_labels=0.25)(student, batch)
    mine, theirs = (model(batch, logits=True).logits.view(-1) for model in (student, teacher))
    assert float(terms["prediction"]) == pytest.approx(
        0.75 * float(F.mse_loss(mine, theirs)), rel=1e-6
    )
    assert float(terms["label"]) == pytest.approx(
        0.25 * float(F.mse_loss(mine, batch["labels"])), rel=1e-6
    )


def test_polynomial_decay_by_hand():
    settings = Training(
        learning_rate=0.1,
        schedule="polynomial",
        power=2.0,
        end_learning_rate=0.02,
        warmup_proportion=0.2,
    )
    rates = [0.1 * schedule(settings, step, 10) for step in range(11)]
    assert rates == pytest.approx(
        [0.1 / 3, 0.2 / 3, *(0.02 + 0.08 * (left / 8) ** 2 for left in range(8, -1, -1))], rel=1e-12
    )


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_a_polynomial_of_power_1_is_the_linear_decay(warmup):
    kinds = [Training(schedule=name, warmup_proportion=warmup) for name in ("linear", "polynomial")]
    assert [schedule(kinds[0], step, 37) for step in range(37)] == pytest.approx(
        [schedule(kinds[1], step, 37) for step in range(37)], rel=1e-12
    )


@pytest.mark.parametrize(
    "assignment",
    [
        "general_distill.attention_weight=-1",
        "task_distill_out.hard_label_weight=1.5",
        "task_distill_mid.power=0",
        "task_distill_mid.schedule=cosine",
        "general_distill.embedding_weight=nan",
    ],
)
def test_impossible_choices_are_refused(assignment):
    with pytest.raises(UserError, match=assignment.split(".")[1].split("=")[0]):
        Settings().override([assignment])


def terms_of(folder):
    return {name for event in read_history(folder / "history.jsonl") for name in event} - {
        "step",
        "lr",
        "loss",
        "grad_norm",
        "epoch",
        "dev",
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every choice of a command line, in both kinds of distillation, as the manifest has it."""
    from tests.makers.workspaces import lay_out

    root = lay_out(tmp_path_factory.mktemp("method") / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("TINYBERT_WORKSPACE", raising=False)
        torch.set_num_threads(1)
        short = "--num_train_epochs 1 --train_batch_size 8 --max_seq_length 24"
        lines = [
            "pregenerate_training_data --train_corpus 1_pre_data/documents.txt --output_dir "
            "2_pregenerate_data --bert_model teacher_model --epochs_to_generate 1 --max_seq_len 24",
            "general_distill --pregenerated_data 2_pregenerate_data --teacher_model "
            f"teacher_model --student_model student_model --output_dir first {short} "
            "--mapping top --projection shared --attention_weight 0 --embedding_weight 2 --start "
            "embeddings --schedule polynomial --power 2 --end_learning_rate 1e-5",
            "general_distill --pregenerated_data 2_pregenerate_data --teacher_model "
            f"teacher_model --student_model first --output_dir second {short} "
            "--continue_train --projection shared --hidden_weight 0 --heads skip --padding "
            "reference",
            "task_distill --data_dir SST-2 --teacher_model teacher_model --student_model first "
            f"--task_name sst-2 --output_dir mid {short} --hidden_weight 0 "
            "--schedule polynomial --mapping bottom",
            "task_distill --data_dir SST-2 --teacher_model teacher_model --student_model mid "
            f"--task_name sst-2 --output_dir out {short} --pred_distill "
            "--hard_label_weight 0.4 --temperature 3 --schedule constant",
        ]
        for line in lines:
            found = call(line)
            assert found.code == 0, found.err
    return root


def test_command_lines_reach_the_losses(ran):
    assert terms_of(ran / "first") == {"hidden/0", "hidden/1"}
    assert terms_of(ran / "second") == {"hidden/0"}
    assert terms_of(ran / "mid") == {"attention/1", "hidden/0"}
    assert terms_of(ran / "out") == {"prediction", "label"}


def test_command_lines_are_recorded(ran):
    def recorded(folder, kind, **expected):
        settings = read_manifest(ran / folder)["settings"]
        assert {name: settings[name] for name in expected} == expected
        assert set(expected) <= set(kind.__dataclass_fields__)

    recorded(
        "first",
        Distilling,
        mapping="top",
        projection="original",
        attention_weight=0.0,
        embedding_weight=2.0,
        start="embeddings",
        power=2.0,
        schedule="polynomial",
        end_learning_rate=1e-5,
    )
    recorded(
        "second",
        Distilling,
        continue_train=True,
        heads="skip",
        padding="original",
        schedule="linear",
    )
    recorded("mid", Distilling, schedule="polynomial", mapping="bottom", hidden_weight=0.0)
    recorded("out", Predicting, hard_label_weight=0.4, temperature=3.0, schedule="constant")


def test_the_rates_that_were_used_follow_the_schedule(ran):
    events = [event for event in read_history(ran / "first" / "history.jsonl") if "lr" in event]
    total = events[-1]["step"]
    settings = Training(schedule="polynomial", power=2.0, end_learning_rate=1e-5)
    assert [event["lr"] for event in events] == pytest.approx(
        [5e-5 * schedule(settings, event["step"] - 1, total) for event in events], rel=1e-9
    )
    assert math.isclose(read_history(ran / "out" / "history.jsonl")[0]["lr"], 5e-5) and total > 2
