"""Laws of one component, ``q(z_j|x)``, and products of them, ``prod_j q(z_j)`` (LANGUAGE.md 8.1)."""

from __future__ import annotations

from sympy import Basic, Tuple

from symdgm.binding.factors import Match, reference, values_of
from symdgm.binding.reader import Reader
from symdgm.distributions import Family
from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.names import Placeholder, Subscripted
from symdgm.expressions.resolved import Component


def with_components(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A law with its components told: ``q(z_j|x)`` is over `Component(z, j)`, where ``j`` is an index.

    So is ``q(z_{t,j}|x_t)`` of a step.

    A row or a sample, ``z_n``, is the formal variable itself.
    """
    if not isinstance(node, Apply | Density):
        return node
    values = tuple(_value(reader, v, scope) for v in values_of(node))
    if values == values_of(node):
        return node
    if isinstance(node, Apply):
        return reference(node.args[0], values, ())
    return Density(node.args[0], Tuple(*values), *node.args[2:])


def _value(reader: Reader, value: Basic, scope: frozenset[Basic]) -> Basic:
    time = reader.environment.time
    step = time.component(value) if time is not None else None
    if step is not None and step[1] in reader.indices and step[1] in scope:
        reader.indices[step[1]].use("component", step[0])
        return Component(*step)
    if not isinstance(value, Subscripted) or len(value.indices) != 1 or reader.is_variable(value):
        return value
    (index,) = value.indices
    if index not in reader.indices or index not in scope:
        return value
    if reader.indices[index].runs_over_rows or Subscripted(value.head, Placeholder()) in scope:
        return value.head
    reader.indices[index].use("component", value.head)
    return Component(value.head, index)


def check_component(match: Match) -> None:
    """Refuse the component of a law that is no product over its components.

    Raises:
        NotSupportedError: components that depend on each other, or a law that is computed as a whole.
    """
    distribution = match.factor.distribution
    over_component = any(isinstance(v, Component) for v in match.values)
    if over_component and not (isinstance(distribution, Family) and distribution.event_rank == 0):
        raise NotSupportedError(
            f"`{match.node}` is the law of a component, but those of {distribution.described} are not "
            "independent given what it is given",
            hint="write the whole law, or use a family whose elements are independent, such as `sd.Normal`",
        )
