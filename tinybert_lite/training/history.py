"""The one training loop: teacher growing and fine-tuning, general and task distillation all hand it an objective."""

from __future__ import annotations

import json
from pathlib import Path

from tinybert_lite.system.files import write_atomically


class History:
    """`history.jsonl`: a line a logged step or evaluation. Cut back to the saved step on resume."""

    def __init__(self, path: Path | None, lines: int = 0):
        self.path, self.lines = path, 0
        if path:
            kept = read_history(path)[:lines]
            write_atomically(
                path, "".join(json.dumps(event) + "\n" for event in kept).encode("utf-8")
            )
            self.lines = len(kept)

    def add(self, **event) -> None:
        self.lines += 1
        if self.path:
            with open(self.path, "a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(event) + "\n")


def read_history(path: Path) -> list[dict]:
    """The events of a `history.jsonl`, an empty list where there is none; a line cut off by a crash is left out."""
    events = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                break
    return events


def stuck(history: list[dict]) -> str:
    """Says so where the last ten noted losses are no lower than the first ten; of fewer than forty nothing can be said."""
    losses = [event["loss"] for event in history if "loss" in event]
    first, last = sum(losses[:10]) / 10, sum(losses[-10:]) / 10
    return (
        f"the loss has not gone down: {first:.4g} at first, {last:.4g} in the end"
        if len(losses) >= 40 and last >= first
        else ""
    )
