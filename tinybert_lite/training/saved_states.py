"""Saved states of a training run, checked by hash; a run resumes from the newest intact one."""

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tinybert_lite.system.files import files_in, write_atomically

_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Checkpoints:
    """The `keep` newest states `checkpoint-<step>.pt` in `folder`; without a folder none.

    A file is a SHA-256 followed by the bytes of torch.save.
    """

    folder: Path | None
    keep: int = 2
    say: Callable = print

    def files(self) -> list[Path]:
        """List the saved states, the newest first."""
        found = files_in(self.folder, "checkpoint-*.pt") if self.folder else []
        numbered = [path for path in found if re.fullmatch(r"checkpoint-\d+", path.stem)]
        return sorted(numbered, key=lambda path: int(path.stem.split("-")[1]), reverse=True)

    def save(self, step: int, state: dict) -> None:
        """Write a state, then remove old states and states of later steps.

        States of later steps are damaged, or of another run.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content, path = buffer.getvalue(), self.folder / f"checkpoint-{step}.pt"
        write_atomically(path, hashlib.sha256(content).digest() + content)
        files = self.files()
        place = files.index(path)
        for other in files[:place] + files[place + self.keep :]:
            other.unlink()

    def newest(self, identity: str) -> dict | None:
        """Load the newest undamaged state with this `identity`, None if there is none.

        Damaged states are reported."""
        for path in self.files():
            content = path.read_bytes()
            if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
                self.say(f"{path} is damaged: going back to the state saved before it")
                continue
            state = torch.load(io.BytesIO(content[_DIGEST:]), map_location="cpu", weights_only=True)
            if state["identity"] == identity:
                return state
        return None


def captured(model, optimizer, accelerator) -> dict:
    """Return the state to save: weights, optimizer, random numbers, and the loss scale of fp16."""
    cuda, scaler = accelerator.device.type == "cuda", accelerator.scaler
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if cuda else [],
        "scaler": scaler.state_dict() if scaler else None,
    }


def restore(state: dict, model, optimizer, accelerator) -> None:
    """Load what `captured` returned."""
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if accelerator.scaler and state["scaler"]:
        accelerator.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["rng"])
    if accelerator.device.type == "cuda":
        torch.cuda.set_rng_state_all(state["cuda_rng"])
