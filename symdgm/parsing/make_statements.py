"""From rules to nodes: statements."""

from __future__ import annotations

from typing import Any

from sympy import Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.names import Labelled, Name, Subscripted
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional
from symdgm.parsing.pieces import Piece, piece, pieces
from symdgm.parsing.refusals import refusal


def start(c: list[Any]) -> Piece:
    """The whole text."""
    found: Piece = c[0]
    return found


def block(c: list[Any]) -> Piece:
    """Statements, one a line."""
    held = pieces(c)
    return piece(c, Block(*(p.node for p in held)), held)


def optimize(c: list[Any]) -> Piece:
    """``min_G f``."""
    body = c[-1]
    players: list[Piece] = c[2] if len(c) > 2 else []
    node = Optimize(Str(c[0].text), body.node, Tuple(*(p.node for p in players)))
    return piece(c, node, [*players, body])


def over(c: list[Any]) -> Piece:
    """``minimize f over D``: the players of the outermost optimiser."""
    found, players = c[0], c[2]
    direction, body, own = found.node.args
    if own:
        raise refusal("players-twice", c[1])
    node = Optimize(direction, body, Tuple(*(p.node for p in players)))
    return piece(c, node, [*found.parts, *players])


def labeled(c: list[Any]) -> Piece:
    """``loss_d: minimize f``."""
    label, found = pieces(c)
    return piece(c, Labeled(label.node, found.node), [label, found])


def labeled_over(c: list[Any]) -> Piece:
    """``loss_d: minimize f over D``."""
    return labeled([c[0], over(c[2:])])


def abbreviation(c: list[Any]) -> Piece:
    """``where a = b``."""
    left, right = _sides(c)
    return piece(c, Abbreviation(left.node, right.node), [left, right])


def definition(c: list[Any]) -> Piece:
    """``a = b``."""
    left, right = _sides(c)
    return piece(c, Definition(left.node, right.node), [left, right])


def proportional(c: list[Any]) -> Piece:
    """``p(x) propto exp(-U(x))``."""
    left, right = _sides(c)
    return piece(c, Proportional(left.node, right.node), [left, right])


def _sides(c: list[Any]) -> list[Piece]:
    left, right = pieces(c)
    if not isinstance(left.node, Name | Subscripted | Labelled | Apply | Density):
        raise refusal("left-hand-side", left.span)
    return [left, right]


RULES = {
    "start": start,
    "block": block,
    "optimize": optimize,
    "over": over,
    "labeled": labeled,
    "labeled_over": labeled_over,
    "abbreviation": abbreviation,
    "definition": definition,
    "proportional": proportional,
}
