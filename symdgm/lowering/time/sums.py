"""Lowering sums and means over time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sympy import Basic

from symdgm.errors import NotSupportedError
from symdgm.expressions.steps import span
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.sequences import in_rows

if TYPE_CHECKING:
    from symdgm.lowering.lower import Lowering, Scope


def lower_over_time(lowering: Lowering, node: Basic, scope: Scope, *, log: bool = False) -> PlanNode:
    """The sum or the mean of a term over the steps of each sequence, or the logarithm of a product.

    Args:
        lowering: the plan while it is built.
        node: the aggregate.
        scope: where it stands.
        log: whether its logarithm is wanted, of factors that are positive.

    Raises:
        NotSupportedError: a product over time outside of a logarithm.
    """
    first, dropped = steps_of(lowering, node)
    inside = replace(scope, rows="steps", first=first)
    if node.kind == "prod" and not log:
        raise NotSupportedError(
            f"the product `{node}` over time cannot be computed yet, outside of a logarithm",
            hint="write the sum of the logarithms of its factors",
        )
    value = lowering.log(node.body, inside) if log else lowering.lower(node.body, inside)
    detail = ("sum" if node.kind == "prod" else node.kind, "steps", first, dropped)
    return in_rows(lowering, lowering.plan.node(Kind.REDUCE, value, detail=detail, origin=node), scope)


def refuse_over_time(node: Basic, scope: Scope) -> None:
    """Refuse what compares examples with each other inside of a sum over time.

    Raises:
        NotSupportedError: it says so.
    """
    if scope.rows != "batch":
        raise NotSupportedError(
            f"`{node}` joins the examples of the batch at each step of sequences, which this version cannot "
            "compute yet",
            hint="write it outside of the sum over time",
        )


def steps_of(lowering: Lowering, node: Basic) -> tuple[int, int]:
    """The step from which an aggregate over time runs, and how far before the end of each sequence it ends.

    Raises:
        NotSupportedError: a range that does not begin at a whole number or does not end with the sequences.
    """
    time = lowering.bound.environment.time
    assert time is not None
    found = span(node.index)
    if found is None or found[0] < 1 or found[2] < 0 or found[1] not in (None, time.length):
        raise NotSupportedError(
            f"the range of `{node}` cannot be computed yet",
            hint=f"write a sum from a whole number to `{time.length}`, the end of each sequence, or to some "
            f"steps before it, `{time.length}-1`",
        )
    return found[0], found[2]
