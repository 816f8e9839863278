"""Sums over events, and averages over draws, states and the batch, in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import ShapeError
from symdgm.lowering.operands import ATOM, BATCH, Axis, Operand
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_reduce(writer: Writer, node: PlanNode) -> Operand:
    """A reduction; what does not depend on an axis is its own average over it."""
    operation, value = node.word(), writer.operands[node.args[0]]
    if operation == "sum":
        return writer.event_sum(value)
    if operation == "scalar":
        if value.rank:
            raise event_shaped(value)
        return value
    if operation == "weighted sum":
        weight, states = writer.operands[node.args[1]], node.args[2]
        if states not in value.axes:
            return value
        return _over(writer.combine("mul", [weight, value]), states, "sum")
    axis: Axis = BATCH if operation == "mean" else node.args[1]
    return _over(value, axis, "mean") if axis in value.axes else value


def event_shaped(operand: Operand) -> ShapeError:
    """The refusal of a body with an event."""
    return ShapeError(
        f"the body is event-shaped (it has {operand.rank} event axes), but one number per example is wanted",
        hint="write `||.||^2`, `<., .>` or `sum(.)` to get one number per example",
    )


def _over(operand: Operand, axis: Axis, method: str) -> Operand:
    index = operand.axes.index(axis)
    rest = tuple(a for a in operand.axes if a is not axis)
    return Operand(f"{operand.at(ATOM)}.{method}({index})", ATOM, rest, operand.rank)
