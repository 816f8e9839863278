"""The logarithm of an unnormalised density as a sum of terms, and the region where it is not zero."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from sympy import Basic, Integer, Number

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Call, Density, Indicator, call
from symdgm.expressions.arithmetic import Minus, Power, Quotient, Times, terms_of, times
from symdgm.expressions.names import Relation

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""A comparison read from the other side."""


POSITIVE = ("exp", "abs", "sqrt", "cosh", "sigmoid", "softplus", "softmax")
"""The functions that are not negative."""


@dataclass(frozen=True)
class Side:
    """One side of a region: ``variable operator bound``, such as ``x > 0``.

    Args:
        variable: the variable that it is about.
        operator: ``<``, ``<=``, ``>`` or ``>=``.
        bound: a number.
    """

    variable: Basic
    operator: str
    bound: Number


def factors_of(density: Basic, variables: Collection[Basic]) -> tuple[list[Basic], list[Side]]:
    """The factors of a density, and the region that its indicators state.

    A variable before a bracket, ``x (1 - x)``, is a factor and no function.

    Raises:
        NotSupportedError: an indicator of anything but a variable compared with a number.
    """
    factors: list[Basic] = []
    sides: list[Side] = []
    for factor in _product(density, variables):
        if isinstance(factor, Indicator):
            sides.append(_side(factor, variables))
        else:
            factors.append(factor)
    return factors, sides


def _product(node: Basic, variables: Collection[Basic]) -> list[Basic]:
    if isinstance(node, Times):
        return [part for factor in node.args for part in _product(factor, variables)]
    if isinstance(node, Apply) and node.args[0] in variables and len(node.args) == 2:
        return [node.args[0], *_product(node.args[1], variables)]
    return [node]


def _side(indicator: Basic, variables: Collection[Basic]) -> Side:
    relation = indicator.args[0]
    if isinstance(relation, Relation) and relation.args[0].name in FLIPPED:
        operator, left, right = relation.args[0].name, relation.args[1], relation.args[2]
        if left in variables and (number := _number(right)) is not None:
            return Side(left, operator, number)
        if right in variables and (number := _number(left)) is not None:
            return Side(right, FLIPPED[operator], number)
    raise NotSupportedError(
        f"`{indicator}` does not compare a variable of the density with a number",
        hint="state where the density is not zero by sides, as in `1[x > 0]` or `1[x > 0] 1[x < 1]`",
    )


def _number(node: Basic) -> Number | None:
    if isinstance(node, Minus) and isinstance(node.args[0], Number):
        return -node.args[0]
    return node if isinstance(node, Number) else None


def sign_of(node: Basic) -> int | None:
    """The sign of a factor of a density, wherever it is not zero; None where it is not known.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> x = Name("x")
        >>> [sign_of(f) for f in (Minus(call("exp", x)), Integer(0), x, Power(x, Integer(2)))]
        [-1, 0, None, 1]
    """
    if isinstance(node, Number):
        return int(bool(node > 0)) - int(bool(node < 0))
    if isinstance(node, Minus):
        inner = sign_of(node.args[0])
        return None if inner is None else -inner
    if isinstance(node, Times | Quotient):
        signs = [sign_of(factor) for factor in node.args]
        return 0 if 0 in signs else None if None in signs else prod(s for s in signs if s is not None)
    if isinstance(node, Power):
        even = isinstance(node.args[1], Integer) and node.args[1] % 2 == 0
        return 1 if even or sign_of(node.args[0]) == 1 else None
    return 1 if isinstance(node, Density) or (isinstance(node, Call) and node.function in POSITIVE) else None


def log_terms(factor: Basic) -> list[Basic]:
    """The terms whose sum is the logarithm of a factor, where it is positive.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> x = Name("x")
        >>> [str(term) for term in log_terms(Power(x, Integer(2)) * call("exp", -x))]
        ['2 log(abs(x))', '-x']
    """
    if isinstance(factor, Times):
        return [term for part in factor.args for term in log_terms(part)]
    if isinstance(factor, Quotient):
        above, below = factor.args
        return [*log_terms(above), *(_scaled(Integer(-1), t) for t in log_terms(below))]
    if isinstance(factor, Power):
        return _of_power(*factor.args)
    if isinstance(factor, Call) and factor.function == "exp":
        return [term if sign > 0 else Minus(term) for sign, term in _exponents(factor.args[1])]
    if isinstance(factor, Call) and factor.function == "sqrt":
        return [_scaled(Integer(1) / 2, term) for term in log_terms(factor.args[1])]
    return [call("log", factor)]


def _exponents(node: Basic) -> list[tuple[int, Basic]]:
    """The signed terms of an exponent; a sum over a number is a sum."""
    if isinstance(node, Quotient) and len(terms_of(node.args[0])) > 1:
        return [(sign, Quotient(term, node.args[1])) for sign, term in terms_of(node.args[0])]
    return terms_of(node)


def _of_power(base: Basic, exponent: Basic) -> list[Basic]:
    inner = log_terms(base)
    plain = inner == [call("log", base)]
    if plain and isinstance(exponent, Integer) and exponent % 2 == 0 and not _is_density(base):
        inner = [call("log", call("abs", base))]
    return [_scaled(exponent, term) for term in inner]


def _is_density(node: Basic) -> bool:
    return isinstance(node, Density | Apply)


def _scaled(coefficient: Basic, term: Basic) -> Basic:
    if coefficient == 1:
        return term
    if coefficient == -1:
        return term.args[0] if isinstance(term, Minus) else Minus(term)
    if isinstance(term, Minus):
        return Minus(_scaled(coefficient, term.args[0]))
    if isinstance(coefficient, Number) and coefficient < 0:
        return Minus(_scaled(-coefficient, term))
    return times(coefficient, term)
