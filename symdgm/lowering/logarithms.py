"""Logarithms of densities, their products and their averages, which never leave the logarithmic scale.

``p(x|z)`` of an image underflows; ``log mean_k p(x|z_k)`` is the log-sum-exp of the log-densities minus
``log K``. What is not known to be positive keeps its plain logarithm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic, Rational

from symdgm.expressions.applications import Call, call
from symdgm.expressions.arithmetic import Power, Quotient, Times
from symdgm.expressions.expectations import Expect
from symdgm.expressions.indices import Aggregate
from symdgm.lowering.aggregates import lower_aggregate
from symdgm.lowering.expectations import lower_expectation
from symdgm.lowering.indices import lower_weighted
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.positive import is_positive, is_weighted
from symdgm.lowering.streams import copies, streams

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def splits(lowering: Lowering, node: Basic) -> bool:
    """Whether ``log node`` is taken apart: an average, product, quotient or power of what is positive."""
    if isinstance(node, Times | Quotient):
        return any(splits(lowering, a) for a in node.args)
    if isinstance(node, Power):
        return splits(lowering, node.args[0])
    if isinstance(node, Aggregate) and is_weighted(lowering, node):
        return True
    return _is_split(lowering, node)


def _is_split(lowering: Lowering, node: Basic) -> bool:
    """Whether a logarithm goes into an average or an aggregate; of those over time, into a product only."""
    if isinstance(node, Aggregate) and lowering.facts.is_time(node.index) and node.kind != "prod":
        return False
    return isinstance(node, Expect | Aggregate) and is_positive(lowering, node.body)


def lower_log(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """``log node``, apart where that is exact.

    Args:
        lowering: the plan while it is built.
        node: the argument of the logarithm.
        scope: where the argument stands, inside the logarithm.
    """
    if isinstance(node, Expect) and is_positive(lowering, node.body):
        return lower_expectation(lowering, node, scope, log=True)
    if isinstance(node, Aggregate) and _is_split(lowering, node):
        return lower_aggregate(lowering, node, scope, log=True)
    if isinstance(node, Aggregate) and is_weighted(lowering, node):
        return lower_weighted(lowering, node, scope)
    if isinstance(node, Call) and node.function == "sg" and is_positive(lowering, node.args[1]):
        return lowering.apply("sg", node, [lower_log(lowering, node.args[1], scope)])
    if isinstance(node, Times | Quotient):
        return _log_factors(lowering, node, scope)
    if isinstance(node, Power) and is_positive(lowering, node.args[0]):
        return _log_power(lowering, node, scope)
    return lowering.plain_call(call("log", node), scope)


def _log_factors(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The logs of the positive factors, and the log of what the others give.

    The others may be negative, two at a time; the positive ones leave their sign alone.
    """
    logs: list[PlanNode] = []
    rest: dict[int, list[PlanNode]] = {1: [], -1: []}
    for sign, factor in _signed_factors(node, 1):
        if factor == 1:
            continue
        place = scope if sign > 0 else scope.nonlinear()
        if is_positive(lowering, factor):
            log = lower_log(lowering, factor, place)
            logs.append(log if sign > 0 else lowering.apply("neg", factor, [log]))
        else:
            rest[sign].append(lowering.lower(factor, place))
        scope = replace(scope, stream=scope.stream + streams(factor, lowering.streams))
    if rest[1] or rest[-1]:
        logs.append(lowering.apply("log", node, [_ratio(lowering, node, rest[1], rest[-1])]))
    return lowering.apply("add", node, logs) if len(logs) > 1 else logs[0]


def _signed_factors(node: Basic, sign: int) -> list[tuple[int, Basic]]:
    """The factors as they were written, those below a line with a sign of -1."""
    if isinstance(node, Times):
        return [pair for factor in node.args for pair in _signed_factors(factor, sign)]
    if isinstance(node, Quotient):
        return [*_signed_factors(node.args[0], sign), *_signed_factors(node.args[1], -sign)]
    return [(sign, node)]


def _ratio(lowering: Lowering, node: Basic, above: list[PlanNode], below: list[PlanNode]) -> PlanNode:
    top, bottom = (lowering.apply("mul", node, part) if len(part) > 1 else None for part in (above, below))
    top = top or (above[0] if above else lowering.plan.node(Kind.NUMBER, detail=(Rational(1),)))
    return lowering.apply("div", node, [top, bottom or below[0]]) if below else top


def _log_power(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """``n log p``; a whole power of an estimate is a product of independent ones, as without the log."""
    base, exponent = node.args
    count = copies(node)
    if count is not None and streams(base, lowering.streams):
        return _log_factors(lowering, Times(*(base,) * count), scope)
    inside = scope.nonlinear()
    factors = [lowering.lower(exponent, inside), lower_log(lowering, base, inside)]
    return lowering.apply("mul", node, factors)
