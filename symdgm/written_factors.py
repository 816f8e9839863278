"""From a statement such as ``q(z|x) = Normal(z; enc(x))`` to a distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from sympy import Basic, Number
from torch import Tensor, nn

from symdgm.binding import Environment, Written
from symdgm.binding.factors import givens_of, values_of
from symdgm.distributions import Distribution, Family, MultivariateNormal
from symdgm.distributions.linear_gaussian import LinearSum
from symdgm.errors import NameResolutionError, ParameterError, SymdgmError
from symdgm.expressions.applications import Apply
from symdgm.expressions.arithmetic import Minus, Plus
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.statements import Definition
from symdgm.families import OPTIONS, SYMBOL, family_of, formulas_of, parameters_of
from symdgm.formula import Composed, Formula, Rearranged

COVARIANCE = "covariance_matrix"


@final
class Builder:
    """Makes distributions from the statements of a block.

    Args:
        reading: the block, for carets.
        environment: the networks and scalars that parameters name.
        shapes: variable → its event shape.
        tensors: name → a tensor that is a parameter as it is.
    """

    def __init__(
        self,
        reading: Written,
        environment: Environment,
        shapes: Mapping[str, object],
        tensors: Mapping[str, Tensor],
    ) -> None:
        self.reading = reading
        self.environment = environment
        self.shapes = shapes
        self.tensors = tensors

    def build(self, definition: Basic) -> Distribution:
        """The distribution of a statement.

        Raises:
            NameResolutionError: an unknown family or name, or different variables on the two sides.
            ParameterError: parameters that do not fit the family.
        """
        left, right = definition.args
        try:
            return self._build(left, right)
        except SymdgmError as error:
            raise error.at(self.reading.source, self.reading.spans.get(right)) from error.__cause__

    def _build(self, left: Basic, right: Basic) -> Distribution:
        given = tuple(map(spelled, givens_of(left)))
        check_sides(left, right)
        sole = self._sole_network(family_of(right), right)
        if sole is not None:
            return family_of(right)(str(left), self._applied(sole, given))
        family, formulas = self._read(left, right)
        options = {
            name: _option(name, formulas.pop(name))
            for name in OPTIONS.get(family.family, ())
            if name in formulas
        }
        plain = {name: self._plain(formula, given) for name, formula in formulas.items()}
        if COVARIANCE in formulas and isinstance(plain["loc"], float):
            plain["loc"] = self._mean(plain["loc"], formulas[COVARIANCE])
        numbers = {name: value for name, value in plain.items() if isinstance(value, float | Tensor)}
        if all(value is not None for value in plain.values()):
            constant = all(isinstance(value, float) for value in plain.values())
            shape = self.shapes.get(spelled(values_of(left)[0])) if constant else None
            return family(str(left), event_shape=shape, **plain, **options)  # type: ignore[arg-type]
        compound = {name: formula for name, formula in formulas.items() if name not in numbers}
        formula = Formula(compound, given, self.environment, self.reading)
        return family(str(left), formula, event_shape=None, **numbers, **options)

    def _read(self, left: Basic, right: Basic) -> tuple[type[Family], dict[str, Basic]]:
        """The family and its formulas; ``N(x; mu, Sigma)`` with a matrix is a normal of full covariance."""
        family, formulas = family_of(right), formulas_of(right)
        written = [p for p in parameters_of(right) if not isinstance(p, Definition)]
        if spelled(right.args[0]) != SYMBOL or len(written) != 2:
            return family, formulas
        mean, variance = written
        value, shape = self._row(variance), self.shapes.get(spelled(values_of(left)[0]))
        other = self._row(mean)
        elementwise = (other is not None and other.dim() == 2) or (
            isinstance(shape, tuple) and len(shape) == 2
        )
        if value is not None and value.dim() == 2 and len(set(value.shape)) == 1 and not elementwise:
            return MultivariateNormal, {"loc": mean, COVARIANCE: variance}
        if value is not None and isinstance(variance, Name | Subscripted):
            return family, {"loc": mean, "variance": variance}
        return family, formulas

    def _mean(self, number: float, covariance: Basic) -> float | Tensor:
        """A mean of equal elements, as many as the covariance has rows."""
        row = self._row(covariance)
        return number if row is None else row.detach().new_full(row.shape[-1:], number)

    def _row(self, node: Basic) -> Tensor | None:
        """The tensor that a parameter is, or the first row of the table that it is taken from."""
        if isinstance(node, Name | Subscripted):
            return self.tensors.get(spelled(node))
        table = self.tensors.get(spelled(node.args[0])) if isinstance(node, Apply) else None
        return None if table is None else table[0]

    def _sole_network(self, family: type[Family], right: Basic) -> Basic | None:
        """``enc(x)`` where it stands alone for all of several parameters."""
        parameters = parameters_of(right)
        if len(parameters) != 1 or not self._is_network(parameters[0]) or len(family.parameter_names) == 1:
            return None
        if spelled(right.args[0]) == SYMBOL:
            name, value = parameters[0], values_of(right)[0]
            raise ParameterError(
                f"{SYMBOL} takes a mean and a variance, but `{name}` stands alone",
                hint=f"write `Normal({value}; {name})` for a network that returns loc and scale, or "
                f"both: `N({value}; mu(x), s(x)^2)`",
            )
        return parameters[0]

    def _is_network(self, node: Basic) -> bool:
        return isinstance(node, Apply) and self.environment.network(node.args[0]) is not None

    def _network(self, node: Basic) -> Callable[..., object]:
        name = self.environment.network(node.args[0])
        assert name is not None
        return self.environment.networks[name]

    def _applied(self, node: Basic, given: tuple[str, ...]) -> Callable[..., object]:
        """The network of ``dec(y, z)`` as a function of what is given."""
        arguments = tuple(map(spelled, node.args[1:]))
        if arguments == given:
            return self._network(node)
        if not all(isinstance(a, Name | Subscripted) for a in node.args[1:]):
            inner = {f"argument {i + 1}": a for i, a in enumerate(node.args[1:])}
            return Composed(self._network(node), Formula(inner, given, self.environment, self.reading))
        if not set(arguments) <= set(given):
            raise ParameterError(
                f"`{node}` is applied to {_listed(arguments)}, but given is {_listed(given)}",
                hint="apply the network to variables that stand behind the bar",
            )
        return Rearranged(self._network(node), tuple(map(given.index, arguments)))

    def _plain(self, node: Basic, given: tuple[str, ...]) -> float | Tensor | Callable[..., object] | None:
        """A number, a tensor, or a network of just what is given; None for any other formula."""
        if isinstance(node, Name | Subscripted) and spelled(node) in self.tensors:
            return self.tensors[spelled(node)]
        if isinstance(node, Number):
            return float(node)
        if isinstance(node, Minus) and isinstance(node.args[0], Number):
            return -float(node.args[0])
        if self._is_network(node) and tuple(map(spelled, node.args[1:])) == given:
            return self._network(node)
        return self._linear_sum(node, given)

    def _linear_sum(self, node: Basic, given: tuple[str, ...]) -> LinearSum | None:
        """``A(z) + B(a)`` of linear functions, one of each of several given variables; None if it is none."""
        terms = [term for term in node.args if self._is_network(term)] if isinstance(node, Plus) else []
        read = {spelled(term.args[1]): term for term in terms if len(term.args) == 2}
        if not terms or len(terms) != len(node.args) or len(terms) != len(given) or set(read) != set(given):
            return None
        networks = [self._network(read[name]) for name in given]
        linears = [network for network in networks if type(network) is nn.Linear]
        return LinearSum(linears) if len(linears) == len(given) else None


def _option(name: str, node: Basic) -> float:
    """A number that is no parameter, such as how many levels a grid has."""
    number = node.args[0] if isinstance(node, Minus) else node
    if not isinstance(number, Number):
        raise ParameterError(f"`{name}` is `{node}`, not a number", hint=f"write a number, as in `{name}=2`")
    value = int(number) if number.is_integer else float(number)
    return -value if isinstance(node, Minus) else value


def check_sides(left: Basic, right: Basic) -> None:
    """Refuse a statement whose two sides are over different variables.

    Raises:
        NameResolutionError: it says so, and shows where the parameters stand.
    """
    names, over = values_of(left), values_of(right)
    if len(over) > len(names) and over[: len(names)] == names:
        family = right.args[0]
        variables, parameters = (", ".join(map(str, part)) for part in (names, over[len(names) :]))
        raise NameResolutionError(
            f"`{right}` separates the parameters from the variable by a comma",
            hint=f"parameters come after `;`: `{family}({variables}; {parameters})`",
        )
    if values_of(right) != values_of(left) or givens_of(right):
        raise NameResolutionError(
            f"the left side is over {_listed(tuple(map(str, values_of(left))))}, but the family is over "
            f"{_listed(tuple(map(str, values_of(right))))}{' given others' if givens_of(right) else ''}",
            hint="write the same variable on both sides, and parameters after `;`, as in `p(z) = "
            "Normal(z; 0, 1)`",
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
