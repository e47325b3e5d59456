"""Settings as dataclasses: each field has its default, help, limits, choices and flags.

@dataclass(frozen=True)
class Training(Checked):
    learning_rate: float = setting(5e-5, "the highest one", low=1e-12)
    schedule: Literal["linear", "constant"] = setting("linear", "of the learning rate")

parser = Parser("pretrain", __doc__)
parser.settings(Training, learning_rate=1e-3)
options = Training.of(parser.parse_args(argv))
"""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Iterable
from dataclasses import Field, field, fields, replace
from functools import cache
from typing import get_args, get_type_hints

from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError

ONLY_SET = None  # a value of `flags`: no flag, so that only --set and Python change the setting


def setting(
    default,
    help: str = "",
    low: float = 0,
    high: float = math.inf,
    flags: tuple[str, ...] | None = (),
    spellings: dict[str, str] | None = None,
):
    """A dataclass field that users may set.

    low, high: the limits of a number. A field with choices has a Literal as its type.
    flags: the names on a command line, by default `--NAME`; or ONLY_SET.
    spellings: old value -> current value, for values that were renamed; both are accepted.
    """
    metadata = {"help": help, "low": low, "high": high, "flags": flags}
    return field(default=default, metadata={**metadata, "spellings": spellings or {}})


@cache
def _kinds(owner: type) -> dict[str, type]:
    return get_type_hints(owner)


def _settings(owner: type) -> dict[str, Field]:
    return {f.name: f for f in fields(owner) if f.metadata}


def canonical(owner: type, values: dict) -> dict:
    """Return `values` (field name -> value) with renamed values replaced by the current ones."""
    spellings = {name: f.metadata["spellings"] for name, f in _settings(owner).items()}
    return {name: spellings.get(name, {}).get(str(v), v) for name, v in values.items()}


class Checked:
    """Base of frozen dataclasses: replaces old spellings, raises UserError for bad values."""

    def __post_init__(self) -> None:
        vars(self).update(canonical(type(self), vars(self)))
        for name, f in _settings(type(self)).items():
            value, kind = getattr(self, name), _kinds(type(self))[name]
            low, high = f.metadata["low"], f.metadata["high"]
            if kind in (int, float) and not low <= value <= high:
                bound = f"at most {high:g}" if value > high else f"at least {low:g}"
                raise UserError(f"{name}={value:g} is out of range: use {bound}")
            choices = _choices(kind)
            if choices and value not in choices:
                raise UserError(f"{name}={value} is unknown: use {' or '.join(choices)}")

    @classmethod
    def given(cls, args: argparse.Namespace) -> dict:
        """Return the parsed arguments that are settings of this class and not None."""
        names = _settings(cls)
        return {k: v for k, v in vars(args).items() if k in names and v is not None}

    @classmethod
    def of(cls, args: argparse.Namespace, **more):
        """Make an instance from parsed arguments; `more` overrides them."""
        return cls(**cls.given(args) | more)


def known(name: str, names: Iterable[str], problem: str) -> None:
    """Raise UserError if `name` is not among `names`; it suggests the nearest one for a typo."""
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
        hint = f"the nearest is {near[0]}" if near else f"there are {', '.join(names)}"
        raise UserError(f"{problem}; {hint}")


def changed(settings: Checked, parts: dict[str, dict]) -> Checked:
    """Return `settings` with new values for fields of some parts: part -> field -> value."""
    return replace(
        settings, **{part: replace(getattr(settings, part), **new) for part, new in parts.items()}
    )


def assigned(settings: Checked, assignment: str) -> Checked:
    """Return `settings` with one `stage.field=value` applied.

    Raises UserError for an unknown name, with the nearest one, and for a value of another type.
    """
    target, equals, text = map(str.strip, assignment.partition("="))
    stage, dot, name = target.partition(".")
    if not (equals and dot):
        raise UserError(f"--set {assignment}: write it as stage.field=value")
    parts = {part: value for part, value in vars(settings).items() if isinstance(value, Checked)}
    known(stage, parts, f"--set {assignment}: no stage is called {stage!r}")
    found = _settings(type(parts[stage]))
    known(name, found, f"--set {assignment}: {stage} has no field {name!r}")
    kind = _kinds(type(parts[stage]))[name]
    try:
        value = _reader(kind)(text)
    except (ValueError, argparse.ArgumentTypeError):
        what = {int: "a whole number", float: "a number"}.get(kind, "true or false")
        raise UserError(f"--set {assignment}: {text!r} is not {what}") from None
    return changed(settings, {stage: {name: value}})


# Command lines -------------------------------------------------------------------------------


def truth(text: str) -> bool:
    """Parse true, false, 1 or 0. Raises ArgumentTypeError for any other text."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def _reader(kind: type):
    """Return the function that converts a text into a value of this type."""
    return kind if kind in (int, float) else truth if bool in (kind, *get_args(kind)) else str


def _choices(kind: type) -> tuple[str, ...]:
    """Return the values of a Literal; none for any other type."""
    return get_args(kind) if _reader(kind) is str else ()


def say_no_effect(argv: list[str], reasons: dict[str, str]) -> None:
    """Print each flag of `reasons` that is in `argv`, with the reason why it has no effect."""
    for flag in {arg.split("=")[0]: None for arg in argv}:
        if flag in reasons:
            remark(f"{flag} has no effect: {reasons[flag]}")


class Parser(argparse.ArgumentParser):
    """The parser of `python -m tinybert_lite.COMMAND`; `doc` is its module's docstring."""

    def __init__(self, command: str, doc: str):
        title = doc.strip().partition("\n")[0]
        super().__init__(f"python -m tinybert_lite.{command}", description=title)
        self.reasons: dict[str, str] = {}

    def switch(self, *flags: str, default=False, **more) -> None:
        """A boolean flag: `--FLAG`, `--FLAG true` or `--FLAG false`."""
        how = {"nargs": "?", "const": True, "type": truth, "metavar": "true|false"}
        self.add_argument(*flags, default=default, **how, **more)

    def settings(self, owner: type[Checked], *names: str, without=(), **defaults) -> None:
        """Add flags for `names`, or for all settings of a dataclass except ONLY_SET and `without`.

        A flag that the parser has already is not added again. defaults: values for this command
        that differ from the dataclass. None means the dataclass's default, and lets a command
        see whether the flag was given.
        """
        without = {*without, *(action.dest for action in self._actions)}
        for name, f in _settings(owner).items():
            flags, kind = f.metadata["flags"], _kinds(owner)[name]
            if name in without or (name not in names if names else flags is ONLY_SET):
                continue
            default, help = defaults.get(name, f.default), f.metadata["help"]
            if default is not None:
                help = f"{help} (default: {default})".strip()
            how = {"dest": name, "default": default, "help": help}
            flags, words = flags or (f"--{name}",), "|".join(_choices(kind))
            if _reader(kind) is truth:
                self.switch(*flags, **how)
            else:
                self.add_argument(*flags, type=_reader(kind), metavar=words or None, **how)

    def no_effect(self, reasons: dict[str, str]) -> None:
        """Accept flags (flag -> reason) that have no effect, with or without a value."""
        self.reasons |= reasons
        for flag, reason in reasons.items():
            if flag not in self._option_string_actions:
                self.add_argument(flag, nargs="?", const=True, help=f"no effect: {reason}")

    def parse_known_args(self, args, namespace=None):
        """Let a positional argument follow a boolean flag, as in `--regression rows.csv`."""
        if any(not action.option_strings for action in self._actions):
            alone = {flag for a in self._actions if a.type is truth for flag in a.option_strings}
            args = [
                f"{arg}=true" if arg in alone and after.lower() not in ("true", "false") else arg
                for arg, after in zip(args, [*args[1:], ""])
            ]
        say_no_effect(args, self.reasons)
        return super().parse_known_args(args, namespace)
