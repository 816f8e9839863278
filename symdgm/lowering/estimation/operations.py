"""Plan nodes that estimators build: surrogates of value zero with a gradient, and averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Basic, Integer

from symdgm.lowering.plan import Kind, Plan, PlanNode, ordered

if TYPE_CHECKING:
    from symdgm.lowering.estimation.estimator import Binding


def depends(value: PlanNode, on: PlanNode) -> bool:
    """Whether a value is computed from a node."""
    return on in ordered([value])


def minus(plan: Plan, a: PlanNode, b: PlanNode, origin: Basic | None) -> PlanNode:
    """``a - b``."""
    negative = plan.node(Kind.APPLY, b, detail=("neg",), origin=origin)
    return plan.node(Kind.APPLY, a, negative, detail=("add",), origin=origin)


def plus(plan: Plan, *terms: PlanNode) -> PlanNode:
    """``a + b + …``."""
    return plan.node(Kind.APPLY, *terms, detail=("add",), origin=terms[0].origin)


def score(plan: Plan, gain: PlanNode, log_prob: PlanNode, origin: Basic | None) -> PlanNode:
    """Zero, with the gradient ``gain ∇log_prob``."""
    return plan.node(Kind.APPLY, gain, log_prob, detail=("score",), origin=origin)


def minimised(plan: Plan, loss: PlanNode, origin: Basic | None) -> PlanNode:
    """Zero, with the gradient of a loss that is minimised whatever sign its place has."""
    return plan.node(Kind.APPLY, loss, detail=("minimised",), origin=origin)


def square(plan: Plan, value: PlanNode, origin: Basic | None) -> PlanNode:
    """``value²``."""
    two = plan.node(Kind.NUMBER, detail=(Integer(2),))
    return plan.node(Kind.APPLY, value, two, detail=("pow",), origin=origin)


def stopped(plan: Plan, value: PlanNode) -> PlanNode:
    """A value without its gradient."""
    return plan.node(Kind.APPLY, value, detail=("sg",), origin=value.origin)


def onto(plan: Plan, value: PlanNode, like: PlanNode) -> PlanNode:
    """The sum over the axes that ``like`` lacks: it depends on the draws along all of them."""
    return plan.node(Kind.REDUCE, value, like, detail=("sum onto",), origin=value.origin)


def part(plan: Plan, value: PlanNode, axis: PlanNode, start: int, stop: int, label: str) -> PlanNode:
    """Some of the entries along an axis of draws."""
    return plan.node(Kind.REDUCE, value, axis, detail=("part", start, stop, label), origin=value.origin)


def surrogate_of(plan: Plan, name: str, binding: Binding, value: PlanNode, *extra: PlanNode) -> PlanNode:
    """Zero, with the gradient that an estimator of its own gives to the draws of a binder."""
    assert binding.draw is not None
    detail = (name, binding.place.asked)
    return plan.node(Kind.SURROGATE, value, binding.draw, *extra, detail=detail, origin=binding.place.node)
