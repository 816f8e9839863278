"""Sums over events, and averages over draws, states and the batch, in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import ShapeError
from symdgm.lowering.estimation.emission import AVERAGES
from symdgm.lowering.logdensities import log_density
from symdgm.lowering.operands import ATOM, BATCH, SUM, Axis, Operand
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.layout import over_steps

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_reduce(writer: Writer, node: PlanNode) -> Operand:
    """A reduction; what does not depend on an axis is its own average over it."""
    operation, value = node.word(), writer.operands[node.args[0]]
    if operation == "sum" and node.detail[1] == "classes":
        return Operand(f"{value.at(ATOM)}.sum(-1)", ATOM, value.axes, value.rank - 1)
    if operation == "sum" and node.detail[1] == "event":
        return writer.event_sum(value)
    if operation in AVERAGES:
        return AVERAGES[operation](writer, node)
    if operation == "scalar":
        value = one_number(writer, value)
        if value.rank:
            raise event_shaped(value)
        return value
    if operation == "weighted sum":
        weight, states = writer.operands[node.args[1]], node.args[2]
        if states not in value.axes:
            return value
        return _over(writer.combine("weighted", [weight, value]), states, "sum")
    if operation == "log weighted sum":
        return _log_weighted_sum(writer, node, value)
    if node.detail[1:2] == ("steps",):
        if value.rank:
            raise event_shaped(value)
        return over_steps(writer, node, value)
    axis: Axis = BATCH if node.detail[1:] else node.args[1]
    if axis not in value.axes:
        return value
    if operation.startswith("log"):
        size = writer.size(axis)
        total = _over(value, axis, "logsumexp")
        return Operand(f"{total.text} - math.log({size})", SUM, total.axes)
    return _over(value, axis, "mean")


def _log_weighted_sum(writer: Writer, node: PlanNode, value: Operand) -> Operand:
    """``log sum_k w_k exp(v_k)`` over states; from probabilities directly, so that a zero has a gradient."""
    weight, states = node.args[1:]
    if states not in value.axes:
        return value
    law = weight.args[0]
    if law.kind is not Kind.OPAQUE and "probs" not in writer.laws[law].parameters:
        log = log_density(writer, law, states, weight.origin)
        return _over(writer.combine("add", [log, value]), states, "logsumexp")
    (w, v), axes, _ = writer.aligned([writer.operands[weight], value])
    index, rest = axes.index(states), tuple(a for a in axes if a is not states)
    return Operand(f"log_weighted_sum({w.text}, {v.text}, {index})", ATOM, rest)


def one_number(writer: Writer, value: Operand) -> Operand:
    """A value whose event has one element, ``[batch, 1]`` as critics return it, as one number per example."""
    if not value.rank or writer.value(value).shape[len(value.axes) :].numel() != 1:
        return value
    if value.rank == 1:
        return Operand(f"{value.at(ATOM)}.squeeze(-1)", ATOM, value.axes)
    return writer.event_sum(value)


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
