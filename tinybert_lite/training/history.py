"""`history.jsonl`: the losses and scores of a run, which plots and reports read."""

import json
from pathlib import Path

from tinybert_lite.system.files import write_atomically


class History:
    """Appends one line per logged step or evaluation to the file `path`.

    Of an existing file only the first `lines` lines are kept: a resumed run writes again what the
    interrupted run logged after its last saved state. Without a path, lines are only counted.
    """

    def __init__(self, path: Path | None, lines: int = 0):
        self.path, self.lines = path, 0
        if path:
            kept = read_history(path)[:lines]
            write_atomically(path, "".join(map(_line, kept)).encode("utf-8"))
            self.lines = len(kept)

    def add(self, **event) -> None:
        self.lines += 1
        if self.path:
            with open(self.path, "a", encoding="utf-8", newline="\n") as file:
                file.write(_line(event))


def _line(event: dict) -> str:
    return json.dumps(event) + "\n"


def read_history(path: Path) -> list[dict]:
    """Read the events of a `history.jsonl` up to the first incomplete line; [] without a file."""
    events = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                break
    return events


def stuck(history: list[dict]) -> str:
    """Return a warning if the last ten logged losses are not lower than the first ten; else "".

    With fewer than forty logged losses there is no warning.
    """
    losses = [event["loss"] for event in history if "loss" in event]
    first, last = sum(losses[:10]) / 10, sum(losses[-10:]) / 10
    if len(losses) < 40 or last < first:
        return ""
    return f"the loss has not decreased: {first:.4g} at the start, {last:.4g} at the end"
