"""method/ stays what it is: short, alone, and without paths, printing or a command line."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import tinybert_lite.method

FILES = sorted(Path(tinybert_lite.method.__file__).parent.glob("*.py"))
LIBRARIES = {"torch", "transformers", "numpy"}
OURS = {"tinybert_lite.method", "tinybert_lite.system.errors"}
FORBIDDEN = {"pathlib", "open", "print", "say", "remark", "argparse", "Path", "os", "io"}


def imports(tree: ast.AST) -> set[str]:
    """Modules that are imported; of a package of ours with what is taken from it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            if node.module == "tinybert_lite.system":
                found.remove(node.module)
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_it_can_be_read_in_an_evening():
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) <= 1200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_imports_nothing_but_what_computes(path):
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        root = name.split(".")[0]
        if root == "tinybert_lite":
            counts = name == "tinybert_lite.system.processes" and path.name == "quantization.py"
            assert counts or any(name == our or name.startswith(f"{our}.") for our in OURS), name
        else:
            assert root in LIBRARIES | sys.stdlib_module_names, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_opens_no_path_and_prints_nothing(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {part for name in imports(tree) for part in name.split(".")}
    assert not used & FORBIDDEN


def test_every_file_is_in_the_reading_guide():
    guide = tinybert_lite.method.__doc__
    assert [
        path.stem for path in FILES if path.stem[0] != "_" and f"`{path.stem}`" not in guide
    ] == []
