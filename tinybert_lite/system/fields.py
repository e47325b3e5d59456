"""Settings as dataclasses: default, help, limits, choices and flags stand at their field.

@dataclass(frozen=True)
class Training(Checked):
    learning_rate: float = setting(5e-5, "the highest one", low=1e-12)
    schedule: Literal["linear", "constant"] = setting("linear", "of the learning rate")

parser = Parser("pretrain", __doc__)
add_flags(parser, Training, learning_rate=1e-3)
options = from_args(parser.parse_args(), Training)
"""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Iterable
from dataclasses import Field, field, fields, replace
from functools import cache
from typing import Literal, get_args, get_origin, get_type_hints

from tinybert_lite.system.errors import UserError

ONLY_SET = None  # a setting without a flag of its own: reached by --set and from Python


def setting(
    default,
    help: str = "",
    low: float = -math.inf,
    high: float = math.inf,
    flags: tuple[str, ...] | None = (),
    spellings: dict[str, str] | None = None,
):
    """A dataclass field that users may set.

    low, high: the limits of a number. The choices of a word are the field's type, a Literal.
    flags: its names on a command line if they are more or other than `--NAME`, or ONLY_SET.
    spellings: old word -> today's word, for values that were renamed; both are accepted.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "limits": (low, high),
            "flags": flags,
            "spellings": spellings or {},
        },
    )


@cache
def _kinds(owner: type) -> dict[str, type]:
    return get_type_hints(owner)


def _settings(owner: type, names: Iterable[str] = ()) -> dict[str, Field]:
    """The fields of `owner` made by `setting`, all or those of these names."""
    found = {f.name: f for f in fields(owner) if f.metadata}
    return {name: found[name] for name in names} if names else found


def canonical(owner: type, values: dict) -> dict:
    """`values` by field name, each old spelling replaced by today's."""
    known = _settings(owner)
    return {
        name: known[name].metadata["spellings"].get(str(value), value) if name in known else value
        for name, value in values.items()
    }


class Checked:
    """Base of frozen dataclasses: replaces old spellings, raises UserError for bad values."""

    def __post_init__(self) -> None:
        owner = type(self)
        values = {name: getattr(self, name) for name in _settings(owner)}
        for name, value in canonical(owner, values).items():
            object.__setattr__(self, name, value)
            kind, (low, high) = _kinds(owner)[name], _settings(owner)[name].metadata["limits"]
            if kind in (int, float) and not low <= value <= high:
                bound = f"at least {low:g}" if value < low else f"at most {high:g}"
                cure = "a number" if math.isnan(value) else bound
                raise UserError(f"{name}={value:g} is out of range: use {cure}")
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise UserError(f"{name}={value} is unknown: use {' or '.join(get_args(kind))}")


def known(name: str, names: Iterable[str], problem: str) -> None:
    """Raise UserError, with the nearest of `names` for a typo, where `name` is not among them."""
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
        hint = f"the nearest is {near[0]}" if near else f"there are {', '.join(names)}"
        raise UserError(f"{problem}; {hint}")


def assigned(settings, assignment: str):
    """`settings` after one `stage.field=value`. Raises UserError with the nearest name."""
    target, equals, text = assignment.partition("=")
    stage, dot, name = target.strip().partition(".")
    if not (equals and dot):
        raise UserError(f"--set {assignment}: write it as stage.field=value")
    parts = {
        f.name: part
        for f in fields(settings)
        if isinstance(part := getattr(settings, f.name), Checked)
    }
    known(stage, parts, f"--set {assignment}: no stage is called {stage!r}")
    owner = type(parts[stage])
    known(name, _settings(owner), f"--set {assignment}: {stage} has no field {name!r}")
    kind = _kinds(owner)[name]
    try:
        value = _reader(kind)(text.strip())
    except (ValueError, argparse.ArgumentTypeError):
        what = {int: "a whole number", float: "a number"}.get(kind, "true or false")
        raise UserError(f"--set {assignment}: {text.strip()!r} is not {what}") from None
    return replace(settings, **{stage: replace(parts[stage], **{name: value})})


# Command lines -------------------------------------------------------------------------------


def truth(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


def _reader(kind: type):
    """What makes a value of this type of a text."""
    return kind if kind in (int, float) else truth if bool in (kind, *get_args(kind)) else str


class Parser(argparse.ArgumentParser):
    """The parser of `python -m tinybert_lite.COMMAND`; `doc` is its module's docstring."""

    def __init__(self, command: str, doc: str):
        super().__init__(
            f"python -m tinybert_lite.{command}", description=doc.strip().split("\n")[0]
        )

    def parse_known_args(self, args, namespace=None):
        """Let a positional argument follow a boolean flag, as in `--regression rows.csv`."""
        if any(not action.option_strings for action in self._actions):
            alone = {flag for a in self._actions if a.type is truth for flag in a.option_strings}
            args = [
                f"{arg}=true" if arg in alone and after.lower() not in ("true", "false") else arg
                for arg, after in zip(args, [*args[1:], ""])
            ]
        return super().parse_known_args(args, namespace)


def switch(parser: argparse.ArgumentParser, *flags: str, default=False, **more) -> None:
    """A boolean flag: `--FLAG`, `--FLAG true` or `--FLAG false`."""
    parser.add_argument(
        *flags, nargs="?", const=True, type=truth, default=default, metavar="true|false", **more
    )


def add_flags(
    parser: argparse.ArgumentParser, owner: type, *names: str, without: tuple = (), **defaults
) -> None:
    """Flags for the settings of a dataclass: these `names`, or all but ONLY_SET ones and `without`.

    A flag that the parser has already is not added again.
    defaults: those of this command, where they differ from the dataclass's. None means the
    dataclass's default, and lets a command see whether the flag was given.
    """
    there = {action.dest for action in parser._actions}
    for name, f in _settings(owner, names).items():
        flags = f.metadata["flags"]
        if name in there or name in without or not names and flags is ONLY_SET:
            continue
        flags, kind = flags or (f"--{name}",), _kinds(owner)[name]
        options = {
            "dest": name,
            "help": f.metadata["help"],
            "default": defaults.get(name, f.default),
        }
        if _reader(kind) is truth:
            switch(parser, *flags, **options)
        elif get_origin(kind) is Literal:
            spelt = f.metadata["spellings"]
            parser.add_argument(
                *flags,
                **options,
                choices=get_args(kind),
                type=lambda text, s=spelt: s.get(text, text),
            )
        else:
            parser.add_argument(*flags, **options, type=kind)


def given(args: argparse.Namespace, owner: type) -> dict:
    """The settings of `owner` among parsed arguments that are not None."""
    return {
        name: value
        for name, value in vars(args).items()
        if value is not None and name in _settings(owner)
    }


def from_args(args: argparse.Namespace, owner: type, **more):
    """The dataclass `owner` filled from parsed arguments; `more` wins."""
    return owner(**given(args, owner) | more)
