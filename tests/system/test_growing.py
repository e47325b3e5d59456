"""A growing file: interrupted anywhere or damaged since, it resumes from the last whole block."""

from __future__ import annotations

import json

import pytest

from tinybert_lite.system.growing import GrowingFile


class Cut(Exception):
    pass


def write(path, blocks, identity="me", cut_after=99) -> int:
    """Write the blocks that are missing; the number that were there."""
    file = GrowingFile(path, identity)
    there = file.state.get("blocks", 0)
    with file:
        for number, block in enumerate(blocks[there:], there + 1):
            file.add(block, blocks=number)
            if number == cut_after:
                raise Cut
    return there


BLOCKS = [b"one\n", "zwölf\n".encode(), b"", b"three\n", b"four\n"]


@pytest.mark.parametrize("cut_after", [1, 2, 3, 5])
def test_it_goes_on_after_the_last_block(tmp_path, cut_after):
    path = tmp_path / "rows.tsv"
    with pytest.raises(Cut):
        write(path, BLOCKS, cut_after=cut_after)
    assert not path.exists()
    with open(tmp_path / "rows.tsv.part", "ab") as part:
        part.write(b"half a li")  # a block that was not noted any more
    assert write(path, BLOCKS) == cut_after
    assert path.read_bytes() == b"".join(BLOCKS) and not (tmp_path / "rows.tsv.part").exists()
    assert write(path, BLOCKS) == 5 and path.read_bytes() == b"".join(
        BLOCKS
    )  # finished: nothing is left to do


def damage(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at, there", [(-1, 4), (0, 0)])
def test_a_damaged_part_is_cut_back_to_a_whole_block_and_said(tmp_path, at, there, capsys):
    path = tmp_path / "rows.tsv"
    with pytest.raises(Cut):
        write(path, BLOCKS, cut_after=5)
    damage(tmp_path / "rows.tsv.part", at)
    assert write(path, BLOCKS) == there and path.read_bytes() == b"".join(BLOCKS)
    assert "rows.tsv.part is damaged: going back to the previous block" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_damaged_notes_cost_a_restart_and_are_said(tmp_path, content, capsys):
    with pytest.raises(Cut):
        write(tmp_path / "rows.tsv", BLOCKS, cut_after=3)
    (tmp_path / "checkpoint-rows.json").write_bytes(content)
    assert write(tmp_path / "rows.tsv", BLOCKS) == 0 and (
        tmp_path / "rows.tsv"
    ).read_bytes() == b"".join(BLOCKS)
    assert (
        "checkpoint-rows.json is damaged: rows.tsv starts from the beginning"
        in capsys.readouterr().out
    )


def test_a_finished_file_that_was_changed_since_is_written_again(tmp_path):
    write(tmp_path / "rows.tsv", BLOCKS)
    damage(tmp_path / "rows.tsv", 0)
    assert write(tmp_path / "rows.tsv", BLOCKS) == 0 and (
        tmp_path / "rows.tsv"
    ).read_bytes() == b"".join(BLOCKS)


@pytest.mark.parametrize("first, second", [("me", "other"), ("", "")])
def test_another_run_or_one_without_an_identity_starts_anew(tmp_path, first, second):
    with pytest.raises(Cut):
        write(tmp_path / "rows.tsv", BLOCKS, first, cut_after=3)
    assert write(tmp_path / "rows.tsv", BLOCKS, second) == 0 and (
        tmp_path / "rows.tsv"
    ).read_bytes() == b"".join(BLOCKS)


def test_killed_between_the_last_note_and_the_final_name(tmp_path):
    write(tmp_path / "rows.tsv", BLOCKS)
    (tmp_path / "rows.tsv").rename(tmp_path / "rows.tsv.part")
    assert json.loads((tmp_path / "checkpoint-rows.json").read_text(encoding="utf-8"))["finished"]
    assert write(tmp_path / "rows.tsv", BLOCKS) == 5 and (
        tmp_path / "rows.tsv"
    ).read_bytes() == b"".join(BLOCKS)
