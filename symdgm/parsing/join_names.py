"""Fifth pass.

A letter or word and its decorations are one name in its canonical spelling: ``x`` MARK ``hat`` is
``x_hat``.
"""

from __future__ import annotations

from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import Word

_PRIMES = {"″": 2, "‴": 3}


def join_names(tokens: list[Word]) -> list[Word]:
    """Words and decorations joined to names."""
    out: list[Word] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token.type == "WORD":
            i = _join(tokens, i, out)
            continue
        if token.type in ("MARK", "PRIME"):
            raise refusal("decorated-formula", token, mark=token.text)
        out.append(token)
        i += 1
    return out


def _join(tokens: list[Word], i: int, out: list[Word]) -> int:
    first = tokens[i]
    last, text, primes = first, first.text, 0
    i += 1
    while i < len(tokens) and tokens[i].type in ("MARK", "PRIME"):
        last = tokens[i]
        if last.type == "MARK":
            text += "_" + last.text
        else:
            primes += 1 if last.text.startswith("\\") else _PRIMES.get(last.text, len(last.text))
        i += 1
    if primes > 9:
        raise refusal("too-many-primes", first, name=text)
    out.append(Word("NAME", text + "'" * primes, first.start, max(first.end, last.end)))
    return i
