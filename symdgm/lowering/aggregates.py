"""Lowering sums, products and means: over the steps of sequences, or over any other index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.lowering.indices import lower_over_index
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.time.sums import lower_over_time

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def lower_aggregate(lowering: Lowering, node: Basic, scope: Scope, *, log: bool = False) -> PlanNode:
    """A sum, product or mean, or its logarithm.

    Args:
        lowering: the plan while it is built.
        node: the aggregate.
        scope: where it stands.
        log: whether its logarithm is wanted, of a body that is positive.
    """
    lower = lower_over_time if lowering.facts.is_time(node.index) else lower_over_index
    return lower(lowering, node, scope, log=log)
