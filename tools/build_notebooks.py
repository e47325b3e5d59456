"""Build notebooks/*.ipynb from their readable sources notebooks/source/*.py (percent format).

    python tools/build_notebooks.py                 # no outputs; the same bytes every time
    python tools/build_notebooks.py --execute       # run all in order and store cleaned outputs
    python tools/build_notebooks.py --execute --profile smoke --output /tmp/notebooks --only 03

--execute runs in a new temporary workspace on the CPU, by default in the classroom profile. Without
it, stored outputs are kept as long as no code cell has changed, so editing prose does not lose the
pictures. If source/zh/ holds the Chinese prose of a notebook (cells separated by lines of %%),
notebooks/zh/ gets the same code and outputs with that prose.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = REPOSITORY / "notebooks"
SOURCE = NOTEBOOKS / "source"
CHINESE = SOURCE / "zh"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MOST_BYTES = 300_000
MARK = re.compile(r"# %%( \[markdown\])?")
# Lines that depend on the machine's speed: progress every ten seconds, lines that end in a time.
UNSTABLE = re.compile(r".*(: step \d+ of \d+, loss .*|: \d+ of \d+|\d ?(s|ms|seconds))\n?")


def sources() -> list[Path]:
    return sorted(SOURCE.glob("[0-9][0-9]_*.py"))


def parse(text: str) -> list[tuple[str, str]]:
    """Return ("markdown" or "code", source) of each cell of a percent script."""
    cells: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        mark = MARK.fullmatch(line.rstrip())
        if mark:
            cells.append(("markdown" if mark[1] else "code", []))
        elif cells:
            cells[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"text before the first cell mark: {line!r}")
    found = []
    for kind, lines in cells:
        if kind == "markdown":
            wrong = [
                line
                for line in lines
                if line.strip() and not (line == "#" or line.startswith("# "))
            ]
            if wrong:
                raise ValueError(f"a prose line must start with '# ': {wrong[0]!r}")
            lines = [line[2:] for line in lines]
        found.append((kind, "\n".join(lines).strip("\n")))
    return found


def build(source: Path):
    """Return a source's notebook without outputs; cell ids number the notebook and the cell."""
    notebook = new_notebook(metadata=json.loads(json.dumps(METADATA)))
    for number, (kind, text) in enumerate(parse(source.read_text(encoding="utf-8")), 1):
        make = new_markdown_cell if kind == "markdown" else new_code_cell
        notebook.cells.append(make(text, id=f"nb{source.name[:2]}-{number:02d}"))
    return notebook


def chinese(notebook, prose: Path):
    """Return the notebook with other prose. Raises ValueError for another number of prose cells."""
    texts = [
        text.strip("\n")
        for text in re.split(r"^%%$", prose.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    there = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    if len(texts) != len(there):
        raise ValueError(
            f"{prose} has {len(texts)} prose cells, but the notebook has {len(there)}; separate "
            "cells by lines of %%"
        )
    found, texts = nbformat.from_dict(notebook), iter(texts)
    found.cells = [
        new_markdown_cell(next(texts), id=cell.id) if cell.cell_type == "markdown" else cell
        for cell in notebook.cells
    ]
    return found


def keep_outputs(notebook, stored: Path):
    """Return the notebook with the stored outputs, if no code cell has changed."""
    if not stored.is_file():
        return notebook
    old = [cell for cell in nbformat.read(stored, as_version=4).cells if cell.cell_type == "code"]
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in old] == [cell.source for cell in new]:
        for cell, was in zip(new, old):
            cell.outputs, cell.execution_count = was.outputs, was.execution_count
    return notebook


@contextmanager
def kernels(workspace: Path, profile: str, threads: int = 1):
    """Make the kernel `python3` this Python on the CPU, in a workspace and a profile.

    One thread by default: with more, the last digits differ, and on a busy machine the threads wait
    for each other.
    """
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        argv = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "--log-level=ERROR",
            "-f",
            "{connection_file}",
        ]
        spec.write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}),
            encoding="utf-8",
        )
        ours = {
            "JUPYTER_PATH": folder,
            "TINYBERT_WORKSPACE": str(workspace),
            "TINYBERT_PROFILE": profile,
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "MPLBACKEND": None,
        }
        before = {name: os.environ.get(name) for name in ours}
        try:
            _set_environment(ours)
            yield
        finally:
            _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def execute(notebook, timeout: int = 3600, on_cell_start=None):
    """Run a notebook inside `kernels` and return it.

    Raises nbclient's CellExecutionError at the first error. on_cell_start(cell, cell_index) is
    called before each cell.
    """
    from nbclient import NotebookClient

    NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        on_cell_start=on_cell_start,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    ).execute()
    return notebook


def clean(notebook, workspace: Path):
    """Remove stderr, machine paths, times and metadata; join consecutive stream outputs."""
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        kept = []
        for output in cell.outputs:
            if output.output_type == "stream":
                if output.name == "stderr":
                    continue
                if kept and kept[-1].output_type == "stream":
                    kept[-1].text += output.text
                else:
                    kept.append(output)
                continue
            output.pop("metadata", None)
            output.metadata = {}
            if "execution_count" in output:
                output.execution_count = count
            kept.append(output)
        for output in kept:
            if output.output_type == "stream":
                lines = without_paths(output.text, workspace).splitlines(keepends=True)
                output.text = "".join(line for line in lines if not UNSTABLE.fullmatch(line))
            output.get("data", {}).pop(
                "application/vnd.jupyter.widget-view+json", None
            )  # the widget's state is not stored, but its picture is
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
            for kind, content in output.get("data", {}).items():
                if isinstance(content, str) and kind.startswith("text/"):
                    output.data[kind] = without_paths(content, workspace)
        cell.outputs = [output for output in kept if output.output_type != "stream" or output.text]
    return notebook


def smaller(png: str) -> str:
    """Return a picture (base64) in 256 colours: a third of the bytes, no visible difference."""
    image = (
        Image.open(io.BytesIO(base64.b64decode(png)))
        .convert("RGB")
        .quantize(256, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    )
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def without_paths(text: str, workspace: Path) -> str:
    """Make paths relative to the workspace or the repository, such as 3_general_distill."""
    for folder in (workspace, workspace.resolve(), REPOSITORY):
        text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), ".")
    return text


def write(notebook, path: Path) -> int:
    """Write a notebook and return its bytes. Exits if it has more than MOST_BYTES."""
    nbformat.validate(notebook)
    content = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="\n")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(
            f"{path} has {size:,} bytes, more than {MOST_BYTES:,}: make its pictures smaller"
        )
    return size


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--execute", action="store_true")
    parser.add_argument("--profile", default="classroom")
    parser.add_argument(
        "--threads",
        type=int,
        default=2,
        help="with another number the last digits of results differ",
    )
    parser.add_argument(
        "--only", default="", help="only notebooks whose name begins with this, such as 03"
    )
    parser.add_argument("--output", type=Path, default=NOTEBOOKS)
    parser.add_argument(
        "--workspace",
        type=Path,
        help="work in this folder instead of a new one; its finished stages are skipped",
    )
    args = parser.parse_args(argv)
    chosen = [source for source in sources() if source.name.startswith(args.only)]
    with tempfile.TemporaryDirectory() as fresh:
        workspace = (args.workspace or Path(fresh)).resolve()
        for source in chosen:
            target, started = args.output / f"{source.stem}.ipynb", time.perf_counter()
            notebook = build(source)
            if args.execute:
                with kernels(workspace, args.profile, args.threads):
                    notebook = clean(execute(notebook), workspace)
            else:
                notebook = keep_outputs(notebook, target)
            size = write(notebook, target)
            if (prose := CHINESE / f"{source.stem}.md").is_file():
                write(chinese(notebook, prose), args.output / "zh" / target.name)
            print(
                f"{target.name:40} {size / 1000:6.0f} kB {time.perf_counter() - started:6.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
