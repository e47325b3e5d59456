"""Empty stage folders, and give finished results to learners who could not run a stage.

An instructor packs a finished workspace, one archive per stage; a learner unpacks them into the
stage folders, and `run_all` then finds those stages up to date. Files that were in the folders
before are moved into `aside/`.
"""

import shutil
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from tinybert_lite.data.tasks import OWN, TASKS
from tinybert_lite.pipeline.folders import CLASSROOM, GROWN
from tinybert_lite.pipeline.plan import STAGE_KEYS, STAGES
from tinybert_lite.pipeline.profiles import PROFILES, profile
from tinybert_lite.pipeline.running import agreed, needed
from tinybert_lite.pipeline.workspace import CLASSROOM_VECTORS, Workspace
from tinybert_lite.stages.stage import Stage, stale
from tinybert_lite.system.console import counted, remark, say
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import files_in, move_files, read_json, sha256, written_beside
from tinybert_lite.system.outputs import (
    ASIDE,
    HISTORY,
    LOCK,
    MANIFEST,
    Outputs,
    locked,
    read_manifest,
    scratch,
)

NOTES = (HISTORY, MANIFEST)  # packed beside the results
CHOICES = ("1", "2", "3", "4", "5", "teacher", "all")


def stage_key(name: str) -> str:
    """Return the number of the stage of this name; any other text is returned unchanged."""
    return next((number for number, stage in STAGE_KEYS.items() if stage.name == name), name)


# A clean folder -----------------------------------------------------------------------------------


def reset(workspace: Workspace, which: str, ask=input) -> None:
    """Move results and the learner's files in a stage's folder aside, after asking.

    which: one of CHOICES.
    """
    found = {folder: belongings(folder, workspace) for folder in _folders(workspace, which)}
    found = {folder: paths for folder, paths in found.items() if paths}
    if not found:
        say("there is nothing to move: the folder holds only files of the course")
        return
    for folder, paths in found.items():
        say(f"  {folder.relative_to(workspace.root)}: {', '.join(path.name for path in paths)}")
    if not agreed(f"move these into {ASIDE}/?", ask):
        say("nothing was moved")
        return
    with locked(workspace.root):
        for folder in found:
            set_aside(folder, workspace)


def belongings(folder: Path, workspace: Workspace) -> list[Path]:
    """Return the files in a folder that are the learner's or a run's.

    The course's files, results of other tasks and `aside/` are left out.
    """
    tasks = {name for task in TASKS.values() for name in (task.name, task.language)}
    own = {path.parent.name for path in workspace.root.glob(f"*/{OWN}")}
    course = {"README.md", workspace.corpus.name, CLASSROOM_VECTORS, CLASSROOM, GROWN}
    kept = course | tasks | own | {ASIDE, LOCK}
    return [path for path in sorted(folder.glob("*")) if path.name not in kept]


def set_aside(folder: Path, workspace: Workspace) -> None:
    """Move the `belongings` of a folder into `aside/`."""
    with locked(folder):
        Outputs(folder, ()).set_aside(belongings(folder, workspace), "before")


def _folders(workspace: Workspace, which: str) -> list[Path]:
    if which == "all":
        return [folder for name in CHOICES[:-1] for folder in _folders(workspace, name)]
    if which == "teacher":
        return [workspace.tuned_teacher, workspace.grown_teacher, workspace.grown_teacher.parent]
    return [STAGE_KEYS[which].folder(workspace)]


# Ready results ------------------------------------------------------------------------------------


def make_ready(workspace: Workspace, target: Path) -> None:
    """Pack each finished stage into an archive in `target`; the same results give the same bytes.

    Raises UserError if no stage has finished, or if a file was changed after its stage.
    """
    target.mkdir(parents=True, exist_ok=True)
    with locked(workspace.root):
        packed = [
            _pack(stage, stage.folder(workspace), archive_of(stage, target)) for stage in STAGES
        ]
    if not any(packed):
        raise UserError(
            f"{workspace.root}: no stage has finished here; "
            "run `python -m tinybert_lite.run_all` first"
        )


def archive_of(stage: Stage, folder: Path) -> Path:
    """Return the path of a stage's archive in a folder of ready results."""
    return folder / f"stage_{stage_key(stage.name)}.zip"


def _pack(stage: Stage, folder: Path, archive: Path) -> bool:
    """Pack a stage that finished in a profile of the course; return whether it was packed."""
    manifest = read_manifest(folder)
    if not manifest or manifest["stage"] != stage.name or manifest["profile"] not in PROFILES:
        return False
    if wrong := _wrong(folder, manifest):
        raise UserError(
            f"{folder / wrong} is not what the stage wrote: run the stage again before packing"
        )
    names = sorted(_hashes(manifest)) + [name for name in NOTES if (folder / name).is_file()]
    with written_beside(archive) as part, ZipFile(part, "w", ZIP_DEFLATED) as packed:
        for name in names:
            info = ZipInfo(name)  # always dated 1980, so that the bytes are the same
            info.compress_type, info.create_system = ZIP_DEFLATED, 3
            info.external_attr = 0o644 << 16
            with open(folder / name, "rb") as source, packed.open(info, "w") as copy:
                shutil.copyfileobj(source, copy)
    size = f"{archive.stat().st_size / 1e6:.1f} MB"
    say(f"{archive}: {counted(len(names), 'file')}, {size}, profile {manifest['profile']}")
    return True


def put_in_place(workspace: Workspace, which: str, source: Path) -> None:
    """Unpack the results of a stage, and of the stages it needs, into their folders.

    Raises UserError, before anything is changed, for an archive that is missing or was not written
    by `make_ready`.
    """
    with locked(workspace.root), scratch(workspace.root) as place:
        chosen = _with_what_it_needs(workspace, which, source)
        manifests = {
            stage: _unpack(stage, archive_of(stage, source), place / stage.name) for stage in chosen
        }
        for stage, manifest in manifests.items():
            folder = stage.folder(workspace)
            there = (read_manifest(folder) or {}).get("outputs")
            if there != manifest["outputs"] or _wrong(folder, manifest):
                set_aside(folder, workspace)
                _move(place / stage.name, folder)
            say(f"{folder}: ready")
            settings = profile(manifest["profile"], workspace.task, workspace.teacher_is_grown)
            settings = replace(settings, seed=manifest["seed"])
            if reason := stale(stage, stage.reads(workspace), folder, settings, manifest):
                remark(
                    f"ATTENTION: {folder}: run_all will run this stage again, since {reason}; "
                    "ask your instructor for results that were made from this data and teacher"
                )


def _with_what_it_needs(workspace: Workspace, which: str, source: Path) -> list[Stage]:
    if which != "all":
        return [*needed(workspace, STAGE_KEYS[which].name), STAGE_KEYS[which]]
    return [stage for stage in STAGES if archive_of(stage, source).is_file()] or list(STAGES[1:])


def _unpack(stage: Stage, archive: Path, place: Path) -> dict:
    """Unpack into an empty folder and return the manifest, whose hashes all files match.

    Raises UserError for a file that the stage does not write.
    """
    if not archive.is_file():
        raise UserError(
            f"{archive} is missing: name the folder of ready results with --from; "
            "an instructor makes it with --make_ready"
        )
    cure = "take the archive from your instructor again"
    try:
        with ZipFile(archive) as packed:
            for name in packed.namelist():
                parts = PurePosixPath(name).parts
                if ".." in parts or not parts or parts[0] == "/" or set(name) & set("\\:"):
                    raise UserError(
                        f"{archive} holds {name!r}, which is outside of a stage's folder: {cure}"
                    )
            packed.extractall(place)
    except (BadZipFile, EOFError, zlib.error):
        raise UserError(f"{archive} is damaged: {cure}") from None
    manifest = read_json(place / MANIFEST)
    listed, notes = ({place / name for name in names} for names in (_hashes(manifest), NOTES))
    strange = sorted(_files(place) - listed.intersection(stage.outputs(place).files()) - notes)
    wrong = str(strange[0].relative_to(place)) if strange else _wrong(place, manifest)
    if wrong or manifest.get("stage") != stage.name:
        raise UserError(f"{archive}: {wrong or MANIFEST} is not what {stage.name} wrote: {cure}")
    return manifest


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def _hashes(manifest: dict) -> dict[str, str]:
    """Return the hashes of all files that a manifest lists, by name."""
    return {**manifest.get("outputs", {}), **manifest.get("report", {})}


def _wrong(folder: Path, manifest: dict) -> str:
    """Return the first file that is missing or differs from its hash in the manifest, else ""."""
    for name, digest in _hashes(manifest).items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            return name
    return ""


def _move(place: Path, folder: Path) -> None:
    """Move the files, the manifest last, since it marks the stage as finished."""
    with locked(folder):
        found = files_in(place, "**/*")
        move_files(sorted(found, key=lambda path: path.name == MANIFEST), place, folder)
