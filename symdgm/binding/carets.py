"""Where a node stands in a text, when equal nodes stand in several places."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.written import Written

Span = tuple[int, int]


def locate(text: Written, path: Sequence[Basic], node: Basic) -> Span | None:
    """The characters of a node inside of those of the nodes around it.

    The spans of a text hold the first place of each node; what stands around a node tells which place is
    meant.

    Args:
        text: what was read.
        path: the nodes around it, the outermost first.
        node: what is looked for.
    """
    around: Span | None = None
    for outer in (*path, node):
        own = text.spans.get(outer)
        if own is not None:
            around = own if around is None else _inside(text.source, around, own)
    return around if node in text.spans else None


def _inside(source: str, around: Span, own: Span) -> Span:
    """The place with the words of ``own`` that lies in ``around``; all of ``around`` if there is none."""
    if around[0] <= own[0] and own[1] <= around[1]:
        return own
    words = re.escape(source[own[0] : own[1]])
    found = re.compile(rf"(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])").search(source, *around)
    return found.span() if found else around
