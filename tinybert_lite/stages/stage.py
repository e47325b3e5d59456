"""A stage: what it reads and writes, whether it is up to date, running it, and its manifest."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from tinybert_lite.data.fingerprints import fingerprint
from tinybert_lite.data.left_out import left_out
from tinybert_lite.models.folder import ModelFolder
from tinybert_lite.models.weights import WEIGHTS
from tinybert_lite.stages.job import Job
from tinybert_lite.stages.session import Session
from tinybert_lite.stages.settings import WITHOUT_EFFECT, Settings
from tinybert_lite.system import processes
from tinybert_lite.system.console import remark
from tinybert_lite.system.device import Device, choose_device
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.fields import canonical
from tinybert_lite.system.files import read_json, sha256, write_json
from tinybert_lite.system.machine import machine, set_threads, versions
from tinybert_lite.system.outputs import MANIFEST, RUNNING, Outputs, locked, read_manifest

# The files that the report adds to stage 5's folder.
REPORT_FILES = ("results.json", "report.md", "*.tsv", "*_predict.json", "pictures/*.png")
# Inputs with these names are opened as model folders before the work of a stage begins.
MODELS = ("teacher", "student", "model")
MODEL_FILES = (
    *WEIGHTS,
    "model_epoch_*.bin",
    "config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
)


@dataclass(frozen=True)
class StageResult:
    """The result of running or skipping a stage."""

    stage: str
    folder: Path
    metrics: dict = field(default_factory=dict)
    seconds: float = 0.0
    skipped: str = ""  # the reason why it did not run, "" if it ran


@dataclass(frozen=True)
class Stage:
    """One stage; `work(job)` writes its files and returns its metrics."""

    name: str  # also the name of its settings
    title: str
    reads: Callable[..., dict[str, Path]]  # workspace -> inputs by name; keywords replace them
    folder: Callable[[object], Path]  # workspace -> the folder that it writes
    writes: tuple[str, ...]  # patterns of the files it may write there
    work: Callable[[Job], dict]
    # workspace -> the reason why the stage is not needed there, "" if it is needed.
    skip_reason: Callable[[object], str] = lambda workspace: ""
    in_main_only: bool = False  # of several processes the first one works, the others wait
    # Name of an input -> the stages that may have written it.
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def outputs(self, folder: Path) -> Outputs:
        """Return the stage's files in a folder."""
        return Outputs(folder, self.writes)

    def run(self, workspace, settings: Settings, force: bool = False) -> StageResult:
        """Run on a workspace, unless the stage is up to date or not needed there.

        Raises UserError if workspace and settings are of different tasks, see also `execute`."""
        if workspace.task != settings.task:
            raise UserError(
                f"the workspace is set up for {workspace.task_name} and the settings for "
                f"{settings.task.name}; name one task for both"
            )
        folder = self.folder(workspace)
        if reason := self.skip_reason(workspace):
            return StageResult(self.name, folder, skipped=reason)
        reads, manifest = self.reads(workspace), read_manifest(folder)
        wanted = force or not manifest or stale(self, reads, folder, settings, manifest)
        if not processes.from_main(wanted):
            metrics, seconds = manifest["metrics"], manifest["seconds"]
            return StageResult(self.name, folder, metrics, seconds, skipped="up to date")
        return self.execute(reads, folder, settings)

    def device(self, reads: dict[str, Path], folder: Path, settings: Settings) -> Device:
        """Choose the device, and the precision for the widest model among the inputs.

        An interrupted run keeps what was chosen for it.
        """
        path, precision = folder / RUNNING, settings.precision
        running = read_json(path) if path.is_file() else {}
        if precision == "auto":
            precision = running.get("precision", precision)
        models = (ModelFolder.at(path) for name, path in reads.items() if name in MODELS)
        widths = (model.width for model in models)
        device = choose_device(settings.device, precision, max(widths, default=0))
        packed = device.name == "cpu" and running.get("packed", device.packed)
        return replace(device, packed=packed)

    def execute(self, reads: dict[str, Path], folder: Path, settings: Settings) -> StageResult:
        """Run even if up to date; an interrupted run of the same inputs and settings is resumed.

        Raises UserError if the folder is also an input, or is in use by another run."""
        reads = {
            name: ModelFolder.at(path) if name in MODELS else path for name, path in reads.items()
        }
        for name, path in reads.items():
            if Path(path).resolve() == folder.resolve():
                raise UserError(
                    f"{folder} is both the {name} to read and the folder to write: name another "
                    f"output folder"
                )
            made_by, expected = stage_of(path), self.sources.get(name)
            if made_by and expected and made_by not in expected:
                remark(
                    f"ATTENTION: {path} was made by {made_by}, but the {name} of {self.name} comes "
                    f"from {' or '.join(expected)}: check whether two folders are swapped"
                )
        inputs = {
            name: {"path": str(path), "sha256": fingerprint(path)} for name, path in reads.items()
        }
        with locked(folder):
            return self._execute(inputs, reads, folder, settings)

    def _execute(
        self, inputs: dict[str, dict], reads: dict[str, Path], folder: Path, settings: Settings
    ) -> StageResult:
        set_threads(settings.threads)
        device = self.device(reads, folder, settings)
        processes.join(device.name)
        device = processes.from_main(device)  # its measurement decides
        identity = _identity(self, settings, inputs, device.digits)
        session, started = Session.open(settings, identity, device), time.perf_counter()
        outputs = self.outputs(folder)
        chosen = {"precision": device.computes_in, "packed": device.packed}
        with outputs.replaced(settings.profile, identity, self.name, **chosen):
            job = Job(self.name, reads, folder, settings, session)
            metrics = {} if self.in_main_only and not processes.is_main() else self.work(job)
            seconds = round(time.perf_counter() - started, 2)
            processes.wait()
            manifest = {
                "stage": self.name,
                "profile": settings.profile,
                "task": settings.task.name,
                "seed": settings.seed,
                "settings": asdict(getattr(settings, self.name)),
                "inputs": inputs,
                "outputs": outputs.hashes(),
                "metrics": metrics,
                "left_out": left_out(reads.values()),
                "seconds": seconds,
                "device": session.device.name,
                "device_reason": session.device.reason,
                **chosen,
                "processes": processes.count(),
                "threads": session.threads,
                "machine": machine(),
                "versions": versions(),
            }
            write_json(folder / MANIFEST, manifest)
        return StageResult(self.name, folder, metrics, seconds)


def stage_of(folder: Path) -> str:
    """Return the name of the stage that wrote a folder, "" if none did."""
    return (read_manifest(Path(folder)) or {}).get("stage", "")


def stale(
    stage: Stage, reads: dict[str, Path], folder: Path, settings: Settings, manifest: dict
) -> str:
    """Return the reason why a finished stage has to run again, "" if it is up to date."""
    if manifest.get("stage") != stage.name:
        return f"its folder was written by {manifest.get('stage')}"
    if manifest["profile"] != settings.profile:
        return f"was made with the profile {manifest['profile']}"
    if manifest["seed"] != settings.seed:
        return f"was made with seed {manifest['seed']}"
    now = json.loads(json.dumps(_effective(settings, stage)))
    before = canonical(type(getattr(settings, stage.name)), manifest["settings"])
    changed = [name for name in now if now[name] != before.get(name)]
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
    """Return the settings of the stage that can change its results."""
    options = asdict(getattr(settings, stage.name))
    return {name: value for name, value in options.items() if name not in WITHOUT_EFFECT}


def _identity(stage: Stage, settings: Settings, inputs: dict[str, dict], digits: str) -> str:
    """Return a hash of all that a result depends on; only states with the same hash are resumed."""
    what = {
        "stage": stage.name,
        "task": asdict(settings.task),
        "settings": _effective(settings, stage),
        "seed": settings.seed,
        "precision": digits,
        "lower_case": settings.lower_case,
        "threads": settings.threads or torch.get_num_threads(),
        "inputs": {name: item["sha256"] for name, item in inputs.items()},
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
