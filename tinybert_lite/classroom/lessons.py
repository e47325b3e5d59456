"""Set-up of every notebook, and questions to answer before a cell runs.

workspace, settings = lessons.setup()
lessons.predict("loss", "How large is the loss of the untrained student?", "nats")
lessons.reveal("loss", measured)
"""

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

CLOSE = 0.05  # a guess that differs by at most this share of the measured number is "very near"

# Set-up -------------------------------------------------------------------------------------------


def setup(profile: str | None = None, task: str = FOLDERS_OWN_TASK) -> tuple[Workspace, Settings]:
    """Return the workspace around the notebook, and the settings of a profile.

    The profile is the given one, else TINYBERT_PROFILE, else classroom. Prints one sentence for
    each problem that would stop a stage later, else nothing.
    """
    for check in doctor.PLACES:
        finding = check()
        if not finding.ok:
            say(str(finding))
    workspace = Workspace.find(task=task)
    name = profile or os.environ.get("TINYBERT_PROFILE") or "classroom"
    return workspace, presets.profile(name, workspace.task, workspace.teacher_is_grown)


def ensure(workspace: Workspace, settings: Settings, upto: str) -> None:
    """Make the missing inputs of a stage in the quick smoke profile, so its notebook runs alone.

    If the notebooks before it are run later, they replace these inputs by those of their profile.
    """
    quick = presets.profile("smoke", settings.task, workspace.teacher_is_grown)
    machine = ("seed", "device", "precision", "threads", "lower_case")
    quick = replace(quick, **{name: getattr(settings, name) for name in machine})
    run_all.ensure(workspace, settings, upto, quick)
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
            f"This notebook uses quick inputs of the smoke profile, in {', '.join(rough)}: "
            "run the notebooks before it for those of the normal profile."
        )


# Questions ----------------------------------------------------------------------------------------

_guesses: dict[str, float | str] = {}  # of this kernel
_answers: dict[str, str | Sequence] = {}  # per question: a unit, or the choices


def predict(name: str, question: str | float, answers: str | Sequence = "") -> None:
    """Ask for a guess: a number in a unit, or one of several answers.

    `predict("loss", 0.5)` records a guess without asking. Nothing is asked if nobody can answer:
    while notebooks are built or tested, or with TINYBERT_UNWATCHED=1.
    """
    if not isinstance(question, str) or question in _choices(name):
        _guesses[name] = question
        return
    _answers[name] = answers
    if watched():
        _ask(name, question)


def reveal(name: str, measured) -> None:
    """Print one sentence that compares the guess with the measured result, if there is a guess."""
    if name not in _guesses:
        return
    guess = _guesses[name]
    if isinstance(guess, str) or isinstance(measured, str):
        say(f"You said {guess}; it is {measured}{': right' if guess == measured else ''}.")
        return
    unit = "" if _choices(name) else _answers.get(name, "")
    said, found = (f"{float(value):.4g} {unit}".strip() for value in (guess, measured))
    say(f"You said {said}; it is {found}: {how_far(float(guess), float(measured))}.")


def how_far(guess: float, measured: float) -> str:
    """Return in words how far a guess is from a measured number."""
    if abs(guess - measured) <= CLOSE * abs(measured):
        return "right" if guess == measured else "very near"
    if guess * measured <= 0:
        return f"off by {abs(guess - measured):.3g}"
    ratio = guess / measured
    if 0.5 < ratio < 2:
        return f"{100 * abs(ratio - 1):.0f} % too {'high' if abs(guess) > abs(measured) else 'low'}"
    return f"{max(ratio, 1 / ratio):.3g} times too {'high' if ratio > 1 else 'low'}"


def watched() -> bool:
    """Whether somebody can answer in a notebook.

    Tools that run a notebook unattended, such as nbclient, tell the kernel not to ask for input.
    """
    if any(map(os.environ.get, ("TINYBERT_UNWATCHED", "CI"))):
        return False
    if "IPython" not in sys.modules or not find_spec("ipywidgets"):
        return False
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
    return bool(kernel) and bool(kernel.get_parent("shell").get("content", {}).get("allow_stdin"))


def _choices(name: str) -> Sequence:
    answers = _answers.get(name, "")
    return () if isinstance(answers, str) else answers


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
