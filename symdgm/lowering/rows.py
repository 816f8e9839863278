"""Lowering values at other examples of the batch, and the numbers of examples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.lowering.indices import along, names_read
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.sums import refuse_over_time

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def lower_row(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """A value at another example of the batch; within a sum over time one that has no steps."""
    value, index = node.args
    time = lowering.bound.environment.time
    if time is not None and any(time.covers(name) for name in names_read(lowering, value)):
        refuse_over_time(node, scope)
    return along(
        lowering,
        lowering.lower(value, replace(scope, rows="batch")),
        "batch",
        scope.values[index].args[0],
        node,
    )


def lower_own_row(lowering: Lowering, node: Basic, scope: Scope) -> PlanNode:
    """The number of the example itself."""
    refuse_over_time(node, scope)
    return lowering.plan.node(Kind.POSITION, origin=node)
