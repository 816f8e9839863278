"""Small tables as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDEST = 72
"""Characters of a cell that a terminal shows at most; the last column is shown whole."""


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their names, aligned to the left.

    Args:
        columns: the names.
        rows: the cells.

    Example:
        >>> print(text_table(["term", "value"], [["KL", "1.5"]]))
        term  value
        ────  ─────
        KL    1.5
    """
    cells = [[*(_cut(cell) for cell in row[:-1]), row[-1]] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same for a notebook.

    Args:
        columns: the names.
        rows: the cells.

    Example:
        >>> html_table(["a"], [["<"]])
        '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"
