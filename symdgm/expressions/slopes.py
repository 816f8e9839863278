"""The derivative of a formula by a name that stands in it as a number."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Basic, Integer, Number

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Call, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.folding import fold
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.scope import free_names

ZERO, ONE = Integer(0), Integer(1)


def slope(expression: Basic, name: Basic) -> Basic:
    """The derivative of a formula by one of its names, folded at constants.

    Raises:
        NotSupportedError: the name stands in a law, a network, or a function without a derivative.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> a, b = Name("a"), Name("b")
        >>> slope(a * b + a**2, a)
        b + 2 a
    """
    return fold(_slope(expression, name))


def _slope(node: Basic, name: Basic) -> Basic:
    if node == name:
        return ONE
    if isinstance(node, Number) or name not in free_names(node):
        return ZERO
    rule = _RULES.get(type(node))
    if rule is None:
        raise NotSupportedError(
            f"`{node}` depends on `{name}` in a way that has no derivative here",
            hint="differentiate by scalars that stand in the formula itself; for others use autograd",
        )
    return rule(node, name)


def _plus(node: Basic, name: Basic) -> Basic:
    terms = [d for a in node.args if (d := _slope(a, name)) != ZERO]
    return Plus(*terms) if len(terms) > 1 else terms[0]


def _times(node: Basic, name: Basic) -> Basic:
    terms = []
    for i, factor in enumerate(node.args):
        own = _slope(factor, name)
        if own != ZERO:
            others = [a for j, a in enumerate(node.args) if j != i]
            terms.append(Times(*(own.args if isinstance(own, Times) else (own,)), *others))
    return Plus(*terms) if len(terms) > 1 else terms[0]


def _quotient(node: Basic, name: Basic) -> Basic:
    a, b = node.args
    up, down = _slope(a, name), _slope(b, name)
    if down == ZERO:
        return Quotient(up, b)
    below = Quotient(Times(a, down), Power(b, Integer(2)))
    return Minus(below) if up == ZERO else Plus(Quotient(up, b), Minus(below))


def _power(node: Basic, name: Basic) -> Basic:
    base, exponent = node.args
    up, down = _slope(base, name), _slope(exponent, name)
    terms = []
    if up != ZERO:
        lower = exponent - 1 if isinstance(exponent, Number) else Plus(exponent, Minus(ONE))
        terms.append(Times(exponent, base if lower == ONE else Power(base, lower), up))
    if down != ZERO:
        terms.append(Times(node, call("log", base), down))
    return Plus(*terms) if len(terms) > 1 else terms[0]


def _call(node: Basic, name: Basic) -> Basic:
    outer = _FUNCTIONS.get(node.function)
    if outer is None or len(node.args) != 2:
        raise NotSupportedError(
            f"the derivative of `{node.function}` is not known here",
            hint=f"known: {', '.join(sorted(_FUNCTIONS))}; for others use autograd",
        )
    return Times(outer(node.args[1]), _slope(node.args[1], name))


def _expectation(node: Basic, name: Basic) -> Basic:
    if name in free_names(Expect(ZERO, *node.binders)):
        raise NotSupportedError(
            f"the law of `{node}` depends on `{name}`",
            hint="differentiate by scalars that stand in the formula itself; for others use autograd",
        )
    return Expect(_slope(node.body, name), *node.binders)


def _aggregate(node: Basic, name: Basic) -> Basic:
    if node.kind == "prod" or name in free_names(node.index):
        raise NotSupportedError(
            f"`{node}` has no derivative by `{name}` here",
            hint="write the product as the exp of a sum of logs",
        )
    return Aggregate(node.args[0], _slope(node.body, name), node.index)


_RULES: dict[type, Callable[[Basic, Basic], Basic]] = {
    Plus: _plus,
    Minus: lambda node, name: Minus(_slope(node.args[0], name)),
    Times: _times,
    Quotient: _quotient,
    Power: _power,
    Call: _call,
    Expect: _expectation,
    Aggregate: _aggregate,
}

_FUNCTIONS: dict[str, Callable[[Basic], Basic]] = {
    "log": lambda a: Quotient(ONE, a),
    "exp": lambda a: call("exp", a),
    "sqrt": lambda a: Quotient(ONE, Times(Integer(2), call("sqrt", a))),
    "sin": lambda a: call("cos", a),
    "cos": lambda a: Minus(call("sin", a)),
    "tanh": lambda a: Plus(ONE, Minus(Power(call("tanh", a), Integer(2)))),
    "sigmoid": lambda a: Times(call("sigmoid", a), call("sigmoid", Minus(a))),
    "softplus": lambda a: call("sigmoid", a),
    "abs": lambda a: call("sign", a),
}
