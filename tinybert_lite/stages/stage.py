"""What every stage has in common: what it reads and writes, when it is up to date, and its manifest."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import WITHOUT_EFFECT, Settings
from tinybert_lite.system import processes
from tinybert_lite.system.console import remark
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256, write_json
from tinybert_lite.system.machine import machine, versions
from tinybert_lite.system.outputs import MANIFEST, Outputs, locked, read_manifest

REPORT_FILES = (
    "results.json",
    "report.md",
    "*.tsv",
    "pictures/*.png",
)  # what the report adds to stage 5's folder
MODEL_FILES = (*WEIGHTS, "model_epoch_*.bin", "config.json", "vocab.txt", "tokenizer_config.json")


@dataclass(frozen=True)
class StageResult:
    stage: str
    folder: Path
    metrics: dict = field(default_factory=dict)
    seconds: float = 0.0
    skipped: str = ""  # why it did not run, where it did not


@dataclass(frozen=True)
class Stage:
    """One stage. `work(reads, folder, settings, session)` does it and returns its metrics."""

    name: str  # also the name of its settings
    title: str
    reads: Callable[[object], dict[str, Path]]
    folder: Callable[[object], Path]
    writes: tuple[str, ...]  # patterns of the files it may write into its folder
    work: Callable[[dict[str, Path], Path, Settings, Session], dict]
    needless: Callable[[object], str] = lambda workspace: ""  # why this workspace does not need it
    sources: dict[str, tuple[str, ...]] = field(
        default_factory=dict, hash=False
    )  # what it reads -> the stages that may have made it

    def outputs(self, folder: Path) -> Outputs:
        return Outputs(folder, self.writes)

    def run(self, workspace, settings: Settings, force: bool = False) -> StageResult:
        """Run on a workspace unless it is up to date."""
        if workspace.task != settings.task:
            raise UserError(
                f"the workspace is set up for {workspace.task_name} and the settings for {settings.task.name}; name one task for both"
            )
        reason = self.needless(workspace)
        if reason:
            return StageResult(self.name, self.folder(workspace), skipped=reason)
        reads, folder = self.reads(workspace), self.folder(workspace)
        manifest = read_manifest(folder)
        if not force and manifest and not stale(self, reads, folder, settings, manifest):
            return StageResult(
                self.name, folder, manifest["metrics"], manifest["seconds"], skipped="up to date"
            )
        return self.execute(reads, folder, settings)

    def execute(self, reads: dict[str, Path], folder: Path, settings: Settings) -> StageResult:
        """Do the work, whatever was there before; a run that was cut with the same inputs and settings goes on."""
        own = next(
            (name for name, path in reads.items() if path.resolve() == folder.resolve()), None
        )
        if own:
            raise UserError(
                f"{folder} is both the {own} to read and the folder to write: name another output folder"
            )
        for name, path in reads.items():
            made_by, expected = stage_of(path), self.sources.get(name)
            if made_by and expected and made_by not in expected:
                remark(
                    f"ATTENTION: {path} was made by {made_by}, but the {name} of {self.name} comes from {' or '.join(expected)}: are two folders swapped?"
                )
        inputs = {
            name: {"path": str(path), "sha256": fingerprint(path)} for name, path in reads.items()
        }
        identity = _identity(
            self, settings, {name: item["sha256"] for name, item in inputs.items()}
        )
        with locked(folder):
            return self._execute(inputs, identity, reads, folder, settings)

    def _execute(
        self, inputs: dict, identity: str, reads: dict[str, Path], folder: Path, settings: Settings
    ) -> StageResult:
        session, started = Session.open(settings, identity), time.perf_counter()
        outputs = self.outputs(folder)
        with outputs.replaced(settings.profile, identity, self.name):
            metrics = self.work(reads, folder, settings, session)
            seconds = round(time.perf_counter() - started, 2)
            processes.wait()
            write_json(
                folder / MANIFEST,
                {
                    "stage": self.name,
                    "profile": settings.profile,
                    "task": settings.task.name,
                    "seed": settings.seed,
                    "settings": asdict(getattr(settings, self.name)),
                    "inputs": inputs,
                    "outputs": outputs.hashes(),
                    "metrics": metrics,
                    "seconds": seconds,
                    "device": session.device.name,
                    "device_reason": session.device.reason,
                    "processes": processes.count(),
                    "threads": session.threads,
                    "machine": machine(),
                    "versions": versions(),
                },
            )
        return StageResult(self.name, folder, metrics, seconds)


def stage_of(folder: Path) -> str:
    """The name of the stage that filled a folder, "" if none did."""
    return (read_manifest(folder) or {}).get("stage", "")


def stale(
    stage: Stage, reads: dict[str, Path], folder: Path, settings: Settings, manifest: dict
) -> str:
    """Why a finished stage has to run again, "" if it does not."""
    if manifest.get("stage") != stage.name:
        return f"was filled by {manifest.get('stage')}"
    if manifest["profile"] != settings.profile:
        return f"is of the profile {manifest['profile']}"
    if manifest["seed"] != settings.seed:
        return f"had seed {manifest['seed']}"
    now = json.loads(json.dumps(_effective(settings, stage)))
    changed = [name for name in now if now[name] != manifest["settings"].get(name)]
    if changed:
        return f"settings changed: {', '.join(changed)}"
    for name, path in reads.items():
        if manifest["inputs"].get(name, {}).get("sha256") != fingerprint(path):
            return f"{name} changed"
    for name, digest in manifest["outputs"].items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            return f"{name} is not what the stage wrote"
    return ""


def _effective(settings: Settings, stage: Stage) -> dict:
    return {
        name: value
        for name, value in asdict(getattr(settings, stage.name)).items()
        if name not in WITHOUT_EFFECT
    }


def _identity(stage: Stage, settings: Settings, inputs: dict[str, str]) -> str:
    what = {
        "stage": stage.name,
        "task": asdict(settings.task),
        "settings": _effective(settings, stage),
        "seed": settings.seed,
        "precision": settings.precision,
        "lower_case": settings.lower_case,
        "threads": settings.threads or torch.get_num_threads(),
        "inputs": inputs,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
