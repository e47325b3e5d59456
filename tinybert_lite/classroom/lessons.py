"""What every notebook opens with, and questions to answer before a cell runs.

workspace, settings = lessons.setup()
lessons.predict("loss", "How large is the loss of the untrained student?", "nats")
lessons.reveal("loss", measured)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import isfinite

from tinybert_lite.classroom import doctor
from tinybert_lite.data.tasks import FOLDERS_OWN_TASK
from tinybert_lite.pipeline import profiles as presets
from tinybert_lite.pipeline import running as run_all
from tinybert_lite.pipeline.workspace import Workspace
from tinybert_lite.stages.settings import Settings
from tinybert_lite.system.console import say
from tinybert_lite.system.outputs import read_manifest

CLOSE = 0.05  # of the measured number: near enough to be called right

# Set-up --------------------------------------------------------------------------------------------------------------


def setup(profile: str | None = None, task: str = FOLDERS_OWN_TASK) -> tuple[Workspace, Settings]:
    """The workspace around the notebook, and the settings of a profile: the given one, else TINYBERT_PROFILE, else classroom.

    Silent, but for a sentence on each thing that would stop a stage later.
    """
    for finding in (check() for check in doctor.PLACES):
        if not finding.ok:
            say(str(finding))
    workspace = Workspace.find(task=task)
    name = profile or os.environ.get("TINYBERT_PROFILE") or "classroom"
    return workspace, presets.profile(name, workspace.task, workspace.teacher_width)


def ensure(workspace: Workspace, settings: Settings, upto: str) -> None:
    """Make what a notebook's stage needs and is missing, in the quick smoke profile; earlier notebooks replace that by the real thing."""
    quick = presets.profile("smoke", settings.task, workspace.teacher_width)
    machine = ("seed", "device", "precision", "threads", "lower_case")
    run_all.ensure(
        workspace,
        settings,
        upto,
        replace(quick, **{name: getattr(settings, name) for name in machine}),
    )
    if settings.profile == quick.profile:
        return
    folders = [stage.folder(workspace) for stage in run_all.needed(workspace, upto)]
    rough = [
        folder.relative_to(workspace.root).as_posix()
        for folder in folders
        if (read_manifest(folder) or {}).get("profile") == quick.profile
    ]
    if rough:
        say(
            f"This notebook runs on quick inputs of the smoke profile, in {', '.join(rough)}: run the notebooks before it for real ones."
        )


# Questions -----------------------------------------------------------------------------------------------------------

_guesses: dict[str, float | str] = {}  # of this kernel
_answers: dict[str, str | Sequence] = {}  # to each question: a unit, or what to choose from


def predict(name: str, question: str | float, answers: str | Sequence = "") -> None:
    """Ask for a guess, of a number in a unit or out of several; or, without a question, note one: `predict("loss", 0.5)`.

    Asks only where somebody is there to answer: silent while notebooks are built and tested, and with TINYBERT_UNWATCHED=1.
    """
    if not isinstance(question, str) or question in _choices(name):
        _guesses[name] = question
        return
    _answers[name] = answers
    if watched():
        _ask(name, question)


def reveal(name: str, measured) -> None:
    """Hold the guess against what came out, in one sentence; silent where nobody guessed."""
    if name not in _guesses:
        return
    guess, unit = _guesses[name], _answers.get(name, "") if not _choices(name) else ""
    if isinstance(guess, str) or isinstance(measured, str):
        say(f"You said {guess}, and it is {'so' if guess == measured else measured}.")
    else:
        say(
            f"You said {_with_unit(guess, unit)}; it is {_with_unit(float(measured), unit)}: {how_far(float(guess), float(measured))}."
        )


def how_far(guess: float, measured: float) -> str:
    """A guess and a measured number, compared in words."""
    if abs(guess - measured) <= CLOSE * abs(measured):
        return "right" if guess == measured else "very near"
    if guess * measured <= 0:
        return f"off by {abs(guess - measured):.3g}"
    ratio = guess / measured
    if 0.5 < ratio < 2:
        return f"{100 * abs(ratio - 1):.0f} % too {'high' if abs(guess) > abs(measured) else 'low'}"
    return f"{max(ratio, 1 / ratio):.3g} times too {'high' if ratio > 1 else 'low'}"


def watched() -> bool:
    """Whether a person sits before a notebook. Whoever runs one unseen, as nbclient does, tells the kernel not to ask for input."""
    if (
        os.environ.get("TINYBERT_UNWATCHED")
        or os.environ.get("CI")
        or "IPython" not in sys.modules
        or not find_spec("ipywidgets")
    ):
        return False
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
    return bool(kernel) and bool(kernel.get_parent("shell").get("content", {}).get("allow_stdin"))


def _choices(name: str) -> Sequence:
    answers = _answers.get(name, "")
    return () if isinstance(answers, str) else answers


def _with_unit(number: float, unit: str) -> str:
    return f"{number:.4g} {unit}".strip()


def _ask(name: str, question: str) -> None:
    import ipywidgets as widgets
    from IPython.display import display

    noted = widgets.Label()
    if choices := _choices(name):
        entry = widgets.RadioButtons(options=list(choices), value=None)
    else:
        entry = widgets.Text(placeholder="your guess, then Enter", continuous_update=False)

    def note(change) -> None:
        guess = change["new"] if choices else _number(change["new"])
        if guess is None:
            noted.value = "write a number, such as 0.25"
        else:
            _guesses[name] = guess
            noted.value = f"noted: {guess}"

    entry.observe(note, "value")
    unit = widgets.Label("" if choices else str(_answers[name]))
    display(widgets.VBox([widgets.HTMLMath(question), widgets.HBox([entry, unit]), noted]))


def _number(text: str) -> float | None:
    try:
        return float(text) if isfinite(float(text)) else None
    except ValueError:
        return None
