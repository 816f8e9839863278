"""A node with its place in the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sympy import Basic

from symdgm.parsing.bounds import MAX_NESTING
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import Word


@dataclass(slots=True)
class Piece:
    """A node with its span of characters.

    ``depth`` is how deep it nests, ``parts`` what it is made of, ``numeric`` whether it is made of numbers
    only.
    """

    node: Basic
    start: int
    end: int
    depth: int = 1
    parts: tuple[Piece, ...] = ()
    numeric: bool = False

    @property
    def span(self) -> tuple[int, int]:
        """The characters that it was read from."""
        return self.start, self.end


def piece(children: list[Any], node: Basic, parts: Iterable[Piece]) -> Piece:
    """The node that was read from ``children``, made of ``parts``."""
    held = tuple(parts)
    start, end, depth = _start(children[0]), _end(children[-1]), 0
    for part in held:  # scripts may be written in another order than they are read
        start, end, depth = min(start, part.start), max(end, part.end), max(depth, part.depth)
    made = Piece(node, start, end, depth + 1, held)
    if depth >= MAX_NESTING:
        raise refusal("too-nested", made.span, bound=MAX_NESTING)
    return made


def pieces(children: list[Any]) -> list[Piece]:
    """The pieces among children, words left out."""
    return [child for child in children if isinstance(child, Piece)]


def kinds(children: list[Any]) -> list[str]:
    """The kinds of the words among children."""
    return [child.type for child in children if isinstance(child, Word)]


def _start(child: Any) -> int:
    return int(_start(child[0]) if isinstance(child, list) else child.start)


def _end(child: Any) -> int:
    return int(_end(child[-1]) if isinstance(child, list) else child.end)
