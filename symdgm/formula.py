"""Parameters written as formulas in a model block, such as ``N(z; mu(x), sigma(x)^2)``, as a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from sympy import Basic, Tuple, preorder_traversal
from torch import Tensor, nn

from symdgm.binding import Bound, BoundFacts, Environment, Factor, Written, bind
from symdgm.errors import NameResolutionError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.depth import nodes
from symdgm.expressions.names import spelled
from symdgm.expressions.resolved import EntryOf
from symdgm.expressions.scope import free_names
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
        owner: what depends on the names, for errors.

    Raises:
        NameResolutionError: a name that is not bound, or a variable that is not given.
        NotSupportedError: a construct that cannot be computed yet.
    """

    def __init__(
        self,
        formulas: Mapping[str, Basic],
        given: tuple[str, ...],
        environment: Environment,
        text: Written,
        owner: str = "the parameters depend",
    ) -> None:
        super().__init__()
        self.given = given
        bound: Bound = bind(Tuple(*formulas.values()), environment, text, observed=given)
        _check_given(bound, given, owner)
        terms = tuple(Term(node, 1, (), node) for node in bound.expression.args)
        frozen = freeze(
            bound, Derivation(bound.expression, (), terms), BoundFacts(environment, bound.expression), {}
        )
        register(self, {name: environment.networks[name] for name in bound.networks})
        used = dict.fromkeys(spelled(n.args[0]) for n in nodes(bound.expression, EntryOf))
        register(self, {name: environment.tables[name] for name in used})
        register(self, {str(f.node): f.distribution for f in factors_within(bound)})
        for name, parameter in environment.scalars.parameters().items():
            if name in bound.scalars:
                self.register_parameter(f"scalar_{name}", parameter)
        self._used = bound.data
        parts = zip(formulas, bound.expression.args, strict=True)
        self._constant = [
            name for name, part in parts if not {*map(spelled, free_names(part))} & {*bound.data}
        ]
        self._runner = Runner(frozen, list(formulas), ", ".join(map(str, formulas.values())), self._anchor)

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        """The parameters at given values, each ``[batch, *event]``."""
        data = {name: value for name, value in zip(self.given, given, strict=True) if name in self._used}
        found = dict(self._runner(data, output=Output.EVENTS)[1])
        if given:
            # A tensor that no given variable changes has no batch of its own, but every parameter has one.
            whole = {k: found[k] for k in self._constant if found[k].dim()}
            found |= {k: v.expand(len(given[0]), *v.shape) for k, v in whole.items()}
        return found

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


@final
class Composed(nn.Module):
    """A network that is applied to formulas of the given variables: ``enc(f(x))``.

    Args:
        network: the outer network.
        arguments: its arguments, in order.
    """

    def __init__(self, network: Callable[..., object], arguments: Formula) -> None:
        super().__init__()
        self.network = network
        self.arguments = arguments

    def forward(self, *given: Tensor) -> object:
        """What the outer network returns."""
        return self.network(*self.arguments(*given).values())


def factors_within(bound: Bound) -> list[Factor]:
    """The factors whose densities a formula takes, each once."""
    laws = [n for n in preorder_traversal(bound.expression) if isinstance(n, Apply | Density)]
    found = {m.factor.index: m.factor for n in laws if (m := bound.environment.match(n)) is not None}
    return [factor for _, factor in sorted(found.items())]


def _check_given(bound: Bound, given: tuple[str, ...], owner: str) -> None:
    for name in bound.data:
        if name not in given:
            raise NameResolutionError(
                f"{owner} on `{name}`, which does not stand behind the bar",
                hint=f"write it there, or bind `{name}` to a number",
            )
