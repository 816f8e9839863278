"""Specialisation at constants: the few identities by which a closed form loses what a constant makes trivial.

Only exact identities of the real numbers that keep the stable form are applied: 0 + a = a, 1 · a = a, a/1 = a, a − 0 = a,
0 · a = 0, log 1 = 0, and arithmetic of exact numbers. Nothing is expanded, sorted or cancelled.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic, Integer, Number, Rational

from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times

ZERO, ONE = Integer(0), Integer(1)


def fold(expression: Basic) -> Basic:
    """The expression after the identities of this module, from the leaves up.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> fold(Power((Name("mu") - 0) / 1, Integer(2)) + 0)
        mu^2
    """
    if not expression.args:
        return expression
    node = expression.func(*(fold(a) for a in expression.args))
    rule = _RULES.get(type(node))
    return rule(node) if rule else node


def _plus(node: Basic) -> Basic:
    terms = [t for t in node.args if t != ZERO]
    if len(terms) > 1:
        return Plus(*terms)
    return terms[0] if terms else ZERO


def _minus(node: Basic) -> Basic:
    (term,) = node.args
    if isinstance(term, Minus):
        return term.args[0]
    return ZERO if term == ZERO else node


def _times(node: Basic) -> Basic:
    if ZERO in node.args:
        return ZERO
    factors = [f for f in node.args if f != ONE]
    if len(factors) > 1:
        return Times(*factors)
    return factors[0] if factors else ONE


def _quotient(node: Basic) -> Basic:
    a, b = node.args
    if b == ONE or a == ZERO:
        return a
    if isinstance(a, Number) and isinstance(b, Number) and b != ZERO:
        return Rational(a, b)
    return node


def _power(node: Basic) -> Basic:
    base, exponent = node.args
    if exponent == ONE or base == ONE:
        return base
    if isinstance(base, Number) and exponent == Integer(2):
        return base * base
    return node


def _call(node: Basic) -> Basic:
    name, *arguments = node.args
    return ZERO if name.name == "log" and arguments == [ONE] else node


_RULES: dict[type, Callable[[Basic], Basic]] = {
    Plus: _plus,
    Minus: _minus,
    Times: _times,
    Quotient: _quotient,
    Power: _power,
    Call: _call,
}
