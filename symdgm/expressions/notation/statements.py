"""Statements and blocks of them."""

from __future__ import annotations

from dataclasses import replace

from symdgm.expressions.notation.pieces import Level, Piece
from symdgm.expressions.notation.spelling import Spelling
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional

SHORT = {"maximize": "max", "minimize": "min", "argmax": "argmax", "argmin": "argmin"}
"""Directions → the operator that takes players."""


def optimize(node: Optimize, parts: list[Piece], s: Spelling) -> Piece:
    """``maximize f``, ``min_{G, E} f``."""
    _, body, players = parts
    return _statement(_direction(node, players, s) + body.text, body)


def _direction(node: Optimize, players: Piece, s: Spelling) -> str:
    if not node.args[2].args:
        return s.sign_of(node.direction).rstrip() + " "
    short = SHORT.get(node.direction, node.direction)
    sign = s.sign_of(f"{short}_") if f"{short}_" in s.words else s.word(short)
    return f"{sign}_{s.script(players.text)} "


def over(node: Optimize, parts: list[Piece], s: Spelling) -> Piece:
    """``minimize f over D``, behind the name of an objective."""
    _, body, players = parts
    if not node.args[2].args or isinstance(node.args[1], Optimize):
        return optimize(node, parts, s)
    between = s.words.get("over", "over")
    return _statement(f"{s.sign_of(node.direction).rstrip()} {body.text} {between} {players.text}", body)


def _statement(text: str, body: Piece) -> Piece:
    return replace(body, text=text, level=Level.SUM, signed=False, open=None)


def definition(node: Definition, parts: list[Piece], s: Spelling) -> Piece:
    """``left = right``."""
    return _statement(f"{parts[0].text}{s.equals}{parts[1].text}", parts[1])


def proportional(node: Proportional, parts: list[Piece], s: Spelling) -> Piece:
    """``p(x) propto exp(-U(x))``."""
    return _statement(f"{parts[0].text}{s.propto}{parts[1].text}", parts[1])


def abbreviation(node: Abbreviation, parts: list[Piece], s: Spelling) -> Piece:
    """``where name = expression``."""
    where = s.words.get("where", "where")
    return _statement(f"{where} {parts[0].text}{s.equals}{parts[1].text}", parts[1])


def labeled(node: Labeled, parts: list[Piece], s: Spelling) -> Piece:
    """``loss_d: minimize f over D``."""
    return _statement(f"{parts[0].text}: {parts[1].text}", parts[1])


def block(node: Block, parts: list[Piece], s: Spelling) -> Piece:
    """One statement a line."""
    begin, between, end = s.rows
    lines = [p.text if not s.braces or "&" in p.text else f"& {p.text}" for p in parts]
    return Piece(begin + between.join(lines) + end, Level.SUM, tall=True)
