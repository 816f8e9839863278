"""What binding makes of an index, written as its author wrote it."""

from __future__ import annotations

from sympy import Basic

from symdgm.expressions.names import Name
from symdgm.expressions.notation.pieces import Edge, Piece
from symdgm.expressions.notation.spelling import Spelling
from symdgm.expressions.resolved import OwnRow, StoppedLaw


def indexed(node: Basic, parts: list[Piece], s: Spelling) -> Piece:
    """``z_j``, ``(f(x))_j``, ``a_{k,l}``; a tensor that stands without an index is its name."""
    value, *indices = parts
    if not indices:
        return value
    head = value.text if isinstance(node.args[0], Name) else s.bracket(value).text
    return Piece(f"{head}_{s.script(','.join(i.text for i in indices))}", last=Edge.NAME, tall=value.tall)


def own_row(node: OwnRow, parts: list[Piece], s: Spelling) -> Piece:
    """``row``: the number of the example itself."""
    return Piece("row", last=Edge.NAME)


def permuted(node: Basic, parts: list[Piece], s: Spelling) -> Piece:
    """``permuted(z)``."""
    return Piece(s.word("permuted") + s.grown(parts[0], s.round), tall=parts[0].tall)


def stopped(node: StoppedLaw, parts: list[Piece], s: Spelling) -> Piece:
    """``sg[q(z|x)]``."""
    return Piece(s.sign_of("sg") + s.squared(parts[0].text), tall=parts[0].tall)
