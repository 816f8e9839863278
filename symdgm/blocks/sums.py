"""A density that is a sum over an index: ``p(x) = sum_{k=1}^K pi_k N(x; mu_k, s_k)``.

The index becomes a finite variable of a joint, and the density the marginal of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from sympy import Basic, Integer, Number, Rational
from torch import Tensor, nn

from symdgm.binding import Environment, Factor, Written
from symdgm.binding.factors import ATOMS, Match, givens_of, reference, values_of
from symdgm.distributions import Categorical, Distribution, Family, Joint
from symdgm.errors import NameResolutionError, NotSupportedError, ParameterError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Quotient, Times, times
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.statements import Definition
from symdgm.families import is_family
from symdgm.written_factors import Builder

EXAMPLE = "write a component and its weight, as in `p(x) = sum_{k=1}^K pi_k N(x; mu_k, s_k)`"


SCALAR = torch.Size()


@dataclass(frozen=True)
class Sum:
    """The right side of a statement, taken apart.

    Args:
        component: the density of the left side's variables.
        weights: the other factors, which weigh it.
        index: the index.
        uniform: whether it is the mean over the index.
    """

    component: Basic
    weights: tuple[Basic, ...]
    index: Index
    uniform: bool

    @property
    def variable(self) -> Basic:
        """The index's name."""
        return self.index.variable


def sum_of(left: Basic, right: Basic) -> Sum | None:
    """The sum that a right side is, or None if it is no sum of densities over the left side's variables."""
    scale, aggregate = _scaled(right)
    if not isinstance(aggregate, Aggregate) or aggregate.kind == "prod":
        return None
    body = aggregate.body.args if isinstance(aggregate.body, Times) else (aggregate.body,)
    own = [f for f in body if isinstance(f, Density) and f.values == values_of(left)]
    if len(own) != 1:
        return None
    index: Index = aggregate.index
    number = index.args[2] if len(index.args) == 3 else None
    uniform = aggregate.kind == "mean"
    if scale is not None and (uniform or number is None or scale not in _reciprocals(number)):
        raise NotSupportedError(
            f"`{right}` is a sum times `{scale}`, which is no weight of a mixture",
            hint="write `1/K sum_{k=1}^K ...` for equal weights, or the weight behind the sum, as in "
            "`sum_{k=1}^K pi_k N(x; mu_k, s_k)`",
        )
    rest = tuple(f for f in body if f is not own[0])
    return Sum(own[0], rest, index, uniform or scale is not None)


def _scaled(right: Basic) -> tuple[Basic | None, Basic]:
    """A factor before a sum, and the sum."""
    if isinstance(right, Times) and isinstance(right.args[-1], Aggregate):
        head = right.args[:-1]
        return (times(*head) if len(head) > 1 else head[0]), right.args[-1]
    if isinstance(right, Quotient) and isinstance(right.args[0], Aggregate):
        return Quotient(Integer(1), right.args[1]), right.args[0]
    return None, right


def _reciprocals(number: Basic) -> tuple[Basic, ...]:
    whole = (Rational(1, number),) if isinstance(number, Integer) and number > 0 else ()
    return (Quotient(Integer(1), number), *whole)


def indexed(found: Sum) -> set[str]:
    """The names that stand with the index as their subscript: tables of tensors."""
    nodes = found.component.atoms(Subscripted).union(*(w.atoms(Subscripted) for w in found.weights))
    return {spelled(n.head) for n in nodes if n.indices == (found.variable,)}


@final
class Table(nn.Module):
    """The rows of a tensor by their number.

    Args:
        rows: ``[K, *event]``; a parameter is trained.
        event: the event over which a table of numbers, ``[K]``, is repeated.
    """

    def __init__(self, rows: Tensor, event: torch.Size = SCALAR) -> None:
        super().__init__()
        self.event = event
        if isinstance(rows, nn.Parameter):
            self.register_parameter("rows", rows)
        else:
            self.register_buffer("rows", rows)

    def forward(self, index: Tensor) -> Tensor:
        """The rows ``[batch, *event]`` of numbers ``[batch]``."""
        rows: Tensor = self.get_parameter("rows") if "rows" in self._parameters else self.get_buffer("rows")
        found = rows[index.long()]
        if rows.dim() > 1 or not self.event:
            return found
        return found.reshape(found.shape + (1,) * len(self.event)).expand(found.shape + self.event)


@final
class AtRows(nn.Module):
    """The parameters of a conditional family where some of its conditions are rows of tables.

    Args:
        family: the distribution.
        tables: condition → its rows.
        given: what this takes: the index, and the other conditions.
    """

    def __init__(self, family: Family, tables: Mapping[str, Table], given: tuple[str, ...]) -> None:
        super().__init__()
        self.family = family
        self.tables = nn.ModuleList(tables.values())
        self.conditions = tuple(tables)
        self.given = given

    def forward(self, *values: Tensor) -> Mapping[str, Tensor]:
        """The parameters ``[batch, *event]``."""
        index, *others = values
        rows = {name: table(index) for name, table in zip(self.conditions, self.tables, strict=True)}
        return self.family.parameters_at({**rows, **dict(zip(self.given[1:], others, strict=True))})


@final
class Mixer:
    """Makes a distribution of a sum.

    Args:
        builder: what builds a family's statement, in an environment.
        environment: the factors, networks and scalars.
        tables: name → tensor ``[K, ...]``.
        shapes: variable → its event shape, where it was declared.
        reading: the block.
    """

    def __init__(
        self,
        builder: Callable[[Environment], Builder],
        environment: Environment,
        tables: Mapping[str, Tensor],
        shapes: Mapping[str, object],
        reading: Written,
    ) -> None:
        self.shapes = shapes
        self.builder = builder
        self.environment = environment
        self.tables = tables
        self.reading = reading

    def build(self, left: Basic, found: Sum) -> Distribution | None:
        """The marginal over the index; None if it follows from the factors of that name by itself.

        Raises:
            NameResolutionError: a factor or a table that is not bound.
            NotSupportedError: an index or a weight of another kind.
            ParameterError: tables of different lengths.
        """
        self._check_index(left, found)
        self._check_tables(found)
        match = self._match(found)
        weight = self._weight_factor(found)
        if match is not None and weight is not None and self._is_known(match, weight, left):
            return None
        prior = weight.distribution if weight is not None else self._weights(left, found, match)
        self._check_prior(prior, found)
        component = self._component(left, found, match)
        joint = Joint([component, prior])
        law = joint.marginal(*map(spelled, values_of(left)))
        return law if law.name == spelled(left.args[0]) else law.named(spelled(left.args[0]))

    def _is_known(self, match: Match, weight: Factor, left: Basic) -> bool:
        return match.factor.head == weight.head == left.args[0] and match.givens == match.factor.givens

    def _check_index(self, left: Basic, found: Sum) -> None:
        bounds = found.index.args[1:]
        odd = len(bounds) == 1 or (bounds and (bounds[0] != 1 or not isinstance(bounds[1], (*ATOMS, Number))))
        if not isinstance(found.variable, Name) or odd:
            raise NotSupportedError(
                f"the index of `{left}` is `{found.index}`, which this version cannot sum a density over",
                hint="let it run from 1, as in `sum_{k=1}^K`, or over all states, as in `sum_k`",
            )

    def _check_tables(self, found: Sum) -> None:
        for name in sorted(indexed(found)):
            if name not in self.tables and not is_family(found.component):
                raise NameResolutionError(
                    f"`{name}` is not bound to a table",
                    hint=f"bind it to a tensor or a parameter [K, ...] by `{name}=...`",
                )
            if name in self.tables and not len(self.tables[name]):
                raise ParameterError(f"the table `{name}` has no rows", hint="give each component a row")

    def _match(self, found: Sum) -> Match | None:
        """The bound factor that the component is, at its own conditions or at rows of tables."""
        if is_family(found.component):
            return None
        return self.environment.match(_as_applications(found.component, found.variable, set(self.tables)))

    def _weight_factor(self, found: Sum) -> Factor | None:
        """The bound law of the index."""
        if len(found.weights) != 1 or not isinstance(found.weights[0], Apply | Density):
            return None
        match = self.environment.match(found.weights[0])
        exact = match is not None and match.values == match.factor.variables == (found.variable,)
        return match.factor if match is not None and exact else None

    def _check_prior(self, prior: Distribution, found: Sum) -> None:
        if not isinstance(prior, Categorical):
            raise NotSupportedError(
                f"the weights `{prior}` are no Categorical distribution of the index",
                hint=f"declare `p({found.variable}) = Categorical({found.variable}; probs = w)`",
            )
        stated = found.index.args[2] if len(found.index.args) == 3 else None
        states = [len(t) for t in prior.constants.values() if isinstance(t, Tensor)]
        wanted = self._number(stated) if stated is not None else None
        if wanted is not None and states and states[0] != wanted:
            raise ParameterError(
                f"the index runs to {wanted}, but there are {states[0]} components",
                hint=f"write `{found.variable}=1` to {states[0]}, or bind as many rows",
            )

    def _number(self, node: Basic) -> int | None:
        """The upper end of an index; None for a name that is not bound."""
        name = self.environment.scalar(node)
        if name is None and not isinstance(node, Number):
            return None
        value = float(node if name is None else self.environment.scalars[name])
        if value < 1 or value != int(value):
            raise ParameterError(
                f"the index runs from 1 to {value:g}", hint="let it end at a whole number, one or larger"
            )
        return int(value)

    def _weights(self, left: Basic, found: Sum, match: Match | None) -> Categorical:
        """A law of the index of its own: equal weights, or those of a table."""
        declaration = f"{spelled(left.args[0])}({found.variable})"
        if found.uniform and not found.weights:
            return Categorical(declaration, logits=torch.zeros(self._length(left, found)))
        (weight,) = found.weights if len(found.weights) == 1 else (None,)
        if not found.uniform and isinstance(weight, Subscripted) and spelled(weight.head) in self.tables:
            table = self.tables[spelled(weight.head)]
            if isinstance(table, nn.Parameter):
                raise ParameterError(
                    f"`{weight.head}` is trained, and would not stay weights that sum to one",
                    hint=f"declare `{left.args[0]}({found.variable}) = Categorical({found.variable}; "
                    f"logits = {weight.head})`, and write `sum_{found.variable} "
                    f"{left.args[0]}({found.variable}) ...`",
                )
            return Categorical(declaration, probs=table)
        raise NotSupportedError(
            f"the weight of `{found.component}` is no table of numbers, and no law of `{found.variable}`",
            hint=EXAMPLE,
        )

    def _length(self, left: Basic, found: Sum) -> int:
        """The number of components, by the tables; by the upper end of the index where there is none."""
        lengths = {name: len(self.tables[name]) for name in sorted(indexed(found)) if name in self.tables}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"`{name}` has {n}" for name, n in lengths.items())
            raise ParameterError(
                f"the tables of `{left}` have different lengths: {listed}",
                hint="give each one row a component",
            )
        stated = self._number(found.index.args[2]) if len(found.index.args) == 3 else None
        number = next(iter(lengths.values()), stated)
        if number is None:
            raise NameResolutionError(
                f"nothing says how many components `{left}` has",
                hint="write the number, as in `sum_{k=1}^3`, or bind it",
            )
        return number

    def _component(self, left: Basic, found: Sum, match: Match | None) -> Distribution:
        """``p(x|k)``."""
        if match is not None:
            return self._at_rows(left, found, match)
        if not is_family(found.component):
            raise NameResolutionError(
                f"`{found.component}` is no factor that is bound, and no family", hint=EXAMPLE
            )
        used = {name: self.tables[name] for name in sorted(indexed(found)) if name in self.tables}
        event = next((t.shape[1:] for t in used.values() if t.dim() > 1), self._declared(left))
        rows = {name: Table(table, event) for name, table in used.items()}
        networks: dict[str, Callable[..., Any]] = {**self.environment.networks, **rows}
        environment = replace(self.environment, networks=networks)
        node = reference(left.args[0], values_of(left), (found.variable, *givens_of(left)))
        right = _as_applications(found.component, found.variable, set(rows))
        return self.builder(environment).build(Definition(node, right))

    def _declared(self, left: Basic) -> torch.Size:
        """The event shape that was declared for the variable."""
        shape = self.shapes.get(spelled(values_of(left)[0]), ())
        return torch.Size((shape,) if isinstance(shape, int) else shape)  # type: ignore[arg-type]

    def _at_rows(self, left: Basic, found: Sum, match: Match) -> Distribution:
        """A bound factor as a component: ``p(x|k)`` as it is, ``q(z|u_k)`` at the rows of u."""
        formal = match.factor.distribution
        if found.variable in match.givens:
            return formal
        tables: dict[str, Table] = {}
        for name, actual in zip(formal.given, match.givens, strict=True):
            if isinstance(actual, Apply) and spelled(actual.args[0]) in self.tables:
                tables[name] = Table(self.tables[spelled(actual.args[0])])
        others = tuple(name for name in formal.given if name not in tables)
        if not tables or not isinstance(formal, Family):
            raise NotSupportedError(
                f"`{found.component}` does not depend on the index `{found.variable}` by a table",
                hint="condition it on rows of a tensor, as in `1/K sum_{k=1}^K q(z|u_k)`, or on the index",
            )
        given = (spelled(found.variable), *others)
        values = ",".join(map(spelled, values_of(left)))
        declaration = f"{spelled(left.args[0])}({values}|{','.join(given)})"
        return type(formal)(declaration, AtRows(formal, tables, given))


def _as_applications(node: Basic, index: Basic, tables: set[str]) -> Basic:
    """``mu_k`` as ``mu(k)``, for tables."""
    if isinstance(node, Subscripted) and node.indices == (index,) and spelled(node.head) in tables:
        return Apply(node.head, index)
    if isinstance(node, ATOMS) or not node.args:
        return node
    return node.func(*(_as_applications(a, index, tables) for a in node.args))
