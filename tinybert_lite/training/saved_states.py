"""Saved states of a training run: numbered, written atomically, checked by hash; the newest that is whole is used."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tinybert_lite.system.files import write_atomically

_NAME = re.compile(r"checkpoint-(\d+)\.pt")
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Checkpoints:
    """`checkpoint-<step>.pt` in `folder`, the `keep` newest: a SHA-256, then what `torch.save` wrote."""

    folder: Path
    keep: int = 2
    say: Callable = print

    def files(self) -> list[Path]:
        """The newest first."""
        numbered = [
            (int(match[1]), path)
            for path in self.folder.glob("checkpoint-*.pt")
            if (match := _NAME.fullmatch(path.name))
        ]
        return [path for _, path in sorted(numbered, reverse=True)]

    def save(self, step: int, state: dict) -> None:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        write_atomically(
            self.folder / f"checkpoint-{step}.pt", hashlib.sha256(content).digest() + content
        )
        files = self.files()
        place = files.index(self.folder / f"checkpoint-{step}.pt")
        for path in (
            files[:place] + files[place + self.keep :]
        ):  # later ones were damaged, or are of a run that was given up
            path.unlink()

    def newest(self, identity: str) -> dict | None:
        """The last whole state of a run of this identity; damaged ones are named, and the one before is used."""
        for path in self.files():
            content = path.read_bytes()
            if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
                self.say(f"{path} is damaged: going back to the state saved before it")
                continue
            state = torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)
            if state["identity"] == identity:
                return state
        return None
