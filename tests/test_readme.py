"""What the README tells people to type exists."""

import importlib
import re

import pytest

from tinybert_lite.workspace import SHIPPED

README = (SHIPPED / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"python -m tinybert_lite\.(\w+)", README)))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(f"tinybert_lite.{name}").main(["--help"])
    assert stopped.value.code == 0 and f"tinybert_lite.{name}" in capsys.readouterr().out


def test_ci_calls_the_readmes_test_command():
    assert {"run_all", "task_distill", "compare"} <= set(COMMANDS)
    command = 'python -m pip install -e ".[test]" && python -m pytest'
    assert command in README.splitlines() and command in (SHIPPED / ".ci/run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:tools|docs|notebooks|dev)/[\w/.]+\.\w+", README))))
def test_each_file_it_names_is_there(path):
    assert (SHIPPED / path).is_file()
