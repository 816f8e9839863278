"""Lowering sums, products, powers and norms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic, Integer

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Call
from symdgm.expressions.names import Name, Subscripted
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.positive import is_ratio_of_densities
from symdgm.lowering.stable import stable
from symdgm.lowering.streams import copies, squared_norm, streams

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope

ONE, TWO = Integer(1), Integer(2)


def lower_plus(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A sum."""
    return lowering.apply("add", node, [lowering.lower(a, scope) for a in node.args])


def lower_minus(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A negative."""
    return lowering.apply("neg", node, [lowering.lower(node.args[0], scope)])


def lower_times(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A product, with draws of its own for each factor."""
    if _is_density_times_log(lowering, node):
        weight, log = node.args
        return lowering.apply(
            "xlogy", node, [lowering.lower(weight, scope), lowering.lower(log.args[1], scope)]
        )
    if _is_weighted_by_classes(lowering, node):
        return lowering.apply("weighted", node, [lowering.lower(a, scope) for a in node.args])
    return lowering.apply("mul", node, independent(lowering, node.args, scope))


def _is_weighted_by_classes(lowering: Lowering, node: Basic) -> bool:
    """Whether it is ``softmax(l) a`` of a closed form, which is 0 for a class that is excluded."""
    first = node.args[0]
    if len(node.args) != 2 or not isinstance(first, Call) or first.function != "softmax":
        return False
    return first.args[1] in lowering.facts.parameter_names


def _is_density_times_log(lowering: Lowering, node: Basic) -> bool:
    """Whether it is ``a log b`` of a family's formula, which is 0 where both are 0."""
    if len(node.args) != 2 or not isinstance(node.args[1], Call) or stable(node.args[1]) is not None:
        return False
    log = node.args[1]
    probability = log.args[1] == 0 or any(name in lowering.facts.parameter_names for name in _names(log))
    return log.function == "log" and probability


def independent(lowering: Lowering, factors: tuple[Basic, ...], scope: Scope) -> list[PlanNode]:
    """Factors, each with draws of its own, so that the product of unbiased estimates stays unbiased."""
    lowered = []
    for factor in factors:
        lowered.append(lowering.lower(factor, scope))
        drawn = streams(factor, lowering.streams)
        scope = replace(scope, stream=scope.stream + drawn) if drawn else scope
    return lowered


def lower_quotient(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A quotient, with draws of its own for each part; one of densities leaves the logarithmic scale last."""
    numerator, denominator = node.args
    if is_ratio_of_densities(lowering, node):
        return lowering.apply("exp", node, [lowering.log(node, scope.nonlinear())])
    after = replace(scope, stream=scope.stream + streams(numerator, lowering.streams))
    operands = [lowering.lower(numerator, scope), lowering.lower(denominator, after.nonlinear())]
    return lowering.apply("div", node, operands)


def lower_power(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A power; a whole power of an estimate multiplies independent ones."""
    base, exponent = node.args
    vector = squared_norm(node)
    if vector is not None:
        return lowering.event_sum(_squared(lowering, vector, node, scope), node)
    count = copies(node)
    if count is not None and streams(base, lowering.streams):
        return lowering.apply("mul", node, independent(lowering, (base,) * count, scope))
    return lowering.apply("pow", node, [lowering.lower(a, scope.nonlinear()) for a in (base, exponent)])


def _squared(lowering: Lowering, base: Basic, node: Basic, scope: Scope) -> PlanNode:
    """The square of each element; that of an expectation multiplies two independent estimates."""
    if streams(base, lowering.streams):
        return lowering.apply("mul", node, independent(lowering, (base, base), scope))
    return lowering.apply("pow", node, [lowering.lower(base, scope), lowering.lower(TWO, scope)])


def lower_norm(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A norm of order 1 or 2."""
    vector, order = node.args
    scope = scope.nonlinear()
    if order == TWO:
        square = lowering.apply("pow", node, [lowering.lower(vector, scope), lowering.lower(TWO, scope)])
        return lowering.apply("sqrt", node, [lowering.event_sum(square, node)])
    if order == ONE:
        return lowering.event_sum(lowering.apply("abs", node, [lowering.lower(vector, scope)]), node)
    raise NotSupportedError(f"the norm of order {order} cannot be computed yet", hint="write order 1 or 2")


def lower_inner(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """An inner product."""
    return lowering.event_sum(lowering.apply("mul", node, independent(lowering, node.args, scope)), node)


def _names(node: Basic) -> list[Basic]:
    """All names in an expression."""
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Name | Subscripted):
            found.append(part)
        else:
            stack.extend(part.args)
    return found
