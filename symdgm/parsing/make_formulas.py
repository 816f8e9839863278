"""From rules to nodes: sums, products, signs and powers, in written order."""

from __future__ import annotations

from typing import Any

from sympy import Basic, Integer

from symdgm.expressions.applications import Transposed, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times, quotient
from symdgm.expressions.names import Name
from symdgm.parsing.numbers import check_power, number
from symdgm.parsing.pieces import Piece, piece, pieces
from symdgm.parsing.words import Word

_EULER = Name("e")


def expression(c: list[Any]) -> Piece:
    """``a + b - c``."""
    held = pieces(c)
    terms = [held[0].node]
    for sign, term in zip(c[1::2], c[2::2], strict=True):
        terms.append(term.node if sign.type == "PLUS" else Minus(term.node))
    return _counted(piece(c, Plus(*terms), held), held)


def product(c: list[Any]) -> Piece:
    """Factors from left to right; a product that the author put into brackets stays one factor."""
    factors, parts, end = [c[0].node], [c[0]], 1
    for operator, factor in zip(c[1::2], c[2::2], strict=True):
        if operator.type == "TIMES":
            factors.append(factor.node)
            parts.append(factor)
        else:
            top = _times(c[:end], factors, parts)
            made = piece(c[: end + 2], quotient(top.node, factor.node), [top, factor])
            factors, parts = [made.node], [_counted(made, [top, factor])]
        end += 2
    return _times(c, factors, parts)


def _times(c: list[Any], factors: list[Basic], parts: list[Piece]) -> Piece:
    return parts[0] if len(factors) == 1 else _counted(piece(c, Times(*factors), parts), parts)


def _counted(made: Piece, parts: list[Piece]) -> Piece:
    """What is made of mere numbers is one."""
    made.numeric = all(p.numeric for p in parts)
    return made


def minus(c: list[Any]) -> Piece:
    """``-a``."""
    return _counted(piece(c, Minus(c[1].node), [c[1]]), [c[1]])


def positive(c: list[Any]) -> Piece:
    """``+a`` is a."""
    return _second(c)


def power(c: list[Any]) -> Piece:
    """Scripts in a row: powers of powers from right to left; a transpose takes what is before it."""
    base: Piece = c[0]
    exponents: list[Piece] = []
    for script in c[1:]:
        if isinstance(script, Word):
            base = _tower(base, exponents)
            base = piece([base, script], Transposed(base.node), [base])
            exponents = []
        else:
            exponents.append(script)
    return _tower(base, exponents)


def _tower(base: Piece, exponents: list[Piece]) -> Piece:
    if not exponents:
        return base
    exponent = exponents[-1]
    for lower in reversed(exponents[:-1]):
        exponent = _raise(lower, exponent)
    return _raise(base, exponent)


def _raise(base: Piece, exponent: Piece) -> Piece:
    """``a^b``; ``e^b`` is exp."""
    check_power(base, exponent)
    if base.node == _EULER:
        return piece([base, exponent], call("exp", exponent.node), [exponent])
    node = Power(base.node, exponent.node)
    return _counted(piece([base, exponent], node, [base, exponent]), [base, exponent])


def raised(c: list[Any]) -> Piece:
    """``^{b}``."""
    return _second(c)


def group(c: list[Any]) -> Piece:
    """``(a)`` is a."""
    return _second(c)


def _second(c: list[Any]) -> Piece:
    found: Piece = c[1]
    return found


def number_of(c: list[Any]) -> Piece:
    """``0.5``."""
    return number(c[0])


def fraction(c: list[Any]) -> Piece:
    r"""``\frac{a}{b}``."""
    held = pieces(c)
    return _counted(piece(c, quotient(*(p.node for p in held)), held), held)


def root(c: list[Any]) -> Piece:
    r"""``\sqrt[3]{x}``."""
    degree, body = pieces(c)
    return piece(c, Power(body.node, quotient(Integer(1), degree.node)), [body, degree])


RULES = {
    "expression": expression,
    "product": product,
    "minus": minus,
    "positive": positive,
    "power": power,
    "raised": raised,
    "group": group,
    "number": number_of,
    "fraction": fraction,
    "root": root,
}
