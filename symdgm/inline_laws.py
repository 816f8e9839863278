"""Laws that are written in place, ``eps ~ N(0, I)``, ``t ~ Uniform{1..T}``, as factors of the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sympy import Basic, Integer, Tuple

from symdgm.binding import Environment, Factor, Written
from symdgm.binding.papers import IDENTITY, diagonal
from symdgm.distributions import Distribution
from symdgm.distributions.integers import Integers
from symdgm.errors import NotSupportedError, ParameterError
from symdgm.expressions.applications import Density
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import IndexRange, Subscripted, spelled
from symdgm.expressions.scope import free_names
from symdgm.expressions.statements import Definition
from symdgm.written_factors import Builder


@final
@dataclass(frozen=True)
class InlineLaws:
    """Makes a factor of each law that is written in place.

    Args:
        reading: where they are written, for carets.
    """

    reading: Written

    def __call__(self, environment: Environment, binder: Binder) -> Factor:
        """The factor of a binder; the same law over the same variable is one factor.

        Raises:
            NotSupportedError: a family that is not known, or a law over several variables.
            ParameterError: parameters that do not fit the family.
        """
        variable, head, parameters = _parts(binder)
        node = Density(head, Tuple(variable), _givens(environment, parameters), Tuple(*parameters))
        for factor in environment.factors:
            if factor.node == node:
                return factor
        distribution = self._distribution(environment, node)
        factor = Factor(len(environment.factors), node, distribution, derived=True)
        environment.factors += (factor,)
        return factor

    def _distribution(self, environment: Environment, node: Density) -> Distribution:
        (variable,), parameters = node.values, node.parameters
        named = f"{node.head}({variable}{'|' if node.givens else ''}{', '.join(map(str, node.givens))})"
        if len(parameters) == 1 and isinstance(parameters[0], IndexRange):
            low, high = (_whole(environment, bound) for bound in parameters[0].args)
            return Integers(named, low=float(low), high=float(high), event_shape=())
        names = {spelled(n) for p in parameters for n in free_names(p)}
        vector = spelled(IDENTITY) in names and environment.scalar(IDENTITY) is None
        plain = (parameters[0], *map(diagonal, parameters[1:])) if vector else parameters
        left = Density(node.head, Tuple(variable), Tuple(*node.givens), Tuple())
        right = Density(node.head, Tuple(variable), Tuple(), Tuple(*plain))
        shapes: dict[str, object] = {} if vector else {spelled(variable): ()}
        shapes |= environment.shapes
        builder = Builder(self.reading, environment, shapes, {})
        return builder.build(Definition(left, right))


def _parts(binder: Binder) -> tuple[Basic, Basic, tuple[Basic, ...]]:
    """The variable, the family and its parameters."""
    law = binder.law
    inside = isinstance(law, Density) and bool(law.parameters)
    parameters = law.parameters if inside else tuple(law.args[1:])
    drawn = binder.variables or (law.values if inside else ())
    if isinstance(law, Density) and not inside:
        raise NotSupportedError(
            f"`{law}` is written in place with a bar",
            hint="write its parameters by commas: `z ~ N(mu(x), 1)`",
        )
    if len(drawn) != 1:
        raise NotSupportedError(
            f"`{law}` is written in place over {len(drawn) or 'no'} variables",
            hint="write one law for each: `E_{a ~ N(0, 1), b ~ N(0, 1)}[...]`",
        )
    ranged = isinstance(drawn[0], Subscripted) and any(isinstance(i, IndexRange) for i in drawn[0].indices)
    return drawn[0].args[0] if ranged else drawn[0], law.args[0], parameters


def _givens(environment: Environment, parameters: tuple[Basic, ...]) -> Tuple:
    """The variables on which the parameters depend."""
    names = {n: None for p in parameters for n in sorted(free_names(p), key=str)}
    bound = {IDENTITY, *(n for n in names if environment.scalar(n) is not None)}
    keys = {p.args[0] for p in parameters if isinstance(p, Definition)}
    return Tuple(*(n for n in names if n not in bound | keys and spelled(n) != "pi"))


def _whole(environment: Environment, bound: Basic) -> int:
    """An end of a range of whole numbers."""
    if isinstance(bound, Integer):
        return int(bound)
    name = environment.scalar(bound)
    value = None if name is None else float(environment.scalars[name])
    if value is None or value != int(value):
        raise ParameterError(
            f"`{bound}` is no whole number", hint=f"bind it to one, `{spelled(bound)}=1000`, or write it out"
        )
    return int(value)
