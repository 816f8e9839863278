"""Arithmetic in the author's order: sums and products are lists that are never sorted or evaluated."""

from __future__ import annotations

from math import gcd

from sympy import Basic, Expr, Integer, Rational

from symdgm.expressions.node import Node


class Plus(Node):
    """A sum of two or more terms, in written order; ``a - b`` is ``Plus(a, Minus(b))``."""

    __slots__ = ()
    kinds = (Expr, Expr, [Expr])


class Minus(Node):
    """The negative of a term."""

    __slots__ = ()
    kinds = (Expr,)


class Times(Node):
    """A product of two or more factors, in written order."""

    __slots__ = ()
    kinds = (Expr, Expr, [Expr])


class Quotient(Node):
    """A fraction ``a/b``."""

    __slots__ = ()
    kinds = (Expr, Expr)


class Power(Node):
    """``base^exponent``."""

    __slots__ = ()
    kinds = (Expr, Expr)


def plus(*terms: Basic) -> Node:
    """The sum of terms; a sum that stands first is continued, as in reading from left to right."""
    first = terms[0].args if isinstance(terms[0], Plus) else terms[:1]
    everything = (*first, *terms[1:])
    return Plus(*everything) if len(everything) > 1 else everything[0]


def times(*factors: Basic) -> Node:
    """The product of factors; a product that stands first is continued."""
    first = factors[0].args if isinstance(factors[0], Times) else factors[:1]
    everything = (*first, *factors[1:])
    return Times(*everything) if len(everything) > 1 else everything[0]


def quotient(a: Basic, b: Basic) -> Basic:
    """``a/b``; two whole numbers in lowest terms are one exact rational number."""
    if isinstance(a, Integer) and isinstance(b, Integer) and b.p > 1 and gcd(a.p, b.p) == 1 and a.p >= 0:
        return Rational(a.p, b.p)
    return Quotient(a, b)


def terms_of(expression: Basic) -> list[tuple[int, Basic]]:
    """The signed top-level terms: ``a - (b - c)`` gives ``[(1, a), (-1, b), (1, c)]``."""
    if isinstance(expression, Plus):
        return [pair for term in expression.args for pair in terms_of(term)]
    if isinstance(expression, Minus):
        return [(-sign, term) for sign, term in terms_of(expression.args[0])]
    return [(1, expression)]
