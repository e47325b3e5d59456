"""Imports point downwards in the package; test files share helpers only through tests/makers and
conftest files.
"""

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tinybert_lite.pipeline.workspace import SHIPPED

TESTS = sorted((SHIPPED / "tests").rglob("*.py"))


def test_imports_point_downwards_only(capsys):
    code = lint_imports(str(SHIPPED / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_file_is_imported(path):
    assert [name for name in imported(path) if ".test_" in name or name.startswith("test_")] == []
