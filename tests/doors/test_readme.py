"""What the README tells people to type exists."""

import importlib
import json
import re
import tomllib
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from tinybert_lite.pipeline.workspace import SHIPPED

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
    assert (
        command in README.splitlines()
        and command in (SHIPPED / ".ci/run").read_text(encoding="utf-8").splitlines()
    )


def test_jupyter_opens_at_a_notebook_that_is_there():
    (place,) = set(re.findall(r"jupyter lab --LabApp.default_url=/lab/tree/(\S+)", README))
    assert (SHIPPED / place).is_file()
    from jupyterlab.labapp import LabApp

    assert (
        LabApp.default_url.tag
    )  # the option's name, which Jupyter would ignore in silence if it were wrong


def test_the_public_address_is_the_same_everywhere():
    address = urlsplit(
        tomllib.loads((SHIPPED / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"][
            "Repository"
        ]
    )
    ways_in = (SHIPPED / "docs/ways_in.md").read_text(encoding="utf-8")
    assert set(re.findall(r"[\w-]+/tinybert-lite\b", README + ways_in)) == {address.path.strip("/")}


def test_the_colab_cell_does_nothing_where_the_course_is_installed():
    from IPython.core.inputtransformer2 import TransformerManager

    (cell,) = re.findall(
        r"```python\n(.*?)```", (SHIPPED / "docs/ways_in.md").read_text(encoding="utf-8"), re.DOTALL
    )
    asked = []
    shell = SimpleNamespace(
        system=asked.append, run_line_magic=lambda name, line: asked.append(name)
    )
    for name in ("tinybert_lite", "a_course_of_another_name"):
        exec(
            TransformerManager().transform_cell(cell.replace('"tinybert_lite"', f'"{name}"')),
            {"get_ipython": lambda: shell},
        )
        assert len(asked) == (0 if name == "tinybert_lite" else 3)


def test_the_container_is_of_a_python_in_range_and_installs_the_tests():
    container = json.loads(
        (SHIPPED / ".devcontainer/devcontainer.json").read_text(encoding="utf-8")
    )
    assert (
        container["image"] == "python:3.12"
        and container["postCreateCommand"] == "python -m pip install -e '.[test]'"
    )
    assert [str(port) for port in container["forwardPorts"]] == list(container["portsAttributes"])
