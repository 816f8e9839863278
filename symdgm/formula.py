"""Parameters written as formulas in a model block, such as ``N(z; mu(x), sigma(x)^2)``, as a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from sympy import Basic, Tuple
from torch import Tensor, nn

from symdgm.binding import Bound, BoundFacts, Environment, Written, bind
from symdgm.errors import NameResolutionError
from symdgm.lowering import Output, freeze
from symdgm.parts import register
from symdgm.rewriting import Derivation, Term
from symdgm.runtime import Runner


@final
class Formula(nn.Module):
    """Formulas of given variables as a network that returns a dict of parameters.

    Scalars are those of the environment, so that a schedule reaches the formulas and the objective alike.

    Args:
        formulas: parameter → formula.
        given: the variables that it takes, in order.
        environment: the networks and scalars that the formulas name.
        text: where they were read.

    Raises:
        NameResolutionError: a name that is not bound, or a variable that is not given.
        NotSupportedError: a construct that cannot be computed yet.
    """

    def __init__(
        self, formulas: Mapping[str, Basic], given: tuple[str, ...], environment: Environment, text: Written
    ) -> None:
        super().__init__()
        self.given = given
        bound: Bound = bind(Tuple(*formulas.values()), environment, text, observed=given)
        _check_given(bound, given)
        terms = tuple(Term(node, 1, (), node) for node in bound.expression.args)
        frozen = freeze(
            bound, Derivation(bound.expression, (), terms), BoundFacts(environment, bound.expression), {}
        )
        register(self, {name: environment.networks[name] for name in bound.networks})
        for name, parameter in environment.scalars.parameters().items():
            if name in bound.scalars:
                self.register_parameter(f"scalar_{name}", parameter)
        self._used = bound.data
        self._runner = Runner(frozen, list(formulas), ", ".join(map(str, formulas.values())), self._anchor)

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        """The parameters at given values, each ``[batch, *event]``."""
        data = {name: value for name, value in zip(self.given, given, strict=True) if name in self._used}
        return self._runner(data, output=Output.EVENTS)[1]

    def _anchor(self) -> Tensor | None:
        return next(self.parameters(), None)


@final
class Rearranged(nn.Module):
    """A network that is applied to some of the given variables, or in another order than they are given in.

    Args:
        network: the network.
        positions: which of the given variables it takes, in its own order.
    """

    def __init__(self, network: Callable[..., object], positions: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.positions = positions

    def forward(self, *given: Tensor) -> object:
        """What the network returns."""
        return self.network(*(given[i] for i in self.positions))


def _check_given(bound: Bound, given: tuple[str, ...]) -> None:
    for name in bound.data:
        if name not in given:
            raise NameResolutionError(
                f"the parameters depend on `{name}`, which does not stand behind the bar",
                hint=f"write it there, or bind `{name}` to a number",
            )
