"""Writing abbreviations out: their names mean what they mean at the place where the abbreviation is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sympy import Basic

from symdgm.expressions.applications import Apply
from symdgm.expressions.names import Subscripted, base
from symdgm.expressions.places import NAMES, TERM, VALUE, Place, Role, is_closed, looked_up, places
from symdgm.expressions.scope import OPEN, free_names, replace
from symdgm.expressions.statements import Definition


def write_out(
    expression: Basic, abbreviations: Mapping[Basic, Basic], factors: Collection[Basic] = ()
) -> Basic:
    """The expression with abbreviations replaced by what they stand for.

    Unlike `scope.replace` this lets binders capture: with ``y = eps x + (1 - eps) G(z)``, the y under an
    expectation over x, z and eps is made of the variables that it draws. A variable that a binder calls by
    the name of an abbreviation is no use of it. Its index is a parameter: with ``w_k = f(z_k)``, ``w_j`` is
    ``f(z_j)``.

    Args:
        expression: any node.
        abbreviations: name → what it stands for.
        factors: the heads that are densities though they are written as applications, ``p`` in ``p(z)``:
            their argument says which variable it is, ``p(z=f(y))``.

    Example:
        >>> from sympy import Tuple
        >>> from symdgm.expressions.applications import Apply
        >>> from symdgm.expressions.expectations import Binder, Expect
        >>> from symdgm.expressions.names import Name
        >>> p, x, y = Name("p"), Name("x"), Name("y")
        >>> write_out(Expect(y, Binder(Tuple(), Apply(p, x))), {y: 2 * x})
        E_p(x)[2 x]
    """
    return _written(expression, TERM, dict(abbreviations), frozenset(factors))


def _written(node: Basic, place: Place, swaps: dict[Basic, Basic], factors: frozenset[Basic]) -> Basic:
    if not swaps or place.role is Role.FIXED:
        return node
    value = _meant(node, swaps) if place.role in OPEN else None
    if value is not None:
        named = place.role is Role.VALUE and isinstance(node, NAMES) and base(value) != base(node)
        return Definition(node, value) if named else value
    if is_closed(node, place):
        return node
    density = isinstance(node, Apply) and node.args[0] in factors and place.role is not Role.LAW
    parts = [
        _written(
            part,
            VALUE if density and inner.role is Role.ARGUMENT else inner,
            {k: v for k, v in swaps.items() if looked_up(k, bound) is None},
            factors,
        )
        for part, inner, bound in places(node, place)
    ]
    same = all(new is old for new, old in zip(parts, node.args, strict=True))
    return node if same else node.func(*parts)


def _meant(node: Basic, swaps: dict[Basic, Basic]) -> Basic | None:
    """What a name stands for; with ``w_k = f(z_k)``, ``w_j`` is ``f(z_j)``."""
    if node in swaps:
        return swaps[node]
    if not isinstance(node, Subscripted):
        return None
    for key, value in swaps.items():
        same = isinstance(key, Subscripted) and key.head == node.head and len(key.args) == len(node.args)
        if same and set(key.args[1:]) <= free_names(value):
            return replace(value, dict(zip(key.args[1:], node.args[1:], strict=True)))
    return None
