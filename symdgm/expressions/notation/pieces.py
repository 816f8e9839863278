"""A piece of written formula: its text, and what has to be known to put it beside another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto

from sympy import Basic


class Level(IntEnum):
    """How tightly the outermost operator of a piece binds, from loose to tight."""

    SUM = auto()
    PRODUCT = auto()
    SIGN = auto()
    POWER = auto()
    ATOM = auto()


class Edge(Enum):
    """What a piece begins or ends with, as far as a neighbour cares."""

    WORD = auto()
    NAME = auto()
    NUMBER = auto()
    BRACKET = auto()
    BARS = auto()
    ANGLE = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text.

    Args:
        text: the text.
        level: the precedence of its outermost operator.
        first: what it begins with.
        last: what it ends with; after a `NAME` a round bracket would be read as an application.
        signed: it begins with a minus sign.
        open: it ends in an operator without brackets, which would swallow a factor behind it: the indices of
            the big operators among these; None if nothing is open.
        bars: norm bars stand outside of all brackets.
        tall: higher than a line of text.
        raised: it ends in a superscript.
    """

    text: str
    level: Level = Level.ATOM
    first: Edge = Edge.WORD
    last: Edge = Edge.WORD
    signed: bool = False
    open: frozenset[Basic] | None = None
    bars: bool = False
    tall: bool = False
    raised: bool = False


def joined(text: str, level: Level, parts: Sequence[Piece]) -> Piece:
    """A text that begins with the first of ``parts`` and ends with the last."""
    return replace(
        beside(text, level, parts),
        first=parts[0].first,
        last=parts[-1].last,
        signed=parts[0].signed,
        open=parts[-1].open,
    )


def beside(text: str, level: Level, parts: Sequence[Piece]) -> Piece:
    """A text that shows ``parts`` without brackets around them, between words of its own."""
    return Piece(text, level, bars=any(p.bars for p in parts), tall=any(p.tall for p in parts))
