"""Settings, and the flags and `--set` assignments that are made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from tinybert_lite.stages.settings import Augmenting, Distilling, FineTuning, Settings
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import ONLY_SET, Checked, Parser, canonical, setting


@dataclass(frozen=True)
class Options(Checked):
    rate: float = setting(0.5, "a rate", low=0, high=1)
    rows: int = setting(3, "rows", low=1, flags=("--rows", "--lines"))
    kind: Literal["new", "original"] = setting("new", spellings={"old": "original"})
    quick: bool = setting(False, "quick")
    hidden: int = setting(7, flags=ONLY_SET)
    note: str = "no setting"


def parsed(*argv: str, **how) -> Options:
    parser = Parser("command", "What it does.\nMore.")
    parser.settings(Options, **how)
    return Options.of(parser.parse_args(argv))


def test_flags_have_the_dataclass_defaults():
    assert parsed() == Options()


def test_flags_fill_the_dataclass():
    assert parsed("--rate", "1", "--lines", "4", "--kind", "original", "--quick") == Options(
        1.0, 4, "original", True
    )


def test_a_command_may_have_another_default_and_leave_a_setting_out():
    assert parsed(rate=0.25).rate == 0.25
    assert parsed(rate=None) == Options()
    with pytest.raises(SystemExit):
        parsed("--rate", "1", without=("rate",))


@pytest.mark.parametrize("argv", [["--hidden", "8"], ["--note", "x"], ["--rows", "few"]])
def test_what_is_no_flag_or_no_number_is_refused(argv):
    with pytest.raises(SystemExit) as stopped:
        parsed(*argv)
    assert stopped.value.code == 2


def test_what_is_no_choice_is_refused():
    with pytest.raises(UserError, match="kind=odd is unknown: use new or original"):
        parsed("--kind", "odd")


def test_a_flag_without_effect_is_accepted_and_named(capsys):
    parser = Parser("command", "What it does.")
    parser.settings(Options, "rate")
    parser.no_effect({"--cloud": "there is none", "--rate": "nothing reads it"})
    parser.parse_args(["--cloud", "x", "--rate=1"])
    said = capsys.readouterr().err
    assert said == (
        "--cloud has no effect: there is none\n--rate has no effect: nothing reads it\n"
    )


@pytest.mark.parametrize(
    "argv, expected",
    [([], False), (["--quick"], True), (["--quick", "true"], True), (["--quick=False"], False)],
)
def test_a_boolean_flag_stands_alone_or_with_a_value(argv, expected):
    assert parsed(*argv).quick is expected


@pytest.mark.parametrize(
    "argv, quick",
    [
        (["--quick", "a.csv"], True),
        (["--quick", "false", "a.csv"], False),
        (["a.csv", "--quick"], True),
    ],
)
def test_a_positional_argument_may_follow_a_boolean_flag(argv, quick):
    parser = Parser("command", "What it does.")
    parser.add_argument("file")
    parser.switch("--quick")
    assert vars(parser.parse_args(argv)) == {"file": "a.csv", "quick": quick}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"rate": 2.0}, "rate=2 is out of range: use at most 1"),
        ({"rate": float("nan")}, "rate=nan is out of range: use at least 0"),
        ({"rows": 0}, "rows=0 is out of range: use at least 1"),
        ({"kind": "odd"}, "kind=odd is unknown: use new or original"),
    ],
)
def test_a_bad_value_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        Options(**values)


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("general_distil.mapping=top", "the nearest is general_distill"),
        ("general_distill.maping=top", "the nearest is mapping"),
        ("general_distill.max_steps=few", "'few' is not a whole number"),
        ("general_distill.power=x", "'x' is not a number"),
        ("general_distill.continue_train=x", "'x' is not true or false"),
        ("general_distill.padding=odd", "padding=odd is unknown: use exact or original"),
        ("general_distill", "write it as stage.field=value"),
    ],
)
def test_a_bad_assignment_is_refused(assignment, message):
    with pytest.raises(UserError, match=message):
        Settings().override([assignment])


OLD_WORDS = [
    (Distilling, "general_distill", "padding", "reference"),
    (Distilling, "general_distill", "projection", "shared"),
    (Augmenting, "data_augmentation", "context", "pair"),
    (FineTuning, "finetune_teacher", "classifier_head", "relu"),
]


@pytest.mark.parametrize("owner, stage, name, word", OLD_WORDS)
def test_old_words_for_the_originals_choice_are_accepted(owner, stage, name, word):
    wanted = owner(**{name: "original"})
    assert owner(**{name: word}) == wanted
    assert getattr(Settings().override([f"{stage}.{name}={word}"]), stage) == wanted
    parser = Parser("command", "What it does.")
    parser.settings(owner, name)
    assert owner.of(parser.parse_args([f"--{name}", word])) == wanted
    assert canonical(owner, {name: word, "other": 1}) == {name: "original", "other": 1}
