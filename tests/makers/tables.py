"""Read Markdown tables that programs write."""


def rows_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head = next(i for i, line in enumerate(lines) if set(line) <= set("|-"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[head + 1 :]]
    assert {len(row) for row in rows} == {lines[head].count("---")}, "a ragged table"
    return rows
