"""What a distribution is over and what it is given: the head `q_phi(z|x,y)` of a factor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from symdgm.distributions.spelling import spell
from symdgm.errors import GrammarError, NameResolutionError

Piece = tuple[str, int]
"""A part of a declaration and the offset at which it stands in the author's text."""

NAME = re.compile(
    r"[A-Za-z][A-Za-z0-9]*'*"
    r"(?:[_^](?:[A-Za-z0-9]+|\*|\{(?:[^{}]|\{[^{}]*\})+\})'*)*"
)
SPACING = re.compile(r"\\(?:[,;:! ]|left(?![A-Za-z])|right(?![A-Za-z]))")
GIVEN = re.compile(r"\\(?:mid|vert)(?![A-Za-z])|∣")
EXAMPLE = "write for example `q(z|x)`, `p(x|z, y)` or `p(z)`"


@dataclass(frozen=True)
class Declaration:
    """The name of a distribution, its variables, and what they are conditioned on.

    Args:
        name: the canonical name, such as ``q_phi``.
        variables: the random variables, in the order written.
        given: the conditioning variables, in the order written; empty if there are none.

    Example:
        >>> d = Declaration.parse("q_φ(z_{t} | x, z_{t-1})")
        >>> d.name, d.variables, d.given
        ('q_phi', ('z_t',), ('x', 'z_{t-1}'))
        >>> d.text
        'q_phi(z_t|x,z_{t-1})'
    """

    name: str
    variables: tuple[str, ...]
    given: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        r"""Read a declaration in ASCII, Unicode or LaTeX.

        Args:
            text: such as ``q(z|x)``, ``q_φ(z∣x)``, ``p_{\theta}(x_{1:T} \mid z_{1:T})``.

        Raises:
            GrammarError: the text is no declaration; the caret stands under the place.
            NameResolutionError: a variable appears twice.

        Example:
            >>> Declaration.parse(r"p_{\theta}(x \mid z)").text
            'p_theta(x|z)'
        """
        if not isinstance(text, str):
            raise GrammarError(
                f"a distribution is declared by a text, not by a {type(text).__name__}", hint=EXAMPLE
            )
        plain = _plain(text)
        name, body, start = _head(plain, text)
        sides = list(_split(body, start, "|"))
        if len(sides) > 2:
            raise _error("a distribution has one `|`, which means given", text, sides[2][1] - 1, EXAMPLE)
        if ";" in body:
            at = start + body.index(";")
            raise _error(
                "parameters are not part of a declaration", text, at, "leave out `;` and what follows"
            )
        lists = [[(_name(piece, text), piece[1]) for piece in _split(*side, ",")] for side in sides]
        _refuse_repeats([entry for entries in lists for entry in entries], text)
        variables, given = [tuple(name for name, _ in entries) for entries in [*lists, []][:2]]
        return cls(name, variables, given)

    @property
    def text(self) -> str:
        """The canonical spelling; parsing it gives this declaration back."""
        given = "|" + ",".join(self.given) if self.given else ""
        return f"{self.name}({','.join(self.variables)}{given})"

    def __str__(self) -> str:
        return self.text


def _plain(text: str) -> str:
    """LaTeX spacing as blanks and every bar as `|`, at unchanged offsets, so that carets stay true."""
    text = SPACING.sub(lambda m: " " * len(m.group()), text)
    return GIVEN.sub(lambda m: "|".ljust(len(m.group())), text)


def _head(plain: str, text: str) -> tuple[str, str, int]:
    """The canonical name, what stands between the brackets, and where that begins."""
    if not plain.strip():
        raise _error("the declaration of a distribution is empty", text, 0, EXAMPLE)
    opening = plain.find("(")
    if opening < 0:
        raise _error("a distribution names its variables in brackets", text, len(plain.rstrip()), EXAMPLE)
    name = _name((plain[:opening], 0), text)
    closing = _closing(plain, opening)
    if closing is None:
        raise _error("the bracket is never closed", text, opening, EXAMPLE)
    rest = plain[closing + 1 :]
    if rest.strip():
        at = closing + 1 + len(rest) - len(rest.lstrip())
        raise _error("a declaration ends with its bracket", text, at, "declare one distribution at a time")
    return name, plain[opening + 1 : closing], opening + 1


def _closing(plain: str, opening: int) -> int | None:
    depth = 0
    for at in range(opening, len(plain)):
        depth += (plain[at] in "({") - (plain[at] in ")}")
        if depth == 0:
            return at
    return None


def _split(body: str, start: int, separator: str) -> Iterator[Piece]:
    """The pieces between separators that stand outside of inner brackets, with their offsets."""
    depth = begin = 0
    for at, character in enumerate(body):
        depth += (character in "({") - (character in ")}")
        if character == separator and depth == 0:
            yield body[begin:at], start + begin
            begin = at + 1
    yield body[begin:], start + begin


def _name(piece: Piece, text: str) -> str:
    written, at = piece
    name = spell(written)
    at += len(written) - len(written.lstrip())
    if not name:
        raise _error("a name is missing here", text, at, EXAMPLE)
    if not NAME.fullmatch(name):
        raise _error(
            f"`{written.strip()}` is not the name of a variable or a distribution", text, at, EXAMPLE
        )
    return name


def _refuse_repeats(entries: list[Piece], text: str) -> None:
    seen: set[str] = set()
    for name, at in entries:
        if name in seen:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise NameResolutionError(
                f"the variable `{name}` appears twice",
                hint="give each variable of a distribution a name of its own, such as `z` and `z'`",
                source=text,
                span=(at, at + 1),
            )
        seen.add(name)


def _error(problem: str, text: str, at: int, hint: str) -> GrammarError:
    return GrammarError(problem, hint=hint, source=text, span=(at, at + 1))
