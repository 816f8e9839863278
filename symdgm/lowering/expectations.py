"""Lowering an expectation: where its variables get their values, and how the average is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import NotSupportedError
from symdgm.expressions.expectations import Binder
from symdgm.expressions.laws import Law
from symdgm.expressions.names import base, spelled
from symdgm.expressions.scope import free_names
from symdgm.lowering.estimators import (
    CERTAIN,
    ENUMERATION,
    FIXED,
    MINIBATCH,
    PATHWISE,
    STRATIFIED,
    Estimator,
    choose,
)
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
        EstimatorError: a law without a sound estimator.
    """
    outside, averaged = scope, []
    for binder in node.binders:
        law = _law(lowering, binder)
        drawn = binder.variables or law.values
        estimator = choose(law)
        _record(lowering, node, law, estimator, drawn, outside)
        scope, axis = _bind(lowering, law, drawn, estimator, scope, node)
        if axis is not None:
            averaged.append((estimator, axis))
    value = lowering.log(node.body, scope) if log else lowering.lower(node.body, scope)
    value = lowering.plan.node(Kind.REDUCE, value, detail=("scalar", "event"), origin=node)
    for estimator, axis in reversed(averaged):
        value = _averaged(lowering, value, estimator, axis, node, "log " if log else "")
    return value


def _law(lowering: Lowering, binder: Binder) -> Law:
    law = lowering.facts.law(binder.law)
    if law is None:
        raise NotSupportedError(
            f"an expectation over the joint `{binder.law}` cannot be computed yet",
            hint="write one expectation for each factor, `E_{q(a|x)} E_{q(z|a)}[...]`",
        )
    return law


def _record(
    lowering: Lowering, node: Basic, law: Law, estimator: Estimator, drawn: tuple[Basic, ...], scope: Scope
) -> None:
    count = _count(lowering, law, drawn) if estimator in (PATHWISE, FIXED, STRATIFIED) else 1
    key = (law.node, law.identity, drawn, scope.linear, scope.logged, node)
    estimate = Estimate(node, law, estimator, count, not scope.linear, scope.logged)
    lowering.estimates.setdefault(key, estimate)


def _count(lowering: Lowering, law: Law, drawn: tuple[Basic, ...]) -> int:
    """How many draws: as asked for the variable, the one that it stands for (z for ``z'``), or all."""
    formal = lowering.bound.environment.factors[law.identity].variables
    names = (spelled(drawn[0]), spelled(formal[0]), spelled(base(drawn[0])), "")
    return next((lowering.counts[name] for name in names if name in lowering.counts), 1)


def _refuse_other_rows(lowering: Lowering, law: Law, drawn: tuple[Basic, ...], node: Basic) -> None:
    """Refuse an expectation over data whose body reads other data, which come from the same rows.

    Raises:
        NotSupportedError: the rows of a batch are draws of all data variables together.
    """
    others = [
        n
        for n in lowering.bound.data
        if any(spelled(v) == n for v in free_names(node.body)) and n not in map(spelled, drawn)
    ]
    if others:
        every = ", ".join([*map(spelled, drawn), *others])
        head = law.node.args[0]
        raise NotSupportedError(
            f"the expectation over `{law.node}` averages the rows of a batch, but `{', '.join(others)}` come "
            "from the same rows and are not drawn by it",
            hint=f"draw them together: `E_{head}({every})[...]`",
        )


def _bind(
    lowering: Lowering, law: Law, drawn: tuple[Basic, ...], estimator: Estimator, scope: Scope, node: Basic
) -> tuple[Scope, PlanNode | None]:
    """The scope in which the drawn variables have values, and the node whose axis is averaged away."""
    plan = lowering.plan
    if estimator is MINIBATCH:
        _refuse_other_rows(lowering, law, drawn, node)
        observed = {v: plan.node(Kind.OBSERVE, detail=(spelled(v),), origin=v) for v in drawn}
        return replace(scope, values={**scope.values, **observed}), next(iter(observed.values()))
    parameters = lowering.law(law, scope)
    if estimator is CERTAIN:
        formal = lowering.bound.environment.factors[law.identity].variables
        values = {
            v: plan.node(Kind.PARAMETER, parameters, detail=(spelled(f),), origin=v)
            for v, f in zip(drawn, formal, strict=True)
        }
        return replace(scope, values={**scope.values, **values}), None
    return _drawn(lowering, law, drawn, estimator, parameters, scope)


def _drawn(
    lowering: Lowering,
    law: Law,
    drawn: tuple[Basic, ...],
    estimator: Estimator,
    parameters: PlanNode,
    scope: Scope,
) -> tuple[Scope, PlanNode | None]:
    """The scope with a draw, or with all states, of the variables of a law; a family has one."""
    variable = drawn[0]
    depth = 0
    while (key := (parameters, variable, scope.stream, depth)) in scope.active:
        depth += 1  # an inner expectation over the same law draws afresh
    name, stream = spelled(variable), (scope.stream, depth)
    if estimator in (ENUMERATION, STRATIFIED):
        count = _count(lowering, law, drawn) if estimator is STRATIFIED else 1
        value = lowering.plan.node(Kind.STATES, parameters, detail=(name, stream, count), origin=variable)
        axis: PlanNode | None = value
    else:
        count = _count(lowering, law, drawn)
        kind = Kind.SAMPLE if parameters.kind is Kind.OPAQUE else Kind.DRAW
        value = lowering.plan.node(kind, parameters, detail=(name, stream, count), origin=variable)
        axis = value if count > 1 else None
    values = {variable: value}
    if value.kind is Kind.SAMPLE:
        values = _entries(lowering, law, drawn, value)
    inner = replace(scope, values={**scope.values, **values}, active=scope.active | {key})
    return inner, axis


def _entries(
    lowering: Lowering, law: Law, drawn: tuple[Basic, ...], sample: PlanNode
) -> dict[Basic, PlanNode]:
    """The variables of one draw of an opaque law."""
    formal = lowering.bound.environment.factors[law.identity].variables
    return {
        v: lowering.plan.node(Kind.ENTRY, sample, detail=(spelled(f),), origin=v)
        for v, f in zip(drawn, formal, strict=True)
    }


def _averaged(
    lowering: Lowering, value: PlanNode, estimator: Estimator, axis: PlanNode, node: Basic, log: str
) -> PlanNode:
    """The average over an axis, or the log of that of the exponentials, where ``log`` says so."""
    plan = lowering.plan
    if estimator in (ENUMERATION, STRATIFIED):
        weight = plan.node(Kind.WEIGHT, axis.args[0], axis, origin=axis.args[0].origin)
        return plan.node(Kind.REDUCE, value, weight, axis, detail=(f"{log}weighted sum",), origin=node)
    if estimator is MINIBATCH:
        return plan.node(Kind.REDUCE, value, detail=(f"{log}mean", "batch"), origin=node)
    return plan.node(Kind.REDUCE, value, axis, detail=(f"{log}mean over draws",), origin=node)
