"""Links, paths, modules and commands in the READMEs, CONTRIBUTING.md and docs/ exist."""

import importlib
import re

import pytest

from tinybert_lite.pipeline.workspace import SHIPPED

DOCS = sorted((SHIPPED / "docs").glob("*.md"))
PAGES = [*SHIPPED.glob("*.md"), *SHIPPED.glob("[0-9A-Zst]*/README.md"), *DOCS]
TESTS = {path.name for path in (SHIPPED / "tests").rglob("test_*.py")}
# Paths in the repository, not what runs write.
PATH = re.compile(
    r"(?<![\w/.-])(?:tinybert_lite|tests|tools|docs|notebooks|dev|\.github)/[\w./*-]+"
)
# In a path such as notebooks/source/NN_name.py the reader fills in the capitals.
PLACEHOLDER = re.compile(r"NN|NAME|\bDIR\b|\bFILE\b")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SHIPPED)))


def text_of(page) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_to_files_and_headings_that_exist(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        target, _, anchor = link.partition("#")
        place = page.parent / target if target else page
        found = "://" in link or place.exists()
        if not found or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            broken.append(link)
    assert broken == []


@each_page
def test_paths_that_are_named_exist(page):
    paths = {path.rstrip(".") for path in PATH.findall(text_of(page))}
    missing = [path for path in sorted(paths) if not any(SHIPPED.glob(path))]
    assert [path for path in missing if not PLACEHOLDER.search(path)] == []


@each_page
def test_test_files_that_are_named_exist(page):
    assert set(re.findall(r"\btest_\w+\.py\b", text_of(page))) <= TESTS


@each_page
def test_modules_that_are_named_can_be_imported(page):
    for name in sorted(set(re.findall(r"\btinybert_lite(?:\.[a-z_]\w*)+", text_of(page)))):
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name


@each_page
def test_names_that_are_imported_exist(page):
    found = re.findall(r"from (tinybert_lite[\w.]*) import ([\w, ]+)", text_of(page))
    assert [
        f"{module}.{name}"
        for module, names in found
        for name in names.replace(",", " ").split()
        if not hasattr(importlib.import_module(module), name)
        and not (SHIPPED / module.replace(".", "/") / f"{name}.py").is_file()
    ] == []


def test_both_readmes_name_the_same_paths_commands_and_figures():
    english, chinese = (text_of(SHIPPED / name) for name in ("README.md", "README.zh-CN.md"))
    for pattern in (PATH, r"python -m tinybert_lite\.\w+", r"--\w+", r"\d+\.\d+"):
        one, other = set(re.findall(pattern, english)), set(re.findall(pattern, chinese))
        assert one and {path.replace("notebooks/zh/", "notebooks/") for path in one ^ other} <= {
            path for path in one if path.startswith("notebooks/")
        }
