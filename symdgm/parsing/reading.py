"""`parse` and `read`: from text to nodes, with a caret for every refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedToken
from sympy import Basic

from symdgm.errors import GrammarError
from symdgm.expressions.node import Node
from symdgm.parsing.bounds import MAX_CHARACTERS
from symdgm.parsing.explain import explain
from symdgm.parsing.grammar import grammar
from symdgm.parsing.passes import run_passes
from symdgm.parsing.pieces import Piece
from symdgm.parsing.refusals import refusal


@dataclass(frozen=True)
class Reading:
    """A text that was read.

    Args:
        source: the author's text.
        expression: what it says.
    """

    source: str
    expression: Basic
    _piece: Piece = field(repr=False)

    @cached_property
    def spans(self) -> dict[Basic, tuple[int, int]]:
        """Node → the characters of the text where it was written first."""
        found: dict[Basic, tuple[int, int]] = {}
        stack = [self._piece]
        while stack:
            piece = stack.pop()
            found.setdefault(piece.node, piece.span)
            stack.extend(reversed(piece.parts))
        return found


def parse(text: str) -> Node:
    """The expression that a text of the language says, unbound.

    Args:
        text: an objective or a model block in plain ASCII, Unicode or LaTeX, mixed freely.

    Raises:
        GrammarError: the text is not of the language, or can be read in two ways; with a caret and what to write instead.

    Example:
        >>> parse(r"\\mathbb{E}_{q(z|x)}[\\log p(x|z)] - \\beta D_{KL}[q \\| p]")
        Plus(Expect(Call(Str('log'), Density(Name(Str('p')), Tuple(Name(Str('x'))), Tuple(Name(Str('z'))), Tuple())), \
Binder(Tuple(), Density(Name(Str('q')), Tuple(Name(Str('z'))), Tuple(Name(Str('x'))), Tuple()))), \
Minus(Times(Name(Str('beta')), Divergence(Str('KL'), Name(Str('q')), Name(Str('p'))))))
    """
    return read(text).expression


def read(text: str) -> Reading:
    """The expression of a text together with where each of its parts is written.

    Raises:
        GrammarError: as `parse`.

    Example:
        >>> reading = read("log p(x|z) + y")
        >>> [reading.source[slice(*span)] for span in reading.spans.values()][:2]
        ['log p(x|z) + y', 'log p(x|z)']
    """
    if not isinstance(text, str):
        raise GrammarError(
            f"a formula is a text, not {type(text).__name__}", hint='write it as a string: "log p(x|z)"'
        )
    try:
        found = _read(text)
    except GrammarError as error:
        raise GrammarError(error.problem, hint=error.hint, source=text, span=error.span) from None
    return Reading(text, found.node, found)


def _read(text: str) -> Piece:
    if len(text) > MAX_CHARACTERS:
        raise refusal("too-long", (0, 0), bound=MAX_CHARACTERS, length=len(text))
    parser: Any = grammar().parse_interactive(text)
    words: list[Token] = list(parser.lexer_thread.lex(parser.parser_state))
    last: Token | None = None
    try:
        for token in run_passes(words, text):
            parser.parser_state.feed_token(token)
            last = token
        if last is None:
            raise refusal("empty", (0, 0))
        found: Piece = parser.feed_eof(last)
    except UnexpectedToken as error:
        raise explain(error) from None
    return found
