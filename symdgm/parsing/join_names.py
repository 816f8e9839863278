"""Fifth pass: a letter or word and its decorations are one name in its canonical spelling: ``x`` MARK ``hat`` is ``x_hat``."""

from __future__ import annotations

from lark import Token

from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import end_of, start_of, word

_PRIMES = {"″": 2, "‴": 3}


def join_names(tokens: list[Token]) -> list[Token]:
    """Words and decorations joined to names."""
    out: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.type == "WORD":
            i = _join(tokens, i, out)
            continue
        if token.type in ("MARK", "PRIME"):
            raise refusal("decorated-formula", token, mark=str(token))
        out.append(token)
        i += 1
    return out


def _join(tokens: list[Token], i: int, out: list[Token]) -> int:
    first = tokens[i]
    last, text, primes = first, str(first), 0
    i += 1
    while i < len(tokens) and tokens[i].type in ("MARK", "PRIME"):
        last = tokens[i]
        if last.type == "MARK":
            text += "_" + last
        else:
            primes += 1 if last.startswith("\\") else _PRIMES.get(last, len(last))
        i += 1
    if primes > 9:
        raise refusal("too-many-primes", first, name=text)
    out.append(word("NAME", text + "'" * primes, start_of(first), max(end_of(first), end_of(last))))
    return i
