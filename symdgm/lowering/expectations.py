"""Lowering an expectation: where its variables get their values, and how the average is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import NotSupportedError
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.lowering.estimation.estimator import (
    Averages,
    Binding,
    Estimator,
    Place,
    by_draws,
    by_indexed_draws,
)
from symdgm.lowering.estimators import choose
from symdgm.lowering.plan import Kind, PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


@dataclass(frozen=True)
class Estimate:
    """An expectation and how it is computed.

    Args:
        expectation: the expectation.
        law: the law of one of its binders.
        estimator: how that law is averaged over.
        count: the number of draws.
        nonlinear: whether a nonlinear function of the estimate is taken.
        logged: whether that function is a logarithm, and linear from there on.
    """

    expectation: Basic
    law: Law
    estimator: Estimator
    count: int
    nonlinear: bool = False
    logged: bool = False


def lower_expectation(lowering: Lowering, node: Basic, scope: Scope, *, log: bool = False) -> PlanNode:
    """The average of the body over the variables, the innermost first; or its logarithm.

    Args:
        lowering: the plan while it is built.
        node: the expectation.
        scope: where it stands.
        log: whether the log of the average is wanted, of a body that is positive.

    Raises:
        NotSupportedError: an expectation over a joint.
        EstimatorError: an estimator that the user asked for is not sound here.
    """
    node = _one(node) if log else node
    outside, bound = scope, []
    for binder in node.binders:
        place = _place(lowering, node, binder, scope, log)
        if (place.law.identity, place.law.givens) in scope.laws:
            continue  # the path around it draws this very step
        estimator = _chosen(place)
        _record(place, estimator, outside)
        binding = estimator.bind(place)
        scope = _inside(scope, binding)
        bound.append((estimator, binding))
    if log and any(binding.axis is not None for _, binding in bound):
        scope = replace(scope, averaged=True)
    value = lowering.log(node.body, scope) if log else lowering.lower(node.body, scope)
    value = lowering.plan.node(Kind.REDUCE, value, detail=("scalar", "event"), origin=node)
    return _averaged(value, bound)


def _averaged(value: PlanNode, bound: list[tuple[Estimator, Binding]]) -> PlanNode:
    """The average over all variables; then what the gradient of a logarithm lacks."""
    averages = Averages()
    for estimator, binding in reversed(bound):
        value = estimator.average(binding, value, averages)
    for estimator, binding in reversed(bound):
        value = estimator.settle(binding, value, averages)
    return value


def _one(node: Basic) -> Basic:
    """Expectations that stand directly in one another as one: the log of their average is one bound."""
    while isinstance(node.body, Expect):
        node = Expect(node.body.body, *node.binders, *node.body.binders)
    return node


def _place(lowering: Lowering, node: Basic, binder: Binder, scope: Scope, log: bool) -> Place:
    law = _law(lowering, binder)
    drawn = binder.variables or law.values
    return Place(lowering, node, law, drawn, scope, _count(lowering, law, drawn), log)


def _law(lowering: Lowering, binder: Binder) -> Law:
    law = lowering.facts.law(binder.law)
    if law is None:
        raise NotSupportedError(
            f"an expectation over the joint `{binder.law}` cannot be computed yet",
            hint="write one expectation for each factor, `E_{q(a|x)} E_{q(z|a)}[...]`",
        )
    return law


def _chosen(place: Place) -> Estimator:
    """The estimator by the table, or that which the user named for the variable."""
    choices = place.lowering.choices
    names = [n for n in _names(place.lowering, place.law, place.drawn) if n in choices.recipes]
    asked = choices.recipes[names[0]] if names else None
    found = choose(place, asked, many=(place.law.identity, place.name) in choices.many)
    if place.several and found.said is by_draws:
        return replace(found, said=partial(by_indexed_draws, str(place.drawn[0].args[1].args[1])))
    return found


def _record(place: Place, estimator: Estimator, outside: Scope) -> None:
    key = (place.law.node, place.law.identity, place.drawn, outside.linear, outside.logged, place.node)
    estimate = Estimate(place.node, place.law, estimator, estimator.count, not outside.linear, outside.logged)
    place.lowering.estimates.setdefault(key, estimate)


def _count(lowering: Lowering, law: Law, drawn: tuple[Basic, ...]) -> int:
    """How many draws: as asked for the variable, the one that it stands for (z for ``z'``), or all."""
    names = (*_names(lowering, law, drawn), "")
    return next((lowering.counts[name] for name in names if name in lowering.counts), 1)


def _names(lowering: Lowering, law: Law, drawn: tuple[Basic, ...]) -> tuple[str, ...]:
    """The names by which a user may mean a variable, its own first."""
    if law.kind == "data":
        return (spelled(drawn[0]),)
    time = lowering.bound.environment.time
    if law.kind == "path" and time is not None:
        steps = [(v, time.step(base(v)), base(v)) for v in drawn]
        return tuple(spelled(name) for names in steps for name in names)
    formal = lowering.bound.environment.factors[law.identity].variables
    return (spelled(drawn[0]), spelled(formal[0]), spelled(base(drawn[0])))


def _inside(scope: Scope, binding: Binding) -> Scope:
    """The scope in which the variables of a binder have values."""
    scope = scope if binding.within is None else binding.within
    active = scope.active if binding.key is None else scope.active | {binding.key}
    sampled = binding.axis is not None and binding.axis is binding.draw
    draws = (*scope.draws, binding.axis) if sampled and binding.axis is not None else scope.draws
    return replace(scope, values={**scope.values, **binding.values}, active=active, draws=draws)
