"""A stage's folder: interrupted anywhere, no finished result is lost; and one run at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinybert_lite.system import files, outputs
from tinybert_lite.system.errors import UserError
from tinybert_lite.system.files import sha256, write_json
from tinybert_lite.system.outputs import MANIFEST, RUNNING, Outputs, locked


class Killed(BaseException):
    pass


def finish(
    folder: Path, texts: dict[str, str], profile: str = "smoke", identity: str = "a"
) -> None:
    """A run from its beginning to its end."""
    found = Outputs(folder, ("*.txt",))
    found.make_room(profile, identity)
    write_json(folder / RUNNING, {"identity": identity, "profile": profile})
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_json(
        folder / MANIFEST,
        {"profile": profile, "outputs": {name: sha256(folder / name) for name in texts}},
    )
    found.finished()


def everything(folder: Path) -> set[str]:
    return {path.read_text(encoding="utf-8") for path in folder.rglob("*.txt")}


def visible(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.txt")}


@pytest.mark.parametrize("profile", ["smoke", "classroom"])
@pytest.mark.parametrize("at", range(4))
def test_a_run_cut_while_it_makes_room_loses_nothing(tmp_path, monkeypatch, profile, at):
    old = {"one.txt": "1", "two.txt": "2", "three.txt": "3"}
    finish(tmp_path, old)
    moves, replace_file = [], files.replace_file

    def dies(source, target):
        if len(moves) == at:
            raise Killed
        moves.append(target)
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace_file", dies)
        with pytest.raises(Killed):
            Outputs(tmp_path, ("*.txt",)).make_room(profile, "b")
    finish(tmp_path, {"one.txt": "new"}, profile, "b")
    assert visible(tmp_path) == {"one.txt": "new"}
    if profile == "classroom":
        assert everything(tmp_path) == {"new", "1", "2", "3"}
    assert not (tmp_path / outputs.PREVIOUS).exists() and not (tmp_path / RUNNING).exists()


def cut_run(folder: Path, texts: dict[str, str], identity: str, profile: str = "smoke") -> None:
    Outputs(folder, ("*.txt",)).make_room(profile, identity)
    write_json(folder / RUNNING, {"identity": identity, "profile": profile})
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "checkpoint-5.pt").write_bytes(b"state")


def test_a_finished_result_survives_a_run_that_was_cut_and_one_that_was_refused(tmp_path):
    finish(tmp_path, {"one.txt": "finished"})
    cut_run(tmp_path, {"one.txt": "half"}, "b")
    assert visible(tmp_path) == {"one.txt": "half"}
    third = Outputs(tmp_path, ("*.txt",))
    third.make_room("smoke", "c")
    write_json(tmp_path / RUNNING, {"identity": "c", "profile": "smoke"})
    third.restore()
    assert visible(tmp_path) == {"one.txt": "finished"} and everything(tmp_path) == {
        "finished",
        "half",
    }
    assert not list(tmp_path.glob("checkpoint-*")) and (tmp_path / MANIFEST).is_file()


def test_what_cannot_come_back_to_its_place_stays_together_beside_it(tmp_path):
    finish(tmp_path, {"one.txt": "1", "two.txt": "2"})
    Outputs(tmp_path, ("*.txt",)).make_room("smoke", "b")  # cut before it noted that it runs
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("a user's", encoding="utf-8")
    Outputs(tmp_path, ("*.txt",)).make_room("smoke", "b")
    assert sorted(path.name for path in (tmp_path / "aside/previous-1").iterdir()) == [
        "one.txt",
        "two.txt",
    ]


def test_the_same_run_goes_on_with_what_is_there(tmp_path):
    cut_run(tmp_path, {"one.txt": "half"}, "b")
    Outputs(tmp_path, ("*.txt",)).make_room("smoke", "b")
    assert visible(tmp_path) == {"one.txt": "half"} and (tmp_path / "checkpoint-5.pt").is_file()


def test_a_run_cut_in_its_last_moment_counts_as_finished(tmp_path):
    finish(tmp_path, {"one.txt": "finished"})
    write_json(tmp_path / RUNNING, {"identity": "a", "profile": "smoke"})
    (tmp_path / "checkpoint-5.pt").write_bytes(b"state")
    Outputs(tmp_path, ("*.txt",)).make_room("classroom", "b")
    assert (
        everything(tmp_path) == {"finished"}
        and not visible(tmp_path)
        and not list(tmp_path.glob("checkpoint-*"))
    )


def test_states_of_a_training_that_failed_are_kept_beside_the_old_result(tmp_path):
    finish(tmp_path, {"one.txt": "finished"})
    cut_run(tmp_path, {"one.txt": "nan"}, "b")
    Outputs(tmp_path, ("*.txt",)).restore()
    assert (
        visible(tmp_path) == {"one.txt": "finished"}
        and len(list(tmp_path.glob("aside/failed-1/checkpoint-5.pt"))) == 1
    )


def test_half_written_files_of_a_killed_run_are_gone_when_it_is_finished(tmp_path):
    cut_run(tmp_path, {}, "b")
    (tmp_path / "one.txt.part").write_text("ha", encoding="utf-8")
    (tmp_path / "notes.part").write_text("a user's", encoding="utf-8")
    finish(tmp_path, {"one.txt": "whole"}, identity="b")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "manifest.json",
        "notes.part",
        "one.txt",
    ]


HOLDER = """
import sys, time
from pathlib import Path
from tinybert_lite.system.outputs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_on_one_folder_is_refused_and_a_dead_ones_lock_taken_over(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="is in use by another run"), locked(tmp_path):
            pass
    finally:
        holder.kill()  # SIGKILL, or TerminateProcess on Windows
        holder.wait()
    with locked(tmp_path):
        pass


def test_a_lock_is_given_back(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            pass
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_old_results_that_cannot_all_be_moved_stay_where_they_are(tmp_path, monkeypatch):
    finish(tmp_path, {"one.txt": "1", "two.txt": "2"})
    replace_file = files.replace_file

    def refuses(source, target):
        if source == tmp_path / "two.txt":
            raise UserError(f"{target} is held open by another program")
        replace_file(source, target)

    monkeypatch.setattr(files, "replace_file", refuses)
    with (
        pytest.raises(UserError, match="held open"),
        Outputs(tmp_path, ("*.txt",)).replaced("smoke", "b", "a stage"),
    ):
        pass
    assert visible(tmp_path) == {"one.txt": "1", "two.txt": "2"} and (tmp_path / MANIFEST).is_file()


def test_an_error_of_the_file_system_brings_the_old_results_back(tmp_path):
    finish(tmp_path, {"one.txt": "1"})
    with pytest.raises(OSError), Outputs(tmp_path, ("*.txt",)).replaced("smoke", "b", "a stage"):
        (tmp_path / "one.txt").write_text("new", encoding="utf-8")
        raise PermissionError(13, "Permission denied")
    assert visible(tmp_path) == {"one.txt": "1"} and not (tmp_path / RUNNING).exists()
