"""docs/paper_map.md: what it names exists, and it names all of method/."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs/paper_map.md"
METHOD = sorted((ROOT / "tinybert_lite/method").glob("[a-z]*.py"))
TEXT = MAP.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in TEXT.splitlines()
    if "/method/" in line or "/stages/" in line or "/tests/" in line
]
ROWS = [row for row in ROWS if len(row) == 4]


@cache
def names(path: Path) -> set[str]:
    """Functions, classes, methods (`Class.method`) and constants that a file defines."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inside = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            found |= {f"{node.name}.{part.name}" for part in inside}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def named(cell: str) -> list[tuple[Path, list[str]]]:
    """The files that a cell links to, each with the names in backticks up to the next link."""
    parts = re.split(r"\[[^]]*\]\(([^)]+)\)", cell)
    return [
        (MAP.parent / link, re.findall(r"`([\w.]+)`", after.split("(")[0]))
        for link, after in zip(parts[1::2], parts[2::2])
    ]


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    local = [link.split("#")[0] for link in links if not link.startswith("https://")]
    assert len(local) > 100
    assert [link for link in local if not (MAP.parent / link).exists()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_names_what_there_is(row):
    _, code, lesson, tests = row
    assert named(code)
    for path, found in named(code):
        assert path.is_dir() or found and set(found) <= names(path), path
    for path, _ in named(lesson):
        assert re.fullmatch(r"0\d_\w+\.ipynb", path.name)
    for path, found in named(tests):
        assert found and set(found) <= names(path), path
        assert all(name.startswith("test_") for name in found)


def test_all_of_the_method_is_in_the_map():
    in_map = {name for row in ROWS for _, found in named(row[1]) for name in found}
    public = {
        name
        for path in METHOD
        for name in names(path)
        if not name.startswith("_") and "." not in name and not name.isupper()
    }
    aliases = {"Place", "Candidates", "Terms", "Batch"}  # of types
    assert len(ROWS) >= 35 and public - aliases <= in_map
