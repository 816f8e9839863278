"""`parse` and `read`: from text to nodes, with a caret for every refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from sympy import Basic

from symdgm.caches import remembered
from symdgm.errors import GrammarError
from symdgm.expressions.node import Node
from symdgm.parsing.bounds import MAX_CHARACTERS
from symdgm.parsing.explain import explain
from symdgm.parsing.grammar import grammar
from symdgm.parsing.passes import run_passes
from symdgm.parsing.pieces import Piece
from symdgm.parsing.reduce import UnexpectedWord
from symdgm.parsing.refusals import refusal


@dataclass(frozen=True)
class Reading:
    """A text that was read.

    Args:
        whole: what the text says, with the places of its parts.
        source: the author's text.
    """

    whole: Piece
    source: str

    @property
    def expression(self) -> Node:
        """What the text says."""
        return cast(Node, self.whole.node)

    @cached_property
    def spans(self) -> Mapping[Basic, tuple[int, int]]:
        """Node → the characters of the text where it is written first."""
        return _spans(self.whole)


def parse(text: str) -> Node:
    r"""The expression that a text of the language says, unbound.

    Args:
        text: an objective or a model block in plain ASCII, Unicode or LaTeX, mixed freely.

    Raises:
        GrammarError: the text is not of the language, or can be read in two ways; it shows the place with a
            caret, and what to write instead.

    Example:
        >>> print(parse(r"\mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{KL}[q \| p]"))
        E_q(z|x)[log p(x|z)] - beta KL[q || p]
    """
    return cast(Node, _read(text).node)


def read(text: str) -> Reading:
    """The expression of a text together with where each of its parts is written.

    Raises:
        GrammarError: as `parse`.

    Example:
        >>> reading = read("log p(x|z) + y")
        >>> [reading.source[slice(*span)] for span in reading.spans.values()][:2]
        ['log p(x|z) + y', 'log p(x|z)']
    """
    return Reading(_read(text), text)


def _spans(whole: Piece) -> dict[Basic, tuple[int, int]]:
    found: dict[Basic, tuple[int, int]] = {}
    stack = [whole]
    while stack:
        piece = stack.pop()
        found.setdefault(piece.node, (piece.start, piece.end))
        stack.extend(reversed(piece.parts))
    return found


def _read(text: object) -> Piece:
    if not isinstance(text, str):
        hint = 'write the formula as a string: "log p(x|z)"'
        raise GrammarError(f"a formula is a text, not {type(text).__name__}", hint=hint)
    try:
        return _reduced(text)
    except GrammarError as error:
        raise GrammarError(error.problem, hint=error.hint, source=text, span=error.span) from None


@remembered(256)
def _reduced(text: str) -> Piece:
    """Words, passes, rules."""
    if len(text) > MAX_CHARACTERS:
        raise refusal("too-long", (0, 0), bound=MAX_CHARACTERS, length=len(text))
    language = grammar()
    try:
        found: Piece | None = language.automaton.run(run_passes(list(language.words(text)), text))
    except UnexpectedWord as error:
        raise explain(error) from None
    if found is None:
        raise refusal("empty", (0, 0))
    return found
