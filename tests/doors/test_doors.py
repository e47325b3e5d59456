"""Doors: one file per command line. A door parses and calls, in at most 80 lines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

DOORS = sorted((Path(__file__).parents[2] / "tinybert_lite").glob("[!_]*.py"))


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_a_door_has_at_most_80_lines(door):
    assert len(door.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("door", DOORS, ids=lambda path: path.stem)
def test_no_door_imports_another(door):
    imported = set()
    for node in ast.walk(ast.parse(door.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    assert not imported & {f"tinybert_lite.{path.stem}" for path in DOORS}
