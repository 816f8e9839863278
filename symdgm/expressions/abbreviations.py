"""Writing abbreviations out: their names mean what they mean at the place where the abbreviation is used."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Basic

from symdgm.expressions.names import base
from symdgm.expressions.places import NAMES, TERM, Place, Role, is_closed, looked_up, places
from symdgm.expressions.scope import OPEN
from symdgm.expressions.statements import Definition


def write_out(expression: Basic, abbreviations: Mapping[Basic, Basic]) -> Basic:
    """The expression with abbreviations replaced by what they stand for.

    Unlike `scope.replace` this lets binders capture: with ``y = eps x + (1 - eps) G(z)``, the y under an
    expectation over x, z and eps is made of the variables that it draws. A variable that a binder calls by
    the name of an abbreviation is no use of it.

    Args:
        expression: any node.
        abbreviations: name → what it stands for.

    Example:
        >>> from sympy import Tuple
        >>> from symdgm.expressions.applications import Apply
        >>> from symdgm.expressions.expectations import Binder, Expect
        >>> from symdgm.expressions.names import Name
        >>> p, x, y = Name("p"), Name("x"), Name("y")
        >>> write_out(Expect(y, Binder(Tuple(), Apply(p, x))), {y: 2 * x})
        E_p(x)[2 x]
    """
    return _written(expression, TERM, dict(abbreviations))


def _written(node: Basic, place: Place, swaps: dict[Basic, Basic]) -> Basic:
    if not swaps or place.role is Role.FIXED:
        return node
    if place.role in OPEN and node in swaps:
        value = swaps[node]
        named = place.role is Role.VALUE and isinstance(node, NAMES) and base(value) != base(node)
        return Definition(node, value) if named else value
    if is_closed(node, place):
        return node
    parts = [
        _written(part, inner, {k: v for k, v in swaps.items() if looked_up(k, bound) is None})
        for part, inner, bound in places(node, place)
    ]
    same = all(new is old for new, old in zip(parts, node.args, strict=True))
    return node if same else node.func(*parts)
