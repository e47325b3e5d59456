"""Stage folders made clean again, and ready results for whoever fell behind.

An instructor packs a finished workspace, one archive a stage; a learner puts them in place, after which `run_all` finds
those stages up to date. Whatever lay there before is moved into `aside/`.
"""

from __future__ import annotations

import shutil
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

from tinybert_lite.data.tasks import OWN, TASKS
from tinybert_lite.pipeline.folders import CLASSROOM, GROWN
from tinybert_lite.pipeline.plan import STAGES
from tinybert_lite.pipeline.profiles import PROFILES, profile
from tinybert_lite.pipeline.running import agreed, needed
from tinybert_lite.pipeline.workspace import CLASSROOM_VECTORS, Workspace
from tinybert_lite.stages.stage import Stage, stale
from tinybert_lite.system.console import remark, say
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

BY_NUMBER: dict[str, Stage] = dict(
    zip((GROWN, "1", "2", "3", "teacher", "4", "5"), STAGES, strict=True)
)
NOTES = (HISTORY, MANIFEST)  # packed beside the results
CHOICES = ("1", "2", "3", "4", "5", "teacher", "all")


# A clean folder ------------------------------------------------------------------------------------------------------


def reset(workspace: Workspace, which: str, ask=input) -> None:
    """Move what runs and the learner put into a stage's folder aside, after asking."""
    found = {
        folder: paths
        for folder in _folders(workspace, which)
        if (paths := belongings(folder, workspace))
    }
    if not found:
        say("nothing to move: what is there came with the course")
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
    """What a folder holds beside what the course ships, other tasks' results, and what was set aside before."""
    tasks = {name for task in TASKS.values() for name in (task.name, task.language)} | {
        path.parent.name for path in workspace.root.glob(f"*/{OWN}")
    }
    kept = {
        "README.md",
        workspace.corpus.name,
        CLASSROOM_VECTORS,
        CLASSROOM,
        GROWN,
        ASIDE,
        LOCK,
        *tasks,
    }
    return [path for path in sorted(folder.glob("*")) if path.name not in kept]


def set_aside(folder: Path, workspace: Workspace) -> None:
    with locked(folder):
        Outputs(folder, ()).set_aside(belongings(folder, workspace), "before")


def _folders(workspace: Workspace, which: str) -> list[Path]:
    if which == "all":
        return [folder for name in CHOICES[:-1] for folder in _folders(workspace, name)]
    if which == "teacher":
        return [workspace.tuned_teacher, workspace.grown_teacher, workspace.grown_teacher.parent]
    return [BY_NUMBER[which].folder(workspace)]


# Ready results -------------------------------------------------------------------------------------------------------


def make_ready(workspace: Workspace, target: Path) -> None:
    """Pack each finished stage; the same results give the same bytes."""
    target.mkdir(parents=True, exist_ok=True)
    with locked(workspace.root):
        packed = [
            stage
            for stage in BY_NUMBER.values()
            if _pack(stage, stage.folder(workspace), archive_of(stage, target))
        ]
    if not packed:
        raise UserError(
            f"{workspace.root}: no stage has finished here; run `python -m tinybert_lite.run_all` first"
        )


def archive_of(stage: Stage, folder: Path) -> Path:
    return folder / f"stage_{next(name for name, one in BY_NUMBER.items() if one is stage)}.zip"


def _pack(stage: Stage, folder: Path, archive: Path) -> bool:
    manifest = read_manifest(folder)
    if not manifest or manifest["stage"] != stage.name or manifest["profile"] not in PROFILES:
        return False
    if wrong := _wrong(folder, manifest):
        raise UserError(
            f"{folder / wrong} is not what the stage wrote: run the stage again before you pack it"
        )
    names = sorted(_hashes(manifest)) + [name for name in NOTES if (folder / name).is_file()]
    with written_beside(archive) as part, ZipFile(part, "w", ZIP_DEFLATED) as packed:
        for name in names:
            info = ZipInfo(name)  # dated 1980, whenever the file was made
            info.compress_type, info.create_system, info.external_attr = (
                ZIP_DEFLATED,
                3,
                0o644 << 16,
            )
            with open(folder / name, "rb") as source, packed.open(info, "w") as copy:
                shutil.copyfileobj(source, copy)
    say(
        f"{archive}: {len(names)} files, {archive.stat().st_size / 1e6:.1f} MB, profile {manifest['profile']}"
    )
    return True


def put_in_place(workspace: Workspace, which: str, source: Path) -> None:
    """The ready results of a stage and of those that it builds on.

    Raises UserError, before anything is changed, for an archive that is missing or is not what `make_ready` wrote.
    """
    with locked(workspace.root), scratch(workspace.root) as place:
        chosen = _with_what_it_needs(workspace, which, source)
        manifests = {
            stage: _unpack(stage, archive_of(stage, source), place / stage.name) for stage in chosen
        }
        for stage, manifest in manifests.items():
            folder = stage.folder(workspace)
            if (read_manifest(folder) or {}).get("outputs") != manifest["outputs"] or _wrong(
                folder, manifest
            ):
                set_aside(folder, workspace)
                _move(place / stage.name, folder)
            say(f"{folder}: ready")
            settings = replace(
                profile(manifest["profile"], workspace.task, workspace.teacher_width),
                seed=manifest["seed"],
            )
            if reason := stale(stage, stage.reads(workspace), folder, settings, manifest):
                remark(
                    f"ATTENTION: {folder}: run_all would make it again, as {reason}; ask for results that were made from this data and teacher"
                )


def _with_what_it_needs(workspace: Workspace, which: str, source: Path) -> list[Stage]:
    if which != "all":
        return [*needed(workspace, BY_NUMBER[which].name), BY_NUMBER[which]]
    return [stage for stage in BY_NUMBER.values() if archive_of(stage, source).is_file()] or list(
        BY_NUMBER.values()
    )[1:]


def _unpack(stage: Stage, archive: Path, place: Path) -> dict:
    """Unpack into an empty folder; returns the manifest, whose hashes all files have. Refuses whatever the stage does not write."""
    if not archive.is_file():
        raise UserError(
            f"{archive} is missing: name the folder of ready results with --from; an instructor makes it with --make_ready"
        )
    try:
        with ZipFile(archive) as packed:
            for name in packed.namelist():
                parts = PurePosixPath(name).parts
                if ".." in parts or not parts or parts[0] == "/" or set(name) & set("\\:"):
                    raise UserError(
                        f"{archive} holds {name!r}, which lies outside of a stage's folder: take it from your instructor again"
                    )
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                with packed.open(name) as content, open(place / name, "wb") as copy:
                    shutil.copyfileobj(content, copy)
    except (BadZipFile, EOFError, zlib.error):
        raise UserError(f"{archive} is damaged: take it from your instructor again") from None
    manifest = read_json(place / MANIFEST)
    known = {place / name for name in (*_hashes(manifest), *NOTES)} & {
        *stage.outputs(place).files(),
        *(place / name for name in NOTES),
    }
    strange = sorted({path for path in place.rglob("*") if path.is_file()} - known)
    wrong = str(strange[0].relative_to(place)) if strange else _wrong(place, manifest)
    if wrong or manifest.get("stage") != stage.name:
        raise UserError(
            f"{archive}: {wrong or MANIFEST} is not what {stage.name} wrote; take the archive from your instructor again"
        )
    return manifest


def _hashes(manifest: dict) -> dict[str, str]:
    """By name, of all files that a manifest answers for."""
    return {**manifest.get("outputs", {}), **manifest.get("report", {})}


def _wrong(folder: Path, manifest: dict) -> str:
    """The first file that is not the one of the manifest, "" if all are."""
    return next(
        (
            name
            for name, digest in _hashes(manifest).items()
            if not (folder / name).is_file() or sha256(folder / name) != digest
        ),
        "",
    )


def _move(place: Path, folder: Path) -> None:
    """The manifest last: without it nothing counts as finished."""
    with locked(folder):
        found = files_in(place, "**/*")
        move_files(sorted(found, key=lambda path: path.name == MANIFEST), place, folder)
