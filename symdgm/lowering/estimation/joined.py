"""Draws that the body itself joins in one log-sum-exp, ``log 1/K sum_k w_k``, found in the plan."""

from __future__ import annotations

from dataclasses import dataclass

from symdgm.lowering.estimation.estimator import Binding
from symdgm.lowering.estimation.operations import depends
from symdgm.lowering.plan import Kind, Plan, PlanNode, ordered

LINEAR = ("add", "neg", "mul", "div", "identity")
"""Operations that are linear in one operand."""


@dataclass(frozen=True)
class Joined:
    """The one log-sum-exp through which a value depends on several draws.

    Args:
        node: the log-sum-exp.
        logs: the log-weights, one for each draw.
        axis: the index of the draws.
    """

    node: PlanNode
    logs: PlanNode
    axis: PlanNode

    @property
    def mean(self) -> bool:
        """Whether it is the log of a mean rather than of a sum."""
        return self.node.word() == "logmeanexp"


def joined(binding: Binding, value: PlanNode) -> Joined | None:
    """The log-sum-exp over the draws, if there is one and nothing else of the value depends on them."""
    draw = binding.draw
    assert draw is not None
    found = [n for n in ordered([value]) if _joins(n, draw)]
    if len(found) != 1 or _reads_otherwise(value, draw, found[0]):
        return None
    logs, axis = found[0].args
    mixed = any(n.kind in (Kind.ALONG, Kind.PICK) and depends(n, draw) for n in ordered([logs]))
    return None if mixed else Joined(found[0], logs, axis)


def is_linear(value: PlanNode, on: PlanNode) -> bool:
    """Whether a value is linear in a node below it."""
    if value is on:
        return True
    inside = [a for a in value.args if depends(a, on)]
    plain = value.kind is Kind.APPLY and value.word() in LINEAR
    below = value.kind is Kind.REDUCE and value.word() == "scalar"
    if not inside or not (plain or below) or (len(inside) > 1 and value.word() != "add"):
        return False
    if value.word() == "div" and inside[0] is not value.args[0]:
        return False
    return all(is_linear(a, on) for a in inside)


def exchanged(plan: Plan, value: PlanNode, old: PlanNode, new: PlanNode) -> PlanNode:
    """The value with one of the nodes below it exchanged."""
    fresh: dict[PlanNode, PlanNode] = {old: new}
    for node in ordered([value]):
        if node not in fresh:
            args = [fresh[a] for a in node.args]
            same = all(a is b for a, b in zip(args, node.args, strict=True))
            fresh[node] = (
                node if same else plan.node(node.kind, *args, detail=node.detail, origin=node.origin)
            )
    return fresh[value]


def joins_rows(value: PlanNode, draw: PlanNode) -> bool:
    """Whether a value reads the draws of other examples."""
    return any(n.kind is Kind.ALONG and n.word() == "batch" and depends(n, draw) for n in ordered([value]))


def _joins(node: PlanNode, draw: PlanNode) -> bool:
    plain = node.kind is Kind.AGGREGATE and len(node.args) == 2 and node.word() in ("logsumexp", "logmeanexp")
    return plain and node.args[1] in draw.args and depends(node.args[0], draw)


def _reads_otherwise(value: PlanNode, draw: PlanNode, cut: PlanNode) -> bool:
    """Whether a value depends on a draw in another way than through a node."""
    stack, seen = [value], {cut}
    while stack:
        node = stack.pop()
        if node is draw:
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(node.args)
    return False
