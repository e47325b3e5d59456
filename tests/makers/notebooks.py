"""The cells and outputs of a notebook, and the texts of the exercises."""

from __future__ import annotations

from tools.build_exercises import sources


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(notebook):
    return [output for output in outputs(notebook) if "image/png" in output.get("data", {})]


TEXTS = {source.stem: source.read_text(encoding="utf-8") for source in sources()}
