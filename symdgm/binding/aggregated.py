"""The aggregated posterior ``q(z)`` of which only ``q(z|x)`` is bound: its average over the data."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sympy import Basic

from symdgm.binding.environment import Environment, is_data_name
from symdgm.binding.factors import Factor, Match, assign, givens_of, reference, values_of
from symdgm.distributions import Data
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import Name
from symdgm.expressions.scope import bound_variables, free_names


def observed_names(expression: Basic, environment: Environment) -> frozenset[Basic]:
    """The variables that are data: free in the formula, drawn from the data, or of a bound `Data`."""
    bound = (v for f in environment.factors if isinstance(f.distribution, Data) for v in f.variables)
    drawn = (
        v for b in nodes(expression, Binder) if _is_over_data(b, environment) for v in bound_variables(b)
    )
    return frozenset((*free_names(expression), *bound, *drawn))


def _is_over_data(binder: Binder, environment: Environment) -> bool:
    return bool(binder.law.args) and environment.data_law(binder.law) is not None


def aggregate_rows(environment: Environment, node: Basic) -> Match | None:
    """``q(z)`` as the average of ``q(z|x)`` over the rows ``x``; it becomes a factor of the environment."""
    if givens_of(node):
        return None
    named = environment.named(node.args[0])
    rows = [f for f in named if f.givens and assign(f.variables, values_of(node)) is not None]
    if len(rows) != 1 or not set(rows[0].givens) <= environment.observed:
        return None
    own = reference(rows[0].head, rows[0].variables, ())
    factor = Factor(len(environment.factors), own, rows[0].distribution, derived=True, rows=rows[0])
    environment.factors += (factor,)
    return environment.match_derived(node)


def data_reference(environment: Environment, variables: Collection[Basic]) -> Basic:
    """The data distribution over some variables, under the name that it has here."""
    for factor in environment.factors:
        if isinstance(factor.distribution, Data) and set(variables) <= set(factor.variables):
            return reference(factor.head, tuple(variables), ())
    return reference(Name(_unbound(environment, ("data", "p_data", "q_data"))), tuple(variables), ())


def _unbound(environment: Environment, names: Iterable[str]) -> str:
    """The first name that means the data and is not bound to something else."""
    return next(n for n in names if is_data_name(Name(n)) and not environment.named(Name(n)))
