"""What the passes share about words: their kinds, copies of them, and which bracket belongs to which."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

OPENERS = frozenset(
    {
        "LPAR", "LSQB", "LBRACE", "LSET", "LANGLE", "NORM_OPEN", "ABS_OPEN", "OPEN", "ARGS_OPEN", "SUB_OPEN", "SUP_OPEN",
        "LABEL_OPEN", "SET_OPEN", "ANGLE_OPEN", "SIDES_OPEN",
    }
)  # fmt: skip
CLOSERS = frozenset(
    {
        "RPAR", "RSQB", "RBRACE", "RSET", "RANGLE", "NORM_CLOSE", "ABS_CLOSE", "CLOSE", "ARGS_CLOSE", "SUB_CLOSE",
        "SUP_CLOSE", "LABEL_CLOSE", "SET_CLOSE", "ANGLE_CLOSE", "SIDES_CLOSE",
    }
)  # fmt: skip
CLOSER_OF = {
    "LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE", "LSET": "RSET", "LANGLE": "RANGLE", "NORM_OPEN": "NORM_CLOSE",
    "ABS_OPEN": "ABS_CLOSE", "OPEN": "CLOSE", "ARGS_OPEN": "ARGS_CLOSE", "SUB_OPEN": "SUB_CLOSE", "SUP_OPEN": "SUP_CLOSE",
    "LABEL_OPEN": "LABEL_CLOSE", "SET_OPEN": "SET_CLOSE", "ANGLE_OPEN": "ANGLE_CLOSE",
    "SIDES_OPEN": "SIDES_CLOSE",
}  # fmt: skip
GROUPS = frozenset({"LPAR", "LSQB", "LBRACE", "LSET"})
"""Brackets as the author writes them."""


def word(kind: str, value: str, start: int, end: int) -> Token:
    """A word that stands at ``start`` to ``end`` of the text."""
    return Token(kind, value, start, None, None, None, None, end)


def become(token: Token, kind: str, value: str | None = None) -> Token:
    """The same place of the text as a word of another kind."""
    text = str(token) if value is None else value
    return Token(kind, text, token.start_pos, None, None, None, None, token.end_pos)


def start_of(token: Token) -> int:
    """Where a word begins in the text."""
    return token.start_pos or 0


def end_of(token: Token) -> int:
    """Where a word ends in the text."""
    return token.end_pos or 0


def after(token: Token, kind: str) -> Token:
    """A word that is not written, right behind one that is."""
    return Token(kind, "", token.end_pos, None, None, None, None, token.end_pos)


def partners(tokens: Sequence[Token]) -> dict[int, int]:
    """Position of each opening bracket → position of the one that closes it; the brackets are known to match."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.type in OPENERS:
            opened.append(i)
        elif token.type in CLOSERS:
            found[opened.pop()] = i
    return found
