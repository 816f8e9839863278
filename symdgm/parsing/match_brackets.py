"""First pass.

Every bracket has its partner, and a line break or a ``;`` within brackets is no end of a statement.
"""

from __future__ import annotations

from symdgm.parsing.bounds import MAX_DEPTH
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import CLOSER_OF, CLOSERS, OPENERS, Word, become


def match_brackets(tokens: list[Word]) -> list[Word]:
    """Drop line breaks within brackets, and mark each ``;`` outside of them as the end of a statement."""
    kept: list[Word] = []
    opened: list[Word] = []
    for token in tokens:
        kind = token.type
        if kind in OPENERS:
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                raise refusal("too-deep", token, bound=MAX_DEPTH)
        elif kind in CLOSERS:
            _close(opened, token)
        elif kind == "NEWLINE" and opened:
            continue
        elif kind == "SEMI" and not opened:
            token = become(token, "SEPARATOR")
        kept.append(token)
    if opened:
        raise refusal("unclosed-bracket", opened[0], bracket=opened[0].text)
    return kept


def _close(opened: list[Word], token: Word) -> None:
    if opened and CLOSER_OF[opened[-1].type] == token.type:
        opened.pop()
    elif any(CLOSER_OF[other.type] == token.type for other in opened):
        raise refusal("unclosed-bracket", opened[-1], bracket=opened[-1].text)
    else:
        raise refusal("unopened-bracket", token, bracket=token.text)
