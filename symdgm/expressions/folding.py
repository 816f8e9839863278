"""Specialisation at constants: the few identities by which a closed form loses what a constant makes trivial.

Only exact identities of the real numbers that keep the stable form are applied: 0 + a = a, 1 · a = a,
a/1 = a, 0 · a = 0, −(−a) = a, −(a + b) = −a − b, log 1 = 0, log 1/n = −log n, softplus 0 = log 2,
sigmoid 0 = 1/2, 1 − sigmoid a = sigmoid(−a),
a log c + (1 − a) log c = log c, and arithmetic of exact numbers. Nothing is
multiplied out, sorted or cancelled.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic, Integer, Number, Rational

from symdgm.expressions.applications import Call, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times

ZERO, ONE, TWO, HALF = Integer(0), Integer(1), Integer(2), Rational(1, 2)


def fold(expression: Basic) -> Basic:
    """The expression after the identities of this module, from the leaves up.

    Args:
        expression: a formula of a family, with numbers put in for some of its parameters.

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
    terms = [t for a in node.args for t in (a.args if isinstance(a, Plus) else (a,)) if t != ZERO]
    if all(isinstance(t, Number) or (isinstance(t, Minus) and isinstance(t.args[0], Number)) for t in terms):
        return sum((-t.args[0] if isinstance(t, Minus) else t for t in terms), ZERO)
    terms = _complements(terms)
    if len(terms) == 1:
        return terms[0]
    if len(terms) == 2 and terms[0] == ONE and _is_minus_sigmoid(terms[1]):
        return call("sigmoid", _minus(Minus(terms[1].args[0].args[1])))
    return Plus(*terms)


def _is_minus_sigmoid(term: Basic) -> bool:
    return isinstance(term, Minus) and isinstance(term.args[0], Call) and term.args[0].function == "sigmoid"


def _complements(terms: list[Basic]) -> list[Basic]:
    """The terms with ``a log c + (1 - a) log c`` as ``log c``."""
    for i, term in enumerate(terms):
        found = _weighted_log(term)
        if found is None:
            continue
        weight, log = found
        other = Times(_plus(Plus(ONE, Minus(weight))), log)
        wanted = Minus(other) if isinstance(term, Minus) else other
        if wanted in terms[i + 1 :]:
            rest = [*terms[:i], Minus(log) if isinstance(term, Minus) else log, *terms[i + 1 :]]
            rest.remove(wanted)
            return _complements(rest)
    return terms


def _weighted_log(term: Basic) -> tuple[Basic, Basic] | None:
    """``(a, log c)`` of ``± a log c`` with a number c."""
    product = term.args[0] if isinstance(term, Minus) else term
    if not (isinstance(product, Times) and len(product.args) == 2):
        return None
    weight, log = product.args
    return (weight, log) if isinstance(log, Call) and isinstance(log.args[1], Number) else None


def _minus(node: Basic) -> Basic:
    (term,) = node.args
    if isinstance(term, Minus):
        return term.args[0]
    if isinstance(term, Plus):
        return Plus(*(_minus(Minus(t)) for t in term.args))
    return ZERO if term == ZERO else node


def _times(node: Basic) -> Basic:
    if ZERO in node.args:
        return ZERO
    negative = sum(isinstance(f, Minus) for f in node.args) % 2 == 1
    factors = [f.args[0] if isinstance(f, Minus) else f for f in node.args]
    factors = [f for f in factors if f != ONE]
    product = Times(*factors) if len(factors) > 1 else (factors[0] if factors else ONE)
    return Minus(product) if negative else product


def _quotient(node: Basic) -> Basic:
    a, b = node.args
    if b == ONE or (a == ZERO and b != ZERO):
        return a
    if isinstance(a, Number) and isinstance(b, Number) and b != ZERO:
        return Rational(a, b)
    return node


def _power(node: Basic) -> Basic:
    base, exponent = node.args
    if exponent == ONE or base == ONE:
        return base
    if isinstance(base, Minus) and exponent == TWO:
        return Power(base.args[0], exponent)
    if isinstance(base, Number) and exponent == TWO:
        return base * base
    return node


def _call(node: Basic) -> Basic:
    known = {
        ("log", ONE): ZERO,
        ("softplus", ZERO): call("log", TWO),
        ("sigmoid", ZERO): HALF,
    }
    name, *arguments = node.args
    if len(arguments) != 1:
        return node
    (argument,) = arguments
    if name.name == "log" and isinstance(argument, Rational) and argument.p == 1 and argument.q > 1:
        return Minus(call("log", Integer(argument.q)))
    return known.get((name.name, argument), node)


_RULES: dict[type, Callable[[Basic], Basic]] = {
    Plus: _plus,
    Minus: _minus,
    Times: _times,
    Quotient: _quotient,
    Power: _power,
    Call: _call,
}
