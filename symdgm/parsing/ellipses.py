"""Lists with dots: ``h_1, …, h_k`` is ``h_{1:k}``, ``1, …, T`` is ``1:T``."""

from __future__ import annotations

from sympy import Basic, Integer

from symdgm.expressions.names import IndexRange, Listing, Subscripted
from symdgm.parsing.pieces import Piece
from symdgm.parsing.refusals import refusal

DOTS = Listing()
"""What stands for the dots until they are folded."""


def fold_ellipses(items: list[Piece]) -> list[Piece]:
    """A list without dots: each ``first, …, last`` or ``first, second, …, last`` is a range."""
    out: list[Piece] = []
    k = 0
    while k < len(items):
        if items[k].node == DOTS:
            if not out or k + 1 >= len(items):
                raise refusal("dots-between-what", items[k].span)
            out.append(_folded(out, items[k], items[k + 1]))
            k += 1
        else:
            out.append(items[k])
        k += 1
    return out


def _folded(out: list[Piece], dots: Piece, last: Piece) -> Piece:
    first = out.pop()
    if out and _follows(out[-1].node, first.node):
        first = out.pop()
    node = _range(first.node, last.node)
    if node is None:
        raise refusal("dots-between-what", dots.span)
    return Piece(node, first.start, last.end, 2 + max(first.depth, last.depth), (first, last))


def _range(first: Basic, last: Basic) -> Basic | None:
    """``z_1`` and ``z_K`` span ``z_{1:K}``; ``1`` and ``T`` span ``1:T``."""
    if isinstance(first, Subscripted) and isinstance(last, Subscripted):
        same = first.head == last.head and len(first.indices) == len(last.indices) == 1
        return Subscripted(first.head, IndexRange(first.indices[0], last.indices[0])) if same else None
    return IndexRange(first, last) if isinstance(first, Integer) else None


def _follows(first: Basic, second: Basic) -> bool:
    """Are these ``z_1, z_2`` or ``1, 2``?"""
    if isinstance(first, Subscripted) and isinstance(second, Subscripted):
        return first.head == second.head and _follows(first.indices[0], second.indices[0])
    return isinstance(first, Integer) and isinstance(second, Integer) and second.p == first.p + 1
