"""An expression as an indented tree of its nodes, for a terminal."""

from __future__ import annotations

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.names import Name
from symdgm.expressions.node import walk
from symdgm.expressions.notation import unicode

WIDTH = 60
"""Characters of a node's own notation that a line shows at most."""

PARTS = 200
"""Nodes with more nodes below them than this are shown by their class alone."""


def tree(expression: Basic) -> str:
    """The nodes of an expression, one a line, each below the node that it is an argument of.

    Args:
        expression: any node.

    Returns:
        Lines of ``class  notation``, drawn with box characters.

    Example:
        >>> print(tree(Name("a") - 1))
        Plus  a − 1
        ├── Name  a
        └── Minus  −1
            └── number  1
    """
    lines = []
    sizes = _sizes(expression)
    waiting = [(expression, "", "")]
    while waiting:
        node, first, rest = waiting.pop()
        lines.append(first + (_line(node) if sizes[node] <= PARTS else _kind(node)))
        parts = () if isinstance(node, Name) else node.args
        for i, part in enumerate(reversed(parts)):
            corner, bar = ("└── ", "    ") if i == 0 else ("├── ", "│   ")
            waiting.append((part, rest + corner, rest + bar))
    return "\n".join(lines)


def _sizes(expression: Basic) -> dict[Basic, int]:
    """How many nodes there are in each node, itself included."""
    order: list[Basic] = []
    walk(expression, order.append)
    sizes: dict[Basic, int] = {}
    for node in reversed(order):
        sizes[node] = 1 + sum(sizes[part] for part in node.args)
    return sizes


def _line(node: Basic) -> str:
    notation = " ".join(unicode(node).split())
    if len(notation) > WIDTH:
        notation = notation[: WIDTH - 1] + "…"
    return f"{_kind(node)}  {notation}".rstrip()


def _kind(node: Basic) -> str:
    """The class; SymPy's own leaves by what they are."""
    if isinstance(node, Str):
        return "text"
    if isinstance(node, Tuple):
        return "list"
    return "number" if node.is_number else type(node).__name__
