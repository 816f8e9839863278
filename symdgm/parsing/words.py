"""What the passes share about words: their kinds, copies of them, and which bracket belongs to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

OPENERS = frozenset(
    {
        "LPAR", "LSQB", "LBRACE", "LSET", "LANGLE", "NORM_OPEN", "ABS_OPEN", "OPEN", "ARGS_OPEN",
        "SUB_OPEN", "SUP_OPEN",
        "LABEL_OPEN", "SET_OPEN", "ANGLE_OPEN", "SIDES_OPEN",
    }
)  # fmt: skip
CLOSERS = frozenset(
    {
        "RPAR", "RSQB", "RBRACE", "RSET", "RANGLE", "NORM_CLOSE", "ABS_CLOSE", "CLOSE", "ARGS_CLOSE",
        "SUB_CLOSE",
        "SUP_CLOSE", "LABEL_CLOSE", "SET_CLOSE", "ANGLE_CLOSE", "SIDES_CLOSE",
    }
)  # fmt: skip
CLOSER_OF = {
    "LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "LSET": "RSET", "LANGLE": "RANGLE",
    "NORM_OPEN": "NORM_CLOSE",
    "ABS_OPEN": "ABS_CLOSE", "OPEN": "CLOSE", "ARGS_OPEN": "ARGS_CLOSE", "SUB_OPEN": "SUB_CLOSE",
    "SUP_OPEN": "SUP_CLOSE",
    "LABEL_OPEN": "LABEL_CLOSE", "SET_OPEN": "SET_CLOSE", "ANGLE_OPEN": "ANGLE_CLOSE",
    "SIDES_OPEN": "SIDES_CLOSE",
}  # fmt: skip
GROUPS = frozenset({"LPAR", "LSQB", "LBRACE", "LSET"})
"""Brackets as the author writes them."""


@dataclass(slots=True, eq=False)
class Word:
    """A word with its place in the text; the passes change its kind as they find out what it is."""

    type: str
    text: str
    start: int
    end: int


def become(token: Word, kind: str, text: str | None = None) -> Word:
    """Another word at the same place of the text."""
    return Word(kind, token.text if text is None else text, token.start, token.end)


def after(token: Word, kind: str) -> Word:
    """A word that is not written, right behind one that is."""
    return Word(kind, "", token.end, token.end)


def partners(tokens: Sequence[Word]) -> dict[int, int]:
    """Position of each opening bracket → position of the one that closes it.

    The brackets are known to match.
    """
    found: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.type in OPENERS:
            opened.append(i)
        elif token.type in CLOSERS:
            found[opened.pop()] = i
    return found
